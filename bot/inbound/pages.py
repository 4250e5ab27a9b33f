"""系统 · 回调与隔离区: what WeCom sent, what became of it, and what a person can do about it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from aiohttp import web
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit
from bank.database import ring
from bank.models import Role
from bank.sealing import Seal, SealBroken
from bot.chat.conversations import failed
from bot.groups import listening
from bot.groups.models import GroupMessage
from bot.inbound import held
from bot.inbound.arrivals import BELL, CONTEXT
from bot.inbound.effects import is_unknown
from bot.inbound.inbox import INBOX
from bot.inbound.keys import KEYS, last_used, pair_label
from bot.inbound.words import kind_label, result_label
from bot.models import InboundEvent, InboundState, Message
from compliance.masking import mask
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

ON_A_PAGE = 50
REASONS = 20
KINDS_SHOWN = 60
LONGEST_SHOWN = 6000
SEAL = web.AppKey("SEAL", Seal)

# Worth something to whoever holds them, nothing to whoever looks for the fault.
_CODES = re.compile(
    r"(<(WelcomeCode|Token|ResponseCode)>)(?:<!\[CDATA\[)?.*?(?:\]\]>)?(</\2>)", re.DOTALL
)


@dataclass(frozen=True)
class Line:
    """A callback in words."""

    event: InboundEvent
    kind: str
    outcome: str
    can_replay: bool


@dataclass(frozen=True)
class Reason:
    """Why events are in quarantine, and how many for this reason."""

    outcome: str  # as it was noted, for the form
    label: str
    events: int


@dataclass(frozen=True)
class Pair:
    """A pair of token and key and when it last opened a callback; None: never."""

    label: str
    last: datetime | None


@dataclass(frozen=True)
class InboundPage:
    """`/system/inbound`: callbacks as stored, newest first."""

    state: str
    kind: str
    lines: list[Line]
    counts: dict[str, int]  # by state, of all kinds
    kinds: list[tuple[str, str]]
    reasons: list[Reason]  # of the quarantine, most frequent first
    pairs: list[Pair]
    spooled: int  # on this machine's disk, because the database was away
    # Nothing could be made of them, in chats or in groups; shown without their words.
    unanswered: list[Message | GroupMessage]
    query: str  # everything but the page, for the pager
    total: int
    number: int
    pages: int


@routes.get("/system/inbound")
@allow(Role.ADMIN, Role.AUDITOR)
async def inbound(request: web.Request) -> web.Response:
    """What WeCom sent and what became of it."""
    session = session_of(request)
    state, kind = request.query.get("state", ""), request.query.get("kind", "*")
    state = state if state in list(InboundState) else ""
    wanted = _wanted(state, kind)
    counts = await _counts(session)
    total = await _total(session, wanted, counts, state, kind)
    number, pages = _page_of(request, total)
    query = {"state": state} if state else {}
    context = InboundPage(
        state=state,
        kind=kind,
        lines=await _lines(session, wanted, (number - 1) * ON_A_PAGE),
        counts=counts,
        kinds=await _kinds(session),
        reasons=await _reasons(session) if state == InboundState.QUARANTINED else [],
        pairs=await _pairs(request),
        spooled=request.app[INBOX].spooled,
        unanswered=[*await failed(session), *await listening.failed(session)],
        query=urlencode(query | ({"kind": kind} if kind != "*" else {})),
        total=total,
        number=number,
        pages=pages,
    )
    return page(request, "bot/inbound.html", context)


def _wanted(state: str, kind: str) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if state:
        wanted.append(col(InboundEvent.state) == InboundState(state))
    if kind != "*":
        wanted.append(col(InboundEvent.kind) == kind)
    return wanted


async def _counts(session: AsyncSession) -> dict[str, int]:
    by_state = select(col(InboundEvent.state), func.count()).group_by(col(InboundEvent.state))
    return {str(state): number for state, number in await session.execute(by_state)}


async def _total(
    session: AsyncSession,
    wanted: Sequence[ColumnElement[bool]],
    counts: dict[str, int],
    state: str,
    kind: str,
) -> int:
    if kind == "*":
        return counts.get(state, 0) if state else sum(counts.values())
    counted = select(func.count(col(InboundEvent.id))).where(*wanted)
    return (await session.execute(counted)).scalar_one()


async def _lines(
    session: AsyncSession, wanted: Sequence[ColumnElement[bool]], offset: int
) -> list[Line]:
    newest = select(InboundEvent).where(*wanted).order_by(col(InboundEvent.id).desc())
    found = (await session.execute(newest.limit(ON_A_PAGE).offset(offset))).scalars()
    return [_line(event) for event in found]


def _line(event: InboundEvent) -> Line:
    # What no version has understood yet may be handled by the next one.
    waits = event.state is InboundState.DONE and is_unknown(event.outcome)
    can_replay = event.state is InboundState.QUARANTINED or (waits and event.sealed is not None)
    return Line(event, kind_label(event.kind), result_label(event.outcome), can_replay)


async def _kinds(session: AsyncSession) -> list[tuple[str, str]]:
    """What can be chosen: the kinds that have come, named ones first."""
    seen = select(col(InboundEvent.kind)).distinct().limit(KINDS_SHOWN)
    kinds = sorted((await session.execute(seen)).scalars())
    return [("*", "全部类型"), *((kind, kind_label(kind)) for kind in kinds)]


async def _reasons(session: AsyncSession) -> list[Reason]:
    number = func.count(col(InboundEvent.id))
    by_reason = (
        select(col(InboundEvent.outcome), number)
        .where(col(InboundEvent.state) == InboundState.QUARANTINED)
        .group_by(col(InboundEvent.outcome))
        .order_by(number.desc(), col(InboundEvent.outcome))
        .limit(REASONS)
    )
    found = await session.execute(by_reason)
    return [Reason(outcome, result_label(outcome), count) for outcome, count in found]


async def _pairs(request: web.Request) -> list[Pair]:
    """Every accepted pair, so that one sees which can go."""
    used = await last_used(session_of(request))
    return [Pair(pair_label(keys.name), used.get(keys.name)) for keys in request.app[KEYS]]


def _page_of(request: web.Request, total: int) -> tuple[int, int]:
    pages = max(1, -(-total // ON_A_PAGE))
    asked = request.query.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    return min(max(1, number), pages), pages


# ------------------------------------------------------------------------------ what one may do


@routes.post("/system/inbound/{id}/replay")
@allow(Role.ADMIN)
async def replay_event(request: web.Request) -> web.Response:
    """Try a quarantined event again, or one that only a newer version may understand."""
    event = await session_of(request).get(InboundEvent, _id_of(request), with_for_update=True)
    if event is None or not _line(event).can_replay:
        raise web.HTTPNotFound
    back = event.state.value
    await _replay(request, col(InboundEvent.id) == event.id)
    return see_other(f"/system/inbound?state={back}&done=已重新排队处理")


@routes.post("/system/inbound/replay")
@allow(Role.ADMIN)
async def replay_reason(request: web.Request) -> web.Response:
    """Try again every event that was quarantined for the same reason."""
    reason = str((await request.post()).get("reason", ""))
    quarantined = col(InboundEvent.state) == InboundState.QUARANTINED
    tried = await _replay(request, quarantined & (col(InboundEvent.outcome) == reason))
    return see_other(f"/system/inbound?state=quarantined&done=已将 {tried} 条回调重新排队")


def _id_of(request: web.Request) -> int:
    """The event's number in the address; 404 where that is none."""
    if not re.fullmatch("[0-9]{1,18}", request.match_info["id"]):
        raise web.HTTPNotFound
    return int(request.match_info["id"])


