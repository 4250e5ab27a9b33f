"""内容缺口: what customers asked and no approved material answers, and what becomes of it."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from bank.models import Role
from desk.ids import ID
from desk.permissions import SEES_GAPS, allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed
from knowledge import gap_rows, gaps
from knowledge.gap_rows import GapRow
from knowledge.models import GapState
from knowledge.pages import SEES_SUGGESTIONS

routes = web.RouteTableDef()

DECIDES = (Role.EDITOR, Role.HQ)
# As many example questions as a material may have.
FILLED_IN = 5
KEPT = ("state", "q", "sort", "page")


@dataclass(frozen=True)
class GapsPage:
    """`/gaps`."""

    state: GapState
    tabs: list[tuple[str, str, bool]]  # words with count, address, whether it is this one
    text: str
    sort: str  # times or newest
    found: gap_rows.Gaps
    write: dict[UUID, str]  # where 写素材 leads, the questions filled in
    query: str
    here: str  # this page of the list, to come back to
    alike: int  # from which likeness on questions are one gap, in percent
    may_write: bool
    may_decide: bool
    opens_rows: bool
    error: str


@routes.get("/gaps")
@allow(*SEES_GAPS)
async def gap_list(request: web.Request) -> web.Response:
    """The gaps in one state, those asked most often first."""
    return await _shown(request)


async def _shown(request: web.Request, error: str = "") -> web.Response:
    session, who, query = session_of(request), signed(request), request.query
    asked = query.get("state", "")
    state = GapState(asked) if asked in list(GapState) else GapState.OPEN
    text, sort = query.get("q", "").replace("\0", "").strip()[:60], query.get("sort", "times")
    number = query.get("page", "1")
    found = await gap_rows.gaps(
        session,
        state,
        text=text,
        newest_first=sort == "newest",
        number=int(number) if re.fullmatch("[1-9][0-9]{0,5}", number) else 1,
    )
    counts = await gap_rows.counts(session)
    kept = {"state": state.value} | ({"q": text} if text else {})
    kept |= {"sort": sort} if sort == "newest" else {}
    context = GapsPage(
        state=state,
        tabs=[
            (f"{each.label}（{counts.get(each, 0):,}）", f"/gaps?state={each.value}", each is state)
            for each in GapState
        ],
        text=text,
        sort=sort if sort in ("times", "newest") else "times",
        found=found,
        write={row.gap.id: _write(row) for row in found.rows},
        query=urlencode(kept),
        here=urlencode(kept | {"page": str(found.number)}),
        alike=round(gaps.ALIKE * 100),
        may_write=who.may(Role.EDITOR),
        may_decide=who.may(*DECIDES),
        opens_rows=who.may(*SEES_SUGGESTIONS),
        error=error,
    )
    return page(request, "knowledge/gaps.html", context, status=422 if error else 200)


def _write(row: GapRow) -> str:
    questions = list(dict.fromkeys([row.gap.question, *row.examples]))[:FILLED_IN]
    return f"/content/new?{urlencode({'gap': str(row.gap.id), 'question': questions}, doseq=True)}"


@routes.post(f"/gaps/{{gap_id:{ID}}}/dismiss")
@allow(*DECIDES)
async def dismiss(request: web.Request) -> web.Response:
    """Nobody will write for it, with the reason."""
    reason = str((await request.post()).get("reason", ""))
    outcome = await gaps.dismiss(
        session_of(request), _id(request), reason, by=signed(request), now=now_of(request)
    )
    if isinstance(outcome, gaps.Refused):
        return await _shown(request, outcome.reason)
    return _back(request, "已标记为不处理")


@routes.post(f"/gaps/{{gap_id:{ID}}}/reopen")
@allow(*DECIDES)
async def reopen(request: web.Request) -> web.Response:
    """Look at it again after all."""
    outcome = await gaps.reopen(
        session_of(request), _id(request), by=signed(request), now=now_of(request)
    )
    if isinstance(outcome, gaps.Refused):
        return await _shown(request, outcome.reason)
    return _back(request, "已恢复为待处理")


def _back(request: web.Request, done: str) -> web.Response:
    """To the same page of the same list, where the next one waits."""
    kept = {name: request.query[name] for name in KEPT if name in request.query}
    return see_other(f"/gaps?{urlencode(kept | {'done': done})}")


def _id(request: web.Request) -> UUID:
    return UUID(request.match_info["gap_id"])
