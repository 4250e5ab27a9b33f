"""How long a callback keeps its text: until it is handled and its days are over."""

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncSession

from bank.settings import Settings

AT_ONCE = 10_000

PURGE = text("""
UPDATE inbound_event SET sealed = NULL WHERE id IN (
    SELECT id FROM inbound_event
    WHERE sealed IS NOT NULL AND state = 'done' AND handled_at < :until
    LIMIT :at_once FOR UPDATE SKIP LOCKED)
""")


async def purge(session: AsyncSession, settings: Settings, now: datetime) -> int:
    """Remove the sealed text of events handled longer ago than `raw_body_days`; returns how many.

    At most ten thousand at once, so that no transaction grows long. The digest stays: the same
    callback is known as long as its row is.
    """
    until = now - timedelta(days=settings.raw_body_days)
    done = await session.execute(PURGE, {"until": until, "at_once": AT_ONCE})
    return cast(CursorResult[Any], done).rowcount
