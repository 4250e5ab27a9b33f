"""审批: who waits for whom, taking in hand, and several low-risk versions at once."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from bank.calendar import at_local, local_day
from bank.models import Role
from content import bulk, claims, queue, review
from content.files import FILES
from content.queue import Task
from desk.ids import ID
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import Signed, now_of, session_of, signed
from wecom.channels import Channel

routes = web.RouteTableDef()

READERS = (Role.EDITOR, Role.APPROVER, Role.COMPLIANCE, Role.AUDITOR)
OVERSEERS = (Role.COMPLIANCE, Role.AUDITOR)
QUEUE_PAGE = 20
USUAL_VALIDITY = timedelta(days=180)
TABS = ("waiting", "started", "decided", "hasty")


@dataclass(frozen=True)
class QueuePage:
    """A tab of the review."""

    tab: str  # waiting, started, decided or hasty
    tasks: list[Task]
    held: list[Task]  # in hand of colleagues
    me: UUID
    waiting: int  # how many wait for me
    overdue: int  # of these, past their time
    decides: bool  # whether I may decide on any
    oversees: bool  # whether I see what was passed too quickly
    total: int
    number: int
    pages: int
    channels: list[tuple[str, str]]
    valid_until: str  # of the form for several at once
    left: tuple[bulk.Left, ...] = ()  # what was not passed just now
    approved: int = 0
    error: str = ""


@routes.get("/review")
@allow(*READERS)
async def show_queue(request: web.Request) -> web.Response:
    """待我审批, 我发起的 or 已处理; for compliance and audit also what was passed too quickly."""
    return page(request, "content/queue.html", await _queue(request))


async def _queue(
    request: web.Request, left: tuple[bulk.Left, ...] = (), approved: int = 0, error: str = ""
) -> QueuePage:
    session, who, now = session_of(request), signed(request), now_of(request)
    decides, oversees = who.may(*review.REVIEWERS), who.may(*OVERSEERS)
    waiting = await _waiting(session, who, now)
    tab = request.query.get("tab", "")
    if tab not in TABS or (tab == "hasty" and not oversees):
        tab = "waiting" if decides or not who.may(Role.EDITOR) else "started"
    tasks = await _tasks(session, tab, who, waiting, now)
    number, pages = _page_of(request, len(tasks))
    return QueuePage(
        tab=tab,
        tasks=tasks[(number - 1) * QUEUE_PAGE : number * QUEUE_PAGE],
        held=await queue.held_by_others(session, who, now) if tab == "waiting" else [],
        me=who.id,
        waiting=len(waiting),
        overdue=sum(task.overdue for task in waiting),
        decides=decides,
        oversees=oversees,
        total=len(tasks),
        number=number,
        pages=pages,
        channels=[(channel.value, channel.label) for channel in Channel],
        valid_until=local_day(now + USUAL_VALIDITY).isoformat(),
        left=left,
        approved=approved,
        error=error,
    )


async def _tasks(
    session: AsyncSession, tab: str, who: Signed, waiting: list[Task], now: datetime
) -> list[Task]:
    if tab == "started":
        return await queue.started_by(session, who.id, now)
    if tab == "decided":
        mine = who.userid if who.may(*review.REVIEWERS) else None
        return await queue.decided(session, mine, now)
    return await queue.hasty(session, now) if tab == "hasty" else waiting


def _page_of(request: web.Request, total: int) -> tuple[int, int]:
    pages = max(1, -(-total // QUEUE_PAGE))
    asked = request.query.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    return min(max(1, number), pages), pages


async def _waiting(session: AsyncSession, who: Signed, now: datetime) -> list[Task]:
    """What waits for this reviewer; auditors see everything that waits, authors nothing."""
    if who.may(*review.REVIEWERS):
        return await queue.waiting_for(session, who, now)
    return await queue.waiting_for_others(session, now) if who.may(Role.AUDITOR) else []


@routes.post("/review/bulk")
@allow(*review.REVIEWERS)
async def approve_several(request: web.Request) -> web.Response:
    """Pass the selected low-risk versions; what could not be passed is told one by one."""
    form, now = await request.post(), now_of(request)
    chosen = [str(id_) for id_ in form.getall("versions", [])]
    until = _day(str(form.get("valid_until", "")))
    channels = tuple(str(channel) for channel in form.getall("channels", []))
    error = ""
    if not chosen or any(not re.fullmatch(ID, id_) for id_ in chosen):
        error = "请先勾选要通过的低风险素材。"
    elif until is None:
        error = "请选择失效日期。"
    elif form.get("checked") != "yes":
        error = "请确认已逐份核对后再批量通过。"
    if error or until is None:
        return page(request, "content/queue.html", await _queue(request, error=error), status=422)
    terms = bulk.Terms(now, at_local(until + timedelta(days=1), datetime.min.time()), channels)
    done = await bulk.approve(
        session_of(request), request.app[FILES], [UUID(id_) for id_ in chosen],
        by=signed(request), terms=terms, now=now,
    )  # fmt: skip
    if not done.left:
        return see_other(f"/review?{urlencode({'done': f'已通过并上线 {done.approved} 份'})}")
    shown = await _queue(request, done.left, done.approved)
    return page(request, "content/queue.html", shown)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@routes.post(f"/review/{{version_id:{ID}}}/claim")
@allow(*review.REVIEWERS)
async def claim(request: web.Request) -> web.Response:
    """领取: take the open step in hand for four hours."""
    held = await claims.claim(
        session_of(request), _version_id(request), by=signed(request), now=now_of(request)
    )
    return _after(request, held, "已领取，4 小时内由您处理")


@routes.post(f"/review/{{version_id:{ID}}}/release")
@allow(*review.REVIEWERS)
async def release(request: web.Request) -> web.Response:
    """释放: give it back to everybody."""
    held = await claims.release(
        session_of(request), _version_id(request), by=signed(request), now=now_of(request)
    )
    return _after(request, held, "已释放，其他审批人可以领取")


@routes.post(f"/review/{{version_id:{ID}}}/transfer")
@allow(*review.REVIEWERS)
async def transfer(request: web.Request) -> web.Response:
    """转交: hand it to a colleague who may decide it."""
    form = await request.post()
    to = str(form.get("to", ""))
    held = await claims.transfer(
        session_of(request),
        _version_id(request),
        UUID(to) if re.fullmatch(ID, to) else signed(request).id,
        by=signed(request),
        note=str(form.get("note", ""))[:200],
        now=now_of(request),
    )
    return _after(request, held, "已转交")


def _version_id(request: web.Request) -> UUID:
    return UUID(request.match_info["version_id"])


def _after(request: web.Request, held: claims.Held | claims.Refused, done: str) -> web.Response:
    """Back to the version; a refusal is told there, and changed nothing."""
    says = done if isinstance(held, claims.Held) else "".join(held.reasons)
    key = "done" if isinstance(held, claims.Held) else "refused"
    return see_other(f"/review/{_version_id(request)}?{urlencode({key: says})}")
