"""Enrolment 入组: who enters a SOP, in which arm, and how it ends."""

import enum
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution.models import Conversion
from compliance.suitability import ADULT_AGE
from compliance.verdict import Refused
from customers import book
from customers.models import Customer, Follow, FollowState
from scheduler import touches
from scheduler.models import (
    Enrolment,
    EnrolmentState,
    Sop,
    SopState,
    Step,
    Touch,
    Trigger,
)
from scheduler.plan import StepRule, arm_of, planned_moments

log = structlog.get_logger("scheduler")

FIRST_ROUND = 1
CONVERTED = "客户入组后已转化"
LATELY = timedelta(days=31)


class NotEnrolled(enum.StrEnum):
    """Why a customer does not enter a SOP."""

    SOP_NOT_RUNNING = "sop_not_running"
    NO_FOLLOW = "no_follow"
    NO_CONSENT = "no_consent"
    ALREADY_IN = "already_in"
    HAS_BEEN_IN = "has_been_in"
    MINOR = "minor"

    @property
    def label(self) -> str:
        """The reason as an RM reads it."""
        return {
            "sop_not_running": "该 SOP 未在运行",
            "no_follow": "客户经理与该客户没有有效的跟进关系",
            "no_consent": "客户未授权接收营销信息",
            "already_in": "客户已在该 SOP 中",
            "has_been_in": "客户已参加过该 SOP 的这一轮",
            "minor": "客户未满18周岁，不进入营销 SOP",
        }[self]


async def enrol(
    session: AsyncSession,
    sop: Sop,
    customer_id: UUID,
    staff_id: UUID,
    starts_at: datetime,
    now: datetime,
    *,
    round_number: int | None = None,
) -> Enrolment | Refused[NotEnrolled]:
    """Enter the customer and plan every step, once a round (kept by a unique key).

    Without a round number it is the round after the last one.
    """
    reasons = await _against(session, sop, customer_id, staff_id, now)
    if reasons:
        return Refused(tuple(reasons))
    number = round_number or await _next_round(session, sop.id, customer_id)
    entered = await _enter(session, sop, customer_id, staff_id, starts_at, number, now)
    if entered is None:
        return Refused((NotEnrolled.HAS_BEEN_IN,))
    touches.plan(session, entered, planned_moments(await _rules(session, sop.id), starts_at))
    await session.flush()
    log.info("enrolled", enrolment=str(entered.id), sop=str(sop.id), arm=entered.arm.value)
    return entered


async def _against(
    session: AsyncSession, sop: Sop, customer_id: UUID, staff_id: UUID, now: datetime
) -> list[NotEnrolled]:
    reasons: list[NotEnrolled] = []
    if sop.state != SopState.RUNNING:
        reasons.append(NotEnrolled.SOP_NOT_RUNNING)
    if not await _follows(session, customer_id, staff_id):
        reasons.append(NotEnrolled.NO_FOLLOW)
    if sop.marketing and await book.consent_of(session, customer_id, now) is None:
        reasons.append(NotEnrolled.NO_CONSENT)
    if sop.marketing and await _is_minor(session, customer_id, now):
        reasons.append(NotEnrolled.MINOR)
    if await _is_in(session, sop.id, customer_id):
        reasons.append(NotEnrolled.ALREADY_IN)
    return reasons


async def _follows(session: AsyncSession, customer_id: UUID, staff_id: UUID) -> bool:
    query = select(Follow.id).where(
        Follow.customer_id == customer_id,
        Follow.staff_id == staff_id,
        Follow.state == FollowState.ACTIVE,
    )
    return (await session.execute(query)).first() is not None


async def _is_minor(session: AsyncSession, customer_id: UUID, now: datetime) -> bool:
    """Somebody under 18 is in no marketing audience (C-07)."""
    age = book.age_on(await session.get_one(Customer, customer_id), now)
    return age is not None and age < ADULT_AGE


async def _is_in(session: AsyncSession, sop_id: UUID, customer_id: UUID) -> bool:
    query = select(Enrolment.id).where(
        Enrolment.sop_id == sop_id,
        Enrolment.customer_id == customer_id,
        Enrolment.state == EnrolmentState.ACTIVE,
    )
    return (await session.execute(query)).first() is not None


async def _next_round(session: AsyncSession, sop_id: UUID, customer_id: UUID) -> int:
    query = select(func.max(Enrolment.round)).where(
        Enrolment.sop_id == sop_id, Enrolment.customer_id == customer_id
    )
    return ((await session.execute(query)).scalar_one() or 0) + 1


async def _enter(
    session: AsyncSession,
    sop: Sop,
    customer_id: UUID,
    staff_id: UUID,
    starts_at: datetime,
    number: int,
    now: datetime,
) -> Enrolment | None:
    """The new enrolment; None if a racing caller was first."""
    row = insert(Enrolment).values(
        sop_id=sop.id,
        customer_id=customer_id,
        staff_id=staff_id,
        round=number,
        arm=arm_of(str(sop.id), customer_id, sop.control_percent),
        state=EnrolmentState.ACTIVE,
        starts_at=starts_at,
        enrolled_at=now,
        reason="",
    )
    once = row.on_conflict_do_nothing(index_elements=["sop_id", "customer_id", "round"])
    return (await session.execute(once.returning(Enrolment))).scalar_one_or_none()


