"""The door for callbacks: durable first, answered after.

Callbacks that arrive while a commit is under way share the next one, so the database flushes
its log once for many; nobody is answered before the commit that holds their event.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import structlog
from aiohttp import web

from bank.database import plain_url

log = structlog.get_logger("bot")

BELL = "inbound"
AT_ONCE = 500

STORE = """
INSERT INTO inbound_event (digest, body, order_key, received_at, state, attempts, outcome)
SELECT digest, body, order_key, received_at, 'new', 0, ''
FROM unnest(%s::bytea[], %s::text[], %s::text[], %s::timestamptz[])
     AS arrived (digest, body, order_key, received_at)
ON CONFLICT (digest) DO NOTHING
"""


@dataclass(frozen=True)
class Arrival:
    """One decrypted callback and whoever waits for it to be safe."""

    digest: bytes
    body: str
    order_key: str
    received_at: datetime
    safe: asyncio.Future[None]


class Inbox:
    """Stores callbacks in gathered commits, once for each distinct plaintext."""

    def __init__(self, url: str) -> None:
        self._url = plain_url(url)
        self._waiting: list[Arrival] = []
        self._arrived = asyncio.Event()

    async def put(self, body: str, order_key: str, now: datetime) -> None:
        """Return when the event is durable; raises if it could not be stored."""
        safe = asyncio.get_running_loop().create_future()
        digest = hashlib.sha256(body.encode()).digest()
        self._waiting.append(Arrival(digest, body, order_key, now, safe))
        self._arrived.set()
        await safe

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep one connection storing until the block is left; what waits then is refused."""
        task = asyncio.create_task(self._keep_storing(), name="inbox")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            _refuse(self._waiting, ConnectionError("the inbox is closed"))

    async def _keep_storing(self) -> None:
        while True:
            try:
                connect = psycopg.AsyncConnection.connect(self._url, autocommit=False)
                async with await connect as connection:
                    await self._store_what_arrives(connection)
            except psycopg.OperationalError:
                log.warning("inbox_reconnecting")
                await asyncio.sleep(0.2)

    async def _store_what_arrives(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            await self._arrived.wait()
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            if not self._waiting:
                self._arrived.clear()
            try:
                await _store(connection, batch)
            except psycopg.Error as error:
                # Unanswered, WeCom sends them again; a 200 here would lose them.
                _refuse(batch, error)
                raise
            except asyncio.CancelledError:
                _refuse(batch, ConnectionError("the inbox is closed"))
                raise
            for arrival in batch:
                if not arrival.safe.done():
                    arrival.safe.set_result(None)


async def _store(connection: psycopg.AsyncConnection[Any], batch: list[Arrival]) -> None:
    columns = (
        [a.digest for a in batch],
        [a.body for a in batch],
        [a.order_key for a in batch],
        [a.received_at for a in batch],
    )
    await connection.execute(STORE, columns)
    await connection.execute("SELECT pg_notify(%s, '')", (BELL,))
    await connection.commit()


def _refuse(batch: list[Arrival], why: BaseException) -> None:
    for arrival in batch:
        if not arrival.safe.done():
            arrival.safe.set_exception(why)


INBOX = web.AppKey("INBOX", Inbox)
