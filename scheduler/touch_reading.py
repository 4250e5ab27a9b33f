"""What others ask of touches: those of a chat, and how much marketing a customer may still get."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.calendar import local_day, month_start
from bank.settings import Settings
from content.models import Version
from scheduler.models import Enrolment, SendTask, Sop, Step, Touch, TouchState
from scheduler.touches import TASK_OPEN


@dataclass(frozen=True)
class TouchLine:
    """A touch as an RM reads it beside the chat."""

    id: UUID
    state: TouchState
    sop_name: str
    step_position: int
    title: str
    text: str
    due_at: datetime


async def of_chat(session: AsyncSession, staff_id: UUID, customer_id: UUID) -> list[TouchLine]:
    """What waits for this RM in the chat with this customer, and what is to come."""
    shown = func.coalesce(SendTask.text, Version.body, "")
    query = (
        select(Touch, col(Sop.name), col(Step.position), func.coalesce(Version.title, ""), shown)
        .join(Enrolment, col(Enrolment.id) == col(Touch.enrolment_id))
        .join(Sop, col(Sop.id) == col(Enrolment.sop_id))
        .join(Step, col(Step.id) == col(Touch.step_id))
        .outerjoin(SendTask, col(SendTask.id) == col(Touch.task_id))
        .outerjoin(
            Version,
            and_(col(Version.material_id) == Step.material_id, col(Version.state) == "approved"),
        )
        .where(
            col(Touch.staff_id) == staff_id,
            col(Touch.customer_id) == customer_id,
            col(Enrolment.arm) == "treated",
            col(Touch.state).in_([TouchState.PLANNED, TouchState.HANDED]),
        )
        .order_by(col(Touch.due_at))
    )
    rows = await session.execute(query)
    return [
        TouchLine(touch.id, touch.state, sop, position, title, body, touch.due_at)
        for touch, sop, position, title, body in rows
    ]


async def marketing_moments(
    session: AsyncSession, customer_id: UUID, now: datetime
) -> list[datetime]:
    """Marketing messages of this month: delivered ones when they were, open ones as of now.

    An open task may be confirmed at any moment, so it counts wherever one looks.
    """
    delivered = and_(
        col(Touch.state) == TouchState.DELIVERED, col(Touch.settled_at) >= month_start(now)
    )
    settled = (TouchState.DELIVERED, TouchState.NOT_REACHED)
    still_open = and_(col(SendTask.state).in_(TASK_OPEN), col(Touch.state).not_in(settled))
    query = (
        select(col(Touch.state), col(Touch.settled_at))
        .join(Enrolment, col(Enrolment.id) == col(Touch.enrolment_id))
        .join(Sop, col(Sop.id) == col(Enrolment.sop_id))
        .outerjoin(SendTask, col(SendTask.id) == col(Touch.task_id))
        .where(
            col(Touch.customer_id) == customer_id,
            col(Sop.marketing),
            or_(delivered, still_open),
        )
    )
    rows = await session.execute(query)
    return [at if state == TouchState.DELIVERED and at else now for state, at in rows]


async def marketing_left(
    session: AsyncSession, customer_id: UUID, settings: Settings, now: datetime
) -> int:
    """How many marketing touches this customer may still get in this local month."""
    moments = await marketing_moments(session, customer_id, now)
    month = local_day(now).replace(day=1)
    used = sum(local_day(moment).replace(day=1) == month for moment in moments)
    return max(0, settings.marketing_per_month - used)
