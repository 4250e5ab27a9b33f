"""产品库: the shelf of products, and one product with both ratings, values and its material."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web

from bank.calendar import local_day
from content import products, shelf
from content.material_pages import READERS, Options, reader_of
from content.models import Product, ProductKind, SaleStatus
from desk.permissions import allow
from desk.render import page
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

STATUS_TONES = {
    SaleStatus.ON_SALE: "green",
    SaleStatus.SUSPENDED: "orange",
    SaleStatus.CLOSED: "dark",
}
RATING_NAMES = {1: "低风险", 2: "中低风险", 3: "中等风险", 4: "中高风险", 5: "高风险"}
# No performance of a product younger than a month is shown (C-16).
A_MONTH = timedelta(days=31)
SPANS = {"30": "近 30 天", "180": "近半年", "365": "近一年", "all": "成立以来"}


@dataclass(frozen=True)
class ProductLine:
    """A product in the list."""

    product: Product
    rating: str
    tone: str  # of the sale status


@dataclass(frozen=True)
class ProductsPage:
    """产品库."""

    lines: list[ProductLine]
    text: str
    kind: str
    rating: str
    status: str
    kinds: Options
    ratings: Options
    statuses: Options


@dataclass(frozen=True)
class ProductPage:
    """One product."""

    product: Product
    rating: str  # the effective one, with its name
    differ: bool  # issuer and bank rate differently: the higher counts
    tone: str
    nav: Decimal | None
    nav_on: date | None
    chart: dict[str, Any] | None  # ECharts option, None without values
    chart_says: str
    spans: list[tuple[str, str, bool]]  # label, address, chosen
    materials: list[shelf.Row]


@routes.get("/products")
@allow(*READERS)
async def product_list(request: web.Request) -> web.Response:
    """All products of the filter, by code."""
    query = request.query
    text, kind = query.get("q", "").strip()[:60], query.get("kind", "")
    rating, status = query.get("rating", ""), query.get("status", "")
    wanted = int(rating) if rating in list("12345") else None
    found = await products.find(
        session_of(request), text=text, kind=kind, rating=wanted, status=status
    )
    context = ProductsPage(
        lines=[ProductLine(p, rating_name(p.rating), STATUS_TONES[p.sale_status]) for p in found],
        text=text,
        kind=kind,
        rating=rating,
        status=status,
        kinds=[("", "全部类型"), *((k.value, k.label) for k in ProductKind)],
        ratings=[("", "全部等级"), *((str(r), rating_name(r)) for r in RATING_NAMES)],
        statuses=[("", "全部状态"), *((s.value, s.label) for s in SaleStatus)],
    )
    return page(request, "content/products.html", context)


def rating_name(rating: int) -> str:
    """R2 中低风险."""
    return f"R{rating} {RATING_NAMES.get(rating, '')}".strip()


@routes.get("/products/{code}")
@allow(*READERS)
async def show_product(request: web.Request) -> web.Response:
    """One product with its values and the material about it."""
    session, now = session_of(request), now_of(request)
    product = await products.by_code(session, request.match_info["code"])
    if product is None:
        raise web.HTTPNotFound
    span = request.query.get("span", "180")
    span = span if span in SPANS else "180"
    since = None if span == "all" else local_day(now) - timedelta(days=int(span))
    series = await products.nav_series(session, product.id, since)
    if product.inception > local_day(now) - A_MONTH:
        series = []
    facts = (await products.facts_of(session, [product.code]))[product.code]
    context = ProductPage(
        product=product,
        rating=rating_name(product.rating),
        differ=product.issuer_rating != product.bank_rating,
        tone=STATUS_TONES[product.sale_status],
        nav=facts.nav,
        nav_on=facts.nav_on,
        chart=nav_chart(series) if series else None,
        chart_says=_in_words(series),
        spans=[(label, f"/products/{product.code}?span={key}", key == span)
               for key, label in SPANS.items()],
        materials=await shelf.about_product(session, product.id, reader_of(signed(request)), now),
    )  # fmt: skip
    return page(request, "content/product.html", context)


def nav_chart(series: list[tuple[date, Decimal]]) -> dict[str, Any]:
    """Values over days; no return is computed, so nothing here can be read as a promise."""
    return {
        "xAxis": {"type": "category", "data": [on.isoformat() for on, _ in series]},
        "yAxis": {"type": "value", "name": "单位净值", "scale": True},
        "series": [
            {"name": "单位净值", "type": "line", "data": [float(value) for _, value in series]}
        ],
    }


def _in_words(series: list[tuple[date, Decimal]]) -> str:
    if not series:
        return "这段时间没有净值记录"
    (first, low), (last, high) = series[0], series[-1]
    return f"单位净值从 {first} 的 {low:.4f} 到 {last} 的 {high:.4f}，共 {len(series)} 个交易日"
