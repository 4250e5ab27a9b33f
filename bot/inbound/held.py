"""Events whose signed time was far from ours: kept without effect until the right time is known.

A wrong clock of our own must lose nothing, and an envelope that somebody kept for later must not
work. WeCom's own clock tells the two apart.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.database import Sessions, ring
from bank.metrics import EVENTS
from bot.inbound.arrivals import BELL
from bot.models import InboundEvent, InboundState
from wecom.client import WeComClient
from wecom.errors import WeComError

log = structlog.get_logger("bot")

IN_TIME = timedelta(minutes=10)
IS_HELD = col(InboundEvent.state) == InboundState.HELD


async def release_in_time(sessions: Sessions, wecom: WeComClient) -> int:
    """Release what came in time by WeCom's own clock; returns how many. The rest stays held."""
    async with sessions() as session:
        if (
            await session.execute(select(col(InboundEvent.id)).where(IS_HELD).limit(1))
        ).first() is None:
            return 0
    try:
        moment = await wecom.platform.time()
    except WeComError as error:
        log.warning("platform_time_unknown", error=type(error).__name__)
        return 0
    async with sessions.begin() as session:
        return len(await release_near(session, moment))


async def release_near(session: AsyncSession, moment: datetime) -> Sequence[int]:
    """Release those signed within ten minutes of that moment."""
    near = col(InboundEvent.sent_at).between(moment - IN_TIME, moment + IN_TIME)
    return await _release(session, near)


async def release_one(session: AsyncSession, event_id: int) -> bool:
    """Release one that a person looked at; False where it is not held."""
    return bool(await _release(session, col(InboundEvent.id) == event_id))


async def release_all(session: AsyncSession) -> Sequence[int]:
    """Release every held one, because a person says so."""
    return await _release(session, IS_HELD)


async def _release(session: AsyncSession, which: ColumnElement[bool]) -> Sequence[int]:
    """They stand in line again where they came: the order of a customer goes by their numbers."""
    change = (
        update(InboundEvent)
        .where(IS_HELD, which)
        .values(state=InboundState.NEW, attempts=0, lease_until=None)
        .returning(col(InboundEvent.id))
    )
    released = [found for found in (await session.execute(change)).scalars() if found is not None]
    if released:
        EVENTS.labels("released").inc(len(released))
        log.info("held_released", events=len(released))
        await ring(session, BELL)
    return released
