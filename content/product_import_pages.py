"""导入产品与净值: a file taken in by a person; changes wait for another one."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from bank import sheets
from content import product_imports
from content.material_pages import Options
from content.product_changes import NO_REASON, PROPOSERS
from content.product_imports import TakenIn, Uploader
from content.product_rows import COLUMNS, FACTS, NAV_COLUMNS
from desk import rejects
from desk.permissions import allow
from desk.render import page
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

WHATS = {"products": "产品要素", "nav": "单位净值"}
HEADINGS = {"products": COLUMNS, "nav": NAV_COLUMNS}
BY_CODE = {"code": COLUMNS["code"]}
PAGE_SOURCE = "页面上传"


@dataclass(frozen=True)
class Typed:
    """The form as typed."""

    what: str = "products"
    reason: str = ""
    only_try: bool = False


@dataclass(frozen=True)
class Done:
    """What became of an uploaded file."""

    counts: dict[str, int]
    waiting: list[str]  # codes whose change waits for another person
    rejects: list[dict[str, str]]  # the first of them, for the page
    rejects_json: str  # all of them, to be downloaded


@dataclass(frozen=True)
class ImportPage:
    """`/products/import`: the form, and after an upload what became of it."""

    typed: Typed
    whats: Options = field(default_factory=lambda: list(WHATS.items()))
    headings: list[tuple[str, str, bool]] = field(  # heading, name, may be empty
        default_factory=lambda: [
            (label, name, name in FACTS and FACTS[name].optional) for name, label in COLUMNS.items()
        ]
    )
    nav_headings: list[tuple[str, str]] = field(
        default_factory=lambda: [(label, name) for name, label in NAV_COLUMNS.items()]
    )
    errors: dict[str, str] = field(default_factory=dict)
    done: Done | None = None


@routes.get("/products/import")
@allow(*PROPOSERS)
async def form(request: web.Request) -> web.Response:
    """The empty form."""
    return page(request, "content/product_import.html", ImportPage(Typed()))


@routes.post("/products/import")
@allow(*PROPOSERS)
async def upload(request: web.Request) -> web.Response:
    """Take in a file; the page says row by row what was not taken."""
    sent = await request.post()
    what = str(sent.get("what", ""))
    typed = Typed(
        what if what in WHATS else "products",
        str(sent.get("reason", "")).strip(),
        sent.get("only_try") == "on",
    )
    rows = await _rows(sent.get("file"))
    errors = {"file": rows} if isinstance(rows, str) else {}
    if typed.what == "products" and not typed.reason:
        errors["reason"] = NO_REASON
    if errors or isinstance(rows, str):
        context = ImportPage(typed, errors=errors)
        return page(request, "content/product_import.html", context, status=422)
    outcome = await _take_in(request, rows, typed)
    context = ImportPage(typed, done=_done(outcome, typed))
    return page(request, "content/product_import.html", context)


async def _rows(upload: object) -> sheets.Rows | str:
    if not isinstance(upload, web.FileField):
        return "请选择文件"
    return await asyncio.to_thread(sheets.rows_of, upload.filename, upload.file.read(), BY_CODE)


async def _take_in(request: web.Request, rows: sheets.Rows, typed: Typed) -> sheets.Outcome:
    """What was only tried is taken back before anyone could see it."""
    session = session_of(request)
    if not typed.only_try:
        return await _ingest(request, session, rows, typed)
    tried = await session.begin_nested()
    outcome = await _ingest(request, session, rows, typed)
    await tried.rollback()
    return outcome


async def _ingest(
    request: web.Request, session: AsyncSession, rows: sheets.Rows, typed: Typed
) -> sheets.Outcome:
    who, now = signed(request), now_of(request)
    if typed.what == "nav":
        return await product_imports.ingest_nav(
            session, rows, source=PAGE_SOURCE, by=who.userid, now=now
        )
    speaker = Uploader(who, typed.reason)
    return await product_imports.ingest(session, rows, speaker=speaker, now=now)


def _done(outcome: sheets.Outcome, typed: Typed) -> Done:
    rows = [rejects.in_words(row, HEADINGS[typed.what]) for row in outcome.rejects]
    filled = [{n: c for n, c in row.items() if c or n == "原因"} for row in rows]
    waiting = outcome.waiting if isinstance(outcome, TakenIn) else []
    shown = [
        {"产品代码": row.get("产品代码", ""), "产品名称或日期": row.get("产品名称") or
         row.get("日期", ""), "原因": row["原因"]} for row in filled[: rejects.SHOWN]
    ]  # fmt: skip
    return Done(outcome.counts(), waiting, shown, rejects.kept(rows))


@routes.post("/products/import/rejects.csv")
@allow(*PROPOSERS)
async def rejected_file(request: web.Request) -> web.Response:
    """The rejected rows of the page just shown, as a file."""
    return await rejects.download(request, "products.rejects.csv")
