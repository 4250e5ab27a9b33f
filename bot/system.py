"""系统: callbacks and their quarantine, staff and roles, the audit book."""

from dataclasses import dataclass
from uuid import UUID

from aiohttp import web
from sqlalchemy import func
from sqlmodel import col, select

from bank import audit
from bank import staff as people
from bank.database import ring
from bank.models import AuditEntry, Branch, Role, Staff
from bot import inbox
from bot.models import InboundEvent, InboundState
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()


@dataclass(frozen=True)
class InboundPage:
    """`/system/inbound`: callbacks as stored, newest first; quarantined ones can be replayed."""

    state: str
    events: list[InboundEvent]
    counts: dict[str, int]


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
    events = list((await session.execute(query)).scalars())
    return page(request, "bot/inbound.html", InboundPage(state, events, counts))


@routes.post("/system/inbound/{id}/replay")
@allow(Role.ADMIN)
async def replay_event(request: web.Request) -> web.Response:
    """Try a quarantined event again."""
    session, now = session_of(request), now_of(request)
    event_id = request.match_info["id"]
    stored = await session.get(InboundEvent, int(event_id)) if event_id.isdigit() else None
    if stored is None or stored.state is not InboundState.QUARANTINED:
        raise web.HTTPNotFound
    stored.state, stored.attempts, stored.lease_until = InboundState.NEW, 0, None
    audit.record(session, "bot:inbound:replay", event_id, by=signed(request).userid, now=now)
    await ring(session, inbox.BELL)
    return see_other("/system/inbound?done=已重新排队处理")


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
class AuditPage:
    """`/system/audit`: the newest lines of the audit book."""

    lines: list[AuditEntry]


@routes.get("/system/audit")
@allow(Role.COMPLIANCE, Role.AUDITOR)
async def audit_book(request: web.Request) -> web.Response:
    """Who did what, newest first."""
    return page(request, "bot/audit.html", AuditPage(await audit.latest(session_of(request))))
