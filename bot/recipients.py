"""Who received a version: every customer it was sent to, so that they can be told (C-37).

A file or text that was sent cannot be called back. Four books know of it: touchpoints (replies
sent, touches and welcomes delivered, messages into groups), replies that quote the version beside
another one, the messages of 微信客服; and who was in a group without being a customer of ours.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
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
from sqlmodel import col

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


async def received(session: AsyncSession, these: Versions, who: Signed) -> list[Recipient]:
    """Every reception of these versions by a customer one may see, newest first."""
    told = union_all(_seen(these), _quoted(these), _served(these)).subquery()
    rows = (
        rows_of(
            col(Customer.name),
            func.coalesce(col(Customer.bank_no), ""),
            func.coalesce(col(Branch.name), ""),
            func.coalesce(col(Staff.name), ""),
            told.c.way,
            told.c.at,
            col(Customer.id),
        )
        .join(Customer, col(Customer.id) == told.c.customer_id)
        .outerjoin(Staff, col(Staff.id) == told.c.staff_id)
        .outerjoin(Branch, col(Branch.id) == Customer.branch_id)
        .where(visible(who))
    )
    found = [Recipient(*row) for row in await session.execute(rows)]
    if who.may(*SEES_ALL):
        found += [Recipient(*row) for row in await session.execute(_strangers(these))]
        found += await _in_groups(session, these)
    return sorted(found, key=lambda one: (one.at, one.customer), reverse=True)


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


def _strangers(these: Versions) -> "Select[*tuple[Any, ...]]":
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
            null(),
        )
        .select_from(ServiceMessage)
        .join(ServiceSession, col(ServiceSession.id) == ServiceMessage.session_id)
        .where(*_answered_with(these), ~nobody.correlate(ServiceSession).exists())
    )


async def _in_groups(session: AsyncSession, these: Versions) -> list[Recipient]:
    """People who are nobody's customer yet and were in a group when it was sent there."""
    ids = [str(one) for one in (await session.execute(these)).scalars()]
    rows = (
        rows_of(OutboundMessage, func.coalesce(col(Staff.name), ""), col(CustomerGroup.id))
        .join(CustomerGroup, col(CustomerGroup.chat_id) == OutboundMessage.chat_id)
        .outerjoin(Staff, col(Staff.id) == OutboundMessage.staff_id)
        .where(
            col(OutboundMessage.door) == Door.GROUP,
            col(OutboundMessage.state) == OutboundState.SENT,
            or_(*(col(OutboundMessage.versions).contains([{"version_id": one}]) for one in ids)),
        )
    )
    found = []
    for said, rm, group_id in await session.execute(rows):
        unknown = {one["member_id"] for one in said.recipients if not one["customer_id"]}
        named = rows_of(col(GroupMember.member_id), col(GroupMember.nickname)).where(
            col(GroupMember.group_id) == group_id, col(GroupMember.member_id).in_(unknown)
        )
        names = {row.member_id: row.nickname for row in await session.execute(named)}
        at = said.settled_at or said.at
        found += [
            Recipient(names.get(one) or "群成员", "", "", rm, "group", at, None)
            for one in sorted(unknown)
        ]
    return found


def _answered_with(these: Versions) -> tuple[ColumnElement[bool], ...]:
    return (
        col(ServiceMessage.speaker) == ServiceSpeaker.ROBOT,
        col(ServiceMessage.failure) == "",
        _names_one(col(ServiceMessage.version_ids), these),
    )


def _quotes(these: Versions) -> ColumnElement[bool]:
    """A citation of the reply is of one of these versions."""
    one = these.subquery()
    cited = func.jsonb_build_array(func.jsonb_build_object("version_id", cast(one.c.id, Text)))
    found = rows_of(one.c.id).where(col(Suggestion.citations).op("@>")(cited))
    return found.correlate(Suggestion).exists()


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
