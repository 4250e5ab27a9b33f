"""Comparing ourselves with WeCom 对账: callbacks may be lost, so differences are looked for.

    relations   every ten minutes: each RM's list of customers against our relations
    groups      every ten minutes: the groups of our RMs, and what is in them
    tags        every hour: the company's tags
    details     every night: remark, channel and tags of every relation

Each difference is mended by the same road an event would take, so an event that still comes
changes nothing. One process at a time does a kind of round; the RMs and groups compared longest ago
come first, and a round is bounded.
"""

import enum
from collections.abc import Awaitable, Callable
from datetime import datetime, time, timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.calendar import at_local, local_day
from bank.database import Sessions, ring
from bot.inbound import comparing
from bot.inbound.comparing import Round
from bot.models import Repair
from scheduler.sending import alone
from wecom.client import WeComClient
from wecom.errors import WeComError

log = structlog.get_logger("bot")

BELL = "repair"
PATIENCE_SECONDS = 30.0
NIGHT: Final = time(2)


class Kind(enum.StrEnum):
    """What a round compares."""

    RELATIONS = "relations"
    GROUPS = "groups"
    TAGS = "tags"
    DETAILS = "details"

    @property
    def label(self) -> str:
        return {
            "relations": "跟进关系",
            "groups": "客户群",
            "tags": "企业标签",
            "details": "备注、渠道与客户标签",
        }[self]

    @property
    def rhythm(self) -> str:
        return {
            "relations": "每 10 分钟",
            "groups": "每 10 分钟",
            "tags": "每小时",
            "details": "每天凌晨 2 点",
        }[self]


EVERY: Final = {
    Kind.RELATIONS: timedelta(minutes=10),
    Kind.GROUPS: timedelta(minutes=10),
    Kind.TAGS: timedelta(hours=1),
}
COMPARISONS: Final[dict[Kind, Callable[[Round], Awaitable[None]]]] = {
    Kind.RELATIONS: comparing.relations_of_rms,
    Kind.GROUPS: comparing.groups_of_rms,
    Kind.TAGS: comparing.company_tags,
    Kind.DETAILS: comparing.details,
}


async def run_due(
    sessions: Sessions,
    wecom: WeComClient,
    now: Callable[[], datetime],
    asked: Kind | None = None,
) -> list[Kind]:
    """Run what is due, and what was asked for; returns the kinds that ran here."""
    return [kind for kind in Kind if await _run(sessions, wecom, now, kind, at_once=kind is asked)]


async def _run(
    sessions: Sessions,
    wecom: WeComClient,
    now: Callable[[], datetime],
    kind: Kind,
    *,
    at_once: bool,
) -> bool:
    """One round, unless another process is at it or it is not due."""
    async with sessions.begin() as leader:
        if not await alone(leader, f"repair.{kind}"):
            return False
        if not (at_once or await is_due(leader, kind, now())):
            return False
        round_ = Round(sessions, wecom, now())
        number = await _begun(sessions, kind, now())
        failure = ""
        try:
            await COMPARISONS[kind](round_)
        except Exception as error:
            failure = str(error) if isinstance(error, WeComError) else type(error).__name__
            log.warning("repair_failed", kind=kind.value, error=type(error).__name__)
        await _finished(sessions, number, round_, failure, now())
    return True


async def is_due(session: AsyncSession, kind: Kind, now: datetime) -> bool:
    """Whether the last round of this kind is long enough ago."""
    query = select(Repair.started_at).where(Repair.kind == kind.value)
    newest = query.order_by(col(Repair.started_at).desc()).limit(1)
    last = (await session.execute(newest)).scalar_one_or_none()
    if kind is Kind.DETAILS:
        tonight = at_local(local_day(now), NIGHT)
        since = tonight if now >= tonight else tonight - timedelta(days=1)
        return last is None or last < since
    return last is None or now - last >= EVERY[kind]


async def _begun(sessions: Sessions, kind: Kind, now: datetime) -> int:
    async with sessions.begin() as session:
        row = Repair(kind=kind.value, started_at=now)
        session.add(row)
        await session.flush()
        return row.id or 0


async def _finished(
    sessions: Sessions, number: int, done: Round, failure: str, now: datetime
) -> None:
    async with sessions.begin() as session:
        row = await session.get_one(Repair, number)
        row.finished_at, row.looked_at, row.mended = now, done.looked_at, dict(done.mended)
        several = "，".join(f"{name} × {times}" for name, times in done.failures.items())
        row.failure = (failure or several)[:300]
    log.info("repaired", round=number, looked_at=done.looked_at, mended=dict(done.mended))


async def ask_for(session: AsyncSession, kind: Kind, by: str, now: datetime) -> None:
    """Have a worker run a round when this transaction commits."""
    audit.record(session, "bot:repair:run", kind.value, by=by, now=now, note=kind.label)
    await ring(session, BELL, kind.value)
