"""What is said to whom, and all that is known about it at that moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.calendar import local_day
from bank.models import Staff
from bank.settings import Settings
from compliance.normalise import normalise
from compliance.suitability import needs_notice
from compliance.unlisted import offered
from content import library, products
from content.models import Kind, Product
from customers import book, care
from customers.models import Consent, Customer
from outbound import reasons
from outbound.attachments import Attached
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
    Door.GROUP: "group",
}
CHANNELS = {Door.SERVICE: Channel.KF, Door.GROUP: Channel.GROUP}


@dataclass(frozen=True)
class Policy:
    """What the bank has decided for all its messages."""

    bank_name: str
    link_hosts: tuple[str, ...]
    ai_label: bool
    group_level: int = 0  # the highest product level that may be spoken of in a customer group


def policy_of(settings: Settings) -> Policy:
    """The bank's policy, as the settings have it."""
    return Policy(
        settings.bank_name,
        tuple(settings.link_hosts),
        settings.ai_label,
        settings.group_product_level,
    )


@dataclass(frozen=True)
class Seat:
    """A customer in a group at the moment of sending."""

    member_id: str
    customer_id: UUID | None
    name: str = field(default="", repr=False)
    consents: bool = False


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
    attachments: tuple[Attached, ...] = ()
    chat_id: str = ""  # of the group it goes to
    recipients: tuple[Seat, ...] = ()  # who is in the group at this moment
    notice_given: bool = False  # the RM ticked the special notice to a customer of 65 or more

    @property
    def source(self) -> str:
        """What sort of thing the words belong to."""
        return SOURCES[self.door]

    @property
    def channel(self) -> Channel:
        """Where the customer reads it."""
        return CHANNELS.get(self.door, Channel.SINGLE_CHAT)

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
    documents: tuple[library.LibraryDocument, ...] = ()
    named: tuple[Product, ...] = ()  # products whose name or code stands in the words
    suits: bool = False  # every version may be used now, here, at the customer's level
    names: tuple[str, ...] = ()  # of all products the bank has
    complains: bool = False  # a complaint of the customer is open: no marketing meanwhile (C-44)

    @property
    def consent(self) -> Consent | None:
        """The consent to marketing in force."""
        return self.customer.consent if self.customer else None

    @property
    def about(self) -> list[Product]:
        """The products of the material."""
        found = {one.id: one for document in self.documents for one in document.products}
        return list(found.values())

    @property
    def product_level(self) -> int:
        """The highest rating of any product spoken of, 0 without one."""
        return max(
            products.highest_rating([*self.about, *self.named]),
            *(document.risk for document in self.documents),
            0,
        )

    @property
    def needs_notice(self) -> bool:
        """Whether the special notice to customers of 65 or more is due (C-07)."""
        return needs_notice(self.customer.age if self.customer else None, self.product_level)

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
                "sha256": document.sha256,
            }
            for document in self.documents
        ]


async def gather(session: AsyncSession, saying: Saying, now: datetime) -> Facts:
    """Look everything up, afresh."""
    customer = await session.get(Customer, saying.customer_id) if saying.customer_id else None
    if saying.customer_id and customer is None:
        raise LookupError("the customer is gone")
    who = await book.facts_of(session, customer, now) if customer else None
    ceiling = who.risk_ceiling if who else 0
    return Facts(
        staff=await session.get(Staff, saying.staff_id) if saying.staff_id else None,
        customer=who,
        documents=tuple(await library.documents(session, saying.version_ids)),
        named=tuple(await products.named_in(session, saying.text)),
        suits=await usable(session, saying, who, ceiling, now),
        names=tuple(await _names(session, saying.text)),
        complains=customer is not None and await care.complains(session, customer.id),
    )


async def usable(
    session: AsyncSession,
    saying: Saying,
    who: book.CustomerFacts | None,
    ceiling: int,
    now: datetime,
) -> bool:
    """Whether every version may be used now, at this door and branch, up to this risk level."""
    live = await library.only_live(
        session,
        saying.version_ids,
        now=now,
        channel=saying.channel,
        branch_id=who.branch_id if who else saying.branch_id,
        risk_ceiling=ceiling,
    )
    return live == saying.version_ids


async def _names(session: AsyncSession, text: str) -> Sequence[str]:
    """The names of all products, where the words offer something named like one."""
    if not any(offered(normalise(text))):
        return ()
    return (await session.execute(select(col(Product.name)))).scalars().all()
