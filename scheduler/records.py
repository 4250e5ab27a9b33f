"""What the pages show of SOPs, enrolments, touches and tasks, each within one's own customers."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import join
from sqlmodel import col

from bank.calendar import local_day
from bank.models import Role, Staff
from content import library, sendable
from content.models import Kind, Material, Version
from content.phone import Phone, as_sent
from content.sendable import SHAPES, Sendable
from customers.book import SEES_ALL, visible
from customers.models import Customer
from desk.signed import Signed
from scheduler.models import (
    Enrolment,
    SendTask,
    Sop,
    Step,
    TaskState,
    Touch,
    TouchState,
)
from scheduler.touches import TASK_OPEN
from wecom.channels import Channel

A_PAGE = 25


@dataclass(frozen=True)
class SopLine:
    """A SOP in the list."""

    sop: Sop
    steps: int
    enrolled: int
    delivered: int


@dataclass(frozen=True)
class StepLine:
    """A step with what has become of its touches."""

    step: Step
    title: str
    phone: Phone | None  # what the live version is on a phone; none without one
    counts: dict[TouchState, int]


@dataclass(frozen=True)
class EnrolmentLine:
    """A customer in a SOP."""

    enrolment: Enrolment
    customer: str
    rm: str


@dataclass(frozen=True)
class TouchRow:
    """A touch in the list."""

    touch: Touch
    sop: Sop
    step: Step
    customer: str
    rm: str
    arm: str
    title: str


@dataclass(frozen=True)
class TaskRow:
    """A task that is not settled."""

    task: SendTask
    rm: str
    customers: int


@dataclass(frozen=True)
class Wanted:
    """The filter of the list of touches."""

    sop: UUID | None = None
    step: UUID | None = None
    state: TouchState | None = None
    page: int = 1


async def sop_lines(session: AsyncSession, who: Signed) -> list[SopLine]:
    """All SOPs, running ones first; counts are of customers one may see."""
    steps = select(func.count()).where(col(Step.sop_id) == Sop.id).scalar_subquery()
    enrolled = (
        select(func.count(col(Enrolment.id)))
        .join(Customer, col(Customer.id) == col(Enrolment.customer_id))
        .where(col(Enrolment.sop_id) == Sop.id, visible(who))
        .scalar_subquery()
    )
    delivered = (
        select(func.count(col(Touch.id)))
        .join(Enrolment, col(Enrolment.id) == col(Touch.enrolment_id))
        .join(Customer, col(Customer.id) == col(Touch.customer_id))
        .where(
            col(Enrolment.sop_id) == Sop.id,
            col(Touch.state) == TouchState.DELIVERED,
            visible(who),
        )
        .scalar_subquery()
    )
    order = (col(Sop.state) != "running", col(Sop.state) != "draft", col(Sop.name))
    rows = await session.execute(select(Sop, steps, enrolled, delivered).order_by(*order))
    return [SopLine(*row) for row in rows]


async def step_lines(
    session: AsyncSession, who: Signed, sop_id: UUID, now: datetime
) -> list[StepLine]:
    """The steps of a SOP with their counts and what they would send today."""
    query = (
        select(Step, Material, Version)
        .join(Material, col(Material.id) == col(Step.material_id))
        .outerjoin(
            Version,
            and_(
                col(Version.material_id) == Material.id,
                col(Version.state) == "approved",
                col(Version.valid_from) <= now,
                col(Version.valid_until) > now,
            ),
        )
        .where(col(Step.sop_id) == sop_id)
        .order_by(col(Step.position))
    )
    counts = await _counts(session, who, sop_id)
    found = (await session.execute(query)).all()
    beside = await sendable.of_versions(session, [v.id for _, _, v in found if v is not None])
    return [
        StepLine(
            step,
            version.title if version else material.title,
            _on_a_phone(version, material, beside.get(version.id)) if version else None,
            counts[step.id],
        )
        for step, material, version in found
    ]


def _on_a_phone(version: Version, material: Material, beside: Sendable | None) -> Phone:
    return as_sent(version.title, sendable.words_of(version, material.kind), beside)


async def phone_of(session: AsyncSession, material_id: UUID, now: datetime) -> Phone | None:
    """What a customer would get of this material now; none where no version of it is live."""
    version = await library.live_version_of(session, material_id, now)
    if version is None:
        return None
    material = await session.get_one(Material, material_id)
    beside = await sendable.of_versions(session, [version.id])
    return _on_a_phone(version, material, beside.get(version.id))


async def _counts(
    session: AsyncSession, who: Signed, sop_id: UUID
) -> dict[UUID, dict[TouchState, int]]:
    query = (
        select(col(Touch.step_id), col(Touch.state), func.count())
        .join(Step, col(Step.id) == col(Touch.step_id))
        .join(Customer, col(Customer.id) == col(Touch.customer_id))
        .where(col(Step.sop_id) == sop_id, visible(who))
        .group_by(col(Touch.step_id), col(Touch.state))
    )
    counts: dict[UUID, dict[TouchState, int]] = defaultdict(dict)
    for step_id, state, number in await session.execute(query):
        counts[step_id][state] = number
    return counts


async def enrolment_lines(
    session: AsyncSession, who: Signed, sop_id: UUID, limit: int = 100
) -> list[EnrolmentLine]:
    """The newest enrolments of a SOP, of customers one may see."""
    query = (
        select(Enrolment, col(Customer.name), col(Staff.name))
        .join(Customer, col(Customer.id) == col(Enrolment.customer_id))
        .join(Staff, col(Staff.id) == col(Enrolment.staff_id))
        .where(col(Enrolment.sop_id) == sop_id, visible(who))
        .order_by(col(Enrolment.enrolled_at).desc(), col(Customer.name))
        .limit(limit)
    )
    return [EnrolmentLine(*row) for row in (await session.execute(query))]


async def touch_rows(
    session: AsyncSession, who: Signed, wanted: Wanted
) -> tuple[list[TouchRow], int]:
    """A page of touches of customers one may see, latest due first, and how many there are."""
    conditions = _conditions(who, wanted)
    counted = select(func.count(col(Touch.id))).select_from(_JOINED).where(*conditions)
    query = (
        select(Touch, Sop, Step, col(Customer.name), col(Staff.name), Enrolment, Material)
        .select_from(_JOINED)
        .where(*conditions)
        .order_by(col(Touch.due_at).desc(), col(Touch.id))
        .limit(A_PAGE)
        .offset((wanted.page - 1) * A_PAGE)
    )
    rows = [
        TouchRow(touch, sop, step, customer, rm, enrolment.arm.label, material.title)
        for touch, sop, step, customer, rm, enrolment, material in (await session.execute(query))
    ]
    return rows, (await session.execute(counted)).scalar_one()


_JOINED = (
    join(Touch, Enrolment, col(Enrolment.id) == col(Touch.enrolment_id))
    .join(Sop, col(Sop.id) == col(Enrolment.sop_id))
    .join(Step, col(Step.id) == col(Touch.step_id))
    .join(Material, col(Material.id) == col(Step.material_id))
    .join(Customer, col(Customer.id) == col(Touch.customer_id))
    .join(Staff, col(Staff.id) == col(Touch.staff_id))
)


def _conditions(who: Signed, wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions = [visible(who)]
    if wanted.sop:
        conditions.append(col(Enrolment.sop_id) == wanted.sop)
    if wanted.step:
        conditions.append(col(Touch.step_id) == wanted.step)
    if wanted.state:
        conditions.append(col(Touch.state) == wanted.state)
    return conditions


async def find_touch(session: AsyncSession, who: Signed, touch_id: UUID) -> Touch | None:
    """The touch, if its customer is one's own."""
    query = (
        select(Touch)
        .join(Customer, col(Customer.id) == col(Touch.customer_id))
        .where(col(Touch.id) == touch_id, visible(who))
    )
    return (await session.execute(query)).scalar_one_or_none()


