"""Bells: every process hears what a transaction rang when it committed (PostgreSQL NOTIFY).

A bell only says "look again"; whoever listens reads the tables, and looks from time to time
without any bell too, so a lost one costs seconds and nothing else.
"""

import asyncio
import secrets
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import psycopg
import structlog
from aiohttp import web

from bank.beside import beside
from bank.database import listening

log = structlog.get_logger("bank")

RECONNECT_SECONDS = 1.0
EVERYBODY = "*"
REMEMBERED = 1_000


class Rung(NamedTuple):
    """A bell that was rung, and what with."""

    name: str
    payload: str


class Bells:
    """One listening connection for the whole process, shared by all its loops and streams."""

    def __init__(self, url: str, *names: str) -> None:
        self._url = url
        self._names = names
        self._ears: dict[str, set[asyncio.Queue[str]]] = defaultdict(set)
        # Whoever else listens, and this process after a restart, has counted other rings.
        self._counted_by, self._count = secrets.token_hex(8), 0
        self._lately: deque[Rung] = deque(maxlen=REMEMBERED)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen until the block is left; a lost connection is opened again."""
        async with beside(self._listen()):
            yield

    async def _listen(self) -> None:
        while True:
            try:
                async with listening(self._url, *self._names) as connection:
                    # What was rung while nobody listened is lost; everybody looks once.
                    for name in self._names:
                        self._pass_on(name, EVERYBODY)
                    async for heard in connection.notifies():
                        self._pass_on(heard.channel, heard.payload)
            except psycopg.Error:
                log.warning("bells_reconnecting")
                await asyncio.sleep(RECONNECT_SECONDS)

    @property
    def mark(self) -> str:
        """This moment, for `since`; taken before one looks at what bells may change."""
        return f"{self._counted_by}-{self._count}"

    def since(self, mark: str) -> list[Rung] | None:
        """What was rung since that moment, in order; None where nobody here remembers."""
        counted_by, _, count = mark.partition("-")
        if counted_by != self._counted_by or not count.isdecimal():
            return None
        missed = self._count - int(count)
        if not 0 <= missed <= len(self._lately):
            return None
        return list(self._lately)[len(self._lately) - missed :]

    def _pass_on(self, name: str, payload: str) -> None:
        self._count += 1
        self._lately.append(Rung(name, payload))
        for ear in self._ears[name]:
            ear.put_nowait(payload)

    @contextmanager
    def ear(self, name: str) -> Iterator[asyncio.Queue[str]]:
        """What is rung under that name from now on, in order; `*` means whatever it may be."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._ears[name].add(queue)
        try:
            yield queue
        finally:
            self._ears[name].discard(queue)


async def rung(ear: asyncio.Queue[str], patience: float) -> bool:
    """Wait for a bell, at most `patience` seconds; several rings at once count as one."""
    try:
        # `wait_for` of Python 3.11 forgets a cancellation that comes together with a ring.
        async with asyncio.timeout(patience):
            await ear.get()
    except TimeoutError:
        return False
    while not ear.empty():
        ear.get_nowait()
    return True


BELLS = web.AppKey("BELLS", Bells)
