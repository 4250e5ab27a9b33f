"""Tokens and tickets in the database: every process uses the same one, and one process fetches it.

What is stored is sealed (`bank/sealing.py`); the name says corp, app and kind, and no secret.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from bank.database import Sessions
from bank.sealing import Seal, SealBroken
from bot.models import WeComGrant
from wecom.tokens import Fetch, Grant

TABLE = "wecom_grant"


class SharedGrants:
    """The `GrantStore` of all processes on one database; `now` is the aware present."""

    def __init__(self, sessions: Sessions, seal: Seal, now: Callable[[], datetime]) -> None:
        self._sessions, self._seal, self._now = sessions, seal, now

    async def take(self, name: str, dead: str, fetch: Fetch) -> Grant:
        """Return the grant of that name; fetch one if there is none alive other than `dead`.

        The fetch happens under a lock of the database: whoever waited finds what it brought.
        """
        async with self._sessions.begin() as session:
            kept = await self._kept(session, name, dead)
            if kept is None:
                await _take_turn(session, name)
                kept = await self._kept(session, name, dead)
            if kept is not None:
                return kept
            asked_at = self._now()
            grant = await fetch()
            await self._keep(session, name, grant, asked_at)
            return grant

    async def _kept(self, session: AsyncSession, name: str, dead: str) -> Grant | None:
        query = select(WeComGrant.sealed, WeComGrant.renew_at, WeComGrant.expires_at).where(
            col(WeComGrant.name) == name
        )
        row = (await session.execute(query)).one_or_none()
        now = self._now()
        if row is None or row.renew_at <= now:
            return None
        try:
            value = self._seal.open(row.sealed, _context(name)).decode()
        except SealBroken:
            return None  # Sealed with a key that is gone: a new one costs one call.
        if value == dead:
            return None
        lifetime, renew_in = row.expires_at - now, row.renew_at - now
        return Grant(value, lifetime.total_seconds(), renew_in.total_seconds())

    async def _keep(
        self, session: AsyncSession, name: str, grant: Grant, asked_at: datetime
    ) -> None:
        fields = {
            "sealed": self._seal.close(grant.value.encode(), _context(name)),
            "renew_at": asked_at + timedelta(seconds=grant.renew_in),
            "expires_at": asked_at + timedelta(seconds=grant.lifetime),
        }
        row = insert(WeComGrant).values(name=name, **fields)
        await session.execute(row.on_conflict_do_update(index_elements=["name"], set_=fields))


async def _take_turn(session: AsyncSession, name: str) -> None:
    turn = select(func.pg_advisory_xact_lock(func.hashtextextended(f"{TABLE}:{name}", 0)))
    await session.execute(turn)


def _context(name: str) -> bytes:
    return f"{TABLE}:{name}".encode()
