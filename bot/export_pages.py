"""系统 · 导出申请: who asked for which rows, who agreed, and the file for who asked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from aiohttp import web

from bot import audit_export, exports, holder_export, recipient_pages
from bot.audit_search import wanted_of
from bot.models import ExportKind, ExportRequest
from bot.system import actor_names
from desk.downloads import ALONE, CSV, attachment
from desk.ids import ID
from desk.permissions import SEES_CUSTOMERS, allow
from desk.render import page, see_other
from desk.signed import Signed, now_of, session_of, signed

routes = web.RouteTableDef()

File = Callable[[web.Request, ExportRequest], Awaitable[web.Response | str]]


@dataclass(frozen=True)
class Asked:
    """A request for an export, in words."""

    request: ExportRequest
    asked_by: str
    decided_by: str
    about: str
    may_decide: bool
    may_fetch: bool


@dataclass(frozen=True)
class ExportsPage:
    """`/system/exports`: who asked for which rows, and who agreed."""

    asked: list[Asked]
    alone: int
    decides: bool  # whether one sees everybody's


@routes.get("/system/exports")
@allow(*SEES_CUSTOMERS)
async def export_requests(request: web.Request) -> web.Response:
    """Requests for exports, newest first: everybody's for compliance and audit, else one's own."""
    session, who, now = session_of(request), signed(request), now_of(request)
    names = await actor_names(session)
    asked = [_asked(each, names, who, now) for each in await exports.requests(session, who)]
    context = ExportsPage(asked, ALONE, who.may(*exports.DECIDERS))
    return page(request, "bot/exports.html", context)


def _asked(each: ExportRequest, names: dict[str, str], who: Signed, now: datetime) -> Asked:
    decided_by, own = each.decided_by or "", each.asked_by == who.userid
    return Asked(
        request=each,
        asked_by=names.get(each.asked_by, each.asked_by),
        decided_by=names.get(decided_by, decided_by),
        about=_about(each, names),
        may_decide=each.agreed is None and not own and who.may(*exports.DECIDERS),
        may_fetch=exports.may_fetch(each, who.userid, now),
    )


def _about(each: ExportRequest, names: dict[str, str]) -> str:
    if each.what is ExportKind.AUDIT:
        return wanted_of(each.query).say(names)
    return str(each.query["about"])


async def _lines_of_the_book(request: web.Request, asked: ExportRequest) -> web.Response:
    session = session_of(request)
    names = await actor_names(session)
    data = await audit_export.fetch(session, asked, names, now_of(request))
    return attachment("audit.csv", data, CSV)


FILES: dict[ExportKind, File] = {
    ExportKind.AUDIT: _lines_of_the_book,
    ExportKind.RECIPIENTS: recipient_pages.agreed,
    ExportKind.HOLDERS: holder_export.agreed,
}


@routes.post(f"/system/exports/{{id:{ID}}}/file")
@allow(*SEES_CUSTOMERS)
async def file(request: web.Request) -> web.Response:
    """The rows that were agreed to, for the person who asked."""
    session, who, now = session_of(request), signed(request).userid, now_of(request)
    asked = await session.get(ExportRequest, UUID(request.match_info["id"]))
    if asked is None or not exports.may_fetch(asked, who, now):
        raise web.HTTPNotFound
    made = await FILES[asked.what](request, asked)
    if isinstance(made, str):
        return see_other(f"/system/exports?done={quote(made)}")
    asked.fetched_at = now
    return made


@routes.post(f"/system/exports/{{id:{ID}}}/{{verdict}}")
@allow(*exports.DECIDERS)
async def decide(request: web.Request) -> web.Response:
    """Another person than the one who asked agrees or refuses."""
    session, who, now = session_of(request), signed(request).userid, now_of(request)
    verdict, id_ = request.match_info["verdict"], UUID(request.match_info["id"])
    if verdict not in ("agree", "refuse"):
        raise web.HTTPNotFound
    agreed = verdict == "agree"
    wrong = await exports.decide(session, id_, agreed, by=who, now=now)
    done = wrong or ("已同意，申请人可在 7 天内下载" if agreed else "已拒绝")
    return see_other(f"/system/exports?done={quote(done)}")
