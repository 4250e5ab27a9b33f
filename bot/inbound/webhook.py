"""What WeCom calls: the echo when the address is registered, and every event after it."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from aiohttp import web

from bank.metrics import EVENTS
from bot.inbound.inbox import INBOX, NotKept
from bot.inbound.keys import KEYS, USED
from bot.inbound.rejections import REJECTIONS
from desk.permissions import public, streaming
from desk.signed import now_of
from wecom.callback import CallbackRejected, open_echo, open_with_any
from wecom.events import ContactChanged, Event, UnreadableEvent, parse

log = structlog.get_logger("bot")
routes = web.RouteTableDef()
LARGEST = 1 << 20

# A signed time further from ours than this has no effect until somebody knows whose clock is wrong.
SKEW = timedelta(minutes=5)
# WeCom's own retries are over by then: whoever sends a known event again is somebody else.
REPLAY_AFTER = timedelta(minutes=10)
LAST_SECOND = 253_402_300_799  # of the year 9999


@routes.get("/wecom/callback")
@streaming
@public
async def echo(request: web.Request) -> web.Response:
    """Prove to WeCom that the address is ours: the decrypted echo, bare."""
    accepted = request.app[KEYS]
    try:
        plain = open_echo(accepted, request.query)
    except CallbackRejected:
        return _rejected(request, b"")
    return web.Response(text=plain)


@routes.post("/wecom/callback")
@streaming
@public
async def receive(request: web.Request) -> web.Response:
    """Verify, decrypt, make durable, and only then answer 200 with an empty body."""
    # WeCom says how long it is; a stranger's megabytes are not even read.
    if request.content_length is None or request.content_length > LARGEST:
        return web.Response(status=413)
    accepted, body = request.app[KEYS], await request.read()
    try:
        opened = open_with_any(accepted, request.query, body)
    except CallbackRejected:
        return _rejected(request, body)
    now = now_of(request)
    request.app[USED].note(opened.keys.name, now)
    return web.Response(status=await _keep(request.app, opened.plain, opened.signed_at, now))


def _rejected(request: web.Request, body: bytes) -> web.Response:
    """No, whatever is wrong; the reason is looked for when the answer is on its way."""
    EVENTS.labels("rejected").inc()
    log.warning("callback_rejected", size=len(body))
    keys, seen = request.app[KEYS], request.app[REJECTIONS]
    asyncio.get_running_loop().call_soon(partial(seen.look, keys, request.query, body))
    return web.Response(status=403)


async def _keep(app: web.Application, plain: bytes, signed_at: int, now: datetime) -> int:
    """The status for a proven event: 200 once it is durable."""
    event = _read(plain)
    sent_at = _far_from(signed_at, now)
    try:
        new = await app[INBOX].put(
            plain,
            event.order_key if event else "",
            now,
            kind=event.kind if event else "",
            urgent=isinstance(event, ContactChanged) and bool(event.welcome_code),
            sent_at=sent_at,
        )
    except NotKept:
        return 503
    if sent_at is None:
        return 200
    if not new and now - sent_at > REPLAY_AFTER:
        EVENTS.labels("replayed").inc()
        log.warning("callback_replayed", signed_at=sent_at.isoformat())
        return 403
    EVENTS.labels("held").inc()
    log.error("callback_held", signed_at=sent_at.isoformat())
    return 200


def _read(plain: bytes) -> Event | None:
    """The event; an unreadable one is kept too, and quarantined later."""
    try:
        return parse(plain)
    except UnreadableEvent:
        return None


def _far_from(signed_at: int, now: datetime) -> datetime | None:
    """The signed time where it is more than five minutes from ours."""
    if abs(now.timestamp() - signed_at) <= SKEW.total_seconds():
        return None
    return datetime.fromtimestamp(min(signed_at, LAST_SECOND), UTC)
