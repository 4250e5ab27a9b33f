"""The door for callbacks: durable first, answered after.

Callbacks that arrive while a commit is under way share the next one, so the database flushes
its log once for many; nobody is answered before the commit that holds their event.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
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
RECONNECT_SECONDS = 0.2

# Rows and bell in one statement: one way to the server and back is the whole transaction.
STORE = """
WITH stored AS (
    INSERT INTO inbound_event (digest, body, order_key, received_at, state, attempts, outcome)
    SELECT digest, body, order_key, received_at, 'new', 0, ''
    FROM unnest(%s::bytea[], %s::text[], %s::text[], %s::timestamptz[])
         AS arrived (digest, body, order_key, received_at)
    ON CONFLICT (digest) DO NOTHING)
SELECT pg_notify(%s, '')
"""


@dataclass(frozen=True, slots=True)
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
        arrival = an_arrival(body, order_key, now)
        self._waiting.append(arrival)
        self._arrived.set()
        await arrival.safe

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
            self._refuse_waiting(ConnectionError("the inbox is closed"))

    def _refuse_waiting(self, why: Exception) -> None:
        """Unanswered, WeCom sends them again; a 200 here would lose them."""
        waiting, self._waiting = self._waiting, []
        self._arrived.clear()
        _refuse(waiting, why)

    async def _keep_storing(self) -> None:
        while True:
            try:
                connect = psycopg.AsyncConnection.connect(self._url, autocommit=True)
                async with await connect as connection:
                    await self._store_what_arrives(connection)
            except psycopg.Error as error:
                log.warning("inbox_reconnecting", error=type(error).__name__)
                self._refuse_waiting(error)
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _store_what_arrives(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            await self._arrived.wait()
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            if not self._waiting:
                self._arrived.clear()
            try:
                await _store_or_refuse(connection, batch)
            finally:
                _refuse(batch, ConnectionError("the inbox lost its database"))


async def _store_or_refuse(
    connection: psycopg.AsyncConnection[Any], batch: Sequence[Arrival]
) -> None:
    """Answer for the batch; one that the database cannot keep takes no other one with it."""
    try:
        await store(connection, batch)
    except psycopg.Error as error:
        if connection.closed:
            raise
        if len(batch) == 1:
            log.warning("callback_cannot_be_stored", error=type(error).__name__)
            _refuse(batch, error)
            return
        for arrival in batch:
            await _store_or_refuse(connection, [arrival])
        return
    for arrival in batch:
        if not arrival.safe.done():
            arrival.safe.set_result(None)


def an_arrival(body: str, order_key: str, now: datetime) -> Arrival:
    """What came, known by the digest of its plaintext; not safe yet."""
    safe = asyncio.get_running_loop().create_future()
    digest = hashlib.sha256(body.encode()).digest()
    # PostgreSQL keeps no NUL in a text; such an event is unreadable and ends in quarantine anyway.
    return Arrival(digest, body.replace("\0", "\ufffd"), order_key, now, safe)


async def store(connection: psycopg.AsyncConnection[Any], batch: Sequence[Arrival]) -> None:
    """Return when all of them are on disk; on a connection that commits every statement."""
    columns = (
        [a.digest for a in batch],
        [a.body for a in batch],
        [a.order_key for a in batch],
        [a.received_at for a in batch],
    )
    await connection.execute(STORE, (*columns, BELL))


def _refuse(batch: Sequence[Arrival], why: BaseException) -> None:
    for arrival in batch:
        if not arrival.safe.done():
            arrival.safe.set_exception(why)


INBOX = web.AppKey("INBOX", Inbox)
