"""渠道活码: the list, and one code with whom it brought and how they were welcomed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from yarl import URL

from bank import staff as people
from bank.models import Role, Staff
from bot.models import ContactWay, WayState, WelcomeState
from bot.welcoming import channel_rows, contact_ways, welcome_text
from bot.welcoming.channel_form import FOLLOWS_RM, MAKES, PreviewPart, phone_of
from bot.welcoming.channel_rows import Totals, Wanted, WayRow, WelcomeRow
from bot.welcoming.contact_ways import LONGEST_CHANNEL, QUOTA
from customers.models import Customer
from desk.ids import ID, id_of
from desk.keys import SETTINGS
from desk.permissions import SEES_CUSTOMERS, allow
from desk.render import fragment, page, see_other
from desk.shell import policy
from desk.signed import Signed, now_of, session_of, signed
from outbound.facts import policy_of

routes = web.RouteTableDef()

SEES = (Role.RM, Role.BRANCH_MANAGER, Role.HQ)
TONES = {
    WayState.MAKING: "blue",
    WayState.LIVE: "green",
    WayState.FAILED: "red",
    WayState.RETIRED: "dark",
}
WELCOME_TONES = {
    WelcomeState.SENDING: "blue",
    WelcomeState.SENT: "green",
    WelcomeState.EXPIRED: "red",
    WelcomeState.TAKEN: "grey",
    WelcomeState.AWAITING_CONSENT: "yellow",
    WelcomeState.NO_MATERIAL: "orange",
    WelcomeState.REFUSED: "red",
    WelcomeState.UNKNOWN: "orange",
}

Options = list[tuple[str, str]]


@dataclass(frozen=True)
class ListPage:
    """`/channels`: the codes one may see."""

    rows: list[WayRow]
    totals: Totals
    used: int  # of WeCom's places; shown to those who make codes
    quota: int
    wanted: Wanted
    filtered: bool
    query: str  # the filter, for the pager
    total: int
    pages: int
    tones: dict[WayState, str]
    states: Options
    rms: Options  # empty for an RM
    branches: Options  # empty for all but head office
    may_make: bool


@dataclass(frozen=True)
class WayPage:
    """`/channels/{id}`: one code."""

    way: ContactWay
    rm: Staff
    branch: str
    tone: str
    customers: list[tuple[Customer, datetime]]
    total: int
    days: list[tuple[date, int]]
    chart: dict[str, object]
    welcomes: list[WelcomeRow]
    counts: dict[str, int]
    welcome_tones: dict[WelcomeState, str]
    choices: Options
    preview: PreviewPart
    may_change: bool
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SourcePart:
    """Where a customer comes from, in a table of another page."""

    key: str
    way: ContactWay | None
    may_open: bool


@routes.get("/channels/source")
@allow(*SEES_CUSTOMERS)
async def source(request: web.Request) -> web.Response:
    """The channel behind a source; a source of another kind as it is."""
    session, key = session_of(request), request.query.get("key", "").replace("\0", "")[:64]
    way = await contact_ways.with_key(session, key)
    mine = await channel_rows.find_way(session, signed(request), way.id) if way else None
    return fragment(request, "bot/_source.html", SourcePart(key, way, mine is not None))


@routes.get("/channels")
@allow(*SEES)
async def way_list(request: web.Request) -> web.Response:
    """The codes, with whom they brought."""
    session, who, now = session_of(request), signed(request), now_of(request)
    wanted = _wanted(request)
    rows, total = await channel_rows.ways(session, who, wanted, now)
    typed = {
        "channel": wanted.channel,
        "rm": str(wanted.rm or ""),
        "branch": str(wanted.branch or ""),
        "state": wanted.state,
    }
    kept = {name: value for name, value in typed.items() if value}
    context = ListPage(
        rows=rows,
        totals=await channel_rows.totals(session, who, now),
        used=await contact_ways.used(session),
        quota=QUOTA,
        wanted=wanted,
        filtered=bool(kept),
        query=urlencode(kept),
        total=total,
        pages=max(1, -(-total // channel_rows.A_PAGE)),
        tones=TONES,
        states=[("", "全部状态"), *((state.value, state.label) for state in WayState)],
        rms=await _rm_options(session, who),
        branches=await _branch_options(session, who),
        may_make=who.may(*MAKES),
    )
    return page(request, "bot/channels.html", context)


def _wanted(request: web.Request) -> Wanted:
    query = request.query
    number = query.get("page", "1")
    return Wanted(
        channel=query.get("channel", "").replace("\0", "").strip()[:LONGEST_CHANNEL],
        rm=id_of(query.get("rm", "")),
        branch=id_of(query.get("branch", "")),
        state=query.get("state", ""),
        page=max(1, int(number[:6])) if number.isascii() and number.isdigit() else 1,
    )


async def _rm_options(session: AsyncSession, who: Signed) -> Options:
    if not who.may(*MAKES):
        return []
    rms = await channel_rows.staff_of_reader(session, who)
    return [("", "全部客户经理"), *((str(rm.id), rm.name) for rm in rms)]


async def _branch_options(session: AsyncSession, who: Signed) -> Options:
    if not who.may(Role.HQ):
        return []
    return [("", "全部支行"), *((str(b.id), b.name) for b in await people.branches(session))]


@routes.get(f"/channels/{{way_id:{ID}}}")
@allow(*SEES)
async def show(request: web.Request) -> web.Response:
    """One code: its picture, whom it brought, how they were welcomed."""
    way, rm = await _way(request)
    session, who, now = session_of(request), signed(request), now_of(request)
    branches = {branch.id: branch.name for branch in await people.branches(session)}
    gained = await channel_rows.gained(session, [way.key], now)
    days = await channel_rows.by_day(session, way.key, now)
    may_change = who.may(*MAKES) and way.state is not WayState.RETIRED
    texts = policy_of(request.app[SETTINGS])
    words = await welcome_text.words_for(session, rm, way, texts, now)
    context = WayPage(
        way=way,
        rm=rm,
        branch=branches.get(rm.branch_id, "") if rm.branch_id else "",
        tone=TONES[way.state],
        customers=await channel_rows.customers_of(session, who, way.key),
        total=gained.get(way.key, (0, 0))[0],
        days=days,
        chart=_chart(days),
        welcomes=await channel_rows.welcomes(session, who, way_id=way.id),
        counts=await channel_rows.welcome_counts(session, who, way_id=way.id),
        welcome_tones=WELCOME_TONES,
        choices=[
            ("", FOLLOWS_RM),
            *await welcome_text.choices(session, rm.branch_id, now),
        ],
        preview=phone_of(rm.name, words),
        may_change=may_change,
    )
    response = page(request, "bot/channel.html", context)
    response.headers["Content-Security-Policy"] = _with_picture(policy(request), way.qr_code)
    return response


def _with_picture(said: str, address: str) -> str:
    """The page may also show the code's picture, from the platform that drew it."""
    url = URL(address)
    if not address or not url.absolute or url.scheme not in ("http", "https"):
        return said
    return said.replace("img-src 'self'", f"img-src 'self' {url.origin()}")


