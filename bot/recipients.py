"""Who received a version: every customer it was sent to, so that they can be told (C-37).

A file or text that was sent cannot be called back. Three books know of it: touchpoints (replies
sent, touches and welcomes delivered), replies that quote the version beside another one, and the
messages of 微信客服.
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
    or_,
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
from content.material_pages import ID, SEES_RECIPIENTS, reader_of
from content.models import Material, Version
from content.shelf import Standing, standing, visible_versions
from customers.book import SEES_ALL, visible
from customers.models import Customer
from desk.permissions import allow
from desk.render import page, when
from desk.signed import Signed, now_of, session_of, signed
from knowledge.models import Suggestion, SuggestionState

Versions = Select[UUID]

routes = web.RouteTableDef()

PAGE = 50
SENT = (SuggestionState.SENT, SuggestionState.EDITED)
WAYS = {
    "reply_sent": "客户经理回复",
    "touch_delivered": "触达或欢迎语",
    "quoted": "回复中引用",
    "service": "微信客服答复",
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
    """Everyone the reader may see who received a version, or a material in any."""

    material: Material
    version: Version | None  # none: of all versions
    standing: Standing | None
    address: str  # of this list, for its file
    recipients: list[Recipient]
    customers: int  # how many different ones
    total: int
    number: int
    pages: int


@routes.get(f"/content/versions/{{version_id:{ID}}}/recipients")
@allow(*SEES_RECIPIENTS)
async def show_recipients(request: web.Request) -> web.Response:
    """Who received this version, newest first, as far as one may see the customers."""
    material, version = await _version(request)
    return await _shown(request, material, version)


@routes.get(f"/content/{{material_id:{ID}}}/recipients")
@allow(*SEES_RECIPIENTS)
async def show_all_recipients(request: web.Request) -> web.Response:
    """Who received this material in any of its versions."""
    return await _shown(request, await _material(request), None)


async def _shown(request: web.Request, material: Material, version: Version | None) -> web.Response:
    found = await received(session_of(request), _these(material, version), signed(request))
    asked = request.query.get("page", "1")
    pages = max(1, -(-len(found) // PAGE))
    number = min(max(1, int(asked)), pages) if asked.isascii() and asked.isdigit() else 1
    context = RecipientsPage(
        material=material,
        version=version,
        standing=standing(version, now_of(request)) if version else None,
        address=request.path,
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
    material, version = await _version(request)
    return await _exported(request, material, version)


@routes.get(f"/content/{{material_id:{ID}}}/recipients.csv")
@allow(*SEES_RECIPIENTS)
async def export_all_recipients(request: web.Request) -> web.Response:
    """The list of all versions as a file; that somebody took it is in the audit book."""
    return await _exported(request, await _material(request), None)


async def _exported(
    request: web.Request, material: Material, version: Version | None
) -> web.Response:
    session, who, now = session_of(request), signed(request), now_of(request)
    found = await received(session, _these(material, version), who)
    if version is not None:
        audit.record(
            session, "content:version:recipients", version.id, by=who.userid, now=now,
            number=version.number, read=len(found),
        )  # fmt: skip
    else:
        audit.record(
            session, "content:material:recipients", material.id, by=who.userid, now=now,
            read=len(found),
        )  # fmt: skip
    what = f"V{version.number}" if version is not None else "all"
    name = f"recipients-{material.code}-{what}.csv"
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


async def _material(request: web.Request) -> Material:
    """A material the reader may see now."""
    session, material_id = session_of(request), UUID(request.match_info["material_id"])
    material = await session.get(Material, material_id)
    reader, now = reader_of(signed(request)), now_of(request)
    if material is None or not await visible_versions(session, material_id, reader, now):
        raise web.HTTPNotFound
    return material


def _these(material: Material, version: Version | None) -> Versions:
    """The version, or all versions of the material."""
    if version is not None:
        return rows_of(col(Version.id)).where(col(Version.id) == version.id)
    return rows_of(col(Version.id)).where(col(Version.material_id) == material.id)


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


def as_csv(found: Iterable[Recipient]) -> bytes:
    """For Excel; nothing in it is run as a formula."""
    rows = ((r.customer, r.bank_no, r.branch, r.rm, r.way_label, when(r.at)) for r in found)
    return csv_of(HEADINGS, rows)
