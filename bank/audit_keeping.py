"""Keeping the audit book: link what was written, put the heads outside, check on demand."""

import asyncio
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit_chain
from bank.audit import SYSTEM
from bank.audit_chain import Place
from bank.audit_check import check
from bank.audit_heads import Heads
from bank.database import Sessions
from bank.models import AuditCheck, AuditWaiting

log = structlog.get_logger("bank")

# A check that was begun and never finished is taken up by another process after this.
LEASE = timedelta(minutes=30)
_TAKE = text("""
UPDATE audit_check SET lease_until = :lease WHERE id = (
    SELECT id FROM audit_check
    WHERE finished_at IS NULL AND (lease_until IS NULL OR lease_until < :now)
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
""")


class Keeper:
    """Links lines and keeps the tip outside, as one process at a time."""

    def __init__(self, sessions: Sessions, heads: Heads) -> None:
        self._sessions, self._heads = sessions, heads
        self._tip: Place | None = None

    async def link(self, now: datetime) -> int:
        """Link every line that waits; returns how many. Another process at it: none."""
        if self._tip is not None and not await self._any_waiting():
            return 0
        async with self._sessions.begin() as leader:
            if not await audit_chain.alone(leader):
                return 0
            return await self._link_all(now)

    async def _link_all(self, now: datetime) -> int:
        linked = 0
        while True:
            async with self._sessions.begin() as session:
                some, place = await audit_chain.link_some(session, now)
            # Outside only after the commit: a head must never be ahead of the book.
            if place != self._tip and place.position:
                await asyncio.to_thread(self._heads.put_tip, place, now)
            self._tip, linked = place, linked + some
            if some < audit_chain.AT_ONCE:
                return linked

    async def _any_waiting(self) -> bool:
        async with self._sessions() as session:
            return bool(
                (await session.execute(select(col(AuditWaiting.entry_id)).limit(1))).first()
            )


async def write_head(
    session: AsyncSession, heads: Heads, now: datetime, **options: str
) -> Place | None:
    """Sign where the chain ends now; None while nothing is linked."""
    place = await audit_chain.end_of_chain(session)
    if not place.position:
        return None
    await asyncio.to_thread(lambda: heads.write(place, now, **options))
    return place


async def keep_day(sessions: Sessions, heads: Heads, now: datetime) -> bool:
    """Once a local day: a signed head, and a check of the whole book; whether it was time."""
    if not await asyncio.to_thread(heads.wants_today, now):
        return False
    async with sessions.begin() as session:
        if await write_head(session, heads, now) is None:
            return False
        await ask_check(session, SYSTEM, now)
    return True


async def ask_check(session: AsyncSession, by: str, now: datetime) -> None:
    """Have a worker check the book; one that waits already is enough."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("audit_check"))))
    open_one = select(AuditCheck.id).where(col(AuditCheck.finished_at).is_(None)).limit(1)
    if (await session.execute(open_one)).first() is None:
        session.add(AuditCheck(asked_by=by, asked_at=now))


async def run_asked_check(sessions: Sessions, url: str, heads: Heads, now: datetime) -> bool:
    """Make the check that was asked for, if there is one nobody is at; whether there was."""
    async with sessions.begin() as session:
        taken = (await session.execute(_TAKE, {"now": now, "lease": now + LEASE})).scalar()
    if taken is None:
        return False
    found = await asyncio.to_thread(check, url, heads)
    if not found.sound:
        log.error("audit_book_broken", **_ids(found.facts()))
    async with sessions.begin() as session:
        row = await session.get_one(AuditCheck, taken)
        row.finished_at, row.lines, row.sound = now, found.lines, found.sound
        row.result = found.facts() | {"say": found.say()}
    return True


def _ids(facts: dict[str, object]) -> dict[str, object]:
    broken = facts["broken"]
    assert isinstance(broken, dict)
    return {"damage": str(broken["damage"]), "position": broken["position"]}
