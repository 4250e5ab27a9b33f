"""Touches 触达 and the tasks that carry them: the only writer of their states.

    planned ── claim_due ──▶ claimed ── intend ──▶ (task: intent) ──▶ handed ──▶ delivered
       ▲                        │                        │               └─────▶ not_reached
       └── defer, release ──────┤                        └──▶ unknown ──▶ handed, or released
                                └──▶ refused · ghost

One state has a second writer: in the transaction in which a version ends, the database itself
refuses what is planned or handed of it (docs/decisions/0019).

What a customer really received wins: a touch that was refused or cancelled after it had been
handed to the RM still becomes delivered if the platform says so.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, and_, any_, cast, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from bank import audit
from content.library import is_live
from content.models import Version
from customers.models import Customer
from scheduler.models import (
    Enrolment,
    EnrolmentState,
    SendTask,
    Sop,
    SopState,
    Step,
    TaskState,
    Touch,
    TouchState,
)
from scheduler.plan import Planned, deferred

LEASE = timedelta(minutes=5)
MAX_DEFERRALS = 10
# A message meant for this week helps nobody next month.
LONGEST_DEFERRAL = timedelta(days=7)

DEAD_MATERIAL = "素材已下线或过期"
NEWER_MATERIAL = "素材已有新版本，旧版本停止发送"
DEFERRED_TOO_OFTEN = f"已延期 {MAX_DEFERRALS} 次仍未能发送"
NOT_ACCEPTED = "企业微信未受理：该客户无法接收"

UNSETTLED = (TouchState.PLANNED, TouchState.CLAIMED, TouchState.HANDED, TouchState.UNKNOWN)
STOPPABLE = (TouchState.PLANNED, TouchState.HANDED)
TASK_OPEN = (TaskState.INTENT, TaskState.UNKNOWN, TaskState.HANDED, TaskState.CONFIRMED)


# Planned, claimed, and what the gates make of them.


def plan(session: AsyncSession, enrolment: Enrolment, moments: Sequence[Planned]) -> list[Touch]:
    """Plan the touches of an enrolment, one for each step (`uq_touch_enrolment_id_step_id`)."""
    planned = [
        Touch(
            enrolment_id=enrolment.id,
            step_id=moment.step_id,
            customer_id=enrolment.customer_id,
            staff_id=enrolment.staff_id,
            due_at=moment.due_at,
            planned_for=moment.due_at,
        )
        for moment in moments
    ]
    session.add_all(planned)
    return planned


async def claim_due(session: AsyncSession, now: datetime, limit: int) -> list[Touch]:
    """Claim up to `limit` touches due at `now`; a touch is never given to two callers.

    A claim whose lease ran out before it came to an intent is given again.
    """
    planned = and_(col(Touch.state) == TouchState.PLANNED, col(Touch.due_at) <= now)
    abandoned = and_(
        col(Touch.state) == TouchState.CLAIMED,
        col(Touch.task_id).is_(None),
        col(Touch.lease_until) <= now,
    )
    due = (
        select(col(Touch.id))
        .where(or_(planned, abandoned))
        .order_by(col(Touch.due_at), col(Touch.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claim = (
        update(Touch)
        .where(col(Touch.id).in_(due))
        .values(state=TouchState.CLAIMED, lease_until=now + LEASE)
        .returning(Touch)
    )
    fresh = {"synchronize_session": False, "populate_existing": True}
    claimed = list((await session.execute(claim, execution_options=fresh)).scalars())
    return sorted(claimed, key=lambda touch: (touch.due_at, touch.id))


def refuse(touch: Touch, reasons: Sequence[str], now: datetime) -> None:
    """The gates said no, for these reasons."""
    touch.state, touch.reasons = TouchState.REFUSED, list(reasons)
    touch.settled_at, touch.lease_until = now, None


def defer(touch: Touch, until: datetime, reason: str, now: datetime) -> bool:
    """Plan it again for later and count it; refused instead when it is too late or too often."""
    due_at = deferred(touch.due_at, until)
    if due_at - now > LONGEST_DEFERRAL:
        refuse(touch, [reason], now)
        return False
    if touch.deferrals >= MAX_DEFERRALS:
        refuse(touch, [DEFERRED_TOO_OFTEN, reason], now)
        return False
    touch.state, touch.due_at, touch.reasons = TouchState.PLANNED, due_at, [reason]
    touch.deferrals += 1
    touch.lease_until = touch.task_id = touch.version_id = None
    return True


def ghost(touch: Touch, version_id: UUID, now: datetime) -> None:
    """The customer is in control: this would have been sent at this moment, and is not."""
    touch.state, touch.version_id, touch.reasons = TouchState.GHOST, version_id, []
    touch.settled_at, touch.lease_until = now, None


async def intend(
    session: AsyncSession, carried: Sequence[Touch], version_id: UUID, body: str, now: datetime
) -> SendTask:
    """Write down that this RM is about to be handed this text for these customers."""
    task = SendTask(staff_id=carried[0].staff_id, version_id=version_id, text=body, intent_at=now)
    session.add(task)
    await session.flush()
    for touch in carried:
        touch.task_id, touch.version_id, touch.reasons = task.id, version_id, []
    return task


# What came of handing a task over.


async def handed(
    session: AsyncSession,
    task_id: UUID,
    msgid: str,
    failed: Collection[str],
    at: datetime,
    now: datetime,
) -> bool:
    """The RM has it; the customers in `failed` (WeCom ids) cannot receive it.

    False if the task was settled meanwhile, so that this one must be recalled.
    """
    task = await _doubtful(session, task_id)
    if task is None:
        return False
    task.state, task.msgid, task.handed_at, task.error = TaskState.HANDED, msgid, at, ""
    for touch, contact in await carried_by(session, task_id):
        touch.lease_until = None
        if contact in failed:
            _not_reached(touch, NOT_ACCEPTED, now)
        else:
            touch.state, touch.reasons = TouchState.HANDED, []
    return True


async def failed(session: AsyncSession, task_id: UUID, reason: str, now: datetime) -> None:
    """The platform refused the task for good."""
    task = await _doubtful(session, task_id)
    if task is None:
        return
    task.state, task.error = TaskState.FAILED, reason
    for touch, _ in await carried_by(session, task_id):
        _not_reached(touch, reason, now)


async def hold_live(session: AsyncSession, task_id: UUID, now: datetime) -> bool:
    """Whether the task's version is live, and keep it from ending until this transaction ends."""
    live = (
        select(col(Version.id))
        .join(SendTask, col(SendTask.version_id) == col(Version.id))
        .where(col(SendTask.id) == task_id, *is_live(now))
        .with_for_update(read=True, of=Version)
    )
    return (await session.execute(live)).scalar_one_or_none() is not None


