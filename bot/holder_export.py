"""Who holds a product, as a file: to tell those whom it no longer suits, or who must be told."""

from aiohttp import web

from bank import audit
from bank.sheets import csv_of
from bot import exports
from bot.models import ExportKind, ExportRequest
from content import products
from content.models import Product
from content.product_pages import asked_product
from customers import book, holders
from customers.holders import Holder
from desk.downloads import ALONE, CSV, attachment
from desk.permissions import SEES_CUSTOMERS, allow
from desk.render import day, yuan
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

HEADINGS = (
    *("客户", "客户编号", "客户经理", "持有金额（元）", "到期日", "风险承受能力", "是否匹配"),
    exports.MARK,
)


@routes.post("/products/{code}/holders/export")
@allow(*SEES_CUSTOMERS)
async def export_holders(request: web.Request) -> web.Response:
    """The holders one may see; a long list becomes a request for a second person."""
    product, who, now = await asked_product(request), signed(request), now_of(request)
    found = await _found(request, product)
    if len(found) <= ALONE:
        return _taken(request, product, found, exports.watermark(who, now))
    about = f"“{product.name}”{product.code}"
    wish = exports.Wish(ExportKind.HOLDERS, len(found), {"code": product.code, "about": about})
    return await exports.asked_for(request, wish, f"/products/{product.code}")


async def agreed(request: web.Request, asked: ExportRequest) -> web.Response | str:
    """Who holds it today, if they are no more than was agreed to; in words why not."""
    product = await products.by_code(session_of(request), asked.query["code"])
    found = await _found(request, product) if product else []
    if product is None or len(found) > asked.rows:
        return exports.MOVED
    return _taken(
        request, product, found, exports.watermark(signed(request), now_of(request), asked)
    )


async def _found(request: web.Request, product: Product) -> list[Holder]:
    visible = book.visible(signed(request))
    return await holders.all_of_product(
        session_of(request), visible, product.code, product.rating, now_of(request),
        exports.MOST + 1,
    )  # fmt: skip


def _taken(request: web.Request, product: Product, found: list[Holder], mark: str) -> web.Response:
    """The file; that somebody took it is in the audit book."""
    audit.record(
        session_of(request), "content:product:holders", product.code,
        by=signed(request).userid, now=now_of(request), read=len(found),
    )  # fmt: skip
    rows = (
        (
            one.customer.name, one.customer.bank_no or "", "、".join(one.rms),
            yuan(one.amount_cents).removesuffix(" 元"), day(one.matures_on), one.level,
            "匹配" if one.suits else "须告知并重新匹配", mark,
        )
        for one in found
    )  # fmt: skip
    return attachment(f"holders-{product.code}.csv", csv_of(HEADINGS, rows), CSV)
