"""What WeCom calls: the echo when the address is registered, and every event after it."""

import structlog
from aiohttp import web

from bank.metrics import EVENTS
from bot.inbox import INBOX
from desk.permissions import public, streaming
from desk.signed import now_of
from wecom.callback import CallbackKeys, CallbackRejected, open_echo, open_envelope
from wecom.events import UnreadableEvent, parse

log = structlog.get_logger("bot")
routes = web.RouteTableDef()
KEYS = web.AppKey("KEYS", CallbackKeys)
LARGEST = 1 << 20


@routes.get("/wecom/callback")
@public
async def echo(request: web.Request) -> web.Response:
    """Prove to WeCom that the address is ours: the decrypted echo, bare."""
    try:
        plain = open_echo(request.app[KEYS], request.query)
    except CallbackRejected:
        return web.Response(status=403)
    return web.Response(text=plain)


@routes.post("/wecom/callback")
@streaming
@public
async def receive(request: web.Request) -> web.Response:
    """Verify, decrypt, make durable, and only then answer 200 with an empty body."""
    # WeCom says how long it is; a stranger's megabytes are not even read.
    if request.content_length is None or request.content_length > LARGEST:
        return web.Response(status=413)
    body = await request.read()
    try:
        plain = open_envelope(request.app[KEYS], request.query, body)
    except CallbackRejected:
        log.warning("callback_rejected", size=len(body))
        return web.Response(status=403)
    await request.app[INBOX].put(plain, _order_key(plain), now_of(request))
    EVENTS.labels("stored").inc()
    return web.Response()


def _order_key(plain: str) -> str:
    """Whose events must stay in order; an unreadable one is kept too, and quarantined later."""
    try:
        return parse(plain).order_key
    except UnreadableEvent:
        return ""
