"""推荐质量: how often suggestions are taken, edited or turned down; every number opens its rows."""

from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from customers.book import visible
from desk.permissions import SEES_CUSTOMERS, allow
from desk.render import page
from desk.signed import now_of, session_of, signed
from knowledge import quality
from knowledge.pages import DAYS
from knowledge.quality import By, Line, Why

routes = web.RouteTableDef()

USUAL_DAYS = "30"


@dataclass(frozen=True)
class QualityPage:
    """`/suggestions/quality`: within one's own customers."""

    by: By
    tabs: list[tuple[str, str, bool]]
    days: str
    lines: list[Line]
    total: Line
    refusals: list[Why]
    rows: str  # the list behind a number; what narrows it comes behind


@routes.get("/suggestions/quality")
@allow(*SEES_CUSTOMERS)
async def quality_page(request: web.Request) -> web.Response:
    """Acceptance, edits and reasons over the last days."""
    session, mine = session_of(request), visible(signed(request))
    asked = request.query.get("by", "")
    by = By(asked) if asked in list(By) else By.MATERIAL
    days = request.query.get("days", "")
    days = days if days in DAYS else USUAL_DAYS
    since = now_of(request) - DAYS[days]
    lines = await quality.lines(session, by, since, mine)
    context = QualityPage(
        by=by,
        tabs=[
            (f"按{each.label}", f"/suggestions/quality?by={each.value}&days={days}", each is by)
            for each in By
        ],
        days=days,
        lines=lines,
        total=await quality.total(session, since, mine),
        refusals=await quality.refusals(session, since, mine),
        rows=f"/suggestions?{urlencode({'made': '1', 'days': days})}",
    )
    return page(request, "knowledge/quality.html", context)
