"""The sidebar beside a customer group: what was asked and waits, and the group's portrait."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from aiohttp import web

from bank.calendar import local_day
from bot.chat import group_messages
from bot.chat.bridging import in_bubbles, parts_of, stock_of
from bot.chat.group_messages import ReplyInGroup
from bot.chat.group_sidebar import GroupChat, chat_of, group_of, not_yours
from bot.chat.nudging import nudges
from bot.chat.sidebar import SIDEBAR
from bot.groups import portrait, questions, rows
from bot.groups.models import GroupQuestion, QuestionState
from bot.groups.portrait import DAYS, Portrait
from bot.groups.rows import Line
from customers import group_seats
from customers.models import CustomerGroup
from desk.ids import given_id
from desk.keys import SESSIONS, SETTINGS
from desk.permissions import streaming
from desk.render import fragment
from desk.signed import now_of, session_of, signed
from knowledge.indexing import LIBRARY_INDEX
from outbound import check
from outbound.check import Cleared
from outbound.facts import policy_of

routes = web.RouteTableDef()

# Open questions stay for three days; what is settled is shown on its own day.
DAYS_SHOWN = 3
AT_ONCE = 12
NOT_OPEN = "这个问题已标记为“{state}”，请刷新后再看。"
NO_WORDS = "这个问题没有可以发送的已审批内容。"


@dataclass(frozen=True)
class Card:
    """An open question, and what stands against its answer now."""

    line: Line
    reasons: list[str]


@dataclass(frozen=True)
class GroupQuestions:
    """`待回答`: open questions with drafts, and what was settled today."""

    chat: GroupChat
    cards: list[Card]
    more: int  # open ones that are not shown
    settled: list[Line]
    archived: bool
    seen: str  # names this state of the list, so that nothing is swapped for the same


@dataclass(frozen=True)
class GroupPortrait:
    """`群画像`."""

    chat: GroupChat
    portrait: Portrait
    days: int = DAYS


@routes.get("/sidebar/groups/{chat_id}/questions")
@SIDEBAR
async def question_tab(request: web.Request) -> web.Response:
    """What was asked in this group and waits for an answer; 204 while nothing has changed."""
    group = await group_of(request)
    if group is None:
        return not_yours(request)
    context = await _context(request, group)
    if request.query.get("seen") == context.seen:
        return web.Response(status=204)
    return fragment(request, "sidebar/_group_questions.html", context)


@routes.get("/sidebar/groups/{chat_id}/stream")
@streaming
@SIDEBAR
async def stream(request: web.Request) -> web.StreamResponse:
    """A nudge whenever a question of this group or the library has changed."""
    group = await _mine(request)
    if group is None:
        raise web.HTTPNotFound

    async def stands() -> bool:
        return await _mine(request) is not None

    return await nudges(request, questions.BELL, str(group.id), stands)


async def _mine(request: web.Request) -> CustomerGroup | None:
    """The group of the address in a transaction of its own, which a stream does not have."""
    async with request.app[SESSIONS]() as session:
        return await group_seats.group_of(session, signed(request), request.match_info["chat_id"])


@routes.get("/sidebar/groups/{chat_id}/portrait")
@SIDEBAR
async def portrait_tab(request: web.Request) -> web.Response:
    """Who is in the group, what moves them, who speaks."""
    group = await group_of(request)
    if group is None:
        return not_yours(request)
    found = await portrait.of(session_of(request), signed(request), group, now_of(request))
    chat = await chat_of(request, group, "portrait")
    return fragment(request, "sidebar/_group_portrait.html", GroupPortrait(chat, found))


@routes.post("/sidebar/groups/{chat_id}/questions/{key}/clear")
@SIDEBAR
async def clear(request: web.Request) -> web.Response:
    """The last check before the answer goes into the group; answers the bubbles to send."""
    found = await _asked(request)
    if found is None:
        return _refused(group_messages.ANOTHER)
    group, question = found
    if question.state is not QuestionState.OPEN:
        return _refused(NOT_OPEN.format(state=question.state.label))
    if not question.draft:
        return _refused(NO_WORDS)
    session, now = session_of(request), now_of(request)
    it, policy = _reply(request, group, question), policy_of(request.app[SETTINGS])
    answer = await group_messages.clear(session, it, stock_of(request), policy, now)
    if isinstance(answer, Cleared):
        return await in_bubbles(request, answer)
    return _refused(*answer.reasons)


@routes.post("/sidebar/groups/{chat_id}/questions/{key}/sent")
@SIDEBAR
async def sent(request: web.Request) -> web.Response:
    """WeCom's bridge says that the answer is in the group."""
    group, question = await _theirs(request)
    session, who, now = session_of(request), signed(request), now_of(request)
    parts = parts_of(await request.post())
    row = await group_messages.mark_sent(session, question.id, group, parts, who, now)
    if row is None:
        raise web.HTTPNotFound
    await questions.answered(session, question, who.userid, now)
    return await _shown(request, group)


