"""The RM's sidebar beside a chat: what to say, approved material, the customer, today's tasks."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from yarl import URL

from bank.bells import BELLS
from bank.models import Role, Staff
from bot.chat import conversations
from bot.chat.nudging import nudges
from bot.models import Message
from compliance.suitability import needs_notice
from content import library, sendable
from content.sendable import Sendable
from customers import book, care
from customers.models import Customer, Follow, Stage
from desk.keys import SESSIONS, SETTINGS, WECOM
from desk.permissions import allow, streaming
from desk.render import fragment, page, see_other
from desk.signed import now_of, session_of, signed
from knowledge import suggestions
from knowledge.models import Suggestion, SuggestionState
from knowledge.writer import QUOTING
from outbound import stops
from outbound.facts import Facts
from outbound.models import ModelStop
from scheduler import touch_reading
from wecom.channels import Channel
from wecom.errors import WeComError
from wecom.jssdk import AgentConfig, agent_config

routes = web.RouteTableDef()

SIDEBAR = allow(Role.RM, place="sidebar")
APIS = ("getContext", "getCurExternalContact", "getCurExternalChat", "sendChatMessage")
STILL_EDITING = timedelta(minutes=30)
TABS = (
    ("suggest", "推荐"),
    ("scripts", "话术"),
    ("materials", "素材"),
    ("profile", "画像"),
    ("tasks", "任务"),
)
REJECT_REASONS = ("答非所问", "语气不合适", "内容过时", "客户情况不符", "其他")


@dataclass(frozen=True)
class SidebarPage:
    """`/sidebar`: the frame; its script asks WeCom who the customer is, then loads the rest."""

    agent_config: str  # JSON for wx.agentConfig; empty where WeCom gave no ticket
    jssdk_url: str  # the platform's bridge


@dataclass(frozen=True)
class Chat:
    """The head of every tab: whom the chat is with."""

    customer: Customer
    follow: Follow | None
    facts: book.CustomerFacts
    tab: str
    tabs: tuple[tuple[str, str], ...] = TABS
    stages: tuple[Stage, ...] = tuple(Stage)


@dataclass(frozen=True)
class Risky:
    """What may not be recommended to this customer: its name and risk level."""

    name: str
    rating: int


@dataclass(frozen=True)
class SuggestTab:
    """`推荐`: the newest suggestions, each with its sources and what stands against it."""

    chat: Chat
    suggestions: list[Suggestion]
    last_question: Message | None
    marketing_left: int  # marketing touches this customer may still get this month
    complains: bool  # a complaint is open: nobody advertises to them
    certificate: str  # what stands against selling; empty with a valid certificate
    marks: bool  # whether what a model drafted is marked as made by AI
    usable: dict[UUID, library.LibraryDocument]  # suggestion that may be sent now → its material
    risks: dict[UUID, int]  # … → the highest risk level of all it is made of
    attached: dict[UUID, list[Sendable]]  # suggestion → what is sent beside its text
    notices: frozenset[UUID]  # suggestions that need the special notice to the elderly first
    until: dict[str, datetime | None]  # cited version → the end of its validity
    risky: dict[UUID, Risky]  # suggestions whose material is too risky for the customer by now
    stopped: frozenset[UUID]  # drafts of a model that may not be sent while models are stopped
    model_stop: ModelStop | None
    since: str  # the moment of the bells before anything of this was read
    reject_reasons: tuple[str, ...] = REJECT_REASONS


@dataclass(frozen=True)
class TasksTab:
    """`任务`: SOP touches of this customer that wait for the RM, and those that come."""

    chat: Chat
    waiting: list[touch_reading.TouchLine]
    coming: list[touch_reading.TouchLine]


@dataclass(frozen=True)
class Nobody:
    """Shown instead of a customer: why, and what to do."""

    title: str
    hint: str
    tabs: tuple[tuple[str, str], ...] = field(default=())


@routes.get("/sidebar")
@SIDEBAR
async def frame(request: web.Request) -> web.Response:
    """The page WeCom opens; signed for its own address so that the bridge lets it in."""
    settings = request.app[SETTINGS]
    # All RMs of the simulator share one browser: whoever opened the chat signs in.
    if (
        settings.demo
        and request.query.get("demo", signed(request).userid) != signed(request).userid
    ):
        return see_other(str(URL("/sidebar/signin").with_query(next=request.path_qs)))
    address = str(URL(settings.public_url).join(URL(request.path_qs)))
    try:
        config = await _config(request, address)
    except WeComError:
        config = ""
    return page(request, "sidebar/frame.html", SidebarPage(config, settings.wecom_jssdk_url))


async def _config(request: web.Request, address: str) -> str:
    settings = request.app[SETTINGS]
    made: AgentConfig = agent_config(
        corp_id=settings.wecom_corp_id,
        agent_id=settings.wecom_agent_id,
        ticket=await request.app[WECOM].tickets.agent(),
        nonce=secrets.token_hex(8),
        timestamp=int(now_of(request).timestamp()),
        url=address,
        apis=APIS,
    )
    return made.json()


async def chat_of(request: web.Request, tab: str = "suggest") -> Chat | None:
    """The chat named in the address, if its customer is this RM's own, whatever else they see."""
    known = await _followed(request, session_of(request))
    return Chat(known.customer, known.follow, known.facts, tab) if known else None


