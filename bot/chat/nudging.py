"""Server-sent events beside a chat: a nudge whenever something of it may have changed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from bank.bells import BELLS, EVERYBODY, Rung
from knowledge import indexing

HEARTBEAT_SECONDS = 20.0
NUDGE = b"event: suggestion\ndata: look\n\n"

Stands = Callable[[], Awaitable[bool]]


async def nudges(request: web.Request, bell: str, chat: str, stands: Stands) -> web.StreamResponse:
    """Nudge whenever `bell` rings for this chat, or the library changes.

    It ends with what the page may see: every nudge asks whether that still stands.
    """
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    bells = request.app[BELLS]
    with bells.ear(bell) as rung, bells.ear(indexing.BELL) as changed:
        # What happened before the stream stood was heard by no ear.
        heard = _missed(bells.since(request.query.get("since", "")), bell, chat)
        # The page may be closed at any moment, before its stream stands as well.
        with suppress(ConnectionResetError):
            await response.prepare(request)
            while True:
                await response.write(NUDGE if heard else b": here\n\n")
                heard = await _heard(chat, rung, changed)
                if heard and not await stands():
                    await response.write(NUDGE)  # The open page looks, and is told whose it is not.
                    break
    return response


def _missed(lately: list[Rung] | None, bell: str, chat: str) -> bool:
    """Whether the page may be older than what it shows; it is if nobody can say."""
    if lately is None:
        return True
    mine = ((bell, chat), (bell, EVERYBODY))
    return any(rung in mine or rung.name == indexing.BELL for rung in lately)


async def _heard(chat: str, rung: asyncio.Queue[str], changed: asyncio.Queue[str]) -> bool:
    """Whether this chat or the library was rung; quiet for a heartbeat is False."""
    ears = (asyncio.create_task(_mine(chat, rung)), asyncio.create_task(changed.get()))
    try:
        done, _ = await asyncio.wait(
            ears, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for ear in ears:
            ear.cancel()
    return bool(done)


async def _mine(chat: str, rung: asyncio.Queue[str]) -> None:
    while await rung.get() not in (chat, EVERYBODY):
        pass
