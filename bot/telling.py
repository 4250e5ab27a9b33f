"""Alerts on their way to a card: claimed, sent, marked as told; a failed one comes again."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from bank.database import Sessions
from wecom.errors import WeComError

log = structlog.get_logger("bot")


class Alert(Protocol):
    """A row somebody must be told of."""

    id: UUID


A = TypeVar("A", bound=Alert)


async def tell_each(
    sessions: Sessions,
    claim: Callable[[AsyncSession, datetime], Awaitable[A | None]],
    send: Callable[[A], Awaitable[bool]],
    told: Callable[[AsyncSession, UUID, datetime], Awaitable[None]],
    now: datetime,
) -> int:
    """Tell of every alert nobody was told of, oldest first; how many were told.

    It ends where nobody is there to be told, or WeCom cannot be reached: the pages show the rest.
    """
    count = 0
    while True:
        async with sessions.begin() as session:
            alert = await claim(session, now)
        if alert is None:
            return count
        try:
            if not await send(alert):
                return count
        except WeComError as error:
            log.warning("alert_not_told", alert=str(alert.id), error=repr(error))
            return count
        async with sessions.begin() as session:
            await told(session, alert.id, now)
        count += 1