async def _followed(request: web.Request, session: AsyncSession) -> book.Followed | None:
    contact = col(Customer.external_userid) == request.match_info["contact"]
    return await book.followed(session, signed(request).id, contact, now_of(request))


def not_yours(request: web.Request) -> web.Response:
    """No customer of this RM: said in words, never a blank page."""
    nobody = Nobody(
        "这位联系人不在您的客户名单中",
        "可能还没有同步，或已移交给其他客户经理。请稍后重新打开，或联系管理员核对客户归属。",
    )
    return fragment(request, "sidebar/_nobody.html", nobody)


@routes.get("/sidebar/{contact}/suggest")
@SIDEBAR
async def suggest_tab(request: web.Request) -> web.Response:
    """What to say now."""
    chat = await chat_of(request)
    if chat is None:
        return not_yours(request)
    return fragment(request, "sidebar/_chat.html", await suggest_context(request, chat))


@routes.get("/sidebar/{contact}/suggestions")
@SIDEBAR
async def suggestion_list(request: web.Request) -> web.Response:
    """Only the cards, for the live refresh."""
    chat = await chat_of(request)
    if chat is None:
        return not_yours(request)
    return fragment(request, "sidebar/_suggestions.html", await suggest_context(request, chat))


async def suggest_context(request: web.Request, chat: Chat) -> SuggestTab:
    """The newest suggestions of a chat and the question they answer."""
    session, now, who = session_of(request), now_of(request), signed(request)
    since = request.app[BELLS].mark
    newest = await suggestions.open_for(session, who.id, chat.customer.id)
    lines = await conversations.latest(session, who.id, chat.customer.id, 10)
    asked = [line for line in lines if line.speaker == "customer"]
    left = await touch_reading.marketing_left(session, chat.customer.id, request.app[SETTINGS], now)
    shown = _worth_showing(newest)
    usable, stop = await _usable(session, shown, chat, now), await stops.current(session)
    settings = request.app[SETTINGS]
    # What is not shown as sendable needs no details.
    stopped = frozenset(s.id for s in shown if stop and s.id in usable and worded_by_model(s))
    usable = {key: document for key, document in usable.items() if key not in stopped}
    risks = {key: max(each.risk for each in documents) for key, documents in usable.items()}
    return SuggestTab(
        chat=chat,
        suggestions=shown,
        last_question=asked[-1] if asked else None,
        marketing_left=left,
        complains=await care.complains(session, chat.customer.id),
        certificate=await against_selling(session, who.id, now),
        marks=settings.ai_label,
        usable={key: documents[0] for key, documents in usable.items()},
        risks=risks,
        attached=await _attached(session, [s for s in shown if s.id in usable]),
        notices=frozenset(k for k, risk in risks.items() if needs_notice(chat.facts.age, risk)),
        until={
            str(document.version_id): document.valid_until
            for documents in usable.values()
            for document in documents
        },
        risky=await _risky(session, [s for s in shown if s.id not in usable], chat),
        stopped=stopped,
        model_stop=stop,
        since=since,
    )


def worded_by_model(suggestion: Suggestion) -> bool:
    """Whether a model has worded it."""
    return suggestion.writer not in (QUOTING, "")


