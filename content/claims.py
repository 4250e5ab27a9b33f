"""Claims 领取 and transfers 转交: who has the open review step in hand.

A claim ends by itself, so that a reviewer who went home holds nothing up. Deciding needs no claim;
a claim only keeps others from deciding meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.models import Staff
from content import objections, steps
from content.models import State, Version
from content.objections import Reason
from content.people import Person
from content.review_models import ReviewDesk, ReviewStep
from content.steps import Way

CLAIM_LASTS = timedelta(hours=4)
# Whoever gets it from a colleague has not asked for it and may be away for the day.
TRANSFER_LASTS = timedelta(hours=24)


@dataclass(frozen=True)
class Refused:
    """Nobody's hands changed; every reason."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Held:
    """The open step, and until when it is whose."""

    step: ReviewStep


async def claim(
    session: AsyncSession, version_id: UUID, *, by: Person, now: datetime
) -> Held | Refused:
    """Take the open step in hand for four hours."""
    found = await _open(session, version_id)
    if isinstance(found, Refused):
        return found
    version, way, step = found
    reasons = against(version, way, by, now)
    if reasons:
        return Refused(tuple(reasons))
    _hold(step, by.id, now + CLAIM_LASTS)
    _note(session, version, "claim", by, now, step)
    await session.flush()
    return Held(step)


async def release(
    session: AsyncSession, version_id: UUID, *, by: Person, now: datetime
) -> Held | Refused:
    """Give the open step back to everybody before its time."""
    found = await _open(session, version_id)
    if isinstance(found, Refused):
        return found
    version, _, step = found
    if step.claimed_by != by.id:
        return Refused((Reason.NOT_CLAIMED_BY_YOU,))
    _hold(step, None, None)
    _note(session, version, "release", by, now, step)
    await session.flush()
    return Held(step)


async def transfer(
    session: AsyncSession, version_id: UUID, to: UUID, *, by: Person, note: str, now: datetime
) -> Held | Refused:
    """Hand the open step to a colleague who may decide it, for a day."""
    found = await _open(session, version_id)
    if isinstance(found, Refused):
        return found
    version, way, step = found
    reasons = against(version, way, by, now)
    colleagues = {one.id: one for one in await fitting(session, version, way)}
    if to == by.id or to not in colleagues:
        reasons.append(Reason.NOBODY_THERE)
    if reasons:
        return Refused(tuple(reasons))
    _hold(step, to, now + TRANSFER_LASTS)
    _note(session, version, "transfer", by, now, step, to=colleagues[to].userid, note=note.strip())
    await session.flush()
    return Held(step)


def against(version: Version, way: Way, by: Person, now: datetime) -> list[Reason]:
    """Why this person may not take the open step in hand, decide it or hand it on."""
    if way.open is not None and way.open.desk is ReviewDesk.RECHECK:
        return objections.against_rechecker(version, way, by, now)
    return objections.against_reviewer(version, way, by, now)


async def fitting(session: AsyncSession, version: Version, way: Way) -> list[Staff]:
    """Who may decide the open step: at that desk, not the author, no other step decided."""
    if way.open is None:
        return []
    rows = select(Staff).where(
        col(Staff.enabled).is_(True),
        col(Staff.id) != version.author_id,
    )
    found = (await session.execute(rows.order_by(col(Staff.name)))).scalars()
    return [
        one
        for one in found
        if way.open.desk in steps.desks_of(one.roles, one.branch_id) and not way.decided_by(one.id)
    ]


async def _open(
    session: AsyncSession, version_id: UUID
) -> tuple[Version, Way, ReviewStep] | Refused:
    found = await steps.lock(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    way = await steps.way_of(session, version_id)
    if way.open is None or found[1].state not in (State.SUBMITTED, State.APPROVED):
        return Refused((Reason.NOT_SUBMITTED,))
    return found[1], way, way.open


def _hold(step: ReviewStep, staff_id: UUID | None, until: datetime | None) -> None:
    step.claimed_by, step.claimed_until = staff_id, until


def _note(
    session: AsyncSession,
    version: Version,
    verb: str,
    by: Person,
    now: datetime,
    step: ReviewStep,
    **detail: object,
) -> None:
    audit.record(
        session, f"content:version:{verb}", version.id, by=by.userid, now=now,
        number=version.number, step=step.desk.value, **detail,
    )  # fmt: skip
