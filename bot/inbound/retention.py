"""How long a callback keeps its text: until it is handled and its days are over."""

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncSession

from bank.settings import Settings

AT_ONCE = 10_000

# A callback is about a customer or a group by its order key. Under legal hold (customers/holds.py)
# the texts about a customer stay, and those about the groups they are or were in.
PURGE = text("""
UPDATE inbound_event SET sealed = NULL WHERE id IN (
    SELECT id FROM inbound_event
    WHERE sealed IS NOT NULL AND state = 'done' AND handled_at < :until
      AND order_key NOT IN (
        SELECT c.external_userid FROM legal_hold h JOIN customer c ON c.id = h.customer_id
        WHERE h.released_at IS NULL AND c.external_userid IS NOT NULL
        UNION
        SELECT g.chat_id FROM legal_hold h
        JOIN group_member m ON m.customer_id = h.customer_id
        JOIN customer_group g ON g.id = m.group_id
        WHERE h.released_at IS NULL)
    LIMIT :at_once FOR UPDATE SKIP LOCKED)
""")


async def purge(session: AsyncSession, settings: Settings, now: datetime) -> int:
    """Remove the sealed text of events handled longer ago than `raw_body_days`; returns how many.

    At most ten thousand at once, so that no transaction grows long. The digest stays: the same
    callback is known as long as its row is. What concerns a customer under legal hold keeps its
    text until the release.
    """
    until = now - timedelta(days=settings.raw_body_days)
    done = await session.execute(PURGE, {"until": until, "at_once": AT_ONCE})
    return cast(CursorResult[Any], done).rowcount
