"""素材中心: the list of material as a grid or a table, and the same list as a workbook."""

import asyncio
import re
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from bank import audit
from bank.models import Role
from content import products, shelf, shelf_filters
from content.material_pages import READERS, Options, reader_of
from content.models import Kind, Use
from content.shelf import Reader, Row, Wanted
from desk.downloads import xlsx_file
from desk.permissions import allow
from desk.render import page, when
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

VIEWS = ("grid", "table")
FIELDS = ("q", "kind", "use", "category", "state", "product", "validity", "owner", "sort", "size")
SORT_LABELS = (
    ("-updated", "最近更新在前"),
    ("updated", "最早更新在前"),
    ("title", "按标题"),
    ("ends", "最先到期在前"),
    ("-ends", "最后到期在前"),
)
MOST_EXPORTED = 20_000
HEADINGS = (
    "编号", "标题", "类型", "用途", "关联产品", "状态", "版本", "作者", "负责人", "生效时间",
    "有效期至",
)  # fmt: skip


@dataclass(frozen=True)
class Heading:
    """The head of a column that can be sorted by."""

    href: str
    direction: str  # ascending, descending or none


@dataclass(frozen=True)
class ListPage:
    """素材中心."""

    wanted: Wanted  # the filter as typed
    view: str  # grid or table
    views: list[tuple[str, str, bool]]  # words, address, whether it is this one
    query: str  # the filter for the pager's links
    filtered: bool
    more: bool  # whether a filter that stands folded away is in use
    shelf: shelf.Shelf  # rows of this page, total, pages
    kinds: Options
    uses: Options
    categories: Options
    states: Options
    products: Options
    validity: Options
    owners: Options
    sorts: Options
    sizes: list[tuple[str, str, bool]]  # number of rows, address, whether it is this one
    headings: dict[str, Heading]
    may_write: bool
    sees_ends: bool  # has a list of what ends


@routes.get("/content")
@allow(*READERS)
async def material_list(request: web.Request) -> web.Response:
    """The list with its filters."""
    session, who, now = session_of(request), signed(request), now_of(request)
    reader, wanted, view = reader_of(who), _wanted(request), _view(request)
    kept = _kept(wanted)
    context = ListPage(
        wanted=wanted,
        view=view,
        views=[
            (words, f"/content?{urlencode(kept | {'view': each})}", each == view)
            for each, words in (("grid", "卡片"), ("table", "表格"))
        ],
        query=urlencode(kept | ({"view": view} if view != VIEWS[0] else {})),
        filtered=bool(set(kept) - {"sort", "size"}),
        more=bool(set(kept) & {"use", "category", "product", "owner"}),
        shelf=await shelf.shelf(session, wanted, reader, now),
        kinds=[("", "全部类型"), *((kind.value, kind.label) for kind in Kind)],
        uses=[("", "全部用途"), *((use.value, use.label) for use in Use)],
        categories=[("", "全部分类"), *await _categories(session, reader, now)],
        states=[("", "全部状态"), *_states(reader)],
        products=[("", "全部产品"), *((p.code, p.name) for p in await products.find(session))],
        validity=[("", "不限有效期"), *_validity(reader)],
        owners=[("", "全部负责人"), *await shelf.owners(session)],
        sorts=list(SORT_LABELS),
        sizes=[_size(wanted, view, size) for size in shelf_filters.PAGE_SIZES],
        headings={name: _heading(wanted, view, name) for name in shelf_filters.SORTS},
        may_write=who.may(Role.EDITOR),
        sees_ends=not reader.only_live,
    )
    return page(request, "content/list.html", context)


def _states(reader: Reader) -> Options:
    """Who sees only what is live is offered no other states."""
    live = ("approved", "expiring")
    return [each for each in shelf_filters.STATES if not reader.only_live or each[0] in live]


def _validity(reader: Reader) -> Options:
    return [each for each in shelf_filters.VALIDITY if not reader.only_live or each[0] != "ended"]


async def _categories(session: AsyncSession, reader: Reader, now: datetime) -> Options:
    return [(name, name) for name in await shelf.categories(session, reader, now)]


def _wanted(request: web.Request) -> Wanted:
    query = request.query
    number, size, sort = query.get("page", "1"), query.get("size", ""), query.get("sort", "")
    return Wanted(
        kind=query.get("kind", ""),
        state=query.get("state", ""),
        product=query.get("product", ""),
        text=query.get("q", "").replace("\0", "").strip()[:60],
        page=int(number) if re.fullmatch("[0-9]{1,6}", number) else 1,
        use=query.get("use", ""),
        category=query.get("category", "").replace("\0", ""),
        validity=query.get("validity", ""),
        owner=query.get("owner", "").replace("\0", ""),
        sort=sort if sort.removeprefix("-") in shelf_filters.SORTS else Wanted.sort,
        size=int(size) if size in map(str, shelf_filters.PAGE_SIZES) else Wanted.size,
    )


def _view(request: web.Request) -> str:
    asked = request.query.get("view", "")
    return asked if asked in VIEWS else VIEWS[0]


def _kept(wanted: Wanted) -> dict[str, str]:
    """What of the filter the address holds: all that is not as usual."""
    usual = Wanted()
    typed = {name: getattr(wanted, "text" if name == "q" else name) for name in FIELDS}
    as_usual = {name: getattr(usual, "text" if name == "q" else name) for name in FIELDS}
    return {name: str(value) for name, value in typed.items() if value != as_usual[name]}


def _heading(wanted: Wanted, view: str, name: str) -> Heading:
    """Pressing a head sorts by it; pressing it again turns the order round."""
    direction = {name: "ascending", f"-{name}": "descending"}.get(wanted.sort, "none")
    turned = f"-{name}" if direction == "ascending" else name
    kept = _kept(replace(wanted, sort=turned)) | {"view": view}
    return Heading(f"/content?{urlencode(kept)}", direction)


def _size(wanted: Wanted, view: str, size: int) -> tuple[str, str, bool]:
    kept = _kept(replace(wanted, size=size)) | {"view": view}
    return str(size), f"/content?{urlencode(kept)}", size == wanted.size


@routes.get("/content/export.xlsx")
@allow(*READERS)
async def export_list(request: web.Request) -> web.Response:
    """The filtered list as a workbook: what the reader may see, and that they took it is noted."""
    session, who, now = session_of(request), signed(request), now_of(request)
    reader, wanted = reader_of(who), replace(_wanted(request), page=1, size=MOST_EXPORTED)
    found = await shelf.shelf(session, wanted, reader, now)
    audit.record(
        session, "content:shelf:export", who.id, by=who.userid, now=now, read=len(found.rows)
    )
    cells = [_cells(row) for row in found.rows]
    return await asyncio.to_thread(
        xlsx_file, f"素材清单-{when(now, '%Y%m%d')}.xlsx", HEADINGS, cells
    )


def _cells(row: Row) -> list[str]:
    shown = row.live or row.version
    return [
        row.material.code,
        row.version.title,
        row.material.kind.label,
        row.material.use.label,
        "；".join(product.name for product in row.products),
        row.standing.label,
        f"V{row.version.number}",
        row.author,
        row.owner,
        when(shown.valid_from),
        when(shown.valid_until),
    ]