async def call_off(session: AsyncSession, task_id: UUID, now: datetime) -> None:
    """Its material ended between the gates and the call: nothing is sent of it."""
    task = await _doubtful(session, task_id)
    if task is None:
        return
    task.state, task.error = TaskState.FAILED, DEAD_MATERIAL
    for touch, _ in await carried_by(session, task_id):
        refuse(touch, [DEAD_MATERIAL], now)
    await session.flush()


async def release(
    session: AsyncSession, task_id: UUID, reason: str, until: datetime, now: datetime
) -> None:
    """Nothing was sent, that is certain: its touches are planned again."""
    task = await _doubtful(session, task_id)
    if task is None:
        return
    task.state, task.error = TaskState.FAILED, reason
    for touch, _ in await carried_by(session, task_id):
        defer(touch, until, reason, now)


async def unknown(session: AsyncSession, task_id: UUID, reason: str, now: datetime) -> None:
    """It may have been created or not: nobody sends it again before it was looked up."""
    task = await _doubtful(session, task_id)
    if task is None:
        return
    task.state, task.error, task.polled_at = TaskState.UNKNOWN, reason, now
    for touch, _ in await carried_by(session, task_id):
        touch.state, touch.reasons, touch.lease_until = TouchState.UNKNOWN, [reason], None


