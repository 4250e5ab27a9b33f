"""归因: who and what earned the conversions; each number opens its rows."""

from dataclasses import dataclass

from aiohttp import web

from attribution import reports
from attribution.chosen import (
    PAGE,
    SEES,
    SEES_ROWS,
    SETTLES,
    Chosen,
    chosen_of,
    page_of,
    scope_of,
)
from attribution.models import Dimension, Model
from attribution.reports import Behind, CreditLine, Earned, Totals
from desk.ids import id_of
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import page
from desk.signed import session_of, signed

routes = web.RouteTableDef()

SHOWN, MANY = 20, 1000


@dataclass(frozen=True)
class Overview:
    """`/attribution`: totals, and what content and RMs earned."""

    chosen: Chosen
    models: list[tuple[str, str]]
    totals: Totals
    content: list[Earned]
    shown: int  # rows of each table before 显示全部
    rms: list[Earned]
    chart: dict[str, object]  # ECharts option: conversions by local month, in 万元
    window_days: int
    opens_rows: bool  # editors see what content earned, not whose customers
    imports: bool  # may bring in the bank's file


@dataclass(frozen=True)
class Lines:
    """`/attribution/lines`: the credit lines behind a number; they add up to it."""

    chosen: Chosen
    dimension: Dimension
    title: str  # of the content or RM; 全部 without one
    query: str  # everything but the page, for the pager
    lines: list[CreditLine]
    total: int
    cents: int  # of all lines, not only of this page
    number: int
    pages: int


@routes.get("/attribution")
@allow(*SEES)
async def overview(request: web.Request) -> web.Response:
    """Who earned what in a period, by one model, with first and last beside it."""
    session, who, chosen = session_of(request), signed(request), chosen_of(request)
    model, period, scope = chosen.model, chosen.period, scope_of(request)
    context = Overview(
        chosen=chosen,
        models=[(model.value, model.label) for model in Model],
        totals=await reports.totals(session, period, scope),
        shown=MANY if request.query.get("all") else SHOWN,
        content=await reports.earned(session, Dimension.CONTENT, model, period, scope),
        rms=await reports.earned(session, Dimension.RM, model, period, scope),
        chart=_chart(await reports.by_month(session, period, scope)),
        window_days=request.app[SETTINGS].attribution_window_days,
        opens_rows=who.may(*SEES_ROWS),
        imports=who.may(*SETTLES),
    )
    return page(request, "attribution/overview.html", context)


def _chart(months: list[tuple[str, int, int]]) -> dict[str, object]:
    if not months:
        return {}
    yuan = [round(cents / 1_000_000, 2) for _, _, cents in months]
    return {
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "category", "data": [month for month, _, _ in months]},
        "yAxis": {"type": "value", "name": "万元"},
        "series": [{"type": "bar", "name": "转化金额（万元）", "data": yuan}],
    }


@routes.get("/attribution/lines")
@allow(*SEES_ROWS)
async def lines(request: web.Request) -> web.Response:
    """The lines behind a number."""
    session, chosen = session_of(request), chosen_of(request)
    wanted = request.query.get("dimension", "")
    dimension = Dimension(wanted) if wanted in list(Dimension) else Dimension.CONTENT
    subject = id_of(request.query.get("subject", ""))
    behind = Behind(dimension, chosen.model, chosen.period, scope_of(request), subject)
    total, cents = await reports.sum_behind(session, behind)
    number, pages = page_of(request, total)
    context = Lines(
        chosen=chosen,
        dimension=dimension,
        title=await _title(request, behind),
        query=f"{chosen.query}&dimension={dimension.value}&subject={subject or ''}",
        lines=await reports.lines_behind(session, behind, limit=PAGE, offset=(number - 1) * PAGE),
        total=total,
        cents=cents,
        number=number,
        pages=pages,
    )
    return page(request, "attribution/lines.html", context)


async def _title(request: web.Request, behind: Behind) -> str:
    if behind.subject_id is None:
        return "全部"
    name = await reports.name_of(session_of(request), behind.dimension, behind.subject_id)
    return name or "全部"
