"""Conversations as the archive tells them, once for each platform message id."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bot.models import Message, Speaker

LEASE = timedelta(seconds=60)
TRIES = 3

CLAIM = text("""
UPDATE message SET lease_until = :until, attempts = attempts + 1
WHERE id = (
    SELECT id FROM message
    WHERE NOT answered AND attempts < :tries AND (lease_until IS NULL OR lease_until <= :now)
    ORDER BY sent_at LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING id
""")


@dataclass(frozen=True)
class Line:
    """One message of a one-to-one chat."""

    msgid: str
    staff_id: UUID
    customer_id: UUID
    speaker: Speaker
    text: str
    sent_at: datetime


async def append(session: AsyncSession, line: Line, now: datetime) -> UUID | None:
    """Store it; None where the same message is there already."""
    row = insert(Message).values(
        msgid=line.msgid,
        staff_id=line.staff_id,
        customer_id=line.customer_id,
        speaker=line.speaker,
        text=storable(line.text),
        sent_at=line.sent_at,
        stored_at=now,
        # Only a customer's words wait for a suggestion.
        answered=line.speaker is Speaker.RM,
    )
    stored = row.on_conflict_do_nothing(index_elements=["msgid"]).returning(col(Message.id))
    return (await session.execute(stored)).scalar_one_or_none()


def storable(text: str) -> str:
    """The text without NUL and half characters, which PostgreSQL cannot keep."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


async def latest(
    session: AsyncSession,
    staff_id: UUID,
    customer_id: UUID,
    limit: int = 20,
    before: datetime | None = None,
) -> list[Message]:
    """The newest messages between the two, before a moment if one is given, oldest first."""
    query = select(Message).where(Message.staff_id == staff_id, Message.customer_id == customer_id)
    if before is not None:
        query = query.where(col(Message.sent_at) < before)
    newest = query.order_by(col(Message.sent_at).desc()).limit(limit)
    return list(reversed((await session.execute(newest)).scalars().all()))


async def of_customer(session: AsyncSession, customer_id: UUID, limit: int = 100) -> list[Message]:
    """The newest messages of a customer with any of our RMs, newest first."""
    query = select(Message).where(Message.customer_id == customer_id)
    return list(
        (await session.execute(query.order_by(col(Message.sent_at).desc()).limit(limit))).scalars()
    )


async def claim_unanswered(session: AsyncSession, now: datetime) -> UUID | None:
    """The oldest message that waits for a suggestion, ours for a minute; None when none is due.

    Messages come one at a time: a lease on many would run out while the first are answered.
    """
    claim = {"now": now, "until": now + LEASE, "tries": TRIES}
    return (await session.execute(CLAIM, claim)).scalar_one_or_none()


async def take_up(session: AsyncSession, message_id: UUID) -> Message | None:
    """The message, marked as answered and ours until the transaction ends; None if it was."""
    answered = (
        update(Message)
        .where(col(Message.id) == message_id, col(Message.answered).is_(False))
        .values(answered=True, failure="")
        .returning(Message)
    )
    return (await session.execute(answered)).scalar_one_or_none()


async def give_up_lost(session: AsyncSession, now: datetime) -> None:
    """Rule out messages whose last try ended with its process."""
    lost = (
        update(Message)
        .where(
            col(Message.answered).is_(False),
            col(Message.attempts) >= TRIES,
            col(Message.lease_until) <= now,
        )
        .values(answered=True, failure="ProcessDied")
    )
    await session.execute(lost)


def note_failure(message: Message, failure: str, now: datetime) -> None:
    """Try again a little later; after the third time the message is ruled out, with its reason."""
    message.failure = failure
    message.answered = message.attempts >= TRIES
    message.lease_until = now + timedelta(seconds=2**message.attempts)


async def failed(session: AsyncSession, limit: int = 50) -> list[Message]:
    """The newest messages for which no suggestion could be made."""
    query = select(Message).where(Message.failure != "", col(Message.answered))
    return list(
        (await session.execute(query.order_by(col(Message.sent_at).desc()).limit(limit))).scalars()
    )