async def _doubtful(session: AsyncSession, task_id: UUID) -> SendTask | None:
    """The task, locked, if nobody has settled it meanwhile."""
    query = select(SendTask).where(
        col(SendTask.id) == task_id, col(SendTask.state).in_([TaskState.INTENT, TaskState.UNKNOWN])
    )
    fresh = {"populate_existing": True}
    found = await session.execute(query.with_for_update(), execution_options=fresh)
    return found.scalar_one_or_none()


async def carried_by(session: AsyncSession, task_id: UUID) -> list[tuple[Touch, str]]:
    """The touches of a task, locked, each with the customer's WeCom id."""
    query = (
        select(Touch, col(Customer.external_userid))
        .join(Customer, col(Customer.id) == col(Touch.customer_id))
        .where(col(Touch.task_id) == task_id)
        .order_by(col(Touch.id))
        .with_for_update(of=Touch)
    )
    rows = await session.execute(query, execution_options={"populate_existing": True})
    return [(touch, contact or "") for touch, contact in rows]


# What the platform reports about a task that was handed over.


def confirm(task: SendTask, at: datetime) -> None:
    """The RM pressed send."""
    if task.state == TaskState.HANDED:
        task.state, task.confirmed_at = TaskState.CONFIRMED, at


def deliver(touch: Touch, at: datetime) -> bool:
    """The customer has it, whatever we wanted meanwhile; False if that was known."""
    if touch.state == TouchState.DELIVERED:
        return False
    touch.state, touch.settled_at = TouchState.DELIVERED, at
    return True


def miss(touch: Touch, reason: str, now: datetime) -> None:
    """The customer did not get it."""
    if touch.state == TouchState.HANDED:
        _not_reached(touch, reason, now)


def _not_reached(touch: Touch, reason: str, now: datetime) -> None:
    touch.state, touch.reasons = TouchState.NOT_REACHED, [reason]
    touch.settled_at, touch.lease_until = now, None


def close(task: SendTask) -> None:
    """Nothing of this task is open any more."""
    task.state = TaskState.CLOSED


# Taken back before a customer saw them.


async def cancel(
    session: AsyncSession, touch_id: UUID, reason: str, by: str, now: datetime
) -> Touch | None:
    """Cancel a planned touch on a person's word; None if it was not planned any more."""
    query = select(Touch).where(col(Touch.id) == touch_id, col(Touch.state) == TouchState.PLANNED)
    touch = (await session.execute(query.with_for_update())).scalar_one_or_none()
    if touch is None:
        return None
    touch.state, touch.reasons, touch.settled_at = TouchState.CANCELLED, [reason], now
    audit.record(session, "scheduler:touch:cancel", touch.id, by=by, now=now, reason=reason)
    return touch


async def give_up(
    session: AsyncSession, task_id: UUID, reason: str, by: str, now: datetime
) -> SendTask | None:
    """A person has looked up an unknown task: it is closed and none of it is sent again."""
    query = select(SendTask).where(
        col(SendTask.id) == task_id, col(SendTask.state) == TaskState.UNKNOWN
    )
    task = (await session.execute(query.with_for_update())).scalar_one_or_none()
    if task is None:
        return None
    task.state, task.error = TaskState.FAILED, reason
    for touch, _ in await carried_by(session, task_id):
        _not_reached(touch, reason, now)
    audit.record(session, "scheduler:task:give_up", task.id, by=by, now=now, reason=reason)
    return task


async def cancel_planned(
    session: AsyncSession, enrolment_ids: Collection[UUID], reason: str, now: datetime
) -> int:
    """Cancel what is still planned of these enrolments; returns how many."""
    return await _cancel(session, enrolment_ids, (TouchState.PLANNED,), reason, now)


