"""系统 · 操作日志: the state of its chain, a check on demand, exports with a second person."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit, audit_chain
from bank.audit_keeping import ask_check
from bank.models import AuditCheck, AuditLink, Role
from bank.retention import TERMS, Term
from bank.settings import Settings
from bot import audit_export
from bot.audit_search import wanted_of
from bot.models import ExportRequest
from bot.system import actor_names
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import fragment, page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

READS = (Role.COMPLIANCE, Role.AUDITOR)


@dataclass(frozen=True)
class ChainState:
    """`/system/audit/chain`: how far the book is linked, and what the last check found."""

    links: int
    chain: str
    linked_at: datetime | None
    waiting: int
    last: AuditCheck | None  # the last finished check
    asked_by: str
    open: AuditCheck | None  # one that is asked for or under way


@routes.get("/system/audit/chain")
@allow(*READS)
async def chain_state(request: web.Request) -> web.Response:
    """Whether the book is sound; looks again by itself while a check is under way."""
    session = session_of(request)
    newest = select(AuditLink).order_by(col(AuditLink.position).desc()).limit(1)
    link = (await session.execute(newest)).scalar_one_or_none()
    last = await _check(session, finished=True)
    names = await actor_names(session)
    context = ChainState(
        links=link.position if link else 0,
        chain=link.chain.hex() if link else "",
        linked_at=link.linked_at if link else None,
        waiting=await audit_chain.waiting(session),
        last=last,
        asked_by=names.get(last.asked_by, last.asked_by) if last else "",
        open=await _check(session, finished=False),
    )
    return fragment(request, "bot/_audit_chain.html", context)


async def _check(session: AsyncSession, *, finished: bool) -> AuditCheck | None:
    done = col(AuditCheck.finished_at).is_not(None)
    query = select(AuditCheck).where(done if finished else ~done)
    newest = query.order_by(col(AuditCheck.id).desc()).limit(1)
    return (await session.execute(newest)).scalar_one_or_none()


@routes.post("/system/audit/verify")
@allow(*READS)
async def verify(request: web.Request) -> web.Response:
    """Have a worker check the whole book against its chain and the heads outside."""
    session, who, now = session_of(request), signed(request).userid, now_of(request)
    await ask_check(session, who, now)
    audit.record(session, "bot:book:verify", "audit", by=who, now=now)
    return see_other("/system/audit?done=已开始核对，结果显示在页面上方")


# ------------------------------------------------------------------------------ exports


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
    """`/system/audit/exports`: who asked for which lines, and who agreed."""

    asked: list[Asked]
    alone: int


@routes.get("/system/audit/exports")
@allow(*READS)
async def exports(request: web.Request) -> web.Response:
    """Requests for exports, newest first."""
    session, who, now = session_of(request), signed(request).userid, now_of(request)
    names = await actor_names(session)
    asked = [_asked(each, names, who, now) for each in await audit_export.requests(session)]
    return page(request, "bot/audit_exports.html", ExportsPage(asked, audit_export.ALONE))


def _asked(each: ExportRequest, names: dict[str, str], who: str, now: datetime) -> Asked:
    decided_by = each.decided_by or ""
    return Asked(
        request=each,
        asked_by=names.get(each.asked_by, each.asked_by),
        decided_by=names.get(decided_by, decided_by),
        about=wanted_of(each.query).say(names),
        may_decide=each.agreed is None and each.asked_by != who,
        may_fetch=audit_export.may_fetch(each, who, now),
    )


@routes.post("/system/audit/export")
@allow(*READS)
async def export(request: web.Request) -> web.Response:
    """A few lines at once; more become a request for a second person."""
    session, who, now = session_of(request), signed(request).userid, now_of(request)
    sent = await request.post()
    wanted = wanted_of(sent)
    extent = await audit_export.extent_of(session, wanted)
    if extent.rows <= audit_export.ALONE:
        names = await actor_names(session)
        data = await audit_export.taken(session, wanted, extent.last_entry, names, by=who, now=now)
        return _file(data)
    reason = str(sent.get("reason", "")).strip()
    outcome = await audit_export.ask(session, wanted, reason, by=who, now=now)
    if isinstance(outcome, str):
        return see_other(f"/system/audit?{wanted.query}&done={quote(outcome)}")
    return see_other("/system/audit/exports?done=已提交，等待另一位同事同意")


@routes.post("/system/audit/exports/{id}/file")
@allow(*READS)
async def file(request: web.Request) -> web.Response:
    """The lines that were agreed to, for the person who asked."""
    session, who, now = session_of(request), signed(request).userid, now_of(request)
    asked = await session.get(ExportRequest, _id(request))
    if asked is None or not audit_export.may_fetch(asked, who, now):
        raise web.HTTPNotFound
    return _file(await audit_export.fetch(session, asked, await actor_names(session), now))


@routes.post("/system/audit/exports/{id}/{verdict}")
@allow(*READS)
async def decide(request: web.Request) -> web.Response:
    """Another person than the one who asked agrees or refuses."""
    session, who, now = session_of(request), signed(request).userid, now_of(request)
    verdict = request.match_info["verdict"]
    if verdict not in ("agree", "refuse"):
        raise web.HTTPNotFound
    agreed = verdict == "agree"
    wrong = await audit_export.decide(session, _id(request), agreed, by=who, now=now)
    done = wrong or ("已同意，申请人可在 7 天内下载" if agreed else "已拒绝")
    return see_other(f"/system/audit/exports?done={quote(done)}")


def _id(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["id"])
    except ValueError:
        raise web.HTTPNotFound from None


def _file(data: bytes) -> web.Response:
    return web.Response(
        body=data,
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": 'attachment; filename="audit.csv"'},
    )


# ------------------------------------------------------------------------------ terms


@dataclass(frozen=True)
class Kept:
    """A class of records and how long it is kept here."""

    term: Term
    length: int


@dataclass(frozen=True)
class TermsPage:
    """`/system/audit/terms`: how long which records are kept, and why."""

    kept: list[Kept]
    raw_body_days: int


@routes.get("/system/audit/terms")
@allow(*READS)
async def terms(request: web.Request) -> web.Response:
    """How long which records are kept."""
    settings = request.app[SETTINGS]
    kept = [Kept(term, _length(settings, term)) for term in TERMS]
    return page(request, "bot/audit_terms.html", TermsPage(kept, settings.raw_body_days))


def _length(settings: Settings, term: Term) -> int:
    return int(getattr(settings, term.setting))
