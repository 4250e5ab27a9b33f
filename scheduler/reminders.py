"""Cards that tell RMs of touches waiting for them: rare, and silent for a day on request.

An RM gets one every half hour at most. 「今日不再提醒」 on it ends them until the next local day;
the touches wait in 群发助手 all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from yarl import URL

from bank.calendar import day_bounds, local_day
from bank.database import Sessions
from bank.models import Staff
from bank.settings import Settings
from scheduler.models import Reminder
from wecom.cards import Button, ButtonCard, Frame, Jump, Page, Title
from wecom.client import WeComClient
from wecom.errors import WeComError

log = structlog.get_logger("scheduler")

REMIND_EVERY: Final = timedelta(minutes=30)
NO_MORE_TODAY: Final = "quiet"
TASK: Final = "tasks-"


@dataclass(frozen=True)
class RM:
    """Who is told: our id of them, and WeCom's."""

    staff_id: UUID
    userid: str


@dataclass(frozen=True)
class Told:
    """A card as it was sent: to whom, and when, to the second."""

    staff_id: UUID
    userid: str
    at: datetime


async def tell(
    sessions: Sessions,
    wecom: WeComClient,
    settings: Settings,
    reached: Mapping[RM, int],
    now: datetime,
) -> None:
    """Tell each RM for how many customers something new waits; a lost card costs nothing."""
    for rm, customers in reached.items():
        async with sessions.begin() as session:
            if not await _is_due(session, rm.staff_id, now):
                continue
        try:
            await wecom.messages.send([rm.userid], _card(settings, rm, customers, now))
        except WeComError as error:
            log.warning("rm_not_told", rm=rm.userid, error=repr(error))


async def told(session: AsyncSession, task_id: str) -> Told | None:
    """To whom the card with this task id was sent; None where we never sent it."""
    staff_id, second = _parts(task_id)
    reminder = await session.get(Reminder, staff_id) if staff_id else None
    if reminder is None or second > int(reminder.told_at.timestamp()):
        return None
    staff = await session.get_one(Staff, reminder.staff_id)
    return Told(staff.id, staff.userid, datetime.fromtimestamp(second, UTC))


async def silence(session: AsyncSession, staff_id: UUID, pressed_at: datetime) -> None:
    """No card to this RM until the day after the press begins in Shanghai."""
    _, tomorrow = day_bounds(local_day(pressed_at))
    reminder = await session.get_one(Reminder, staff_id, with_for_update=True)
    reminder.silent_until = max(tomorrow, reminder.silent_until or tomorrow)


async def _is_due(session: AsyncSession, staff_id: UUID, now: datetime) -> bool:
    """Whether this RM is to be told now; of several senders one hears yes."""
    written = insert(Reminder).values(staff_id=staff_id, told_at=now)
    silent_until = col(Reminder.silent_until)
    again = written.on_conflict_do_update(
        index_elements=["staff_id"],
        set_={"told_at": now},
        where=(col(Reminder.told_at) <= now - REMIND_EVERY)
        & or_(silent_until.is_(None), silent_until <= now),
    )
    return (await session.execute(again.returning(col(Reminder.staff_id)))).first() is not None


def _card(settings: Settings, rm: RM, customers: int, now: datetime) -> ButtonCard:
    page = Page(str(URL(settings.public_url) / "touches" % {"state": "handed"}))
    return ButtonCard(
        Title(
            "有新的客户触达待您确认",
            f"{customers} 位客户的内容已放入“群发助手”，请核对后发送。",
        ),
        (Button("今日不再提醒", NO_MORE_TODAY, style=2),),
        task_id=f"{TASK}{rm.staff_id}-{int(now.timestamp())}",
        frame=Frame(jumps=(Jump("查看待确认的触达", page),)),
        page=page,
    )


def _parts(task_id: str) -> tuple[UUID | None, int]:
    """The RM and the second a task id names; no RM where it is none of ours."""
    staff_id, _, second = task_id.removeprefix(TASK).rpartition("-")
    if not task_id.startswith(TASK) or not second.isdecimal():
        return None, 0
    try:
        return UUID(staff_id), int(second)
    except ValueError:
        return None, 0