async def cancel_unsent(
    session: AsyncSession, enrolment_ids: Collection[UUID], reason: str, now: datetime
) -> int:
    """Cancel what no customer has yet, handed or not; the tasks are recalled by the next poll."""
    return await _cancel(session, enrolment_ids, STOPPABLE, reason, now)


async def _cancel(
    session: AsyncSession,
    enrolment_ids: Collection[UUID],
    states: Sequence[TouchState],
    reason: str,
    now: datetime,
) -> int:
    if not enrolment_ids:
        return 0
    cancelled = (
        update(Touch)
        .where(among(col(Touch.enrolment_id), enrolment_ids), col(Touch.state).in_(states))
        .values(state=TouchState.CANCELLED, reasons=[reason], settled_at=now)
        .returning(col(Touch.id))
        .execution_options(synchronize_session=False)
    )
    return len((await session.execute(cancelled)).all())


async def cancel_for_dead_material(session: AsyncSession, now: datetime) -> list[UUID]:
    """Refuse what may not be sent any more; the enrolments that were stopped by it.

    Planned: the material has no live version. Most of them ended with it, in the database; here
    are those that a sender held at that moment. Handed: the version the task carries is not live;
    the task itself is recalled by the next poll.
    """
    dead = await _dead_steps(session, now)
    gone = and_(among(col(Touch.step_id), dead), col(Touch.state).in_(STOPPABLE))
    dead_versions = select(col(Version.id)).where(~and_(*is_live(now)))
    replaced = and_(col(Touch.state) == TouchState.HANDED, col(Touch.version_id).in_(dead_versions))
    refused = await _refuse_all(session, gone, DEAD_MATERIAL, now) if dead else []
    refused += await _refuse_all(session, replaced, NEWER_MATERIAL, now)
    return refused + (await _stopped(session, dead) if dead else [])


async def _stopped(session: AsyncSession, dead: Collection[UUID]) -> list[UUID]:
    """Enrolments still going on although their last touches ended with these steps' material."""
    other = aliased(Touch)
    left = select(col(other.id)).where(
        col(other.enrolment_id) == col(Touch.enrolment_id), col(other.state).in_(UNSETTLED)
    )
    query = (
        select(col(Touch.enrolment_id))
        .join(Enrolment, col(Enrolment.id) == col(Touch.enrolment_id))
        .where(
            among(col(Touch.step_id), dead),
            col(Touch.state) == TouchState.REFUSED,
            col(Enrolment.state) == EnrolmentState.ACTIVE,
            ~left.exists(),
        )
    )
    return list((await session.execute(query)).scalars())


async def _dead_steps(session: AsyncSession, now: datetime) -> list[UUID]:
    """Steps of running SOPs with nothing live to send; there are few steps and many touches."""
    alive = select(col(Version.id)).where(
        col(Version.material_id) == Step.material_id, *is_live(now)
    )
    query = (
        select(col(Step.id))
        .join(Sop, col(Sop.id) == col(Step.sop_id))
        .where(col(Sop.state) == SopState.RUNNING, ~alive.exists())
    )
    return list((await session.execute(query)).scalars())


def among(column: Any, ids: Collection[UUID]) -> ColumnElement[bool]:
    """One of these ids, however many: they travel as one array."""
    return column == any_(cast(list(ids), ARRAY(Uuid)))  # type: ignore[no-any-return]


async def _refuse_all(
    session: AsyncSession, which: ColumnElement[bool], reason: str, now: datetime
) -> list[UUID]:
    refused = (
        update(Touch)
        .where(which)
        .values(state=TouchState.REFUSED, reasons=[reason], settled_at=now)
        .returning(col(Touch.enrolment_id))
        .execution_options(synchronize_session=False)
    )
    return list((await session.execute(refused)).scalars())
