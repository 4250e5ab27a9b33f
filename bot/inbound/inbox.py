"""The door for callbacks: durable first, answered after.

Callbacks that arrive while a commit is under way share the next one, so the database flushes its
log once for many; nobody is answered before the commit that holds their event. While the database
is away or slow, they share flushes of a file on this machine instead (`bot/inbound/spool.py`), and
go from there to the database in their order; as long as one waits there, new ones go behind it.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import psycopg
import structlog
from aiohttp import web
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bank.beside import beside
from bank.database import plain_url, ring
from bank.metrics import EVENTS, SPOOLED
from bank.sealing import IN_THE_CLEAR, Seal, SealBroken
from bot.inbound import arrivals
from bot.inbound.arrivals import CONTEXT, Arrival, packed, store, unpacked
from bot.inbound.spool import Spool, SpoolUnavailable
from bot.models import InboundEvent, InboundState

log = structlog.get_logger("bot")

BELL = arrivals.BELL
AT_ONCE = 500
RECONNECT_SECONDS = 0.2
# A database that needs longer for one commit counts as away; WeCom waits five seconds in all.
PATIENCE_SECONDS = 1.5
# How often we look whether another process died and left its spool behind.
ADOPT_SECONDS = 5.0
# A peer that vanished without a word is noticed by the kernel after this long.
CONNECTION: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

STORED = EVENTS.labels("stored")
SPOOLED_SO_FAR = EVENTS.labels("spooled")


class NotKept(Exception):
    """The event could not be made durable; it must not be acknowledged."""


class TextGone(LookupError):
    """The text of this event was removed when its time was over; it cannot be handled again."""


class Inbox:
    """Stores callbacks in gathered commits, once for each distinct plaintext."""

    def __init__(self, url: str, seal: Seal, spool: Spool) -> None:
        self._url = plain_url(url)
        self._seal = seal
        self._spool = spool
        self._spool_lock = asyncio.Lock()
        self._waiting: list[Arrival] = []
        self._arrived = asyncio.Event()
        self._keeping_since: float | None = None
        self._away_since: float | None = None
        # The connection arrivals may be stored on directly: the spool was empty when it was set.
        self._direct: psycopg.AsyncConnection[Any] | None = None
        self._late: asyncio.Task[frozenset[bytes]] | None = None
        self._looked_for = asyncio.Event()
        self._tried = asyncio.Event()

    async def put(
        self,
        body: str | bytes,
        order_key: str,
        now: datetime,
        *,
        kind: str = "",
        urgent: bool = False,
        sent_at: datetime | None = None,
    ) -> bool:
        """Return when the event is durable; NotKept if it could not be.

        With `sent_at`, the signed time that is far from ours, it is held without effect, and False
        means that it was known already.
        """
        plain = body.encode() if isinstance(body, str) else body
        arrival = Arrival(
            hashlib.sha256(plain).digest(),
            self._seal.close(plain, CONTEXT),
            kind,
            urgent,
            order_key,
            now,
            sent_at,
        )
        return await self.durable(arrival)

    async def durable(self, arrival: Arrival) -> bool:
        """Wait at the door until the arrival is safe."""
        self._waiting.append(arrival)
        self._arrived.set()
        return await arrival.safe

    @property
    def spooled(self) -> int:
        """How many events wait on this machine's disk."""
        return self._spool.pending

    def trouble_for(self, moment: float) -> float:
        """How long, in seconds of the loop's clock, the database has been away or busy with us."""
        since = [at for at in (self._keeping_since, self._away_since) if at is not None]
        return moment - min(since) if since else 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep storing until the block is left; what waits then is refused.

        Entered once the database was reached, or was found to be away.
        """
        try:
            async with beside(self._keep_what_arrives(), self._keep_the_database()):
                await self._tried.wait()
                yield
        finally:
            waiting, self._waiting = self._waiting, []
            _refuse(waiting, "the inbox is closed")
            self._arrived.clear()
            self._spool.close()

    # ------------------------------------------------------------------ whoever waits at the door

    async def _keep_what_arrives(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            if not self._waiting:
                self._arrived.clear()
            self._keeping_since = loop.time()
            try:
                await self._keep(batch)
            finally:
                # Unanswered, WeCom sends them again; a 200 here would lose them.
                _refuse(batch, "neither database nor spool")
                self._keeping_since = None

    async def _keep(self, batch: Sequence[Arrival]) -> None:
        if self._direct is None or self._spool.pending:
            await self._keep_in_spool(batch)
        elif not await self._keep_in_database(self._direct, batch):
            self._direct = None
            self._away_since = asyncio.get_running_loop().time()
            self._looked_for.set()
            await self._keep_in_spool(batch)

    async def _keep_in_database(
        self, connection: psycopg.AsyncConnection[Any], batch: Sequence[Arrival]
    ) -> bool:
        """Whether the database has them now; a late answer is waited for by nobody here."""
        attempt = asyncio.create_task(store(connection, batch))
        done, _ = await asyncio.wait({attempt}, timeout=PATIENCE_SECONDS)
        if not done:
            log.warning("inbox_database_slow", waiting=len(batch))
            self._late = attempt
            return False
        try:
            newly_held = attempt.result()
        except psycopg.Error as error:
            log.warning("inbox_database_away", error=type(error).__name__)
            return False
        STORED.inc(len(batch))
        for arrival in batch:
            arrival.kept(newly_held)
        return True

    async def _keep_in_spool(self, batch: Sequence[Arrival]) -> None:
        """Flush them to this machine's disk; if even that fails, nobody is told they are safe."""
        records = [packed(arrival, self._seal) for arrival in batch]
        async with self._spool_lock:
            try:
                await asyncio.to_thread(self._spool.append, records)
            except SpoolUnavailable as full:
                log.error(
                    "spool_unavailable", waiting=len(batch), error=type(full.__cause__).__name__
                )
                EVENTS.labels("refused").inc(len(batch))
                return
        SPOOLED_SO_FAR.inc(len(batch))
        SPOOLED.set(self._spool.pending)
        for arrival in batch:
            arrival.kept(None)
        if self._direct is not None:
            # The way was opened while this flush was under way.
            self._looked_for.set()

    # ------------------------------------------------------------------ the database, again

    async def _keep_the_database(self) -> None:
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, **CONNECTION
                )
                try:
                    await self._serve(connection)
                finally:
                    self._direct = None
                    await connection.close()
            except (psycopg.Error, OSError) as error:
                log.warning("inbox_reconnecting", error=type(error).__name__)
                self._tried.set()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _serve(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Empty the spool, open the direct way, until the connection is lost."""
        while not connection.closed:
            async with self._spool_lock:
                self._spool.adopt()
            while self._spool.pending:
                await self._move_on(connection)
            # Nothing is awaited since the last look: nobody can have gone behind us.
            self._direct, self._away_since = connection, None
            self._tried.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(ADOPT_SECONDS):
                    await self._looked_for.wait()
                self._looked_for.clear()
                await self._after_trouble(connection)

    async def _after_trouble(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Wait for a late answer, then ask whether anybody is there."""
        late, self._late = self._late, None
        if late is not None:
            await asyncio.wait({late})
        await connection.execute("SELECT 1")

    async def _move_on(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Store the oldest records of the spool; twice does no harm, the digest is known then."""
        async with self._spool_lock:
            records = self._spool.read(AT_ONCE)
        arrivals = []
        for record in records:
            try:
                arrivals.append(unpacked(record, self._seal))
            except SealBroken:
                log.error("spooled_callback_unreadable", size=len(record))
                EVENTS.labels("lost").inc()
        if arrivals:
            await store(connection, arrivals)
            log.info("spool_moved_on", records=len(arrivals))
        async with self._spool_lock:
            self._spool.drop()
        SPOOLED.set(self._spool.pending)


def _refuse(batch: Sequence[Arrival], why: str) -> None:
    for arrival in batch:
        if not arrival.safe.done():
            arrival.safe.set_exception(NotKept(why))


def text_of(stored: InboundEvent, seal: Seal) -> str:
    """The event as it came; TextGone after its purge, SealBroken if it was changed.

    UnicodeDecodeError where WeCom's bytes are no text.
    """
    if stored.sealed is None:
        raise TextGone(TextGone.__doc__)
    return seal.open(stored.sealed, CONTEXT).decode()


async def put_own(
    session: AsyncSession, body: str, order_key: str, now: datetime, *, kind: str
) -> None:
    """Store a note to ourselves as an event, once for its text, when this transaction commits.

    It must hold nobody's words: it is kept in the clear.
    """
    row = insert(InboundEvent).values(
        digest=hashlib.sha256(body.encode()).digest(),
        sealed=IN_THE_CLEAR + body.encode(),
        kind=kind,
        urgent=False,
        order_key=order_key,
        received_at=now,
        state=InboundState.NEW,
        attempts=0,
        outcome="",
    )
    await session.execute(row.on_conflict_do_nothing(index_elements=["digest"]))
    await ring(session, BELL)


INBOX = web.AppKey("INBOX", Inbox)
