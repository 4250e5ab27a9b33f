"""画像 beside a chat: who this is, their tags, whom they know here; then `sidebar_trail.py`."""

from dataclasses import dataclass

from aiohttp import web

from bot.chat.sidebar import SIDEBAR, Chat, chat_of, not_yours
from content import products
from customers import book, group_seats, tags
from customers.group_seats import Circle
from customers.models import CustomerTag, Holding
from customers.pages import masked
from desk.render import fragment
from desk.signed import session_of, signed

routes = web.RouteTableDef()


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
