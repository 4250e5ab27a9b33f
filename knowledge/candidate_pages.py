"""候选问法: wordings of customers that an editor may add to a material, through review."""

from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from bank.models import Role
from content.files import FILES
from content.house import house_of
from desk.keys import SETTINGS
from desk.permissions import SEES_GAPS, allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed
from knowledge import candidates
from knowledge.candidates import CandidateRow, Refused

routes = web.RouteTableDef()


@dataclass(frozen=True)
class CandidatesPage:
    """`/candidates`."""

    rows: list[CandidateRow]
    text: str
    query: str
    here: str  # this page of the search, to come back to
    total: int
    number: int
    pages: int
    may_decide: bool
    error: str


@routes.get("/candidates")
@allow(*SEES_GAPS)
async def candidate_list(request: web.Request) -> web.Response:
    """Wordings nobody has decided about, those asked most often first."""
    return await _shown(request)


async def _shown(request: web.Request, error: str = "") -> web.Response:
    text = request.query.get("q", "").replace("\0", "").strip()[:60]
    asked = request.query.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1
    session = session_of(request)
    rows, total = await candidates.waiting(session, text, max(1, number))
    pages = max(1, -(-total // candidates.PAGE))
    if number > pages:
        number = pages
        rows, _ = await candidates.waiting(session, text, number)
    context = CandidatesPage(
        rows=rows,
        text=text,
        query=urlencode({"q": text} if text else {}),
        here=urlencode(({"q": text} if text else {}) | {"page": str(max(1, number))}),
        total=total,
        number=max(1, number),
        pages=pages,
        may_decide=signed(request).may(Role.EDITOR),
        error=error,
    )
    return page(request, "knowledge/candidates.html", context, status=422 if error else 200)


@routes.post("/candidates/add")
@allow(Role.EDITOR)
async def add(request: web.Request) -> web.Response:
    """Add the wording to a new version and submit it for review."""
    material_id, question = await _chosen(request)
    outcome = await candidates.add(
        session_of(request),
        request.app[FILES],
        material_id,
        question,
        by=signed(request),
        now=now_of(request),
        house=house_of(request.app[SETTINGS]),
    )
    if isinstance(outcome, Refused):
        return await _shown(request, outcome.reason)
    return _back(request, "已加入新版本并提交审批")


@routes.post("/candidates/dismiss")
@allow(Role.EDITOR)
async def dismiss(request: web.Request) -> web.Response:
    """This wording is no good example."""
    material_id, question = await _chosen(request)
    outcome = await candidates.dismiss(
        session_of(request), material_id, question, by=signed(request), now=now_of(request)
    )
    if isinstance(outcome, Refused):
        return await _shown(request, outcome.reason)
    return _back(request, "已标记为不采用")


def _back(request: web.Request, done: str) -> web.Response:
    """To the same page of the same search, where the next wording waits."""
    kept = {name: request.query[name] for name in ("q", "page") if name in request.query}
    return see_other(f"/candidates?{urlencode(kept | {'done': done})}")


async def _chosen(request: web.Request) -> tuple[UUID, str]:
    form = await request.post()
    try:
        return UUID(str(form.get("material", ""))), str(form.get("question", ""))
    except ValueError:
        raise web.HTTPNotFound from None
