"""群问答: what is asked in the groups one may see, and the digest of one group and day."""

from dataclasses import dataclass
from datetime import date, timedelta

from aiohttp import web

from bank.calendar import local_day
from bot.groups import rows
from bot.groups.models import Advice
from bot.groups.rows import Found, Line, Tally, tally
from customers import group_book
from customers.addressed import group_of
from customers.group_pages import UNNAMED
from customers.models import CustomerGroup
from desk.ids import ID
from desk.permissions import SEES_CUSTOMERS, allow
from desk.render import page
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

LONGEST_TEXT = 50
WAITING_DAYS = 7
Tabs = list[tuple[str, str, bool]]


@dataclass(frozen=True)
class DigestsPage:
    """`/groups/questions`: every group on one day, in numbers."""

    tabs: Tabs
    day: date
    today: date
    text: str
    found: Found
    query: dict[str, str]  # the filter, for the pager
    unnamed: str = UNNAMED


@dataclass(frozen=True)
class WaitingPage:
    """`/groups/questions?show=waiting`: every open question of the last days."""

    tabs: Tabs
    text: str
    lines: list[Line]
    days: int
    full: bool  # whether there may be more than are listed
    unnamed: str = UNNAMED


@dataclass(frozen=True)
class DigestPage:
    """`/groups/{id}/questions`: what was asked on a day, how often, what was answered."""

    group: CustomerGroup
    owner: str
    day: date
    before: date
    after: date | None  # no day after today
    tally: Tally
    lines: list[Line]
    private: Advice = Advice.PRIVATE
    none: Advice = Advice.NONE
    unnamed: str = UNNAMED


@routes.get("/groups/questions")
@allow(*SEES_CUSTOMERS)
async def digests(request: web.Request) -> web.Response:
    """All groups on a day, or every question that waits."""
    if request.query.get("show") == "waiting":
        return await _waiting(request)
    session, today = session_of(request), local_day(now_of(request))
    day, text = _day(request, today), _text(request)
    found = await rows.by_group(session, signed(request), day, text, _number(request))
    query = {"day": day.isoformat()} | ({"q": text} if text else {})
    context = DigestsPage(_tabs(waiting=False), day, today, text, found, query)
    return page(request, "bot/group_digests.html", context)


async def _waiting(request: web.Request) -> web.Response:
    text, today = _text(request), local_day(now_of(request))
    first = today - timedelta(days=WAITING_DAYS - 1)
    lines = await rows.waiting(session_of(request), signed(request), first, text)
    full = len(lines) == rows.MOST
    context = WaitingPage(_tabs(waiting=True), text, lines, WAITING_DAYS, full)
    return page(request, "bot/group_waiting.html", context)


@routes.get(f"/groups/{{id:{ID}}}/questions")
@allow(*SEES_CUSTOMERS)
async def digest(request: web.Request) -> web.Response:
    """One group on one day."""
    session, group, today = session_of(request), await group_of(request), local_day(now_of(request))
    day = _day(request, today)
    lines = await rows.of_day(session, group, day)
    owners = await group_book.owners(session, [group])
    context = DigestPage(
        group=group,
        owner=owners[group.id],
        day=day,
        before=day - timedelta(days=1),
        after=day + timedelta(days=1) if day < today else None,
        tally=tally(lines),
        lines=lines,
    )
    return page(request, "bot/group_digest.html", context)


def _tabs(*, waiting: bool) -> Tabs:
    return [
        ("每日摘要", "/groups/questions", not waiting),
        ("待回答", "/groups/questions?show=waiting", waiting),
    ]


def _day(request: web.Request, today: date) -> date:
    """The day asked for; today for none, for nonsense and for days to come."""
    try:
        asked = date.fromisoformat(request.query.get("day", ""))
    except ValueError:
        return today
    return min(asked, today) if asked.year > today.year - 10 else today


def _text(request: web.Request) -> str:
    return request.query.get("q", "").replace("\0", "").strip()[:LONGEST_TEXT]


def _number(request: web.Request) -> int:
    number = request.query.get("page", "1")[:9]
    return int(number) if number.isascii() and number.isdigit() else 1
