"""What a running process does besides answering: follow the library, handle events, keep time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import structlog

from bank.bells import rung
from bank.settings import Settings
from bot import customer_chat, inbox
from bot.app import Parts
from knowledge import indexing
from scheduler.clock import Clockwork

log = structlog.get_logger("bot")

Role = Literal["all", "web", "worker"]
Work = Callable[[Parts], Awaitable[None]]

# How long a loop waits for its bell before it looks anyway, in seconds.
EVENT_PATIENCE = 2.0
ARCHIVE_PATIENCE = 5.0
LIBRARY_PATIENCE = 3.0
LEARNING_PAUSE = 2.0


@asynccontextmanager
async def running_loops(settings: Settings, parts: Parts, role: Role) -> AsyncIterator[None]:
    """Run the loops of this role: `web` only follows the library, the others do the work too."""
    async with parts.sessions() as session:
        await parts.index.restore(session)
    await catch_up_library(parts)
    tasks = [asyncio.create_task(loop) for loop in _loops(parts, role)]
    clockwork = Clockwork(settings, parts.sessions, parts.wecom, parts.now)
    if role != "web":
        clockwork.start()
    try:
        yield
    finally:
        clockwork.stop()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def _loops(parts: Parts, role: Role) -> list[Coroutine[Any, Any, None]]:
    follow = [
        _on_bell(parts, indexing.BELL, LIBRARY_PATIENCE, catch_up_library),
        _every(parts, LEARNING_PAUSE, learn),
    ]
    if role == "web":
        return follow
    return [
        *follow,
        _on_bell(parts, inbox.BELL, EVENT_PATIENCE, handle_events),
        _on_bell(parts, customer_chat.QUESTION_BELL, EVENT_PATIENCE, answer),
        _every(parts, ARCHIVE_PATIENCE, pull_archive),
    ]


async def catch_up_library(parts: Parts) -> None:
    """Take what changed in the library into this process's index."""
    async with parts.sessions.begin() as session:
        await parts.index.catch_up(session, parts.now())


async def learn(parts: Parts) -> None:
    """Fit the index to what it took in; searches go on with what was known meanwhile."""
    if parts.index.has_more_to_learn:
        async with parts.sessions.begin() as session:
            await parts.index.learn(session, parts.now())


async def handle_events(parts: Parts) -> None:
    """Handle stored events."""
    await parts.dispatcher.handle_new(parts.now())


async def pull_archive(parts: Parts) -> None:
    """Look into the archive without a bell."""
    await parts.dispatcher.pull_without_bell(parts.now())


async def answer(parts: Parts) -> None:
    """Suggest replies to what customers wrote."""
    await parts.dispatcher.answer_new(parts.now())


async def _on_bell(parts: Parts, bell: str, patience: float, work: Work) -> None:
    """Do the work at once, at every bell, and after patience without one."""
    with parts.bells.ear(bell) as ear:
        while True:
            await _safely(parts, work)
            await rung(ear, patience)


async def _every(parts: Parts, seconds: float, work: Work) -> None:
    while True:
        await _safely(parts, work)
        await asyncio.sleep(seconds)


async def _safely(parts: Parts, work: Work) -> None:
    """A failed round is logged and tried again; nothing is lost, the tables hold the work."""
    try:
        await work(parts)
    except Exception:
        log.exception("loop_failed", work=getattr(work, "__name__", "work"))