@routes.post("/sidebar/groups/{chat_id}/questions/{key}/settle")
@SIDEBAR
async def settle(request: web.Request) -> web.Response:
    """Answered by hand, needs no answer, or open after all."""
    group, question = await _theirs(request)
    wanted = str((await request.post()).get("state", ""))
    if wanted not in list(QuestionState):
        raise web.HTTPBadRequest
    session, state = session_of(request), QuestionState(wanted)
    await questions.settle(session, question, state, signed(request), now_of(request))
    return await _shown(request, group)


@routes.post("/sidebar/groups/{chat_id}/questions/{key}/again")
@SIDEBAR
async def again(request: web.Request) -> web.Response:
    """Look for approved words once more."""
    group, question = await _theirs(request)
    session, level = session_of(request), request.app[SETTINGS].group_product_level
    index = request.app[LIBRARY_INDEX]
    await questions.draft_again(session, group, question, index, level, now_of(request))
    return await _shown(request, group)


async def _asked(request: web.Request) -> tuple[CustomerGroup, GroupQuestion] | None:
    group = await group_of(request)
    if group is None:
        return None
    key = given_id(request.match_info["key"])
    question = await questions.of_group(session_of(request), group, key)
    return (group, question) if question else None


async def _theirs(request: web.Request) -> tuple[CustomerGroup, GroupQuestion]:
    """The question of the address; one of another group is as if there were none."""
    found = await _asked(request)
    if found is None:
        raise web.HTTPNotFound
    return found


def _refused(*reasons: str) -> web.Response:
    return web.json_response({"refused": list(reasons)})


def _reply(request: web.Request, group: CustomerGroup, question: GroupQuestion) -> ReplyInGroup:
    return ReplyInGroup(
        key=question.id,
        group=group,
        text=question.draft,
        version_id=question.version_id,
        position=question.position,
        by=signed(request),
    )


async def _shown(request: web.Request, group: CustomerGroup) -> web.Response:
    context = await _context(request, group)
    return fragment(request, "sidebar/_group_questions.html", context)


async def _context(request: web.Request, group: CustomerGroup) -> GroupQuestions:
    session, today = session_of(request), local_day(now_of(request))
    lines = await rows.since(session, group, today - timedelta(days=DAYS_SHOWN - 1))
    waiting = [line for line in lines if line.is_open]
    settled = [line for line in lines if not line.is_open and line.question.day == today]
    cards = [Card(line, await _against(request, group, line)) for line in waiting[:AT_ONCE]]
    return GroupQuestions(
        chat=await chat_of(request, group, "questions"),
        cards=cards,
        more=len(waiting) - len(cards),
        settled=settled,
        archived=await portrait.archived(session, group),
        seen=_state_of(cards, settled),
    )


async def _against(request: web.Request, group: CustomerGroup, line: Line) -> list[str]:
    """What the check would say now; nothing is written down."""
    if not line.question.draft:
        return []
    session, now = session_of(request), now_of(request)
    it = _reply(request, group, line.question)
    saying = await group_messages.saying_of(session, it, stock_of(request), now)
    if isinstance(saying, group_messages.Refused):
        return list(saying.reasons)
    answer = await check.check(session, saying, policy_of(request.app[SETTINGS]), now)
    return list(answer.reasons) if isinstance(answer, check.Refused) else []


def _state_of(cards: list[Card], settled: list[Line]) -> str:
    shown = [(_key(card.line), card.reasons) for card in cards]
    whole = repr((shown, [_key(line) for line in settled]))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _key(line: Line) -> tuple[UUID, str, int, str, str]:
    one = line.question
    return one.id, one.state.value, line.times, one.draft, line.answer
