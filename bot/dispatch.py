"""Stored events to their handlers: claimed in batches, in order per customer, each once.

A batch holds one event of a customer or group at most, so several of it are handled at a time.
An event that fails three times is quarantined with its reason and blocks nobody; it can be
replayed from `/system/inbound`. While WeCom itself is away or busy, events wait longer.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bank.database import Sessions
from bank.metrics import EVENTS, MESSAGES
from bank.sealing import Seal
from bank.settings import Settings
from bot import conversations, customer_chat
from bot.effects import Later, Outcome, Work, handle
from bot.inbox import text_of
from bot.models import InboundEvent, InboundState, Message
from knowledge.indexing import LibraryIndex
from knowledge.writer import Writer
from wecom.archive import ArchiveClient
from wecom.client import WeComClient
from wecom.errors import WeComError
from wecom.events import UnreadableEvent

log = structlog.get_logger("bot")

LEASE = timedelta(seconds=60)
TRIES = 3
# WeCom being away is no fault of the event: about three quarters of an hour of patience.
TRIES_IN_AN_OUTAGE = 12
LONGEST_PAUSE = timedelta(minutes=10)
AT_ONCE = 50
# Handlers mostly wait for WeCom; each of them holds a connection of the pool.
AT_A_TIME = 4

# An event waits while an earlier one of the same customer or group is still open.
CLAIM = text("""
UPDATE inbound_event SET lease_until = :until, attempts = attempts + 1
WHERE id IN (
    SELECT e.id FROM inbound_event e
    WHERE e.state = 'new' AND (e.lease_until IS NULL OR e.lease_until <= :now)
      AND NOT EXISTS (
          SELECT 1 FROM inbound_event earlier
          WHERE earlier.state = 'new' AND e.order_key <> ''
            AND earlier.order_key = e.order_key AND earlier.id < e.id)
    ORDER BY e.id LIMIT :limit
    FOR UPDATE SKIP LOCKED)
