"""持有客户: the holders of a product, as a part of the product's page."""

from dataclasses import dataclass

from aiohttp import web

from customers import book, holders
from customers.holders import Holders
from customers.pages import SEES
from desk.downloads import ALONE
from desk.permissions import allow
from desk.render import fragment
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()


@dataclass(frozen=True)
class HoldersPart:
    """The holders one may see."""

    code: str
    rating: int
    found: Holders
    alone: int  # as many may be exported without a second person


@routes.get("/customers/holders/{code}")
@allow(*SEES)
async def holders_of(request: web.Request) -> web.Response:
    """Who holds this product; `rating` is the one it has today."""
    code, query = request.match_info["code"], request.query
    rating, number = query.get("rating", ""), query.get("page", "1")
    if rating not in list("12345"):
        raise web.HTTPBadRequest(text="缺少产品评级：请从产品页打开。")
    who, now = signed(request), now_of(request)
    page = int(number) if number.isascii() and number.isdigit() and len(number) < 7 else 1
    found = await holders.of_product(
        session_of(request), book.visible(who), code, int(rating), now, page
    )
    return fragment(
        request, "customers/_holders.html", HoldersPart(code, int(rating), found, ALONE)
    )
