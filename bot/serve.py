"""A serving process: database, pages, loops, until it is told to stop."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, TypeVar

import structlog
from aiohttp import web

from bank.database import utc_now
from bank.embedded import EmbeddedPostgres
from bank.settings import Settings
from bot.app import Parts, make_app, open_parts
from bot.loops import Role, running_loops
from migrations import migrate

log = structlog.get_logger("bot")

T = TypeVar("T")

# Streams stay open for as long as a page is; they are cut when the server stops.
GOODBYE_SECONDS = 1.0


@contextmanager
def with_database(settings: Settings) -> Iterator[Settings]:
    """The settings with an address that answers: the one given, or the embedded server's."""
    if settings.database_url:
        yield settings
        return
    server = EmbeddedPostgres(settings.home)
    try:
        yield settings.model_copy(update={"database_url": server.start()})
    finally:
        server.stop()


@asynccontextmanager
async def serving(
    settings: Settings,
    host: str,
    port: int,
    *,
    role: Role = "all",
    mounted: Mapping[str, web.Application] | None = None,
    now: Callable[[], datetime] = utc_now,
) -> AsyncIterator[Parts]:
    """Serve the product on that address; its loops start once it can be reached."""
    async with open_parts(settings, now=now) as parts:
        app = make_app(settings, parts)
        for prefix, other in (mounted or {}).items():
            app.add_subapp(prefix, other)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=GOODBYE_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            async with running_loops(settings, parts, role):
                log.info("serving", address=f"http://{host}:{port}", role=role)
                yield parts
        finally:
            await runner.cleanup()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on the fastest event loop there is here."""
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def until_stopped() -> None:
    """Return when the process is asked to stop (Ctrl-C or SIGTERM)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    await stop.wait()


async def serve(settings: Settings, host: str, port: int, role: Role) -> None:
    """Serve until stopped, on a migrated database."""
    await asyncio.to_thread(migrate, settings.database_url)
    async with serving(settings, host, port, role=role):
        await until_stopped()