async def _attached(session: AsyncSession, shown: list[Suggestion]) -> dict[UUID, list[Sendable]]:
    """What is sent beside the text of each, in its order."""
    wanted = {s.id: suggestions.attached_versions(s) for s in shown}
    found = await sendable.of_versions(session, [one for ids in wanted.values() for one in ids])
    return {key: [found[one] for one in ids if one in found] for key, ids in wanted.items()}


async def against_selling(session: AsyncSession, staff_id: UUID, now: datetime) -> str:
    """Without a valid certificate an RM passes on investor education, and nothing else (C-34)."""
    facts = Facts(staff=await session.get_one(Staff, staff_id))
    return "" if facts.certified(now) else facts.uncertified()


async def _usable(
    session: AsyncSession, shown: list[Suggestion], chat: Chat, now: datetime
) -> dict[UUID, list[library.LibraryDocument]]:
    """The suggestions all of whose sources this customer may get now; the main one comes first."""
    offered = [s for s in shown if s.state is SuggestionState.OFFERED]
    found = await library.usable(
        session,
        {version for s in offered for version in suggestions.cited_versions(s)},
        now=now,
        channel=Channel.SINGLE_CHAT.value,
        branch_id=chat.facts.branch_id,
        risk_ceiling=chat.facts.risk_ceiling,
    )
    documents = {document.version_id: document for document in found}
    return {
        s.id: [
            documents[s.version_id],
            *(documents[one] for one in suggestions.cited_versions(s) if one != s.version_id),
        ]
        for s in offered
        if s.version_id is not None and suggestions.cited_versions(s) <= documents.keys()
    }


async def _risky(
    session: AsyncSession, unusable: list[Suggestion], chat: Chat
) -> dict[UUID, Risky]:
    """Of what may not be sent now, that whose product is above what the customer may bear."""
    gone = (SuggestionState.OFFERED, SuggestionState.WITHDRAWN)
    asked = {s.id: suggestions.cited_versions(s) for s in unusable if s.state in gone}
    if not (wanted := set().union(*asked.values())):
        return {}
    # The riskiest comes last, and is the one that is named.
    found = sorted(await library.documents(session, wanted), key=lambda document: document.risk)
    return {
        key: Risky(document.title, document.risk)
        for key, cited in asked.items()
        for document in found
        if document.version_id in cited and document.risk > chat.facts.risk_ceiling
    }


def _worth_showing(newest: list[Suggestion]) -> list[Suggestion]:
    """All answers to the last question, what was sent, and what an RM may still be editing."""
    if not newest:
        return []
    last, done = newest[0], (SuggestionState.SENT, SuggestionState.EDITED)
    waiting = [s for s in newest if s.state is SuggestionState.OFFERED]
    earlier = [s for s in waiting if s.question_key != last.question_key]
    kept = [s.id for s in earlier if last.created_at - s.created_at < STILL_EDITING][:2]
    return [
        s for s in newest if s.question_key == last.question_key or s.state in done or s.id in kept
    ]


@routes.get("/sidebar/{contact}/tasks")
@SIDEBAR
async def tasks_tab(request: web.Request) -> web.Response:
    """What waits for the RM with this customer."""
    chat = await chat_of(request, "tasks")
    if chat is None:
        return not_yours(request)
    session, who = session_of(request), signed(request)
    lines = await touch_reading.of_chat(session, who.id, chat.customer.id)
    waiting = [line for line in lines if line.state.value == "handed"]
    coming = [line for line in lines if line.state.value == "planned"]
    return fragment(request, "sidebar/_chat.html", TasksTab(chat, waiting, coming))


@routes.get("/sidebar/{contact}/stream")
@streaming
@SIDEBAR
async def stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events: a nudge whenever this chat's suggestions or their material changed.

    It ends with the relation: whoever ends one rings, and every nudge asks whether it still stands.
    """
    customer = await own_customer(request)
    if customer is None:
        raise web.HTTPNotFound

    async def stands() -> bool:
        return await own_customer(request) is not None

    return await nudges(request, suggestions.BELL, f"{customer}:{signed(request).id}", stands)


async def own_customer(request: web.Request) -> UUID | None:
    """The RM's own customer of the address, in a transaction apart: a stream has none."""
    async with request.app[SESSIONS]() as session:
        known = await _followed(request, session)
        return known.customer.id if known else None
