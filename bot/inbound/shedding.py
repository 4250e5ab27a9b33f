"""When there is too much to do, pages wait: callbacks are taken in first, whatever else happens.

Whoever calls a shed page is told so in words and asked to come back in a few seconds. Addresses
without a transaction of the page (callbacks, health, figures, streams) are never shed.
"""

import asyncio
from collections.abc import AsyncIterator

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from bank.beside import beside
from bank.metrics import SHED
from bot.inbound.inbox import INBOX
from bot.inbound.webhook import receive
from desk.permissions import door_of
from desk.render import page
from desk.shell import SAFE, ours

log = structlog.get_logger("bot")

# Twice the connections the pages share: those beyond would only wait for one.
PAGES_AT_ONCE = 40
# WeCom waits five seconds; at two, what pages cost is needed for callbacks.
LAG_SECONDS = 2.0
INBOX_SECONDS = 1.0
LOOK_SECONDS = 0.1
NEWEST_COUNTS = 0.2
COME_BACK_SECONDS = 5

SAY = "系统正忙，正在优先接收客户消息，请过几秒再试。"
SAY_UNDONE = "系统正忙，正在优先接收客户消息。您刚才的操作没有生效，请过几秒再试。"


class Load:
    """What this process is busy with: pages under way, and how late its loop wakes up."""

    def __init__(self) -> None:
        self.pages = 0
        self.lag = 0.0

    async def watch(self) -> None:
        """Measure how much later than asked for the loop comes back."""
        loop = asyncio.get_running_loop()
        while True:
            asleep = loop.time()
            await asyncio.sleep(LOOK_SECONDS)
            self.feel(loop.time() - asleep - LOOK_SECONDS)

    def feel(self, late: float) -> None:
        """Take one more look into the average: a single stall is no overload."""
        self.lag += (late - self.lag) * NEWEST_COUNTS

    def too_much(self, inbox_seconds: float) -> str:
        """Why a page has to wait; empty when it has not."""
        if self.pages >= PAGES_AT_ONCE:
            return "pages"
        if self.lag > LAG_SECONDS:
            return "loop"
        if inbox_seconds > INBOX_SECONDS:
            return "inbox"
        return ""


LOAD = web.AppKey("LOAD", Load)


async def watched(app: web.Application) -> AsyncIterator[None]:
    """Watch the loop for as long as the application runs."""
    async with beside(app[LOAD].watch()):
        yield


@web.middleware
async def straight_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Callbacks pass by everything that is made for pages."""
    if request.match_info.handler is receive:
        return await receive(request)
    return await handler(request)


@web.middleware
async def shedding(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a page while there is too much to do; a refused one has done nothing."""
    door = door_of(request)
    if door is None or not door.holds_transaction or not ours(request):
        return await handler(request)
    load = request.app[LOAD]
    now = asyncio.get_running_loop().time()
    if reason := load.too_much(request.app[INBOX].trouble_for(now)):
        SHED.labels(reason).inc()
        return _busy(request)
    load.pages += 1
    try:
        return await handler(request)
    finally:
        load.pages -= 1


def _busy(request: web.Request) -> web.Response:
    """Ask to come back: a page for people, plain words where a piece of a page was asked for."""
    headers = {"Retry-After": str(COME_BACK_SECONDS)}
    looking = request.method in SAFE
    say = SAY if looking else SAY_UNDONE
    wants_page = "text/html" in request.headers.get("Accept", "")
    if not wants_page or request.headers.get("HX-Request"):
        return web.Response(status=503, text=say, headers=headers)
    context = {"say": say, "again": request.path_qs if looking else ""}
    response = page(request, "bot/busy.html", context, status=503)
    response.headers.update(headers)
    return response