async def open_tasks(session: AsyncSession, who: Signed, limit: int = 20) -> list[TaskRow]:
    """Tasks that wait for an RM, for results, or for somebody to look; the doubtful ones first."""
    carried = select(func.count()).where(col(Touch.task_id) == SendTask.id).scalar_subquery()
    query = (
        select(SendTask, col(Staff.name), carried)
        .join(Staff, col(Staff.id) == col(SendTask.staff_id))
        .where(col(SendTask.state).in_(TASK_OPEN), _staff_in_scope(who))
        .order_by(col(SendTask.state) != TaskState.UNKNOWN, col(SendTask.intent_at).desc())
        .limit(limit)
    )
    return [TaskRow(*row) for row in (await session.execute(query))]


def _staff_in_scope(who: Signed) -> ColumnElement[bool]:
    if who.may(*SEES_ALL):
        return true()
    own: ColumnElement[bool] = false()
    if who.may(Role.RM):
        own = or_(own, col(Staff.id) == who.id)
    if who.may(Role.BRANCH_MANAGER) and who.branch_id is not None:
        own = or_(own, col(Staff.branch_id) == who.branch_id)
    return own


async def material_choices(session: AsyncSession, now: datetime) -> list[tuple[str, str]]:
    """Material that may be sent in a chat today, with what it is and the day it expires."""
    query = (
        select(Version, col(Material.kind))
        .join(Material, col(Material.id) == Version.material_id)
        .where(
            col(Version.state) == "approved",
            col(Version.valid_from) <= now,
            col(Version.valid_until) > now,
            col(Version.channels).contains([Channel.SINGLE_CHAT.value]),
        )
        .order_by(col(Version.title))
    )
    return [
        (
            str(version.material_id),
            f"{version.title}（{_what(kind)}至 {local_day(version.valid_until)}）",
        )
        for version, kind in await session.execute(query)
        if version.valid_until
    ]


def _what(kind: Kind) -> str:
    """What goes beside the words, before the day; nothing for words alone."""
    return f"{SHAPES[kind].label}，" if kind in SHAPES else ""
