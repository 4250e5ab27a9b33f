"""The card of a product 产品卡片: what must be told whenever one is shown (代销办法, C-20)."""

from dataclasses import dataclass

from compliance import disclosures
from content.models import Product

OWN = "本产品由本行发行与管理。"


@dataclass(frozen=True)
class ProductCard:
    """Everything a customer must be told beside the name."""

    name: str
    issuer: str
    statement: str  # who issues it, and that this bank only distributes it
    rating: int
    term: str
    fees: str


@dataclass(frozen=True)
class Incomplete:
    """No card can be made; `lacks` names what the product master must say first."""

    lacks: tuple[str, ...]


def card_of(product: Product) -> ProductCard | Incomplete:
    """The card, or what it lacks."""
    if lacks := _lacks(product):
        return Incomplete(lacks)
    return ProductCard(
        name=product.name,
        issuer=product.issuer,
        statement=disclosures.agency_statement(product) or OWN,
        rating=product.rating,
        term=f"{product.term_days} 天" if product.term_days else f"无固定期限，{product.open_rule}",
        fees=product.fees,
    )


def _lacks(product: Product) -> tuple[str, ...]:
    told = {
        "发行机构": product.issuer.strip(),
        "风险评级": 1 <= product.issuer_rating <= 5 and 1 <= product.bank_rating <= 5,
        "期限或开放规则": product.term_days or product.open_rule.strip(),
        "费用": product.fees.strip(),
    }
    return tuple(label for label, said in told.items() if not said)
