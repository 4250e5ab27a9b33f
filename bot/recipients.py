"""Who received a version: every customer it was sent to, so that they can be told (C-37).

A file or text that was sent cannot be called back. Four books know of it: touchpoints (replies
sent, touches and welcomes delivered, messages into groups), replies that quote the version beside
another one, the messages of 微信客服; and who was in a group without being a customer of ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aiohttp import web
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    Uuid,
    cast,
    func,
    literal,
    null,
    union_all,
)
from sqlalchemy import select as rows_of
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from attribution.models import Touchpoint
from bank import audit
from bank.models import Branch, Staff
from bank.sheets import csv_of
from bot.models import ServiceMessage, ServiceSession, ServiceSpeaker
from content.material_pages import ID, SEES_RECIPIENTS
from content.models import Material, Version
from content.shelf import Standing, standing
from customers.book import SEES_ALL, visible
from customers.models import Customer, CustomerGroup, GroupMember
from desk.permissions import allow
from desk.render import page, when
from desk.signed import Signed, now_of, session_of, signed
from knowledge.models import Suggestion, SuggestionState
from outbound.models import Door, OutboundMessage, OutboundState

routes = web.RouteTableDef()

PAGE = 50
SENT = (SuggestionState.SENT, SuggestionState.EDITED)
WAYS = {
    "reply_sent": "客户经理回复",
    "touch_delivered": "触达、欢迎语或客户群",
    "quoted": "回复中引用",
    "service": "微信客服答复",
    "group": "客户群",
}
HEADINGS = ("客户", "客户编号", "支行", "客户经理", "方式", "时间")


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


@dataclass(frozen=True)
class RecipientsPage:
    """Everyone the reader may see who received a version."""

    material: Material
    version: Version
    standing: Standing
    recipients: list[Recipient]
    customers: int  # how many different ones
    total: int
    number: int
    pages: int


@routes.get(f"/content/versions/{{version_id:{ID}}}/recipients")
@allow(*SEES_RECIPIENTS)
async def show_recipients(request: web.Request) -> web.Response:
    """Who received this version, newest first, as far as one may see the customers."""
    session, who = session_of(request), signed(request)
    material, version = await _version(request)
    found = await received(session, version.id, who)
    asked = request.query.get("page", "1")
    pages = max(1, -(-len(found) // PAGE))
    number = min(max(1, int(asked)), pages) if asked.isascii() and asked.isdigit() else 1
    context = RecipientsPage(
        material=material,
        version=version,
        standing=standing(version, now_of(request)),
        recipients=found[(number - 1) * PAGE : number * PAGE],
        customers=len({one.customer_id or one.customer for one in found}),
        total=len(found),
        number=number,
        pages=pages,
    )
    return page(request, "bot/recipients.html", context)


@routes.get(f"/content/versions/{{version_id:{ID}}}/recipients.csv")
@allow(*SEES_RECIPIENTS)
async def export_recipients(request: web.Request) -> web.Response:
    """The same list as a file; that somebody took it is in the audit book."""
    session, who, now = session_of(request), signed(request), now_of(request)
    material, version = await _version(request)
    found = await received(session, version.id, who)
    audit.record(
        session, "content:version:recipients", version.id, by=who.userid, now=now,
        number=version.number, read=len(found),
    )  # fmt: skip
    name = f"recipients-{material.code}-V{version.number}.csv"
    return web.Response(
        body=as_csv(found),
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _version(request: web.Request) -> tuple[Material, Version]:
    session = session_of(request)
    version = await session.get(Version, UUID(request.match_info["version_id"]))
    if version is None or version.approved_at is None:
        raise web.HTTPNotFound
    return await session.get_one(Material, version.material_id), version


async def received(session: AsyncSession, version_id: UUID, who: Signed) -> list[Recipient]:
    """Every reception of this version by a customer this member of staff may see, newest first."""
    told = union_all(_seen(version_id), _quoted(version_id), _served(version_id)).subquery()
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
        found += [Recipient(*row) for row in await session.execute(_strangers(version_id))]
        found += await _in_groups(session, version_id)
    return sorted(found, key=lambda one: (one.at, one.customer), reverse=True)


def _seen(version_id: UUID) -> Select[Any]:
    point = Touchpoint
    return _told(
        col(point.customer_id), col(point.staff_id), cast(col(point.kind), Text), col(point.at)
    ).where(col(point.version_id) == version_id)


def _quoted(version_id: UUID) -> Select[Any]:
    """Replies made of several materials: the touchpoint names only the first."""
    reply = Suggestion
    at = func.coalesce(col(reply.decided_at), col(reply.created_at))
    return _told(col(reply.customer_id), col(reply.staff_id), literal("quoted"), at).where(
        col(reply.state).in_(SENT),
        col(reply.citations).contains([{"version_id": str(version_id)}]),
        col(reply.version_id).is_distinct_from(version_id),
    )


def _served(version_id: UUID) -> Select[Any]:
    """Answers of 微信客服 to customers we know."""
    said = _told(col(Customer.id), null(), literal("service"), col(ServiceMessage.sent_at))
    return (
        said.select_from(ServiceMessage)
        .join(ServiceSession, col(ServiceSession.id) == ServiceMessage.session_id)
        .join(Customer, col(Customer.external_userid) == ServiceSession.external_userid)
        .where(*_answered_with(version_id))
    )


def _strangers(version_id: UUID) -> "Select[*tuple[Any, ...]]":
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
        .where(*_answered_with(version_id), ~nobody.correlate(ServiceSession).exists())
    )


async def _in_groups(session: AsyncSession, version_id: UUID) -> list[Recipient]:
    """People who are nobody's customer yet and were in a group when it was sent there."""
    rows = (
        rows_of(OutboundMessage, func.coalesce(col(Staff.name), ""), col(CustomerGroup.id))
        .join(CustomerGroup, col(CustomerGroup.chat_id) == OutboundMessage.chat_id)
        .outerjoin(Staff, col(Staff.id) == OutboundMessage.staff_id)
        .where(
            col(OutboundMessage.door) == Door.GROUP,
            col(OutboundMessage.state) == OutboundState.SENT,
            col(OutboundMessage.versions).contains([{"version_id": str(version_id)}]),
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


def _answered_with(version_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        col(ServiceMessage.speaker) == ServiceSpeaker.ROBOT,
        col(ServiceMessage.failure) == "",
        col(ServiceMessage.version_ids).contains([str(version_id)]),
    )


def _told(customer: Any, staff: Any, way: Any, at: Any) -> Select[Any]:
    return rows_of(
        customer.label("customer_id"), cast(staff, Uuid).label("staff_id"),
        way.label("way"), at.label("at"),
    )  # fmt: skip


def as_csv(found: Iterable[Recipient]) -> bytes:
    """For Excel; nothing in it is run as a formula."""
    rows = ((r.customer, r.bank_no, r.branch, r.rm, r.way_label, when(r.at)) for r in found)
    return csv_of(HEADINGS, rows)
