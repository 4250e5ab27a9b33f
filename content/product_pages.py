"""产品库: the shelf of products, and one product with everything that is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from bank.calendar import local_day
from content import product_changes, product_history, products, shelf, suspensions
from content.material_pages import READERS, SEE_ALL, Options, reader_of
from content.models import ChangeState, Product, ProductKind, SaleStatus, StoredFile, Version
from content.product_cards import Incomplete, ProductCard, card_of
from content.product_history import Difference, Entry
from content.product_rows import FILE_LABELS
from desk.permissions import SEES_CUSTOMERS, allow
from desk.render import fragment, page
from desk.signed import Signed, now_of, session_of, signed

routes = web.RouteTableDef()

STATUS_TONES = {
    SaleStatus.ON_SALE: "green",
    SaleStatus.SUSPENDED: "orange",
    SaleStatus.CLOSED: "dark",
}
CHANGE_TONES = {
    ChangeState.PROPOSED: "orange",
    ChangeState.CONFIRMED: "green",
    ChangeState.REJECTED: "red",
    ChangeState.CANCELLED: "grey",
}
RATING_NAMES = {1: "低风险", 2: "中低风险", 3: "中等风险", 4: "中高风险", 5: "高风险"}
SPANS = {"30": "近 30 天", "180": "近半年", "365": "近一年", "all": "成立以来"}
NEWEST_VALUES = 10


@dataclass(frozen=True)
class ProductLine:
    """A product in the list."""

    product: Product
    rating: str
    tone: str  # of the sale status
    listed: bool
    waits: bool  # a change waits to be confirmed


@dataclass(frozen=True)
class ProductsPage:
    """产品库."""

    lines: list[ProductLine]
    wanted: dict[str, str]  # the filter as typed
    kinds: Options
    ratings: Options
    statuses: Options
    lists: Options
    may_import: bool


@dataclass(frozen=True)
class ProductPage:
    """One product."""

    product: Product
    rating: str  # the effective one, with its name
    differ: bool  # issuer and bank rate differently: the higher counts
    tone: str
    listed: bool
    card: ProductCard | None
    lacks: tuple[str, ...]  # what the card lacks
    nav: Decimal | None
    nav_on: date | None
    too_young: bool  # no performance yet (C-16)
    chart: dict[str, Any] | None  # ECharts option, None without values
    chart_says: str
    newest_values: list[tuple[date, Decimal]]
    spans: list[tuple[str, str, bool]]  # label, address, chosen
    documents: list[tuple[str, StoredFile | None]]
    materials: list[shelf.Row]
    suspended: list[Version]
    waiting: Entry | None
    history: list[Entry]  # decided ones, newest first
    tones: Mapping[ChangeState, str]
    benchmark_log: list[tuple[datetime, Difference, Entry]]
    sees_changes: bool
    sees_customers: bool
    may_propose: bool
    may_decide: bool
    why_not: str  # why this reader may not decide
    may_cancel: bool
    errors: dict[str, str] = field(default_factory=dict)
    note: str = ""  # why it is rejected, as typed


@routes.get("/products")
@allow(*READERS)
async def product_list(request: web.Request) -> web.Response:
    """All products of the filter, by code."""
    session, today = session_of(request), local_day(now_of(request))
    wanted = {n: request.query.get(n, "") for n in ("kind", "rating", "status", "list", "change")}
    wanted["q"] = request.query.get("q", "").strip()[:60]
    found = await products.find(
        session,
        text=wanted["q"],
        kind=wanted["kind"],
        rating=int(wanted["rating"]) if wanted["rating"] in list("12345") else None,
        status=wanted["status"],
        listed=(wanted["list"] == "on", today) if wanted["list"] in ("on", "off") else None,
    )
    waits = await product_changes.waiting_products(session)
    if wanted["change"] == "waiting":
        found = [product for product in found if product.id in waits]
    context = ProductsPage(
        lines=[_line(product, today, waits) for product in found],
        wanted=wanted,
        kinds=[("", "全部类型"), *((k.value, k.label) for k in ProductKind)],
        ratings=[("", "全部等级"), *((str(r), rating_name(r)) for r in RATING_NAMES)],
        statuses=[("", "全部状态"), *((s.value, s.label) for s in SaleStatus)],
        lists=[("", "不限"), ("on", "在名单内"), ("off", "不在名单内")],
        may_import=signed(request).may(*product_changes.PROPOSERS),
    )
    return page(request, "content/products.html", context)


def _line(product: Product, today: date, waits: set[UUID]) -> ProductLine:
    tone = STATUS_TONES[product.sale_status]
    listed = product.is_listed(today)
    return ProductLine(product, rating_name(product.rating), tone, listed, product.id in waits)


def rating_name(rating: int) -> str:
    """R2 中低风险."""
    return f"R{rating} {RATING_NAMES.get(rating, '')}".strip()


@routes.get("/products/{code}")
@allow(*READERS)
async def show_product(request: web.Request) -> web.Response:
    """One product with its values, its changes and the material about it."""
    return page(request, "content/product.html", await product_page(request))


@dataclass(frozen=True)
class NamePart:
    """Fragment: what a code of the bank's files is called; none where it is in no library."""

    code: str
    product: Product | None


