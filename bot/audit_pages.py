"""系统 · 操作日志: the state of its chain, a check on demand, its lines as a file."""

from dataclasses import dataclass
from datetime import datetime

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit, audit_chain
from bank.audit_keeping import ask_check
from bank.models import AuditCheck, AuditLink, Role
from bank.retention import TERMS, Term
from bank.settings import Settings
from bot import audit_export, exports
from bot.audit_search import wanted_of
from bot.system import actor_names
from desk.downloads import ALONE, CSV, attachment
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


@routes.post("/system/audit/export")
@allow(*READS)
async def export(request: web.Request) -> web.Response:
    """A few lines at once; more become a request for a second person."""
    session, who, now = session_of(request), signed(request).userid, now_of(request)
    wanted = wanted_of(await request.post())
    extent = await audit_export.extent_of(session, wanted)
    if extent.rows <= ALONE:
        names = await actor_names(session)
        data = await audit_export.taken(session, wanted, extent.last_entry, names, by=who, now=now)
        return attachment("audit.csv", data, CSV)
    wish = audit_export.wish_for(wanted, extent)
    return await exports.asked_for(request, wish, f"/system/audit?{wanted.query}")


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
