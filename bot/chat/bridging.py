"""Between a clearance and the JS bridge: bubbles with live media, and how many were taken."""

from collections.abc import Mapping

from aiohttp import web

from content.files import FILES, FileMissing
from desk.keys import SETTINGS, WECOM
from desk.signed import now_of, session_of
from outbound import media, records, sending
from outbound import reasons as say
from outbound.attachments import Stock
from outbound.check import Cleared
from outbound.models import OutboundMessage
from wecom.errors import WeComError


def stock_of(request: web.Request) -> Stock:
    """The files and the public address attachments come from."""
    settings = request.app[SETTINGS]
    return Stock(request.app[FILES], settings.public_url, settings.radar != "off")


async def in_bubbles(
    request: web.Request, cleared: Cleared, *, renew: bool = False
) -> web.Response:
    """The bubbles of what was cleared, and how many of them the chat has already.

    `renew`: the chat did not take one of them, so its files are uploaded anew. Without its files
    at WeCom nothing is sent at all.
    """
    session, now, wecom = session_of(request), now_of(request), request.app[WECOM]
    row = await session.get_one(OutboundMessage, cleared.message_id)
    try:
        ids = await media.ready(session, request.app[FILES], wecom, cleared.attachments, now)
        if renew and ids:
            await media.forget(session, list(ids.values()))
            ids = await media.ready(session, request.app[FILES], wecom, cleared.attachments, now)
    except (WeComError, FileMissing, media.NotAsApproved) as error:
        await records.unsent(session, row.source, [row.source_id], now)
        return web.json_response({"refused": [say.MEDIA_FAILED.format(error=_code(error))]})
    told = sending.bubbles(cleared, ids)
    return web.json_response({"text": cleared.text, "messages": told, "done": row.delivered})


def _code(error: Exception) -> str:
    code = getattr(error, "errcode", None)
    return str(code) if code else type(error).__name__


def parts_of(form: Mapping[str, object]) -> int:
    """How many bubbles the page says the chat has taken."""
    asked = str(form.get("parts", ""))
    return int(asked) if asked.isdecimal() and len(asked) < 4 else 0
