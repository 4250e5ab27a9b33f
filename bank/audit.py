"""The audit book: who did what to which object, when, in the transaction that did it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import AuditEntry

SYSTEM = "system"


def record(
    session: AsyncSession,
    action: str,
    subject_id: UUID | str,
    *,
    by: str,
    now: datetime,
    **detail: Any,
) -> None:
    """Write one line; `action` is `area:subject:verb` and the line commits with the change."""
    subject = action.split(":")[1]
    entry = AuditEntry(
        at=now, actor=by, action=action, subject=subject, subject_id=str(subject_id), detail=detail
    )
    session.add(entry)


async def history(session: AsyncSession, subject: str, subject_id: UUID | str) -> list[AuditEntry]:
    """All lines about one object, oldest first."""
    lines = select(AuditEntry).where(
        AuditEntry.subject == subject, AuditEntry.subject_id == str(subject_id)
    )
    return list((await session.execute(lines.order_by(col(AuditEntry.id)))).scalars())
