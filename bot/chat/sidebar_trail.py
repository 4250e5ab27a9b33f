"""客户轨迹 beside a chat: what happened with the customer, and at once what happens now."""

from dataclasses import dataclass

from aiohttp import web

from attribution import radar
from attribution.customer_pages import KINDS, MOST, STEP, happened
from bot.chat.nudging import nudges
from bot.chat.sidebar import SIDEBAR, chat_of, not_yours, own_customer
from customers.timeline import Event
from desk.keys import SETTINGS
from desk.permissions import streaming
from desk.render import fragment
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

FIRST = 10


@dataclass(frozen=True)
class Trail:
    """Fragment: the newest events of one customer."""

    here: str
    kind: str
    limit: int
    events: list[Event]
    more: int  # how many to ask for to see older ones; 0 where there are none
    kinds: tuple[tuple[str, str], ...] = KINDS


@routes.get("/sidebar/{contact}/trail")
@SIDEBAR
async def trail(request: web.Request) -> web.Response:
    """What happened with this customer, of one kind or all, more of it on demand."""
    chat = await chat_of(request, "profile")
    if chat is None:
        return not_yours(request)
    wanted, limit = request.query.get("kind", ""), _limit(request.query.get("limit", ""))
    kind = wanted if wanted in dict(KINDS) else ""
    session, mode = session_of(request), request.app[SETTINGS].radar
    found = await happened(session, chat.customer, kind, mode, limit + 1, now_of(request))
    context = Trail(
        here=f"/sidebar/{chat.customer.external_userid}/trail",
        kind=kind,
        limit=limit,
        events=found[:limit],
        more=min(limit + STEP, MOST) if len(found) > limit and limit < MOST else 0,
    )
    return fragment(request, "sidebar/_trail.html", context)


def _limit(wanted: str) -> int:
    if not (wanted.isascii() and wanted.isdigit()):
        return FIRST
    return max(FIRST, min(int(wanted[:9]), MOST))


@routes.get("/sidebar/{contact}/trail/stream")
@streaming
@SIDEBAR
async def trail_stream(request: web.Request) -> web.StreamResponse:
    """A nudge whenever the customer opened or read something; it ends with the relation."""
    customer = await own_customer(request)
    if customer is None:
        raise web.HTTPNotFound

    async def stands() -> bool:
        return await own_customer(request) is not None

    return await nudges(request, radar.BELL, f"{customer}:{signed(request).id}", stands)
