"""Why callbacks are refused, counted for the operator: a stranger is only ever told "no".

The reason is found after the answer and away from it, so that it costs the answer no time and
gives none away. Of a flood only the first hundred of a round are looked at.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from aiohttp import web
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bot.models import CallbackRejection
from wecom.callback import CallbackKeys, Rejection, why_rejected

LOOKED_AT = 100


class Rejections:
    """What was refused since the last round, by reason, on this process."""

    def __init__(self) -> None:
        self._counted: dict[Rejection, int] = {}

    def look(self, accepted: Sequence[CallbackKeys], query: Mapping[str, str], body: bytes) -> None:
        """Find out why this one was refused; beyond a hundred a round they are only scanners."""
        if sum(self._counted.values()) < LOOKED_AT:
            why = why_rejected(accepted, query, body)
            self._counted[why] = self._counted.get(why, 0) + 1

    def taken(self) -> dict[Rejection, int]:
        """The counts so far; counting begins anew."""
        counted, self._counted = self._counted, {}
        return counted


async def keep(session: AsyncSession, counted: dict[Rejection, int], now: datetime) -> None:
    """Add these counts to those of all processes."""
    for why, times in counted.items():
        row = insert(CallbackRejection).values(
            reason=why.reason, times=times, last_at=now, receiver=why.receiver
        )
        added = row.on_conflict_do_update(
            index_elements=["reason"],
            set_={
                "times": CallbackRejection.__table__.c.times + row.excluded.times,  # type: ignore[attr-defined]
                "last_at": func.greatest(col(CallbackRejection.last_at), row.excluded.last_at),
                "receiver": row.excluded.receiver,
            },
        )
        await session.execute(added)


async def since(session: AsyncSession, moment: datetime) -> list[CallbackRejection]:
    """The reasons for which callbacks were refused since then."""
    query = select(CallbackRejection).where(CallbackRejection.last_at >= moment)
    return list((await session.execute(query.order_by(col(CallbackRejection.reason)))).scalars())


REJECTIONS = web.AppKey("REJECTIONS", Rejections)
