"""What an RM does in the sidebar: ask, send, edit, reject, ask for another, pick a material."""

from uuid import uuid4

from aiohttp import web
from sqlmodel import col, select

from bank import audit
from bot.chat import hearing
from bot.chat.bridging import in_bubbles, parts_of, stock_of
from bot.chat.sidebar import SIDEBAR, Chat, chat_of, not_yours, suggest_context
from customers import book
from customers.models import Customer
from desk.ids import given_id
from desk.keys import SETTINGS
from desk.render import fragment
from desk.signed import now_of, session_of, signed
from knowledge import picking, replies, suggestions
from knowledge.cases import Question
from knowledge.indexing import LIBRARY_INDEX
from knowledge.models import Suggestion
from knowledge.suggestions import Refused
from knowledge.writer import WRITER
from outbound.check import Cleared
from outbound.facts import policy_of
from outbound.models import OutboundMessage

routes = web.RouteTableDef()


@routes.post("/sidebar/{contact}/ask")
@SIDEBAR
async def ask(request: web.Request) -> web.Response:
    """Without an archive the RM types or pastes what the customer asked."""
    chat = await chat_of(request)
    if chat is None:
        return not_yours(request)
    text = str((await request.post()).get("question", "")).strip()
    if not text:
        return says(["请先输入客户的问题。"])
    session, who, key = session_of(request), signed(request), f"typed:{uuid4()}"
    # The turns of the archive, and what the RM typed before: both may be what this follows up.
    turns = await hearing.turns_so_far(session, who.id, chat.customer.id, text, now_of(request))
    words = hearing.Words(key, text, chat.customer.id, who.id)
    await hearing.note(session, words, now_of(request))
    await _suggest(request, Question(key, text, who.id, turns=turns), chat)
    return fragment(request, "sidebar/_suggestions.html", await suggest_context(request, chat))


@routes.post("/sidebar/{contact}/pick")
@SIDEBAR
async def pick(request: web.Request) -> web.Response:
    """A material chosen from the lists becomes a reply that can be edited and sent."""
    chat = await chat_of(request)
    if chat is None:
        return not_yours(request)
    form = await request.post()
    who, version_id = signed(request).id, given_id(str(form.get("version", "")))
    question = Question(f"picked:{uuid4()}", str(form.get("q", "")), who)
    generation = request.app[LIBRARY_INDEX].hybrid.generation
    made = await picking.pick(
        session_of(request), version_id, question, chat.facts, now_of(request), generation
    )
    if isinstance(made, Refused):
        return says(list(made.reasons))
    return fragment(request, "sidebar/_chat.html", await suggest_context(request, chat))


@routes.post("/sidebar/suggestions/{id}/clear")
@SIDEBAR
async def clear(request: web.Request) -> web.Response:
    """The last check before the tap reaches the customer; answers the exact text to send."""
    suggestion, _ = await own_suggestion(request)
    form = await request.post()
    text, opened_page = str(form.get("text", "")), str(form.get("page", ""))[:64]
    policy = policy_of(request.app[SETTINGS])
    notice = form.get("notice") == "on"
    outcome = await replies.clear(
        session_of(request),
        suggestion,
        text,
        policy,
        now_of(request),
        opened_page,
        stock=stock_of(request),
        notice=notice,
    )
    if isinstance(outcome, Cleared):
        if notice:
            await note_notice(request, outcome)
        return await in_bubbles(request, outcome, renew=bool(form.get("again")))
    # 200 keeps what the check itself changed, such as a withdrawn source.
    return web.json_response({"refused": list(dict.fromkeys(outcome.reasons))})


@routes.post("/sidebar/suggestions/{id}/sent")
@SIDEBAR
async def sent(request: web.Request) -> web.Response:
    """WeCom's bridge says what is in the chat: everything, or the first `parts` bubbles."""
    suggestion, chat = await own_suggestion(request)
    form = await request.post()
    await replies.mark_sent(
        session_of(request),
        suggestion,
        by=signed(request).userid,
        now=now_of(request),
        parts=parts_of(form) if "parts" in form else None,
    )
    return fragment(request, "sidebar/_suggestions.html", await suggest_context(request, chat))


@routes.post("/sidebar/suggestions/{id}/reject")
@SIDEBAR
async def reject(request: web.Request) -> web.Response:
    """It does not fit, and why."""
    suggestion, chat = await own_suggestion(request)
    reason = str((await request.post()).get("reason", ""))
    refused = await replies.reject(
        session_of(request), suggestion, reason, by=signed(request).userid, now=now_of(request)
    )
    if refused is not None:
        return says(list(refused.reasons))
    return fragment(request, "sidebar/_suggestions.html", await suggest_context(request, chat))


@routes.post("/sidebar/suggestions/{id}/take")
@SIDEBAR
async def take(request: web.Request) -> web.Response:
    """换写法: one of the other drafts takes the place of the one shown."""
    suggestion, chat = await own_suggestion(request)
    number = str((await request.post()).get("number", ""))
    wanted = int(number) if number.isascii() and number.isdigit() and len(number) < 3 else -1
    refused = await replies.take(session_of(request), suggestion, wanted)
    if refused is not None:
        return says(list(refused.reasons))
    return fragment(request, "sidebar/_suggestions.html", await suggest_context(request, chat))


@routes.post("/sidebar/suggestions/{id}/another")
@SIDEBAR
async def another(request: web.Request) -> web.Response:
    """换一条: the same question from other material."""
    suggestion, chat = await own_suggestion(request)
    question = await suggestions.next_variant(session_of(request), suggestion)
    await _suggest(request, question, chat)
    return fragment(request, "sidebar/_suggestions.html", await suggest_context(request, chat))


async def _suggest(request: web.Request, question: Question, chat: Chat) -> None:
    await suggestions.suggest(
        session_of(request),
        question,
        chat.facts,
        index=request.app[LIBRARY_INDEX],
        writer=request.app[WRITER],
        now=now_of(request),
    )


async def note_notice(request: web.Request, cleared: Cleared) -> None:
    """The RM says that this customer was told what people of 65 or more must be told (C-07)."""
    session = session_of(request)
    row = await session.get_one(OutboundMessage, cleared.message_id)
    if row.special_notice:
        by, now = signed(request).userid, now_of(request)
        audit.record(
            session, "outbound:special_notice:confirm", row.id, by=by, now=now,
            level=f"R{row.product_level}",
        )  # fmt: skip


async def own_suggestion(request: web.Request) -> tuple[Suggestion, Chat]:
    """The suggestion, if it was made for this RM and the customer is still theirs; else 404."""
    session, who, now = session_of(request), signed(request), now_of(request)
    wanted = given_id(request.match_info["id"])
    query = select(Suggestion).where(Suggestion.id == wanted, Suggestion.staff_id == who.id)
    suggestion = (await session.execute(query.with_for_update())).scalar_one_or_none()
    if suggestion is None:
        raise web.HTTPNotFound
    whose = col(Customer.id) == suggestion.customer_id
    known = await book.followed(session, who.id, whose, now)
    if known is None:
        raise web.HTTPNotFound
    return suggestion, Chat(known.customer, known.follow, known.facts, "suggest")


def says(reasons: list[str]) -> web.Response:
    """A refusal in words, for the toast; 422 rolls back and htmx shows it."""
    return web.Response(status=422, text="\n".join(reasons))
