"""画像 beside a chat: who this is, their tags, whom they know here, and what happened."""

from dataclasses import dataclass

from aiohttp import web

from attribution import customer_pages as lines
from bot.chat.sidebar import SIDEBAR, Chat, chat_of, not_yours
from content import products
from customers import book, group_seats, tags
from customers.group_seats import Circle
from customers.models import CustomerTag, Holding
from customers.pages import masked
from customers.timeline import Event
from desk.render import fragment
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

STEP, MOST = 15, 150


@dataclass(frozen=True)
class ProfileTab:
    """`画像`: facts, tags, circle and holdings."""

    chat: Chat
    mobile: str  # masked, whatever the bank's system sent
    company_tags: list[CustomerTag]  # as WeCom has them
    bank_tags: list[CustomerTag]  # by the bank's rules
    circle: Circle
    holdings: list[Holding]
    products: dict[str, str]  # product code → name


@dataclass(frozen=True)
class TrailPart:
    """`客户轨迹`: what happened with the customer, newest first."""

    here: str
    kind: str
    kinds: tuple[tuple[str, str], ...]
    events: list[Event]
    more: int  # how many to ask for to see older ones; 0 where there are none


@routes.get("/sidebar/{contact}/profile")
@SIDEBAR
async def profile_tab(request: web.Request) -> web.Response:
    """Who this is."""
    chat = await chat_of(request, "profile")
    if chat is None:
        return not_yours(request)
    session, customer = session_of(request), chat.customer
    holdings = await book.holdings_of(session, customer.id)
    held = await products.by_codes(session, {h.product_code for h in holdings})
    worn = await tags.tags_of(session, customer.id)
    context = ProfileTab(
        chat,
        mobile=masked(customer.mobile),
        company_tags=[tag for tag in worn if tag.source == tags.WECOM],
        bank_tags=[tag for tag in worn if tag.source != tags.WECOM],
        circle=await group_seats.circle_of(session, customer.id, signed(request).userid),
        holdings=holdings,
        products={product.code: product.name for product in held},
    )
    return fragment(request, "sidebar/_chat.html", context)


@routes.get("/sidebar/{contact}/trail")
@SIDEBAR
async def trail(request: web.Request) -> web.Response:
    """What happened with this customer, of one kind or all, more of it on demand."""
    chat = await chat_of(request, "profile")
    if chat is None:
        return not_yours(request)
    wanted, asked = request.query.get("kind", ""), request.query.get("limit", "")
    kind = wanted if wanted in dict(lines.KINDS) else ""
    limit = min(max(int(asked), STEP), MOST) if asked.isdecimal() and len(asked) < 4 else STEP
    session, now = session_of(request), now_of(request)
    events = await lines.events_lately(session, chat.customer, kind, limit + 1, now)
    part = TrailPart(
        here=f"/sidebar/{request.match_info['contact']}/trail",
        kind=kind,
        kinds=lines.KINDS,
        events=events[:limit],
        more=min(limit + STEP, MOST) if len(events) > limit and limit < MOST else 0,
    )
    return fragment(request, "sidebar/_trail.html", part)
