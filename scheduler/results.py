"""What became of the tasks RMs were handed: asked again and again, for WeCom tells nobody.

A task with nothing left to send, or not confirmed for three days, is recalled first; what was sent
before it was recalled still counts as delivered.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from attribution import touchpoints
from attribution.models import TouchpointKind
from bank.database import Sessions, ring
from bank.models import Staff
from customers import follows
from customers.models import Customer, FollowState
from knowledge import suggestions
from outbound import records
from scheduler import enrolment, touches
from scheduler.models import SendTask, TaskState, Touch, TouchState
from wecom.channels import Channel
from wecom.client import WeComClient
from wecom.errors import Busy, MassSendCancelled, RateLimited, WeComError
from wecom.mass_sends import MassSendResult, SendStatus

log = structlog.get_logger("scheduler")

AT_ONCE = 50
PATIENCE = timedelta(hours=72)

MISSES = {
    SendStatus.NOT_FRIEND: "客户已不是客户经理的好友",
    SendStatus.QUOTA_USED: "客户当期可接收的群发次数已用完",
}
STOPPED = "群发任务已停止，未向该客户发送"


@dataclass(frozen=True)
class OpenTask:
    """A task that was handed over and is not settled; `stop` says it is to be recalled."""

    id: UUID
    msgid: str
    userid: str
    stop: bool


@dataclass(frozen=True)
class Report:
    """What WeCom says of a task now."""

    confirmed_at: datetime | None
    stopped: bool
    results: tuple[MassSendResult, ...] = ()


@dataclass
class Collected:
    """What one round of asking found out."""

    delivered: int = 0
    not_reached: int = 0
    waiting: int = 0
    strangers: list[Touch] = field(default_factory=list)  # whose customer is no friend any more


async def collect(sessions: Sessions, wecom: WeComClient, now: datetime) -> Collected:
    """Ask about open tasks, those asked longest ago first, and settle what can be settled."""
    found = Collected()
    async with sessions() as session:
        waiting = await _open_tasks(session, now)
    for task in waiting:
        try:
            report = await _ask(wecom, task)
        except (Busy, RateLimited) as error:
            log.warning("results_postponed", error=repr(error))
            break
        except WeComError as error:
            log.warning("results_failed", task=str(task.id), error=repr(error))
            report = Report(None, stopped=False)
        async with sessions.begin() as session:
            await _take_in(session, task, report, now, found)
        asked_at = report.confirmed_at or now
        while found.strangers:
            async with sessions.begin() as session:
                await _part(session, found.strangers.pop(), asked_at, now)
    return found


async def _open_tasks(session: AsyncSession, now: datetime) -> list[OpenTask]:
    waiting = (
        select(func.count())
        .select_from(Touch)
        .where(col(Touch.task_id) == SendTask.id, col(Touch.state) == TouchState.HANDED)
        .scalar_subquery()
    )
    query = (
        select(SendTask, Staff.userid, waiting)
        .join(Staff, col(Staff.id) == col(SendTask.staff_id))
        .where(col(SendTask.state).in_([TaskState.HANDED, TaskState.CONFIRMED]))
        .order_by(col(SendTask.polled_at).asc().nulls_first(), col(SendTask.handed_at))
        .limit(AT_ONCE)
    )
    rows = await session.execute(query)
    return [
        OpenTask(task.id, task.msgid or "", userid, stop=not open_touches or _too_old(task, now))
        for task, userid, open_touches in rows
    ]


def _too_old(task: SendTask, now: datetime) -> bool:
    return task.handed_at is not None and now - task.handed_at >= PATIENCE


async def _ask(wecom: WeComClient, task: OpenTask) -> Report:
    stopped, confirmed_at = task.stop, None
    if task.stop:
        await wecom.mass_sends.cancel(task.msgid)
    else:
        try:
            confirmed_at = await _confirmed(wecom, task)
        except MassSendCancelled:
            stopped = True
    if not stopped and confirmed_at is None:
        return Report(None, stopped=False)
    results = await wecom.mass_sends.results(task.msgid, task.userid)
    return Report(confirmed_at, stopped, tuple(results))


async def _confirmed(wecom: WeComClient, task: OpenTask) -> datetime | None:
    for part in await wecom.mass_sends.tasks(task.msgid):
        if part.userid.lower() == task.userid.lower() and part.confirmed:
            return part.confirmed_at
    return None


async def _take_in(
    session: AsyncSession, task: OpenTask, report: Report, now: datetime, found: Collected
) -> None:
    row = await session.get_one(SendTask, task.id, with_for_update=True)
    row.polled_at = now
    if report.confirmed_at is not None:
        touches.confirm(row, report.confirmed_at)
    carried = await touches.carried_by(session, task.id)
    by_contact = {result.external_userid: result for result in report.results}
    for touch, contact in carried:
        await _settle(session, touch, by_contact.get(contact), report.stopped, now, found)
    left = sum(touch.state == TouchState.HANDED for touch, _ in carried)
    found.waiting += left
    if not left:
        touches.close(row)
        await records.unsent(session, "touch", [touch.id for touch, _ in carried], now)
        await session.flush()
        await enrolment.complete(session, [touch.enrolment_id for touch, _ in carried], now)


async def _settle(
    session: AsyncSession,
    touch: Touch,
    result: MassSendResult | None,
    stopped: bool,
    now: datetime,
    found: Collected,
) -> None:
    if result is not None and result.status is SendStatus.SENT:
        at = result.sent_at or now
        if touches.deliver(touch, at):
            await touchpoints.record(session, _seen(touch, at))
            await records.sent(session, "touch", touch.id, at)
            log.info("touch_delivered", touch=str(touch.id))
            found.delivered += 1
        return
    was_open = touch.state == TouchState.HANDED
    if result is not None and result.status in MISSES:
        touches.miss(touch, MISSES[result.status], now)
        if was_open and result.status is SendStatus.NOT_FRIEND:
            found.strangers.append(touch)
    elif stopped:
        touches.miss(touch, STOPPED, now)
    found.not_reached += was_open and touch.state == TouchState.NOT_REACHED


async def _part(session: AsyncSession, touch: Touch, at: datetime, now: datetime) -> None:
    """The send found no friend there: the customer had deleted the RM, and no event told us."""
    rm = await session.get_one(Staff, touch.staff_id)
    customer = await session.get_one(Customer, touch.customer_id)
    how = FollowState.REMOVED_BY_CUSTOMER
    ended = await follows.end(session, rm, customer.external_userid or "", how, at, now)
    if ended is not None:
        await enrolment.leave_all(session, customer.id, rm.id, MISSES[SendStatus.NOT_FRIEND], now)
        await ring(session, suggestions.BELL, f"{customer.id}:{rm.id}")
        log.info("relation_ended_by_send", follow=str(ended.id))


def _seen(touch: Touch, at: datetime) -> touchpoints.Seen:
    return touchpoints.Seen(
        customer_id=touch.customer_id,
        staff_id=touch.staff_id,
        kind=TouchpointKind.TOUCH_DELIVERED,
        channel=Channel.SINGLE_CHAT,
        at=at,
        source="touch",
        source_id=str(touch.id),
        version_id=touch.version_id,
    )
