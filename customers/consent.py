"""A customer takes a consent 授权 back: it counts from that moment, for every channel."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from customers.models import Consent, Customer, Purpose


async def withdraw(
    session: AsyncSession,
    customer: Customer,
    *,
    by: str,
    now: datetime,
    purpose: Purpose = Purpose.MARKETING,
) -> list[UUID]:
    """End every consent in force for that purpose; which there were, none being fine."""
    query = (
        select(Consent)
        .where(
            Consent.customer_id == customer.id,
            Consent.purpose == purpose,
            col(Consent.withdrawn_at).is_(None) | (col(Consent.withdrawn_at) > now),
        )
        .with_for_update()
    )
    in_force = (await session.execute(query)).scalars().all()
    for consent in in_force:
        consent.withdrawn_at = now
        audit.record(
            session,
            "customers:consent:withdraw",
            consent.id,
            by=by,
            now=now,
            customer=str(customer.id),
            purpose=purpose.value,
        )
    return [consent.id for consent in in_force]


async def restore(
    session: AsyncSession, consents: Collection[UUID], *, by: str, now: datetime, because: str
) -> None:
    """Take back an ending that the customer never asked for; the book keeps both."""
    query = select(Consent).where(col(Consent.id).in_(consents)).with_for_update()
    for consent in (await session.execute(query)).scalars():
        consent.withdrawn_at = None
        audit.record(
            session,
            "customers:consent:restore",
            consent.id,
            by=by,
            now=now,
            customer=str(consent.customer_id),
            reason=because,
        )
