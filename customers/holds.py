"""Legal hold 法律保全: while it lasts, nothing of that customer is purged or erased.

The table keeps one hold a customer at a time; triggers of the database refuse to delete the rows
of a held customer, whoever asks. Only compliance and audit see holds: a hold must not warn anyone.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from customers.models import Customer, LegalHold

LONGEST_REASON = 200


async def of(session: AsyncSession, customer_id: UUID) -> LegalHold | None:
    """The hold on this customer, if one is in force."""
    query = select(LegalHold).where(
        LegalHold.customer_id == customer_id, col(LegalHold.released_at).is_(None)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def history(session: AsyncSession, customer_id: UUID) -> list[LegalHold]:
    """All holds there were on this customer, newest first."""
    query = select(LegalHold).where(LegalHold.customer_id == customer_id)
    newest = query.order_by(col(LegalHold.placed_at).desc())
    return list((await session.execute(newest)).scalars())


async def place(
    session: AsyncSession, customer: Customer, reason: str, *, by: str, now: datetime
) -> str:
    """Put the customer under legal hold; what is wrong, in words, or nothing."""
    if wrong := _wrong(reason):
        return wrong
    await session.get_one(Customer, customer.id, with_for_update=True)
    if await of(session, customer.id) is not None:
        return "该客户已在法律保全中，无需重复设置。"
    hold = LegalHold(customer_id=customer.id, reason=reason, placed_by=by, placed_at=now)
    session.add(hold)
    audit.record(
        session, "customers:hold:place", hold.id, by=by, now=now,
        customer=str(customer.id), reason=reason,
    )  # fmt: skip
    await session.flush()
    return ""


async def release(
    session: AsyncSession, customer: Customer, reason: str, *, by: str, now: datetime
) -> str:
    """End the hold; what is wrong, in words, or nothing."""
    if wrong := _wrong(reason):
        return wrong
    await session.get_one(Customer, customer.id, with_for_update=True)
    hold = await of(session, customer.id)
    if hold is None:
        return "该客户不在法律保全中，可能已由其他人解除。"
    hold.released_at, hold.released_by, hold.release_reason = now, by, reason
    audit.record(
        session, "customers:hold:release", hold.id, by=by, now=now,
        customer=str(customer.id), reason=reason,
    )  # fmt: skip
    await session.flush()
    return ""


def _wrong(reason: str) -> str:
    if not reason or "\0" in reason:
        return "请写明依据，例如案件或调查编号、要求保全的部门。"
    if len(reason) > LONGEST_REASON:
        return f"原因不超过 {LONGEST_REASON} 个字。"
    return ""
