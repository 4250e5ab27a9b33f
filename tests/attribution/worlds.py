"""Small worlds of attribution: touchpoints at chosen moments, rows of the bank's file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from attribution.models import Credit, Dimension, Model, Touchpoint, TouchpointKind
from attribution.touchpoints import Seen, record
from bank.models import Branch, Role, Staff
from content.models import Version
from customers.models import Customer
from tests.builders import (
    MONDAY,
    a_branch,
    a_customer,
    a_follow,
    a_staff,
    an_approved_material,
)

WINDOW_DAYS = 30
_sources = count(1)


@dataclass
class Book:
    """One branch with two RMs, each with a customer, and two materials."""

    branch: Branch
    rm: Staff
    other_rm: Staff
    customer: Customer
    other_customer: Customer
    arousing: Version
    closing: Version


async def a_book(session: AsyncSession) -> Book:
    """The book, committed."""
    branch = await a_branch(session)
    rm = await a_staff(session, Role.RM, branch=branch, name="王敏")
    other_rm = await a_staff(session, Role.RM, branch=branch, name="陈立")
    customer = await a_customer(session, name="李女士", branch=branch)
    other = await a_customer(session, name="赵先生", branch=branch)
    await a_follow(session, rm, customer)
    await a_follow(session, other_rm, other)
    arousing = await an_approved_material(session, title="养老规划从哪里开始")
    closing = await an_approved_material(session, title="安心添利开放期提醒")
    await session.commit()
    return Book(branch, rm, other_rm, customer, other, arousing, closing)


async def a_touchpoint(
    session: AsyncSession,
    customer: Customer,
    rm: Staff,
    at: datetime,
    *,
    version: Version | None = None,
    kind: TouchpointKind = TouchpointKind.REPLY_SENT,
) -> Touchpoint:
    """A touchpoint as the product records it."""
    source_id = f"t{next(_sources)}"
    await record(
        session,
        Seen(
            customer_id=customer.id,
            staff_id=rm.id,
            kind=kind,
            channel="single_chat",
            at=at,
            source="suggestion",
            source_id=source_id,
            version_id=version.id if version else None,
        ),
    )
    query = select(Touchpoint).where(col(Touchpoint.source_id) == source_id)
    return (await session.execute(query)).scalar_one()


def a_row(
    customer: Customer | str,
    *,
    reference: str = "R1",
    amount: str = "100.00",
    at: datetime = MONDAY,
    product: str = "YX90D",
) -> dict[str, str]:
    """A line of the bank's file."""
    return {
        "reference": reference,
        "customer_no": customer if isinstance(customer, str) else customer.bank_no or "",
        "product_code": product,
        "amount": amount,
        "happened_at": at.isoformat(),
    }


def csv_of(rows: Sequence[dict[str, str]]) -> bytes:
    """The file with these lines."""
    lines = [",".join(rows[0])] + [",".join(row.values()) for row in rows]
    return "\r\n".join(lines).encode("utf-8-sig")


async def sums(session: AsyncSession) -> dict[tuple[Model, Dimension], int]:
    """Cents credited by each model over each dimension."""
    query = select(col(Credit.model), col(Credit.dimension), func.sum(Credit.cents)).group_by(
        col(Credit.model), col(Credit.dimension)
    )
    return {(m, d): int(cents) for m, d, cents in await session.execute(query)}


def days(number: float) -> timedelta:
    """So many days."""
    return timedelta(days=number)
