"""What an RM puts beside a reply: pictures, films, files and cards from the approved library."""

from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from bot.chat.sidebar import SIDEBAR, suggest_context
from bot.chat.sidebar_actions import own_suggestion, says
from content import library, sendable
from content.files import FILES
from content.library import LibraryDocument
from content.models import StoredFile, Version
from content.phone import PICTURE
from content.sendable import SHAPES
from desk.ids import given_id
from desk.render import fragment
from desk.signed import now_of, session_of, signed
from knowledge import replies
from wecom.channels import Channel

routes = web.RouteTableDef()

LISTED = 12
# Whoever may send it may look at it; what may be sent is asked again then.
MAY_LOOK = (Channel.SINGLE_CHAT, Channel.GROUP)


@dataclass(frozen=True)
class Attachable:
    """Material that can be put beside a reply."""

    suggestion_id: UUID
    query: str
    documents: list[LibraryDocument]
    shapes: dict[UUID, str]  # version → what it is, in words


@routes.get("/sidebar/suggestions/{id}/attachable")
@SIDEBAR
async def attachable(request: web.Request) -> web.Response:
    """What this customer may get beside the text, searched by title."""
    suggestion, chat = await own_suggestion(request)
    query = request.query.get("q", "").strip()
    found = await library.live_documents(
        session_of(request),
        now_of(request),
        channel=Channel.SINGLE_CHAT.value,
        branch_id=chat.facts.branch_id,
        risk_ceiling=chat.facts.risk_ceiling,
    )
    wanted = [
        one
        for one in found
        if one.kind in SHAPES
        and str(one.version_id) not in suggestion.attached
        and query.lower() in one.title.lower()
    ][:LISTED]
    shapes = {one.version_id: SHAPES[one.kind].label for one in wanted}
    context = Attachable(suggestion.id, query, wanted, shapes)
    return fragment(request, "sidebar/_attachable.html", context)


@routes.post("/sidebar/suggestions/{id}/attach")
@SIDEBAR
async def attach(request: web.Request) -> web.Response:
    """Put one more beside the text."""
    return await _changed(request, taken_off=False)


@routes.post("/sidebar/suggestions/{id}/detach")
@SIDEBAR
async def detach(request: web.Request) -> web.Response:
    """Take one off again."""
    return await _changed(request, taken_off=True)


async def _changed(request: web.Request, *, taken_off: bool) -> web.Response:
    suggestion, chat = await own_suggestion(request)
    version_id = given_id(str((await request.post()).get("version", "")))
    change = replies.detach if taken_off else replies.attach
    refused = await change(session_of(request), suggestion, version_id)
    if refused is not None:
        return says(list(refused.reasons))
    return fragment(request, "sidebar/_suggestions.html", await suggest_context(request, chat))


@routes.get("/sidebar/pictures/{version_id}")
@SIDEBAR
async def picture(request: web.Request) -> web.Response:
    """The picture of a live material, as an RM looks at it before sending."""
    session, version_id = session_of(request), given_id(request.match_info["version_id"])
    version = await session.get(Version, version_id)
    if version is None or not await _may_look(request, version):
        raise web.HTTPNotFound
    shown = (await sendable.of_versions(session, [version_id])).get(version_id)
    file: StoredFile | None = shown.file if shown else None
    if file is None or file.media_type not in PICTURE:
        raise web.HTTPNotFound
    body = await request.app[FILES].read(file.id)
    return web.Response(body=body, content_type=file.media_type)


async def _may_look(request: web.Request, version: Version) -> bool:
    branch_id = signed(request).branch_id
    for channel in MAY_LOOK:
        live = await library.only_live(
            session_of(request), [version.id], now=now_of(request), channel=channel.value,
            branch_id=branch_id, risk_ceiling=5,
        )  # fmt: skip
        if live:
            return True
    return False
