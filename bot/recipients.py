"""Who received a version: every customer it was sent to, so that they can be told (C-37).

A file or text that was sent cannot be called back. Four books know of it: touchpoints (replies
sent, touches and welcomes delivered, messages into groups), replies that quote the version beside
another one, the messages of 微信客服; and who was in a group without being a customer of ours.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    Text,
    Uuid,
    cast,
    func,
    literal,
    null,
    or_,
    union_all,
)
from sqlalchemy import select as rows_of
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from attribution.models import Touchpoint
from bank.models import Branch, Staff
from bot.models import ServiceMessage, ServiceSession, ServiceSpeaker
from content.models import Material, Version
from customers.book import SEES_ALL, visible
from customers.models import Customer, CustomerGroup, GroupMember
from desk.signed import Signed
from knowledge.models import Suggestion, SuggestionState
from outbound.models import Door, OutboundMessage, OutboundState

Versions = Select[UUID]

AT_ONCE = 500  # rows of an export in memory

SENT = (SuggestionState.SENT, SuggestionState.EDITED)
WAYS = {
    "reply_sent": "客户经理回复",
    "touch_delivered": "触达、欢迎语或客户群",
    "quoted": "回复中引用",
    "service": "微信客服答复",
    "group": "客户群",
}


@dataclass(frozen=True)
class Sent:
    """What was sent: one version, or a material in any of its versions."""

    material: Material
    version: Version | None

    @property
    def versions(self) -> Versions:
        """The versions it means."""
        ids = rows_of(col(Version.id))
        if self.version is not None:
            return ids.where(col(Version.id) == self.version.id)
        return ids.where(col(Version.material_id) == self.material.id)

    @property
    def title(self) -> str:
        """How readers know it."""
        return self.version.title if self.version else self.material.title

    @property
    def number(self) -> str:
        """Which version, in words."""
        return f"V{self.version.number}" if self.version else "全部版本"

    @property
    def address(self) -> str:
        """Of the list of who received it."""
        at = f"versions/{self.version.id}" if self.version else str(self.material.id)
        return f"/content/{at}/recipients"


@dataclass(frozen=True)
class Recipient:
    """One reception of the version by a customer."""

    customer: str
    bank_no: str
    branch: str
    rm: str
    way: str
    at: datetime
    customer_id: UUID | None  # none: somebody of 微信客服 who is nobody's customer yet

    @property
    def way_label(self) -> str:
        """How it reached them, in words."""
        return WAYS.get(self.way, self.way)


async def reached(session: AsyncSession, material_id: UUID, scope: ColumnElement[bool]) -> int:
    """How many different customers within the scope received any version of the material."""
    these = rows_of(col(Version.id)).where(col(Version.material_id) == material_id)
    told = union_all(_seen(these), _quoted(these), _served(these)).subquery()
    rows = (
        rows_of(func.count(func.distinct(told.c.customer_id)))
        .select_from(told)
        .join(Customer, col(Customer.id) == told.c.customer_id)
        .where(scope)
    )
    return (await session.execute(rows)).scalar_one()


@dataclass(frozen=True)
class Extent:
    """How much there is of it."""

    total: int
    customers: int  # how many different ones


async def extent(
    session: AsyncSession, these: Versions, who: Signed, until: datetime | None = None
) -> Extent:
    """How many receptions of these versions one may see, up to a moment if one is given."""
    told = _told_to(these, who).subquery()
    person = func.coalesce(cast(told.c.customer_id, Text), told.c.name)
    rows = rows_of(func.count(), func.count(func.distinct(person))).select_from(told)
    return Extent(*(await session.execute(_until(rows, told, until))).one())


async def received(
    session: AsyncSession, these: Versions, who: Signed, *, limit: int, offset: int = 0
) -> list[Recipient]:
    """Receptions of these versions by customers one may see, newest first: one page of them."""
    rows = _in_order(_told_to(these, who).subquery(), None).limit(limit).offset(offset)
    return [Recipient(*row) for row in await session.execute(rows)]


async def portions(
    session: AsyncSession,
    these: Versions,
    who: Signed,
    until: datetime | None = None,
    *,
    size: int = AT_ONCE,
) -> AsyncIterator[list[Recipient]]:
    """All of them in the same order, so many at a time that any number of them can be read."""
    rows = _in_order(_told_to(these, who).subquery(), until)
    found = await session.stream(rows, execution_options={"yield_per": size})
    async for part in found.partitions(size):
        yield [Recipient(*row) for row in part]


def _until(rows: Any, told: Any, until: datetime | None) -> Any:
    return rows if until is None else rows.where(told.c.at <= until)


def _in_order(told: Any, until: datetime | None) -> Any:
    columns = ("name", "bank_no", "branch", "rm", "way", "at", "customer_id")
    rows = _until(rows_of(*(told.c[name] for name in columns)), told, until)
    # The rest only so that two pages never show one row, or none, of those of one moment.
    return rows.order_by(
        told.c.at.desc(), told.c.name.desc(), told.c.bank_no.desc(), told.c.way, told.c.rm
    )


def _told_to(these: Versions, who: Signed) -> CompoundSelect[Any]:
    """One row a reception; people who are nobody's customer yet only for who sees everybody."""
    parts = [_customers(these, who)]
    if who.may(*SEES_ALL):
        parts += [_strangers(these), _in_groups(these)]
    return union_all(*parts)