@routes.get("/products/{code}/name")
@allow(*READERS)
async def product_name(request: web.Request) -> web.Response:
    """The product behind a code, for lists that know no more than the code."""
    code = request.match_info["code"].replace("\0", "")
    found = await products.by_codes(session_of(request), [code])
    return fragment(request, "content/_product_name.html", NamePart(code, next(iter(found), None)))


async def asked_product(request: web.Request) -> Product:
    """The product of the address."""
    product = await products.by_code(session_of(request), request.match_info["code"])
    if product is None:
        raise web.HTTPNotFound
    return product


async def product_page(
    request: web.Request, errors: dict[str, str] | None = None, note: str = ""
) -> ProductPage:
    """Everything the page shows to whoever asks."""
    session, now, who = session_of(request), now_of(request), signed(request)
    product, today = await asked_product(request), local_day(now)
    span = request.query.get("span", "180")
    span = span if span in SPANS else "180"
    series = await _series(session, product, span, today)
    facts = (await products.facts_of(session, [product.code], now))[product.code]
    history = await product_history.of_product(session, product.id)
    waiting = next((e for e in history if e.change.state == ChangeState.PROPOSED), None)
    card, sees_changes = card_of(product), who.may(*SEE_ALL)
    return ProductPage(
        product=product,
        rating=rating_name(product.rating),
        differ=product.issuer_rating != product.bank_rating,
        tone=STATUS_TONES[product.sale_status],
        listed=facts.listed,
        card=None if isinstance(card, Incomplete) else card,
        lacks=card.lacks if isinstance(card, Incomplete) else (),
        nav=facts.nav,
        nav_on=facts.nav_on,
        too_young=not products.shows_performance(product, today),
        chart=nav_chart(series) if series else None,
        chart_says=_in_words(series),
        newest_values=series[: -NEWEST_VALUES - 1 : -1],
        spans=[(label, f"/products/{product.code}?span={key}", key == span)
               for key, label in SPANS.items()],
        documents=await _documents(session, product),
        materials=await shelf.about_product(session, product.id, reader_of(who), now),
        suspended=await suspensions.about_product(session, product.id) if sees_changes else [],
        waiting=waiting if sees_changes else None,
        history=[entry for entry in history if entry.change.state != ChangeState.PROPOSED],
        tones=CHANGE_TONES,
        benchmark_log=product_history.benchmark_log(history),
        sees_changes=sees_changes,
        sees_customers=who.may(*SEES_CUSTOMERS),
        may_propose=who.may(*product_changes.PROPOSERS) and waiting is None,
        may_decide=waiting is not None and not _why_not(waiting, who),
        why_not=_why_not(waiting, who) if waiting else "",
        may_cancel=waiting is not None and waiting.change.proposed_by == who.id,
        errors=errors or {},
        note=note,
    )  # fmt: skip


def _why_not(waiting: Entry, who: Signed) -> str:
    refused = product_changes.against_deciding(waiting.change, who)
    return " ".join(refused.reasons) if refused else ""


async def _series(
    session: AsyncSession, product: Product, span: str, today: date
) -> list[tuple[date, Decimal]]:
    """No performance of a product younger than a month is shown (C-16)."""
    if not products.shows_performance(product, today):
        return []
    since = None if span == "all" else today - timedelta(days=int(span))
    return await products.nav_series(session, product.id, since)


async def _documents(
    session: AsyncSession, product: Product
) -> list[tuple[str, StoredFile | None]]:
    ids = {name: getattr(product, name) for name in FILE_LABELS}
    return [
        (label, await session.get(StoredFile, ids[name]) if ids[name] else None)
        for name, label in FILE_LABELS.items()
    ]


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
