"""Conversations as the archive tells them, once for each platform message id."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bot.models import Message, Speaker


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
        text=line.text,
        sent_at=line.sent_at,
        stored_at=now,
        # Only a customer's words wait for a suggestion.
        answered=line.speaker is Speaker.RM,
    )
    stored = row.on_conflict_do_nothing(index_elements=["msgid"]).returning(col(Message.id))
    return (await session.execute(stored)).scalar_one_or_none()


async def latest(
    session: AsyncSession, staff_id: UUID, customer_id: UUID, limit: int = 20
) -> list[Message]:
    """The newest messages between the two, oldest of them first."""
    query = select(Message).where(Message.staff_id == staff_id, Message.customer_id == customer_id)
    newest = query.order_by(col(Message.sent_at).desc()).limit(limit)
    return list(reversed((await session.execute(newest)).scalars().all()))


async def of_customer(session: AsyncSession, customer_id: UUID, limit: int = 100) -> list[Message]:
    """The newest messages of a customer with any of our RMs, newest first."""
    query = select(Message).where(Message.customer_id == customer_id)
    return list(
        (await session.execute(query.order_by(col(Message.sent_at).desc()).limit(limit))).scalars()
    )


async def claim_unanswered(session: AsyncSession, limit: int) -> list[Message]:
    """Customers' messages nobody has looked at, locked for this transaction, oldest first."""
    query = (
        select(Message)
        .where(col(Message.answered).is_(False))
        .order_by(col(Message.sent_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list((await session.execute(query)).scalars())