def _customers(these: Versions, who: Signed) -> Select[Any]:
    told = union_all(_seen(these), _quoted(these), _served(these)).subquery()
    return (
        rows_of(
            col(Customer.name).label("name"),
            func.coalesce(col(Customer.bank_no), "").label("bank_no"),
            func.coalesce(col(Branch.name), "").label("branch"),
            func.coalesce(col(Staff.name), "").label("rm"),
            told.c.way,
            told.c.at,
            col(Customer.id).label("customer_id"),
        )
        .join(Customer, col(Customer.id) == told.c.customer_id)
        .outerjoin(Staff, col(Staff.id) == told.c.staff_id)
        .outerjoin(Branch, col(Branch.id) == Customer.branch_id)
        .where(visible(who))
    )


def _seen(these: Versions) -> Select[Any]:
    point = Touchpoint
    return _told(
        col(point.customer_id), col(point.staff_id), cast(col(point.kind), Text), col(point.at)
    ).where(col(point.version_id).in_(these))


def _quoted(these: Versions) -> Select[Any]:
    """Replies made of several materials: the touchpoint names only the first."""
    reply = Suggestion
    at = func.coalesce(col(reply.decided_at), col(reply.created_at))
    return _told(col(reply.customer_id), col(reply.staff_id), literal("quoted"), at).where(
        col(reply.state).in_(SENT),
        _quotes(these),
        or_(col(reply.version_id).is_(None), col(reply.version_id).not_in(these)),
    )


def _served(these: Versions) -> Select[Any]:
    """Answers of 微信客服 to customers we know."""
    said = _told(col(Customer.id), null(), literal("service"), col(ServiceMessage.sent_at))
    return (
        said.select_from(ServiceMessage)
        .join(ServiceSession, col(ServiceSession.id) == ServiceMessage.session_id)
        .join(Customer, col(Customer.external_userid) == ServiceSession.external_userid)
        .where(*_answered_with(these))
    )


def _strangers(these: Versions) -> Select[Any]:
    """Answers of 微信客服 to people who are nobody's customer yet."""
    nobody = rows_of(col(Customer.id)).where(
        col(Customer.external_userid) == ServiceSession.external_userid
    )
    return (
        rows_of(
            col(ServiceSession.nickname),
            literal(""),
            literal(""),
            literal(""),
            literal("service"),
            col(ServiceMessage.sent_at),
            cast(null(), Uuid),
        )
        .select_from(ServiceMessage)
        .join(ServiceSession, col(ServiceSession.id) == ServiceMessage.session_id)
        .where(*_answered_with(these), ~nobody.correlate(ServiceSession).exists())
    )


def _in_groups(these: Versions) -> Select[Any]:
    """People who are nobody's customer yet and were in a group when it was sent there."""
    said, member = OutboundMessage, GroupMember
    seat = func.jsonb_array_elements(col(said.recipients)).table_valued("value").lateral()
    member_id = seat.c.value.op("->>")("member_id")
    return (
        rows_of(
            func.coalesce(func.nullif(col(member.nickname), ""), "群成员"),
            literal(""),
            literal(""),
            func.coalesce(col(Staff.name), ""),
            literal("group"),
            func.coalesce(col(said.settled_at), col(said.at)),
            cast(null(), Uuid),
        )
        .select_from(said)
        .join(CustomerGroup, col(CustomerGroup.chat_id) == said.chat_id)
        .outerjoin(Staff, col(Staff.id) == said.staff_id)
        .join(seat, seat.c.value.op("->>")("customer_id") == "")
        .outerjoin(
            member,
            (col(member.group_id) == CustomerGroup.id) & (col(member.member_id) == member_id),
        )
        .where(
            col(said.door) == Door.GROUP,
            col(said.state) == OutboundState.SENT,
            _holds_one(col(said.versions), these, said),
        )
    )


def _answered_with(these: Versions) -> tuple[ColumnElement[bool], ...]:
    return (
        col(ServiceMessage.speaker) == ServiceSpeaker.ROBOT,
        col(ServiceMessage.failure) == "",
        _names_one(col(ServiceMessage.version_ids), these),
    )


def _quotes(these: Versions) -> ColumnElement[bool]:
    """A citation of the reply is of one of these versions."""
    return _holds_one(col(Suggestion.citations), these, Suggestion)


def _holds_one(told: Any, these: Versions, of: type[SQLModel]) -> ColumnElement[bool]:
    """A list of things with their versions, as stored, holds one of these."""
    one = these.subquery()
    named = func.jsonb_build_array(func.jsonb_build_object("version_id", cast(one.c.id, Text)))
    return rows_of(one.c.id).where(told.op("@>")(named)).correlate(of).exists()


def _names_one(ids: Any, these: Versions) -> ColumnElement[bool]:
    """A list of ids as stored holds one of these versions."""
    one = these.subquery()
    found = rows_of(one.c.id).where(ids.op("@>")(func.jsonb_build_array(cast(one.c.id, Text))))
    return found.correlate(ServiceMessage).exists()


def _told(customer: Any, staff: Any, way: Any, at: Any) -> Select[Any]:
    return rows_of(
        customer.label("customer_id"), cast(staff, Uuid).label("staff_id"),
        way.label("way"), at.label("at"),
    )  # fmt: skip
