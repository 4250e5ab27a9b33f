"""What the platform remembers of the product album (商品图册)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Product:
    """One product members can show to customers; the price is in fen."""

    product_id: str
    description: str
    price: int
    serial: str
    attachments: list[dict[str, Any]]
    created_at: datetime


@dataclass
class Album:
    """The products, and the ids of those deleted."""

    products: dict[str, Product] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
