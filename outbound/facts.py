"""What is said to whom, and all that is known about it at that moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.calendar import local_day
from bank.models import Staff
from bank.settings import Settings
from content import library, products
from content.models import Kind, Product, Version
from customers import book
from customers.models import Consent, Customer
from outbound import reasons
from outbound.models import Door
from wecom.channels import Channel

APPROVED = "approved"  # an approved text as it stands, its slots filled
FIXED = "fixed"  # the bank's own standing sentences
QUOTING = "quoting"
SOURCES = {
    Door.SIDEBAR: "suggestion",
    Door.WELCOME: "welcome",
    Door.TOUCH: "touch",
    Door.SERVICE: "service",
}


@dataclass(frozen=True)
class Policy:
    """What the bank has decided for all its messages."""

    bank_name: str
    link_hosts: tuple[str, ...]
    ai_label: bool


def policy_of(settings: Settings) -> Policy:
    """The bank's policy, as the settings have it."""
    return Policy(settings.bank_name, tuple(settings.link_hosts), settings.ai_label)


@dataclass(frozen=True)
class Saying:
    """Words about to be put before somebody, and where they come from."""

    door: Door
    text: str = field(repr=False)
    version_ids: frozenset[UUID] = frozenset()
    staff_id: UUID | None = None  # whose words they are; None where the bank itself speaks
    customer_id: UUID | None = None  # None for somebody who is not known yet
    contact: str = ""
    branch_id: UUID | None = None  # of somebody who is not known yet
    suggested: str = field(default="", repr=False)  # what a person may have edited
    known: tuple[str, ...] = field(default=(), repr=False)  # further texts the words may draw on
    writer: str = APPROVED
    prompt_hash: str = ""
    passages: tuple[str, ...] = ()
    marketing: bool = False
    ai_assisted: bool = False

    @property
    def source(self) -> str:
        """What sort of thing the words belong to."""
        return SOURCES[self.door]

    @property
    def channel(self) -> Channel:
        """Where the customer reads it."""
        return Channel.KF if self.door is Door.SERVICE else Channel.SINGLE_CHAT

    @property
    def edited(self) -> bool:
        """Whether a person has changed what was drafted."""
        return bool(self.suggested) and self.text != self.suggested

    @property
    def by_model(self) -> bool:
        """Whether a model has worded it."""
        return self.writer not in (APPROVED, FIXED, QUOTING)


@dataclass(frozen=True)
class Facts:
    """What stands in the tables at the moment of judgement."""

    staff: Staff | None = None
    customer: book.CustomerFacts | None = None
    consent: Consent | None = None
    documents: tuple[library.LibraryDocument, ...] = ()
    sha256: dict[UUID, str] = field(default_factory=dict)
    about: tuple[Product, ...] = ()  # products of the material
    named: tuple[Product, ...] = ()  # products whose name or code stands in the words
    names: tuple[str, ...] = ()  # of all products the bank has

    @property
    def branch_id(self) -> UUID | None:
        """Whose branch's material may be used."""
        return self.customer.branch_id if self.customer else None

    @property
    def product_level(self) -> int:
        """The highest rating of any product spoken of, 0 without one."""
        return max(
            products.highest_rating([*self.about, *self.named]),
            *(document.risk for document in self.documents),
            0,
        )

    @property
    def sources(self) -> list[str]:
        """The approved texts."""
        return [passage.text for document in self.documents for passage in document.passages]

    @property
    def known(self) -> list[str]:
        """Where the name of a product may come from: the bank's products and approved texts."""
        return [*self.names, *self.sources]

    def certified(self, now: datetime) -> bool:
        """Whether the RM may sell today; without an RM nobody's certificate is asked for."""
        if self.staff is None:
            return True
        until = self.staff.certified_until
        return until is not None and local_day(now) <= until

    def uncertified(self) -> str:
        """Why the RM may not sell, in words."""
        until = self.staff.certified_until if self.staff else None
        return reasons.CERTIFICATE_ENDED.format(until=until) if until else reasons.NO_CERTIFICATE

    @property
    def education(self) -> bool:
        """Whether it is investor education and nothing else."""
        kinds = {document.kind for document in self.documents}
        return kinds == {Kind.EDUCATION} and not self.product_level

    def versions(self) -> list[dict[str, Any]]:
        """The material as it is kept with the words."""
        return [
            {
                "version_id": str(document.version_id),
                "material_id": str(document.material_id),
                "code": document.material_code,
                "title": document.title,
                "number": document.number,
                "sha256": self.sha256.get(document.version_id, ""),
            }
            for document in self.documents
        ]


async def gather(session: AsyncSession, saying: Saying, now: datetime) -> Facts:
    """Look everything up, afresh."""
    customer = await session.get(Customer, saying.customer_id) if saying.customer_id else None
    if saying.customer_id and customer is None:
        raise LookupError("the customer is gone")
    documents = await library.documents(session, saying.version_ids)
    material_ids = [document.material_id for document in documents]
    of_materials = await products.of_materials(session, material_ids)
    about = {product.id: product for found in of_materials.values() for product in found}
    return Facts(
        staff=await session.get(Staff, saying.staff_id) if saying.staff_id else None,
        customer=await book.facts_of(session, customer, now) if customer else None,
        consent=await book.consent_of(session, customer.id, now) if customer else None,
        documents=tuple(documents),
        sha256=await _hashes(session, [document.version_id for document in documents]),
        about=tuple(about.values()),
        named=tuple(await named_in(session, saying.text)),
        names=tuple((await session.execute(select(col(Product.name)))).scalars()),
    )


async def _hashes(session: AsyncSession, version_ids: Sequence[UUID]) -> dict[UUID, str]:
    query = select(col(Version.id), col(Version.sha256)).where(col(Version.id).in_(version_ids))
    return {row.id: row.sha256 for row in await session.execute(query)}


async def named_in(session: AsyncSession, text: str) -> list[Product]:
    """The products whose name or code stands in these words, looked for in the database."""
    query = select(Product).where(
        or_(func.strpos(text, col(Product.name)) > 0, func.strpos(text, col(Product.code)) > 0)
    )
    return list((await session.execute(query.order_by(col(Product.code)))).scalars())
