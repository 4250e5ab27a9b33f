"""The small program beside the product that alone touches WeCom's archive library.

It listens where `SIYU_ARCHIVE_URL` points and answers as `wecom/archive.py` describes. It has the
private keys; the product has not. One library call runs at a time, in a thread.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable

import structlog
from aiohttp import web

from wecom.archive_native import BUSY, MAX_BATCH, NativeArchive
from wecom.errors import WeComError

log = structlog.get_logger("wecom")

WRONG_SECRET = 40001


def make_sidecar(open_archive: Callable[[], NativeArchive], secret: str) -> web.Application:
    """The sidecar's application; the archive is opened when it starts and closed when it stops."""
    app = web.Application()
    turn = asyncio.Lock()

    async def archive_of_app(app: web.Application) -> AsyncIterator[None]:
        app[ARCHIVE] = await asyncio.to_thread(open_archive)
        yield
        async with turn:
            await asyncio.to_thread(app[ARCHIVE].close)

    async def messages(request: web.Request) -> web.Response:
        presented = request.headers.get("Authorization", "")
        if not hmac.compare_digest(presented.encode(), f"Bearer {secret}".encode()):
            return web.json_response({"errcode": WRONG_SECRET, "errmsg": "invalid secret"})
        after, limit = _number(request, "seq"), _number(request, "limit")
        if not 1 <= limit <= MAX_BATCH:
            raise web.HTTPBadRequest(text=f"limit takes 1 to {MAX_BATCH}")
        try:
            async with turn:
                rows = await asyncio.to_thread(request.app[ARCHIVE].rows, after, limit)
        except WeComError as refusal:
            log.warning("archive_refused", error=type(refusal).__name__, errcode=refusal.errcode)
            return web.json_response({"errcode": refusal.errcode or BUSY, "errmsg": "refused"})
        return web.json_response({"errcode": 0, "errmsg": "ok", "chatdata": rows})

    app.cleanup_ctx.append(archive_of_app)
    app.router.add_get("/messages", messages)
    return app


def _number(request: web.Request, name: str) -> int:
    value = request.query.get(name, "")
    if not value.isascii() or not value.isdecimal() or len(value) > 19:
        raise web.HTTPBadRequest(text=f"{name} takes a whole number")
    return int(value)


ARCHIVE: web.AppKey[NativeArchive] = web.AppKey("ARCHIVE", NativeArchive)
