"""Tasks nobody knows the outcome of are looked up at WeCom, and never blindly sent again.

The list of mass sends names no creator for tasks made by an app. A task is ours when text, RM and
customers fit, it was created after our intent, and no other task of ours has that id.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.database import Sessions
from bank.models import Staff
from customers.models import Customer
from scheduler import enrolment, touches
from scheduler.models import SendTask, TaskState, Touch
from wecom.client import WeComClient
from wecom.errors import MassSendCancelled, RelationGone, WeComError
from wecom.mass_sends import MassSendRecord

log = structlog.get_logger("scheduler")

AT_ONCE = 20
# A call takes ten seconds at most; an intent this old has lost its caller.
INTENT_AGE = timedelta(seconds=60)
SURELY_LISTED = timedelta(minutes=2)
# Clocks differ, and the last call of a long round starts well after its intent.
BEFORE, AFTER = timedelta(minutes=5), timedelta(hours=2)

NOT_LISTED = "企业微信中没有这条任务，已重新排期"
TWO_LISTED = "企业微信中有多条内容相同的任务，无法自动判断，请人工核对"


@dataclass(frozen=True)
class Doubt:
    """A task whose outcome is unknown, and what it would look like at WeCom."""

    task_id: UUID
    userid: str
    text: str
    intent_at: datetime
    contacts: frozenset[str]


@dataclass(frozen=True)
class Found:
    """A task at WeCom that fits; `contacts` are the customers it reaches."""

    msgid: str
    created_at: datetime
    contacts: frozenset[str]


@dataclass
class Reconciled:
    """What became of the doubtful tasks of one round."""

    found: int = 0
    released: int = 0
    ambiguous: int = 0
    waiting: int = 0


async def reconcile(sessions: Sessions, wecom: WeComClient, now: datetime) -> Reconciled:
    """Look up intents older than a minute and unknown tasks; act only on a clear answer."""
    outcome = Reconciled()
    async with sessions() as session:
        doubts = await _doubts(session, now)
    for doubt in doubts:
        async with sessions() as session:
            taken = await _msgids(session, doubt)
        try:
            fitting = await _look_up(wecom, doubt, taken, now)
        except WeComError as error:
            log.warning("reconcile_failed", task=str(doubt.task_id), error=repr(error))
            outcome.waiting += 1
            continue
        async with sessions.begin() as session:
            await _decide(session, doubt, fitting, now, outcome)
    return outcome


async def _doubts(session: AsyncSession, now: datetime) -> list[Doubt]:
    intent = col(SendTask.state) == TaskState.INTENT
    lost = intent & (col(SendTask.intent_at) <= now - INTENT_AGE)
    query = (
        select(SendTask, Staff.userid)
        .join(Staff, col(Staff.id) == col(SendTask.staff_id))
        .where(lost | (col(SendTask.state) == TaskState.UNKNOWN))
        .order_by(col(SendTask.polled_at).asc().nulls_first(), col(SendTask.intent_at))
        .limit(AT_ONCE)
    )
    rows = (await session.execute(query)).all()
    return [
        Doubt(task.id, userid, task.text, task.intent_at, await _contacts(session, task.id))
        for task, userid in rows
    ]


async def _contacts(session: AsyncSession, task_id: UUID) -> frozenset[str]:
    query = (
        select(Customer.external_userid)
        .join(Touch, col(Touch.customer_id) == col(Customer.id))
        .where(Touch.task_id == task_id)
    )
    return frozenset(contact or "" for contact in (await session.execute(query)).scalars())


async def _msgids(session: AsyncSession, doubt: Doubt) -> frozenset[str]:
    """The tasks of those days that are known to be ours already."""
    query = select(SendTask.msgid).where(
        col(SendTask.msgid).is_not(None),
        col(SendTask.intent_at) >= doubt.intent_at - timedelta(days=1),
    )
    return frozenset(msgid or "" for msgid in (await session.execute(query)).scalars())


async def _look_up(
    wecom: WeComClient, doubt: Doubt, taken: Collection[str], now: datetime
) -> list[Found]:
    start, end = doubt.intent_at - BEFORE, min(now, doubt.intent_at + AFTER) + BEFORE
    listed = await wecom.mass_sends.listed(start, end)
    candidates = [row for row in listed if row.text == doubt.text and row.msgid not in taken]
    found = [await _ours(wecom, doubt, row) for row in candidates]
    return [one for one in found if one is not None]


async def _ours(wecom: WeComClient, doubt: Doubt, row: MassSendRecord) -> Found | None:
    """The candidate, if it lies with our RM and reaches none but our customers."""
    try:
        parts = await wecom.mass_sends.tasks(row.msgid)
        if doubt.userid.lower() not in {part.userid.lower() for part in parts}:
            return None
    except MassSendCancelled:
        pass  # Stopped by an administrator: the customers still tell whose it was.
    try:
        results = await wecom.mass_sends.results(row.msgid, doubt.userid)
    except RelationGone:
        return None  # That RM has no part in it.
    reached = frozenset(result.external_userid for result in results)
    if not reached or not reached <= doubt.contacts:
        return None
    return Found(row.msgid, row.created_at, reached)


async def _decide(
    session: AsyncSession, doubt: Doubt, fitting: list[Found], now: datetime, outcome: Reconciled
) -> None:
    if len(fitting) == 1:
        await _take(session, doubt, fitting[0], now)
        outcome.found += 1
        verdict = "handed"
    elif fitting:
        await touches.unknown(session, doubt.task_id, TWO_LISTED, now)
        outcome.ambiguous += 1
        verdict = "ambiguous"
    elif now - doubt.intent_at >= SURELY_LISTED:
        await touches.release(session, doubt.task_id, NOT_LISTED, now, now)
        outcome.released += 1
        verdict = "released"
    else:
        outcome.waiting += 1
        verdict = "waiting"
    log.info("touch_reconciled", task=str(doubt.task_id), outcome=verdict)


async def _take(session: AsyncSession, doubt: Doubt, found: Found, now: datetime) -> None:
    missing = doubt.contacts - found.contacts
    await touches.handed(session, doubt.task_id, found.msgid, missing, found.created_at, now)
    carried = await touches.carried_by(session, doubt.task_id)
    await session.flush()
    await enrolment.complete(session, [touch.enrolment_id for touch, _ in carried], now)
