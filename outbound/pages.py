"""发出记录: what was said to customers and what was kept from them, and why."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import staff as people
from bank.models import Role, Staff
from content.checks import CATEGORY_LABELS
from content.models import Version
from content.sendable import Shape
from customers.models import Customer
from desk.ids import given_id
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed
from outbound import alerts, records
from outbound.models import ConductAlert, Door, OutboundMessage, OutboundState

routes = web.RouteTableDef()

PAGE = 25
SEES = (Role.COMPLIANCE, Role.AUDITOR)
FILTERS = ("q", "door", "state", "days", "alerts", "edited", "version")
DAYS = {str(days): timedelta(days=days) for days in (1, 7, 30, 90)}
TONES = {
    OutboundState.CLEARED: "orange",
    OutboundState.SENT: "green",
    OutboundState.UNSENT: "grey",
    OutboundState.REFUSED: "red",
}
WRITERS = {"approved": "审批原文", "fixed": "本行固定用语", "quoting": "逐字引用已审批段落"}


@dataclass(frozen=True)
class MessageRow:
    """A line of the list."""

    message: OutboundMessage
    rm: str
    customer: str
    alert: ConductAlert | None


@dataclass(frozen=True)
class MessageList:
    """`/system/outbound`: every text let through or refused, newest first."""

    rows: list[MessageRow]
    wanted: dict[str, str]
    doors: list[tuple[str, str]]
    states: list[tuple[str, str]]
    tones: dict[OutboundState, str]
    query: str
    total: int
    number: int
    pages: int
    open_alerts: int  # that nobody looks after yet


@dataclass(frozen=True)
class UsedVersion:
    """Material as it was when it was said, and as it stands today."""

    title: str
    number: int
    sha256: str
    material_id: str
    now: str  # its state today, in words
    same: bool  # whether the fingerprint is still the one kept


@dataclass(frozen=True)
class Shown:
    """A finding in words."""

    level: str
    category: str
    reason: str


@dataclass(frozen=True)
class MessagePage:
    """`/system/outbound/{id}`: why this was said, or was not."""

    why: records.Why
    versions: list[UsedVersion]
    writer: str
    categories: str  # of the alert, in words
    seen_by: str
    whole: bool  # whether the text still has the fingerprint it was kept with
    may_see: bool
    tone: str
    level: str
    findings: list[Shown]
    source_href: str
    attachments: list[tuple[str, str, str]]  # what it is, its title, the SHA-256 of its file
    known: int  # of the recipients in a group, those who are our customers


@routes.get("/system/outbound")
@allow(*SEES)
async def message_list(request: web.Request) -> web.Response:
    """What was said to customers and what was refused, newest first."""
    session, conditions = session_of(request), _conditions(request)
    counted = _joined(select(func.count(col(OutboundMessage.id)))).where(*conditions)
    total = (await session.execute(counted)).scalar_one()
    pages = max(1, -(-total // PAGE))
    asked = request.query.get("page", "1")
    number = min(max(1, int(asked)), pages) if re.fullmatch("[0-9]{1,9}", asked) else 1
    newest = (
        _joined(select(OutboundMessage, col(Staff.name), col(Customer.name), ConductAlert))
        .where(*conditions)
        .order_by(col(OutboundMessage.at).desc(), col(OutboundMessage.id))
        .limit(PAGE)
        .offset((number - 1) * PAGE)
    )
    wanted = {name: request.query.get(name, "") for name in FILTERS}
    context = MessageList(
        rows=[
            MessageRow(message, rm or "—", customer or "未建档客户", alert)
            for message, rm, customer, alert in await session.execute(newest)
        ],
        wanted=wanted,
        doors=[("", "全部入口"), *((door.value, door.label) for door in Door)],
        states=[("", "全部结果"), *((state.value, state.label) for state in OutboundState)],
        tones=TONES,
        query=urlencode({name: value for name, value in wanted.items() if value}),
        total=total,
        number=number,
        pages=pages,
        open_alerts=await _open_alerts(session),
    )
    return page(request, "outbound/list.html", context)


def _joined(query: Any) -> Any:
    return (
        query.outerjoin(Staff, col(Staff.id) == col(OutboundMessage.staff_id))
        .outerjoin(Customer, records.whose())
        .outerjoin(ConductAlert, col(ConductAlert.message_id) == col(OutboundMessage.id))
    )


def _conditions(request: web.Request) -> list[ColumnElement[bool]]:
    asked, wanted = request.query, list[ColumnElement[bool]]()
    if asked.get("door") in list(Door):
        wanted.append(col(OutboundMessage.door) == Door(asked["door"]))
    if asked.get("state") in list(OutboundState):
        wanted.append(col(OutboundMessage.state) == OutboundState(asked["state"]))
    if asked.get("days", "") in DAYS:
        wanted.append(col(OutboundMessage.at) >= now_of(request) - DAYS[asked["days"]])
    if asked.get("edited"):
        wanted.append(col(OutboundMessage.edited).is_(True))
    if asked.get("alerts"):
        wanted.append(col(ConductAlert.id).is_not(None))
    if version := asked.get("version", ""):
        wanted.append(col(OutboundMessage.versions).contains([{"version_id": version}]))
    if text := asked.get("q", "").strip():
        sought = (Customer.name, Staff.name, OutboundMessage.text)
        wanted.append(or_(*(col(part).icontains(text, autoescape=True) for part in sought)))
    return wanted


async def _open_alerts(session: AsyncSession) -> int:
    unseen = select(func.count()).where(col(ConductAlert.seen_at).is_(None))
    return (await session.execute(unseen)).scalar_one()


@routes.get("/system/outbound/{id}")
@allow(*SEES)
async def message_page(request: web.Request) -> web.Response:
    """Why this was said, or was not: everything that decided it, as it was at that moment."""
    session = session_of(request)
    why = await records.why(session, given_id(request.match_info["id"]))
    if why is None:
        raise web.HTTPNotFound
    message, alert = why.message, why.alert
    seen_by = await people.by_userid(session, alert.seen_by) if alert else None
    context = MessagePage(
        why=why,
        versions=await _versions(session, message),
        writer=WRITERS.get(message.writer, f"模型 {message.writer}"),
        categories=alerts.labels_of(alert.categories) if alert else "",
        seen_by=seen_by.name if seen_by else "",
        whole=records.hash_of(message.text) == message.text_hash,
        may_see=signed(request).may(Role.COMPLIANCE),
        tone=TONES[message.state],
        level={"pass": "通过", "warn": "提示", "block": "拦截"}.get(
            str(message.verdict.get("level")), "—"
        ),
        findings=_findings(message),
        source_href=_href(message),
        attachments=[
            (Shape(one["shape"]).label, one["title"], one["sha256"] or one["url"])
            for one in message.attachments
        ],
        known=sum(bool(one["customer_id"]) for one in message.recipients),
    )
    return page(request, "outbound/message.html", context)


def _findings(message: OutboundMessage) -> list[Shown]:
    level = str(message.verdict.get("level", ""))
    return [
        Shown(level, CATEGORY_LABELS.get(found["category"], "合规提示"), found["reason"])
        for found in message.verdict.get("findings", [])
    ]


async def _versions(session: AsyncSession, message: OutboundMessage) -> list[UsedVersion]:
    today: dict[UUID, Version] = await records.states_of(
        session, [UUID(kept["version_id"]) for kept in message.versions]
    )
    used = []
    for kept in message.versions:
        version = today.get(UUID(kept["version_id"]))
        used.append(
            UsedVersion(
                title=kept["title"],
                number=kept["number"],
                sha256=kept["sha256"],
                material_id=kept["material_id"],
                now=version.state.label if version else "已不在库中",
                same=version is not None and version.sha256 == kept["sha256"],
            )
        )
    return used


def _href(message: OutboundMessage) -> str:
    """The page of what the words belong to; empty where it has none of its own."""
    return f"/suggestions/{message.source_id}" if message.door is Door.SIDEBAR else ""


@routes.post("/system/outbound/alerts/{id}/seen")
@allow(Role.COMPLIANCE)
async def see_alert(request: web.Request) -> web.Response:
    """Look after an alert; the first one counts, and the audit book says who."""
    session, now = session_of(request), now_of(request)
    alert = await session.get(ConductAlert, given_id(request.match_info["id"]))
    if alert is None:
        raise web.HTTPNotFound
    seen = await alerts.see(session, alert.id, by=signed(request).userid, now=now)
    said = "已登记由您核查" if seen else "已由其他同事登记核查"
    return see_other(f"/system/outbound/{alert.message_id}?done={said}")
