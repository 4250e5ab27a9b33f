"""系统: callbacks and their quarantine, staff and roles, the audit book."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy import ColumnElement, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank import staff as people
from bank.database import ring
from bank.models import AuditEntry, Branch, Role, Staff
from bot import audit_words, conversations, inbox
from bot.models import InboundEvent, InboundState, Message
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

AUDIT_PAGE = 50


@dataclass(frozen=True)
class InboundPage:
    """`/system/inbound`: callbacks as stored, newest first; quarantined ones can be replayed."""

    state: str
    events: list[tuple[InboundEvent, str]]  # with what became of it, in words
    counts: dict[str, int]
    unanswered: list[Message]  # no suggestion could be made for them; shown without their words


@routes.get("/system/inbound")
@allow(Role.ADMIN, Role.AUDITOR)
async def inbound(request: web.Request) -> web.Response:
    """What WeCom sent and what became of it."""
    session, state = session_of(request), request.query.get("state", "")
    query = select(InboundEvent).order_by(col(InboundEvent.id).desc()).limit(100)
    if state in list(InboundState):
        query = query.where(InboundEvent.state == InboundState(state))
    by_state = select(InboundEvent.state, func.count()).group_by(col(InboundEvent.state))
    counts = {str(s): n for s, n in (await session.execute(by_state))}
    found = (await session.execute(query)).scalars()
    events = [(event, outcome_label(event.outcome)) for event in found]
    unanswered = await conversations.failed(session)
    return page(request, "bot/inbound.html", InboundPage(state, events, counts, unanswered))


@routes.post("/system/inbound/{id}/replay")
@allow(Role.ADMIN)
async def replay_event(request: web.Request) -> web.Response:
    """Try a quarantined event again."""
    session, now = session_of(request), now_of(request)
    event_id = request.match_info["id"]
    if not re.fullmatch("[0-9]{1,18}", event_id):
        raise web.HTTPNotFound
    stored = await session.get(InboundEvent, int(event_id), with_for_update=True)
    if stored is None or stored.state is not InboundState.QUARANTINED:
        raise web.HTTPNotFound
    stored.state, stored.attempts, stored.lease_until = InboundState.NEW, 0, None
    audit.record(session, "bot:inbound:replay", event_id, by=signed(request).userid, now=now)
    await ring(session, inbox.BELL)
    return see_other("/system/inbound?done=已重新排队处理")


OUTCOMES = {
    "customer adopted": "已登记客户与跟进关系",
    "relation ended": "已结束跟进关系",
    "relation was over already": "跟进关系此前已结束",
    "not handled: member is not on our staff list": "未处理：成员不在员工名单中",
    "not handled: the relation is over already": "未处理：跟进关系已经结束",
    "not handled: nobody of ours serves this contact any more": "未处理：已没有成员跟进这位客户",
    "handled: 1 message from the archive": "已补存 1 条会话存档消息",
    "not handled: no longer in the archive": "未处理：消息已超出会话存档的保存期",
    "not handled: not between our staff and a contact": "未处理：不是员工与客户之间的消息",
    "not handled: there is no archive any more": "未处理：没有配置会话存档",
}


def outcome_label(outcome: str) -> str:
    """What became of a callback, in words; a fault of the platform stays as it was noted."""
    if outcome.startswith("handled: ") and outcome.endswith(" messages from the archive"):
        return f"从会话存档取得 {outcome.split()[1]} 条消息"
    if outcome.startswith("not handled: ") and outcome not in OUTCOMES:
        return f"未处理：不关心的事件类型（{outcome.removeprefix('not handled: ')}）"
    return OUTCOMES.get(outcome, outcome) or "—"


@dataclass(frozen=True)
class StaffPage:
    """`/system/staff`: who may do what."""

    staff: list[Staff]
    branches: dict[UUID, Branch]
    labels: dict[str, str]  # role → its Chinese name


@routes.get("/system/staff")
@allow(Role.ADMIN, Role.AUDITOR)
async def staff_list(request: web.Request) -> web.Response:
    """Staff with their roles and branches."""
    session = session_of(request)
    branches = {branch.id: branch for branch in await people.branches(session)}
    labels = {role.value: role.label for role in Role}
    return page(
        request, "bot/staff.html", StaffPage(await people.everyone(session), branches, labels)
    )


@dataclass(frozen=True)
class AuditLine:
    """A line of the audit book in words."""

    entry: AuditEntry
    actor: str
    action: str
    subject: str
    short_id: str
    href: str  # the object's page, empty without one
    details: list[tuple[str, str]]


@dataclass(frozen=True)
class AuditPage:
    """`/system/audit`: the audit book, newest first."""

    lines: list[AuditLine]
    action: str
    actions: list[tuple[str, str]]
    actor: str
    actors: list[tuple[str, str]]
    query: str  # everything but the page, for the pager
    total: int
    number: int
    pages: int


@routes.get("/system/audit")
@allow(Role.COMPLIANCE, Role.AUDITOR)
async def audit_book(request: web.Request) -> web.Response:
    """Who did what, newest first."""
    session = session_of(request)
    action, actor = request.query.get("action", ""), request.query.get("actor", "")
    wanted = _audit_conditions(action, actor)
    counted = select(func.count(col(AuditEntry.id))).where(*wanted)
    total = (await session.execute(counted)).scalar_one()
    number, pages = _page_of(request, total)
    names = await actor_names(session)
    context = AuditPage(
        lines=await audit_lines(session, names, wanted, AUDIT_PAGE, (number - 1) * AUDIT_PAGE),
        action=action,
        actions=[("", "全部操作"), *audit_words.ACTIONS.items()],
        actor=actor,
        actors=[("", "全部人员"), *names.items()],
        query=urlencode([(k, v) for k, v in (("action", action), ("actor", actor)) if v]),
        total=total,
        number=number,
        pages=pages,
    )
    return page(request, "bot/audit.html", context)


def _audit_conditions(action: str, actor: str) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if action:
        wanted.append(col(AuditEntry.action) == action)
    if actor:
        wanted.append(col(AuditEntry.actor) == actor)
    return wanted


def _page_of(request: web.Request, total: int) -> tuple[int, int]:
    pages = max(1, -(-total // AUDIT_PAGE))
    asked = request.query.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    return min(max(1, number), pages), pages


async def actor_names(session: AsyncSession) -> dict[str, str]:
    """Everyone who may stand in the audit book, by userid."""
    staff = await people.everyone(session)
    return {audit.SYSTEM: "系统"} | {person.userid: person.name for person in staff}


async def audit_lines(
    session: AsyncSession,
    names: dict[str, str],
    wanted: Sequence[ColumnElement[bool]] = (),
    limit: int = AUDIT_PAGE,
    offset: int = 0,
) -> list[AuditLine]:
    """Lines of the audit book in words, newest first."""
    query = select(AuditEntry).where(*wanted).order_by(col(AuditEntry.id).desc())
    found = (await session.execute(query.limit(limit).offset(offset))).scalars()
    return [
        AuditLine(
            entry=entry,
            actor=names.get(entry.actor, entry.actor),
            action=audit_words.action_label(entry.action),
            subject=audit_words.subject_label(entry.subject),
            short_id=audit_words.short_id(entry.subject_id),
            href=audit_words.address_of(entry.subject, entry.subject_id),
            details=audit_words.details(entry.detail),
        )
        for entry in found
    ]
