"""推荐回复 and 索引与匹配: what was suggested and why, and what can be found."""

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy import func, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from bank.models import Role, Staff
from content import library
from content.models import Material, Version
from customers.book import visible
from customers.models import Customer
from desk.ids import given_id, id_of
from desk.permissions import allow
from desk.render import fragment, page
from desk.signed import now_of, session_of, signed
from knowledge import matches, quality
from knowledge.hybrid import Audience, Found
from knowledge.indexing import LIBRARY_INDEX
from knowledge.intents import Intent
from knowledge.models import ContentGap, GapQuestion, MatchRun, Suggestion, SuggestionState
from outbound import records
from outbound.models import OutboundMessage
from wecom.channels import Channel

routes = web.RouteTableDef()

PAGE = 20
FILTERS = ("q", "state", "days", "material", "gap", "rm", "intent", "week", "reason", "made")
KEPT = ("rm", "week", "reason", "made")
DAYS = {str(days): timedelta(days=days) for days in (7, 30, 90)}
SEES_SUGGESTIONS = (Role.RM, Role.BRANCH_MANAGER, Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
SEES_INDEX = (Role.EDITOR, Role.APPROVER, Role.COMPLIANCE, Role.AUDITOR, Role.HQ)


@dataclass(frozen=True)
class SuggestionRow:
    """A line of the list."""

    suggestion: Suggestion
    customer: str
    rm: str


@dataclass(frozen=True)
class SuggestionList:
    """`/suggestions`: what was suggested to whom, within one's own customers."""

    rows: list[SuggestionRow]
    text: str  # part of a customer's or RM's name, or of the question
    state: str
    days: str  # only the last so many days; empty: all
    material: str  # title, when filtered by material
    material_id: str
    narrowed: list[
        tuple[str, str]
    ]  # what a number of 推荐质量 narrows the list to, kept by the form
    narrowed_by: list[str]  # the same in words
    intent: str
    intents: list[tuple[str, str]]
    gap: str  # question, when filtered by content gap
    gap_id: str
    query: str  # everything but the page, for the pager
    total: int
    number: int
    pages: int
    states: list[tuple[str, str]]


@dataclass(frozen=True)
class Replay:
    """`/suggestions/{id}`: why it was what it was."""

    suggestion: Suggestion
    customer: str
    rm: str
    attempts: list[OutboundMessage]  # what the RM tried to send of it, oldest first


@dataclass(frozen=True)
class Tried:
    """One hit of a trial search."""

    document: library.LibraryDocument
    score: float
    lexical: float
    dense: float
    matched_text: str


HELD_BY = {"flat": "本机逐条", "ivf": "本机分区", "pgvector": "数据库"}


@dataclass(frozen=True)
class IndexPage:
    """`/knowledge`: how far the index has caught up, the newest match run, a trial search."""

    seq: int
    newest: int
    generation: str
    documents: int
    encoder: str
    run: MatchRun | None
    held_by: list[tuple[str, int]]
    text: str
    risk: int
    tier: str
    confidence: float
    hits: list[Tried]

    @property
    def vectors(self) -> str:
        """Where vectors are searched, in words."""
        return "、".join(f"{HELD_BY[kind]} {rows:,} 条" for kind, rows in self.held_by)


@routes.get("/suggestions")
@allow(*SEES_SUGGESTIONS)
async def suggestion_list(request: web.Request) -> web.Response:
    """Suggestions for the customers one may see, newest first."""
    session, query = session_of(request), _wanted(request)
    total = (await session.execute(select(func.count()).select_from(query.subquery()))).scalar_one()
    pages = max(1, -(-total // PAGE))
    asked = request.query.get("page", "1")
    number = min(max(1, int(asked)), pages) if asked.isascii() and asked.isdigit() else 1
    newest = (
        query.order_by(col(Suggestion.created_at).desc()).limit(PAGE).offset((number - 1) * PAGE)
    )
    found = [SuggestionRow(s, name, rm) for s, name, rm in (await session.execute(newest))]
    kept = {name: request.query.get(name, "") for name in FILTERS}
    title = await _title(session, kept["material"])
    gap = await session.get(ContentGap, gap_id) if (gap_id := id_of(kept["gap"])) else None
    context = SuggestionList(
        rows=found,
        text=kept["q"],
        state=kept["state"],
        days=kept["days"],
        material=title,
        material_id=kept["material"] if title else "",
        narrowed=[(name, kept[name]) for name in KEPT if kept[name]],
        narrowed_by=await _narrowed_by(session, kept),
        intent=kept["intent"],
        intents=[("", "全部意图")] + [(i.value, i.label) for i in Intent],
        gap=gap.question if gap else "",
        gap_id=kept["gap"] if gap else "",
        query=urlencode({name: value for name, value in kept.items() if value}),
        total=total,
        number=number,
        pages=pages,
        states=[("", "全部状态")] + [(s.value, s.label) for s in SuggestionState],
    )
    return page(request, "knowledge/suggestions.html", context)


def _wanted(request: web.Request) -> Select[Suggestion, str, str]:
    query = (
        select(Suggestion, col(Customer.name), col(Staff.name))
        .join(Customer, col(Customer.id) == col(Suggestion.customer_id))
        .join(Staff, col(Staff.id) == col(Suggestion.staff_id))
        .where(visible(signed(request)))
    )
    state, material = request.query.get("state", ""), request.query.get("material", "")
    if state in list(SuggestionState):
        query = query.where(Suggestion.state == SuggestionState(state))
    if material_id := id_of(material):
        query = query.where(col(Suggestion.version_id).in_(_versions(material_id)))
    if gap_id := id_of(request.query.get("gap", "")):
        asked = select(GapQuestion.suggestion_id).where(GapQuestion.gap_id == gap_id)
        query = query.where(col(Suggestion.id).in_(asked))
    query = query.where(*quality.narrowed(request.query))
    if (days := request.query.get("days", "")) in DAYS:
        query = query.where(col(Suggestion.created_at) >= now_of(request) - DAYS[days])
    if text := request.query.get("q", "").strip():
        sought = (Customer.name, Staff.name, Suggestion.question)
        query = query.where(or_(*(col(part).icontains(text, autoescape=True) for part in sought)))
    return query


async def _narrowed_by(session: AsyncSession, kept: dict[str, str]) -> list[str]:
    """What the list is narrowed to besides what the form shows."""
    rm_id = id_of(kept["rm"])
    rm = await session.get(Staff, rm_id) if rm_id else None
    told = [f"客户经理 {rm.name}"] if rm else []
    if re.fullmatch(r"\d{4}-\d\d-\d\d", kept["week"]):
        told.append(f"{kept['week']} 起的一周")
    if kept["reason"]:
        told.append(f"不合适的原因：{kept['reason']}")
    return told + (["系统依据素材给出的推荐"] if kept["made"] == "1" else [])


def _versions(material_id: UUID) -> SelectOfScalar[UUID]:
    return select(Version.id).where(Version.material_id == material_id)


async def _title(session: AsyncSession, material: str) -> str:
    material_id = id_of(material)
    found = await session.get(Material, material_id) if material_id else None
    return found.title if found else ""


@dataclass(frozen=True)
class OfCustomer:
    """Fragment for a customer's page: what was suggested for them."""

    customer_id: UUID
    rows: list[SuggestionRow]


@routes.get("/suggestions/customer/{id}")
@allow(*SEES_SUGGESTIONS)
async def of_customer(request: web.Request) -> web.Response:
    """The newest suggestions for one customer."""
    session, customer_id = session_of(request), given_id(request.match_info["id"])
    query = _wanted(request).where(Suggestion.customer_id == customer_id)
    newest = query.order_by(col(Suggestion.created_at).desc()).limit(PAGE)
    rows = [SuggestionRow(*row) for row in (await session.execute(newest))]
    return fragment(request, "knowledge/_of_customer.html", OfCustomer(customer_id, rows))


@routes.get("/suggestions/{id}")
@allow(*SEES_SUGGESTIONS)
async def replay(request: web.Request) -> web.Response:
    """Candidates, what each filter did, scores, draft, findings, what the RM did."""
    session, wanted = session_of(request), given_id(request.match_info["id"])
    query = (
        select(Suggestion, Customer.name, Staff.name)
        .join(Customer, col(Customer.id) == col(Suggestion.customer_id))
        .join(Staff, col(Staff.id) == col(Suggestion.staff_id))
        .where(Suggestion.id == wanted, visible(signed(request)))
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise web.HTTPNotFound
    attempts = await records.of_source(session, "suggestion", found[0].id)
    return page(request, "knowledge/replay.html", Replay(*found, attempts))


@routes.get("/knowledge")
@allow(*SEES_INDEX)
async def index_page(request: web.Request) -> web.Response:
    """How far the index is, and what it finds for a sentence."""
    session, index = session_of(request), request.app[LIBRARY_INDEX]
    text = request.query.get("q", "").strip()[:500]
    wanted = request.query.get("risk", "")
    risk = int(wanted) if re.fullmatch("[0-5]", wanted) else 5
    found, hits = await _try(request, text, risk) if text else (None, [])
    context = IndexPage(
        seq=index.seq,
        newest=await library.newest_seq(session),
        generation=index.hybrid.generation,
        documents=len(index.hybrid),
        encoder=index.encoder.name,
        run=await matches.last_run(session),
        held_by=index.hybrid.held_by,
        text=text,
        risk=risk,
        tier=found.tier if found else "",
        confidence=found.confidence if found else 0.0,
        hits=hits,
    )
    return page(request, "knowledge/index.html", context)


async def _try(request: web.Request, text: str, risk: int) -> tuple[Found, list[Tried]]:
    session, now = session_of(request), now_of(request)
    audience = Audience(now, Channel.SINGLE_CHAT.value, None, risk)
    found = await asyncio.to_thread(request.app[LIBRARY_INDEX].hybrid.search, text, audience, 10)
    ids = [version_id for hit in found.hits if isinstance(version_id := hit.document, UUID)]
    documents = {d.version_id: d for d in await library.documents(session, ids)}
    hits = [
        Tried(documents[version_id], h.score, h.lexical, h.dense, h.matched_text)
        for h, version_id in zip(found.hits, ids, strict=True)
        if version_id in documents
    ]
    return found, hits
