"""What compliance must know within a minute: staff who tried to say what nobody may say (C-33)."""

import hashlib
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit, untold
from bank.database import ring
from outbound.models import ConductAlert, OutboundMessage

BELL = "conduct"
# 飞单, money between staff and customer, promises in private; other customers' data.
GRAVE = frozenset({"misconduct", "privacy_leak"})
LABELS = {"misconduct": "行为风险（飞单、资金往来、私下承诺等）", "privacy_leak": "泄露客户信息"}


async def raise_for(session: AsyncSession, row: OutboundMessage, now: datetime) -> None:
    """Raise an alert for a refused attempt if it is grave; the same words again raise no second."""
    found = {finding["category"] for finding in row.verdict.get("findings", [])}
    grave = sorted(found & GRAVE)
    if not grave or row.verdict.get("level") != "block":
        return
    digest = hashlib.sha256(f"{row.source}:{row.source_id}:{row.text_hash}".encode()).hexdigest()
    alert = ConductAlert(message_id=row.id, digest=digest, categories=grave, raised_at=now)
    written = insert(ConductAlert).values(alert.model_dump())
    once = written.on_conflict_do_nothing(index_elements=["digest"])
    if (await session.execute(once.returning(col(ConductAlert.id)))).first():
        await ring(session, BELL)


async def claim(session: AsyncSession, now: datetime) -> ConductAlert | None:
    """The oldest alert nobody was told of, ours for half a minute; None without one."""
    return await untold.claim(session, ConductAlert, now)


async def told(session: AsyncSession, alert_id: UUID, now: datetime) -> None:
    """A card about it is on compliance's desktops."""
    await untold.told(session, ConductAlert, alert_id, now)


async def see(session: AsyncSession, alert_id: UUID, *, by: str, now: datetime) -> bool:
    """Somebody of compliance looks after it, the first one counts; kept in the audit book."""
    query = select(ConductAlert).where(col(ConductAlert.id) == alert_id)
    alert = (await session.execute(query.with_for_update())).scalar_one_or_none()
    if alert is None or alert.seen_at is not None:
        return False
    alert.seen_at, alert.seen_by = now, by
    audit.record(session, "outbound:conduct_alert:see", alert.id, by=by, now=now)
    return True


def labels_of(categories: list[str]) -> str:
    """The categories in words."""
    return "、".join(LABELS.get(category, category) for category in categories)
