"""The doors that are compared, each served by a process of its own on one core."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import psycopg
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler

from bank.sealing import open_seal
from bank.settings import Settings
from bot.app import make_app, open_parts
from bot.bench.load import HOST
from bot.bench.machine import quiet, stay_on
from bot.inbound.arrivals import Arrival, store
from bot.inbound.inbox import Inbox
from bot.inbound.keys import current_keys
from bot.inbound.spool import Spool
from wecom.callback import open_envelope
from wecom.events import parse

Door = Callable[[Settings], AbstractAsyncContextManager[web.Application]]
ADDRESS = "/wecom/callback"
SINGLE_CONNECTIONS = 32


@asynccontextmanager
async def bare(settings: Settings) -> AsyncIterator[web.Application]:
    """aiohttp reads the body and answers."""

    async def receive(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    yield _only(receive)


@asynccontextmanager
async def opening(settings: Settings) -> AsyncIterator[web.Application]:
    """The signature is verified, the envelope decrypted, the event parsed, nothing kept."""
    keys = current_keys(settings)

    async def receive(request: web.Request) -> web.Response:
        parse(open_envelope(keys, request.query, await request.read()))
        return web.Response()

    yield _only(receive)


def _only(receive: Handler) -> web.Application:
    app = web.Application()
    app.router.add_post(ADDRESS, receive)
    return app


@asynccontextmanager
async def gathered(settings: Settings) -> AsyncIterator[web.Application]:
    """The product itself: durable before the answer, commits shared."""
    async with open_parts(settings) as parts:
        yield make_app(settings, parts)


class SingleInbox(Inbox):
    """Stores every callback in a commit of its own, on as many connections as there are callers."""

    def __init__(self, settings: Settings) -> None:
        spool = Spool(settings.home / "spool")
        super().__init__(settings.database_url, open_seal(settings), spool)
        self._free: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()

    async def durable(self, arrival: Arrival) -> bool:
        """Return when its own commit is done."""
        connection = await self._free.get()
        try:
            await store(connection, [arrival])
        finally:
            self._free.put_nowait(connection)
        return True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the connections open until the block is left."""
        async with AsyncExitStack() as stack:
            for _ in range(SINGLE_CONNECTIONS):
                opened = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
                self._free.put_nowait(await stack.enter_async_context(opened))
            yield


@asynccontextmanager
async def single(settings: Settings) -> AsyncIterator[web.Application]:
    """The product with a commit for each callback."""
    inbox = SingleInbox(settings)
    async with open_parts(settings) as parts, inbox.running():
        yield make_app(settings, replace(parts, inbox=inbox))


DOORS: dict[str, Door] = {
    "bare": bare,
    "opening": opening,
    "gathered": gathered,
    "single": single,
}


def serve_door(pipe: Connection, name: str, settings: Settings, cores: list[int]) -> None:
    """The door's process: tells its port, and serves until the other side hangs up."""
    stay_on(cores)
    quiet()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(DOORS[name], settings, pipe))


async def _serve(door: Door, settings: Settings, pipe: Connection) -> None:
    async with door(settings) as app:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        pipe.send(runner.addresses[0][1])
        with suppress(EOFError):
            await asyncio.to_thread(pipe.recv)
        await runner.cleanup()