def _chart(days: Sequence[tuple[date, int]]) -> dict[str, object]:
    return {
        "grid": {"left": 32, "right": 12, "top": 16, "bottom": 24},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "category", "data": [day.strftime("%m-%d") for day, _ in days]},
        "yAxis": {"type": "value", "minInterval": 1},
        "series": [{"type": "bar", "name": "新增客户", "data": [count for _, count in days]}],
    }


async def _way(request: web.Request, *, lock: bool = False) -> tuple[ContactWay, Staff]:
    """The code of the address; another's is as if there were none."""
    way_id = UUID(request.match_info["way_id"])
    found = await channel_rows.find_way(session_of(request), signed(request), way_id, lock=lock)
    if found is None:
        raise web.HTTPNotFound
    return found


@routes.post(f"/channels/{{way_id:{ID}}}/retry")
@allow(*MAKES)
async def retry(request: web.Request) -> web.Response:
    """Ask WeCom for a failed code again."""
    way, _ = await _way(request, lock=True)
    again = await contact_ways.retry(
        session_of(request), way, by=signed(request).userid, now=now_of(request)
    )
    done = "已重新提交" if again else "这枚活码不在失败状态，无需重试"
    return see_other(f"/channels/{way.id}?done={done}")


@routes.post(f"/channels/{{way_id:{ID}}}/retire")
@allow(*MAKES)
async def retire(request: web.Request) -> web.Response:
    """The code leads nowhere from now on."""
    way, _ = await _way(request, lock=True)
    over = await contact_ways.retire(
        session_of(request), way, by=signed(request).userid, now=now_of(request)
    )
    done = "活码已停用" if over else "活码正在生成或已停用，不能再停用"
    return see_other(f"/channels/{way.id}?done={done}")


@routes.post(f"/channels/{{way_id:{ID}}}/welcome")
@allow(*MAKES)
async def change_welcome(request: web.Request) -> web.Response:
    """Which text welcomes those who come by this code."""
    way, rm = await _way(request, lock=True)
    session, now = session_of(request), now_of(request)
    material_id = id_of(str((await request.post()).get("welcome", "")))
    offered = dict(await welcome_text.choices(session, rm.branch_id, now))
    if material_id and str(material_id) not in offered:
        return see_other(f"/channels/{way.id}?done=这份素材已不能用作欢迎语，没有保存")
    by = signed(request).userid
    await contact_ways.change_welcome(session, way, material_id, by=by, now=now)
    return see_other(f"/channels/{way.id}?done=欢迎语已更新")