RETURNING id
""")


@dataclass(frozen=True)
class Dispatcher:
    """Handles what the inbox stored; any number of processes may run one."""

    sessions: Sessions
    wecom: WeComClient
    archive: ArchiveClient | None
    index: LibraryIndex
    writer: Writer
    seal: Seal
    settings: Settings

    async def handle_new(self, now: datetime) -> int:
        """Handle every event that is due; returns how many were claimed."""
        handled = 0
        while claimed := await self._claim(now):
            waiting = iter(claimed)
            hands = [self._take_up(waiting, now) for _ in range(AT_A_TIME)]
            await asyncio.gather(*hands)
            handled += len(claimed)
        return handled

    async def _take_up(self, waiting: Iterator[int], now: datetime) -> None:
        for event_id in waiting:
            await self._handle(event_id, now)

    async def _claim(self, now: datetime) -> list[int]:
        async with self.sessions.begin() as session:
            facts = {"now": now, "until": now + LEASE, "limit": AT_ONCE}
            return sorted((await session.execute(CLAIM, facts)).scalars())

    async def _handle(self, event_id: int, now: datetime) -> None:
        """One event, one transaction; a failure leaves nothing behind but its reason."""
        try:
            async with self.sessions.begin() as session:
                stored = await session.get_one(InboundEvent, event_id, with_for_update=True)
                if stored.state is not InboundState.NEW:
                    return
                outcome = await self._work(session, stored, now)
                _note(stored, outcome, now)
        except Exception as error:
            log.warning("event_failed", event_id=event_id, error=type(error).__name__)
            await self._note_failure(event_id, error, now)
        else:
            if not isinstance(outcome, Later):
                log.info("event_handled", event_id=event_id, outcome=outcome)
                EVENTS.labels("handled").inc()

    async def _work(self, session: AsyncSession, stored: InboundEvent, now: datetime) -> Outcome:
        work = Work(
            session=session,
            sessions=self.sessions,
            wecom=self.wecom,
            archive=self.archive,
            settings=self.settings,
            now=now,
            received_at=stored.received_at,
        )
        return await handle(work, text_of(stored, self.seal))

    async def _note_failure(self, event_id: int, error: Exception, now: datetime) -> None:
        async with self.sessions.begin() as session:
            stored = await session.get_one(InboundEvent, event_id, with_for_update=True)
            if stored.state is not InboundState.NEW:
                # Our lease ran out, and another process has handled it meanwhile.
                return
            stored.outcome = _in_words(error)
            if stored.attempts >= _tries(error):
                stored.state, stored.handled_at = InboundState.QUARANTINED, now
            stored.lease_until = now + _pause(error, stored.attempts)
        EVENTS.labels("failed" if stored.state is InboundState.NEW else "quarantined").inc()

    async def pull(self, now: datetime) -> int:
        """What the archive has beyond our cursor."""
        if self.archive is None:
            return 0
        return await customer_chat.pull_archive(self.sessions, self.archive, now)

    async def pull_without_bell(self, now: datetime) -> int:
        """The bell may be lost: look into the archive from time to time anyway."""
        try:
            return await self.pull(now)
        except WeComError as error:
            log.warning("archive_unreachable", error=type(error).__name__)
            return 0

    async def answer_new(self, now: datetime) -> int:
        """A suggestion for every customer's message that has none; returns how many.

        A message for which none can be made is tried three times and then ruled out with its
        reason, shown at `/system/inbound`; it holds up no other one.
        """
        async with self.sessions.begin() as session:
            await conversations.give_up_lost(session, now)
        answered = 0
        while message_id := await self._claim_message(now):
            answered += await self._answer(message_id, now)
        return answered

    async def _claim_message(self, now: datetime) -> UUID | None:
        async with self.sessions.begin() as session:
            return await conversations.claim_unanswered(session, now)

    async def _answer(self, message_id: UUID, now: datetime) -> bool:
        """One message, one transaction; a failure leaves nothing behind but its reason."""
        try:
            async with self.sessions.begin() as session:
                message = await session.get_one(Message, message_id, with_for_update=True)
                if message.answered:
                    return False
                await customer_chat.answer(
                    session, message, index=self.index, writer=self.writer, now=now
                )
        except Exception as error:
            log.warning("answer_failed", message=str(message_id), error=type(error).__name__)
            await self._note_unanswered(message_id, error, now)
            return False
        MESSAGES.labels("answered").inc()
        return True

    async def _note_unanswered(self, message_id: UUID, error: Exception, now: datetime) -> None:
        async with self.sessions.begin() as session:
            message = await session.get_one(Message, message_id, with_for_update=True)
            if message.answered:
                return
            conversations.note_failure(message, _in_words(error), now)
        MESSAGES.labels("given_up" if message.answered else "failed").inc()


def _note(stored: InboundEvent, outcome: Outcome, now: datetime) -> None:
    """What became of it; one that comes later has not been tried."""
    if isinstance(outcome, Later):
        stored.lease_until, stored.attempts = outcome.until, stored.attempts - 1
        return
    stored.state, stored.outcome = InboundState.DONE, outcome
    stored.handled_at, stored.lease_until = now, None


def _tries(error: Exception) -> int:
    """How often an event is tried that fails in this way."""
    if isinstance(error, UnreadableEvent):
        return 1
    passing = isinstance(error, WeComError) and error.retry_after is not None
    return TRIES_IN_AN_OUTAGE if passing else TRIES


def _pause(error: Exception, attempts: int) -> timedelta:
    """As long as WeCom says, and twice as long after each try, up to ten minutes."""
    asked = error.retry_after if isinstance(error, WeComError) else None
    return max(timedelta(seconds=asked or 0), min(timedelta(seconds=2**attempts), LONGEST_PAUSE))


def _in_words(error: Exception) -> str:
    """Why it failed, without anybody's words or secrets."""
    if isinstance(error, WeComError | UnreadableEvent):
        return f"{type(error).__name__}: {error}"[:300]
    return type(error).__name__


DISPATCHER = web.AppKey("DISPATCHER", Dispatcher)
