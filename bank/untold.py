"""Alerts that a person is told of by a card, once: the oldest is claimed, told, and marked.

For tables with `raised_at`, `lease_until` and `told_at`. A process that dies in between leaves
its claim behind for half a minute.
"""

from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

LEASE = timedelta(seconds=30)

A = TypeVar("A", bound=SQLModel)


async def claim(
    session: AsyncSession, table: type[A], now: datetime, *wanted: ColumnElement[bool]
) -> A | None:
    """The oldest wanted alert nobody was told of, ours for half a minute; None without one."""
    kept = table.__table__.c  # type: ignore[attr-defined]
    query = (
        select(table)
        .where(
            *wanted,
            kept.told_at.is_(None),
            or_(kept.lease_until.is_(None), kept.lease_until <= now),
        )
        .order_by(kept.raised_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    alert = (await session.execute(query)).scalar_one_or_none()
    if alert is not None:
        alert.lease_until = now + LEASE
    return alert


async def told(session: AsyncSession, table: type[SQLModel], alert_id: UUID, now: datetime) -> None:
    """A card about it is on somebody's desktop."""
    kept = table.__table__.c  # type: ignore[attr-defined]
    await session.execute(update(table).where(kept.id == alert_id).values(told_at=now))
