"""Stored events to their handlers: claimed in batches, in order per customer, each once.

A batch holds one event of a customer or group at most, so several of it are handled at a time;
what waits behind it and asks for the same may end with it (`bot/inbound/behind.py`).
An event that fails three times is quarantined with its reason and blocks nobody; it can be
replayed from `/system/inbound`. While WeCom itself is away or busy, events wait longer.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
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
from bot.chat import conversations, customer_chat
from bot.inbound.behind import LOOKED_AT_WHOLE, Behind, Head, Waiting, waiting_behind
from bot.inbound.effects import Later, Outcome, Work, handle
from bot.inbound.inbox import text_of
from bot.inbound.right_of_way import RightOfWay
from bot.models import InboundEvent, InboundState, Message
from knowledge.indexing import LibraryIndex
from knowledge.writer import Writer
from wecom.archive import ArchiveClient
from wecom.client import WeComClient
from wecom.errors import OutcomeUnknown, WeComError
from wecom.events import UnreadableEvent

log = structlog.get_logger("bot")

# Short, so that what a dead process held is soon taken up; a slow handler keeps its row locked.
LEASE = timedelta(seconds=20)
TRIES = 3
# WeCom being away is no fault of the event: about three quarters of an hour of patience.
TRIES_IN_AN_OUTAGE = 12
LONGEST_PAUSE = timedelta(minutes=10)
AT_ONCE = 50
# Handlers mostly wait for WeCom; each of them holds a connection of the pool.
AT_A_TIME = 8
WHOLE = list(LOOKED_AT_WHOLE)

# An event waits while an earlier one of the same customer or group is still open; of those that
# one look at the whole answers, one is taken at a time.
CLAIM = text("""
UPDATE inbound_event SET lease_until = :until, attempts = attempts + 1
WHERE id IN (
    SELECT e.id FROM inbound_event e
    WHERE e.state = 'new' AND (e.lease_until IS NULL OR e.lease_until <= :now)
      AND NOT EXISTS (
          SELECT 1 FROM inbound_event earlier
          WHERE earlier.state = 'new' AND e.order_key <> ''
            AND earlier.order_key = e.order_key AND earlier.id < e.id)
      AND NOT EXISTS (
          SELECT 1 FROM inbound_event earlier
          WHERE earlier.state = 'new' AND earlier.order_key = '' AND earlier.id < e.id
            AND e.order_key = '' AND e.kind = ANY(:whole) AND earlier.kind = e.kind
            AND (earlier.lease_until IS NULL OR earlier.lease_until <= :now))
    ORDER BY e.id LIMIT :limit
    FOR UPDATE SKIP LOCKED)
RETURNING id, order_key, kind
""")
END = text("""
UPDATE inbound_event SET state = 'done', outcome = :outcome, handled_at = :now, lease_until = NULL
WHERE id = :id
""")
PUT_OFF = text("""
UPDATE inbound_event SET lease_until = :until, attempts = attempts - 1 WHERE id = :id
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
    way: RightOfWay = field(default_factory=RightOfWay)

    async def handle_new(self, now: datetime) -> int:
        """Handle every event that is due at that moment; returns how many were claimed."""
        handled = 0
        while claimed := await self.handle_some(now):
            handled += claimed
        return handled

    async def handle_some(self, now: datetime) -> int:
        """Handle one batch of what is due; returns how many were claimed, 0 if nothing is due."""
        claimed, behind = await self._claim(now)
        waiting = iter(claimed)
        hands = min(AT_A_TIME, len(claimed))
        await asyncio.gather(*(self._take_up(waiting, behind, now) for _ in range(hands)))
        return len(claimed)

    async def _take_up(self, waiting: Iterator[Head], behind: Behind, now: datetime) -> None:
        for head in waiting:
            await self.way.free()
            await self._handle(head.id, tuple(behind.get(head.id, ())), now)

    async def _claim(self, now: datetime) -> tuple[list[Head], Behind]:
        async with self.sessions.begin() as session:
            facts = {"now": now, "until": now + LEASE, "limit": AT_ONCE, "whole": WHOLE}
            rows = await session.execute(CLAIM, facts)
            heads = sorted((Head(*row) for row in rows), key=lambda head: head.id)
            return heads, await waiting_behind(session, heads, self.seal)

    async def _handle(self, event_id: int, behind: tuple[Waiting, ...], now: datetime) -> None:
        """One event, one transaction; a failure leaves nothing behind but its reason."""
        try:
            async with self.sessions.begin() as session:
                stored = await session.get_one(InboundEvent, event_id, with_for_update=True)
                if stored.state is not InboundState.NEW:
                    return
                outcome = await self._work(session, stored, behind, now)
                await _note(session, event_id, outcome, now)
        except Exception as error:
            log.warning("event_failed", event_id=event_id, error=type(error).__name__)
            await self._note_failure(event_id, error, now)
        else:
            if not isinstance(outcome, Later):
                log.info("event_handled", event_id=event_id, outcome=outcome)
                EVENTS.labels("handled").inc()

    async def _work(
        self,
        session: AsyncSession,
        stored: InboundEvent,
        behind: tuple[Waiting, ...],
        now: datetime,
    ) -> Outcome:
        work = Work(
            session=session,
            sessions=self.sessions,
            wecom=self.wecom,
            archive=self.archive,
            settings=self.settings,
            now=now,
            received_at=stored.received_at,
            behind=behind,
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
        answered = 0
        while message_id := await self._claim_message(now):
            answered += await self._answer(message_id, now)
        return answered

    async def _claim_message(self, now: datetime) -> UUID | None:
        """The next one; where none is due, those whose process died are ruled out."""
        async with self.sessions.begin() as session:
            message_id = await conversations.claim_unanswered(session, now)
            if message_id is None:
                await conversations.give_up_lost(session, now)
            return message_id

    async def _answer(self, message_id: UUID, now: datetime) -> bool:
        """One message, one transaction; a failure leaves nothing behind but its reason."""
        try:
            async with self.sessions.begin() as session:
                message = await conversations.take_up(session, message_id)
                if message is None:
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


async def _note(session: AsyncSession, event_id: int, outcome: Outcome, now: datetime) -> None:
    """What became of it; one that comes later has not been tried."""
    # What the handler left to be written is written first: its faults are the event's.
    await session.flush()
    if isinstance(outcome, Later):
        await session.execute(PUT_OFF, {"id": event_id, "until": outcome.until})
    else:
        await session.execute(END, {"id": event_id, "outcome": outcome, "now": now})


def _tries(error: Exception) -> int:
    """How often an event is tried that fails in this way."""
    if isinstance(error, UnreadableEvent):
        return 1
    # Whatever an effect asks for may be asked again: a card has a task id that WeCom takes once.
    passing = isinstance(error, OutcomeUnknown) or (
        isinstance(error, WeComError) and error.retry_after is not None
    )
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