async def _rules(session: AsyncSession, sop_id: UUID) -> list[StepRule]:
    query = select(Step).where(Step.sop_id == sop_id).order_by(col(Step.position))
    steps = (await session.execute(query)).scalars()
    return [StepRule(step.id, step.day, step.at) for step in steps]


async def on_trigger(
    session: AsyncSession, trigger: Trigger, customer_id: UUID, staff_id: UUID, now: datetime
) -> list[Enrolment]:
    """Enter the customer into every running SOP of that trigger, once in all; those entered."""
    query = select(Sop).where(Sop.trigger == trigger, Sop.state == SopState.RUNNING)
    entered: list[Enrolment] = []
    for sop in (await session.execute(query.order_by(col(Sop.code)))).scalars().all():
        outcome = await enrol(
            session, sop, customer_id, staff_id, now, now, round_number=FIRST_ROUND
        )
        if isinstance(outcome, Enrolment):
            entered.append(outcome)
        else:
            reasons = [reason.value for reason in outcome.reasons]
            log.info("not_enrolled", sop=str(sop.id), customer=str(customer_id), reasons=reasons)
    return entered


async def leave_all(
    session: AsyncSession, customer_id: UUID, staff_id: UUID, reason: str, now: datetime
) -> int:
    """The relation ended: leave every SOP run by this RM and cancel what the customer has not."""
    theirs = (Enrolment.customer_id == customer_id, Enrolment.staff_id == staff_id)
    ids = await _active(session, theirs)
    await touches.cancel_unsent(session, ids, reason, now)
    return await _end(session, ids, EnrolmentState.LEFT, reason, now)


async def leave_sop(session: AsyncSession, sop_id: UUID, reason: str, now: datetime) -> int:
    """The SOP was stopped: everybody leaves it, and what waits for an RM is taken back."""
    every = select(Enrolment.id).where(Enrolment.sop_id == sop_id)
    ids = list((await session.execute(every)).scalars())
    await touches.cancel_unsent(session, ids, reason, now)
    return await _end(session, ids, EnrolmentState.LEFT, reason, now)


async def exit_converted(session: AsyncSession, now: datetime) -> int:
    """Customers of marketing SOPs who converted since they entered, and lately, are done.

    A conversion reported later than that is found by the gate before the next touch.
    """
    converted = select(Conversion.customer_id).where(
        col(Conversion.customer_id) == Enrolment.customer_id,
        col(Conversion.at) >= Enrolment.enrolled_at,
        col(Conversion.at) >= now - LATELY,
    )
    marketing = select(Sop.id).where(col(Sop.marketing))
    ids = await _active(session, (converted.exists(), col(Enrolment.sop_id).in_(marketing)))
    await touches.cancel_planned(session, ids, CONVERTED, now)
    return await _end(session, ids, EnrolmentState.CONVERTED, CONVERTED, now)


async def complete(session: AsyncSession, enrolment_ids: Collection[UUID], now: datetime) -> int:
    """Enrolments of these with nothing left to send or to hear about are completed."""
    left = select(Touch.id).where(
        col(Touch.enrolment_id) == Enrolment.id, col(Touch.state).in_(touches.UNSETTLED)
    )
    finished = (touches.among(col(Enrolment.id), enrolment_ids), ~left.exists())
    ids = await _active(session, finished) if enrolment_ids else []
    return await _end(session, ids, EnrolmentState.COMPLETED, "", now)


async def _active(session: AsyncSession, which: Sequence[ColumnElement[bool] | bool]) -> list[UUID]:
    query = select(Enrolment.id).where(Enrolment.state == EnrolmentState.ACTIVE, *which)
    return list((await session.execute(query.order_by(col(Enrolment.id)))).scalars())


async def _end(
    session: AsyncSession,
    ids: Collection[UUID],
    state: EnrolmentState,
    reason: str,
    now: datetime,
) -> int:
    """End these; always after their touches, as the sender does, so that nobody waits in a ring."""
    if not ids:
        return 0
    ended = (
        update(Enrolment)
        .where(touches.among(col(Enrolment.id), ids), col(Enrolment.state) == EnrolmentState.ACTIVE)
        .values(state=state, ended_at=now, reason=reason)
        .returning(col(Enrolment.id))
        .execution_options(synchronize_session=False)
    )
    return len((await session.execute(ended)).all())


async def customer_choices(
    session: AsyncSession, sop: Sop, staff_id: UUID, limit: int = 200
) -> list[tuple[str, str]]:
    """Customers this RM could enter by hand: followed, not in it now; id and name."""
    inside = select(Enrolment.customer_id).where(
        Enrolment.sop_id == sop.id, Enrolment.state == EnrolmentState.ACTIVE
    )
    query = (
        select(Customer.id, Customer.name)
        .join(Follow, col(Follow.customer_id) == col(Customer.id))
        .where(
            Follow.staff_id == staff_id,
            Follow.state == FollowState.ACTIVE,
            col(Customer.id).not_in(inside),
        )
        .order_by(col(Customer.name))
        .limit(limit)
    )
    return [(str(id_), name) for id_, name in (await session.execute(query))]
