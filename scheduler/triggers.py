"""Dates that enrol: a product matures, a risk assessment runs out."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.calendar import at_local, local_day
from compliance.suitability import expires_at
from customers.models import Customer, Follow, FollowState, Holding
from scheduler import enrolment
from scheduler.models import Enrolment, EnrolmentState, Sop, SopState, Step, Trigger

AT_ONCE = 1000
A_YEAR = timedelta(days=366)
MARGIN = timedelta(days=3)

Candidates = list[tuple[UUID, date]]


async def enrol_by_date(session: AsyncSession, now: datetime) -> int:
    """Enter whoever has come within the first step's lead of their date; returns how many.

    The round is the date itself, so running it again changes nothing.
    """
    query = (
        select(Sop, func.min(Step.day))
        .join(Step, col(Step.sop_id) == col(Sop.id))
        .where(
            col(Sop.state) == SopState.RUNNING,
            col(Sop.trigger).in_([Trigger.MATURITY, Trigger.ASSESSMENT_EXPIRY]),
        )
        .group_by(col(Sop.id))
    )
    entered = 0
    for sop, first_day in (await session.execute(query)).all():
        today = local_day(now)
        until = today + timedelta(days=max(0, -first_day))
        due = _maturing if sop.trigger == Trigger.MATURITY else _expiring
        entered += await _enter(session, sop, await due(session, sop, today, until), now)
    return entered


async def _enter(
    session: AsyncSession, sop: Sop, due: Iterable[tuple[UUID, date]], now: datetime
) -> int:
    entered = 0
    for customer_id, day in due:
        staff_id = await _keeper(session, customer_id)
        if staff_id is None:
            continue
        starts_at, number = at_local(day, time()), day.toordinal()
        outcome = await enrolment.enrol(
            session, sop, customer_id, staff_id, starts_at, now, round_number=number
        )
        entered += isinstance(outcome, Enrolment)
    return entered


async def _maturing(session: AsyncSession, sop: Sop, today: date, until: date) -> Candidates:
    query = (
        select(col(Holding.customer_id), col(Holding.matures_on))
        .where(
            col(Holding.matures_on).between(today, until),
            col(Holding.ended_on).is_(None),
            _outside(sop, Holding.customer_id, today),
        )
        .distinct()
        .order_by(col(Holding.matures_on), col(Holding.customer_id))
        .limit(AT_ONCE)
    )
    rows = await session.execute(query)
    return [(customer_id, day) for customer_id, day in rows if day is not None]


async def _expiring(session: AsyncSession, sop: Sop, today: date, until: date) -> Candidates:
    """Assessments count for twelve months; which day that is, `expires_at` knows."""
    earliest = at_local(today, time()) - A_YEAR - MARGIN
    latest = at_local(until, time()) - A_YEAR + MARGIN
    query = (
        select(col(Customer.id), col(Customer.risk_assessed_at))
        .where(
            col(Customer.risk_assessed_at).between(earliest, latest),
            _outside(sop, Customer.id, today),
        )
        .order_by(col(Customer.risk_assessed_at))
        .limit(AT_ONCE)
    )
    rows = await session.execute(query)
    days = [(id_, local_day(expires_at(assessed))) for id_, assessed in rows if assessed]
    return [(id_, day) for id_, day in days if today <= day <= until]


def _outside(sop: Sop, customer_id: UUID, today: date) -> ColumnElement[bool]:
    """Neither in this SOP at the moment nor entered for a date to come."""
    entered = select(col(Enrolment.id)).where(
        col(Enrolment.sop_id) == sop.id,
        col(Enrolment.customer_id) == customer_id,
        or_(
            col(Enrolment.state) == EnrolmentState.ACTIVE,
            col(Enrolment.starts_at) >= at_local(today, time()),
        ),
    )
    return ~entered.exists()


async def _keeper(session: AsyncSession, customer_id: UUID) -> UUID | None:
    """The RM who has followed the customer longest."""
    query = (
        select(col(Follow.staff_id))
        .where(col(Follow.customer_id) == customer_id, col(Follow.state) == FollowState.ACTIVE)
        .order_by(col(Follow.added_at), col(Follow.id))
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()
