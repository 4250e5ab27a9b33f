"""Sending 组合话术 from beside a chat: each of them with one tap, or one after another."""

from uuid import uuid4

from aiohttp import web

from bot.chat.sidebar import SIDEBAR, chat_of
from desk.ids import given_id
from desk.signed import now_of, session_of, signed
from knowledge import picking
from knowledge.cases import Question
from knowledge.indexing import LIBRARY_INDEX
from knowledge.models import SuggestionState
from knowledge.suggestions import Refused

routes = web.RouteTableDef()


@routes.post("/sidebar/{contact}/take")
@SIDEBAR
async def take(request: web.Request) -> web.Response:
    """A material of a series becomes a reply that is sent as it stands: where, and its words."""
    chat = await chat_of(request)
    if chat is None:
        raise web.HTTPNotFound
    version_id = given_id(str((await request.post()).get("version", "")))
    question = Question(f"picked:{uuid4()}", "", signed(request).id)
    generation = request.app[LIBRARY_INDEX].hybrid.generation
    made = await picking.pick(
        session_of(request), version_id, question, chat.facts, now_of(request), generation
    )
    if isinstance(made, Refused) or made.state is not SuggestionState.OFFERED:
        return web.json_response({"refused": list(made.reasons)})
    return web.json_response({"at": f"/sidebar/suggestions/{made.id}", "text": made.draft})
