"""阶段 in the head of the sidebar: the RM says where the relation stands, and why."""

from dataclasses import dataclass

from aiohttp import web

from bot.chat.sidebar import SIDEBAR, Chat, chat_of
from customers import stages
from customers.models import Stage
from desk.render import fragment
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()


@dataclass(frozen=True)
class HeadPart:
    """Fragment: the head as it is now; with what is wrong, its sheet is open."""

    chat: Chat
    wrong: dict[str, str]  # field → what is wrong
    stage: str  # as chosen
    note: str  # as typed


@routes.post("/sidebar/{contact}/stage")
@SIDEBAR
async def change_stage(request: web.Request) -> web.Response:
    """Where the relation with this customer stands from now on, with the reason."""
    chat = await chat_of(request)
    if chat is None:
        raise web.HTTPNotFound
    form = await request.post()
    chosen, note = str(form.get("stage", "")), str(form.get("note", "")).strip()
    stage = Stage(chosen) if chosen in list(Stage) else None
    by, now = signed(request).userid, now_of(request)
    wrong = stages.change(session_of(request), chat.customer, stage, note, by=by, now=now)
    if wrong:
        part = HeadPart(chat, wrong, chosen, note)
        return fragment(request, "sidebar/_head_now.html", part)
    part = HeadPart(chat, {}, "", "")
    return fragment(request, "sidebar/_head_now.html", part, done="阶段已更新")