async def _replay(request: web.Request, which: ColumnElement[bool]) -> int:
    session = session_of(request)
    change = (
        update(InboundEvent)
        .where(which)
        .values(state=InboundState.NEW, attempts=0, lease_until=None)
        .returning(col(InboundEvent.id))
    )
    tried = (await session.execute(change)).scalars().all()
    _note(request, "bot:inbound:replay", tried)
    await ring(session, BELL)
    return len(tried)


@routes.post("/system/inbound/{id}/release")
@allow(Role.ADMIN)
async def release_event(request: web.Request) -> web.Response:
    """Let an event that was held for its time be handled."""
    event_id = _id_of(request)
    if not await held.release_one(session_of(request), event_id):
        raise web.HTTPNotFound
    _note(request, "bot:inbound:release", [event_id])
    return see_other("/system/inbound?state=held&done=已放行，将按顺序处理")


@routes.post("/system/inbound/release")
@allow(Role.ADMIN)
async def release_all(request: web.Request) -> web.Response:
    """Let all of them be handled, once the clocks agree again."""
    released = await held.release_all(session_of(request))
    _note(request, "bot:inbound:release", released)
    return see_other(f"/system/inbound?state=held&done=已放行 {len(released)} 条回调")


def _note(request: web.Request, action: str, events: Sequence[int | None]) -> None:
    who, now = signed(request).userid, now_of(request)
    for event_id in events:
        audit.record(session_of(request), action, str(event_id), by=who, now=now)


@dataclass(frozen=True)
class TextPage:
    """`/system/inbound/{id}/text`: one callback's text, masked; empty with `why` if it is gone."""

    line: Line
    text: str
    why: str
    cut: bool  # only the beginning is shown


@routes.post("/system/inbound/{id}/text")
@allow(Role.ADMIN)
async def read_text(request: web.Request) -> web.Response:
    """Show a quarantined or held event's text; that somebody looked is in the audit book."""
    session = session_of(request)
    event = await session.get(InboundEvent, _id_of(request))
    if event is None or event.state not in (InboundState.QUARANTINED, InboundState.HELD):
        raise web.HTTPNotFound
    _note(request, "bot:inbound:read", [event.id])
    text, why = _masked(event, request.app[SEAL])
    context = TextPage(_line(event), text[:LONGEST_SHOWN], why, len(text) > LONGEST_SHOWN)
    return page(request, "bot/inbound_text.html", context)


def _masked(event: InboundEvent, seal: Seal) -> tuple[str, str]:
    """What can be shown of it, or why nothing can."""
    if event.sealed is None:
        return "", "原文已按保存期限清除。"
    try:
        plain = seal.open(event.sealed, CONTEXT)
    except SealBroken:
        return "", "密文无法解开：数据被改动，或缺少当时的密钥（SIYU_SECRET_KEYS_OLD）。"
    # Longer than what is shown is not masked either: a megabyte would hold up the loop.
    text = plain[: LONGEST_SHOWN * 4].decode("utf-8", "replace").replace("\0", "\ufffd")
    return mask(_CODES.sub(r"\1（已隐去）\3", text)).text, ""
