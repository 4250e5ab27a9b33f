"""Several low-risk versions passed with one decision; each is still a decision of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from content import review, steps
from content.files import FileStore
from content.models import Version
from content.objections import Reason
from content.people import Person
from content.review_models import ReviewRisk

MOST = 50


@dataclass(frozen=True)
class Terms:
    """The validity and audience all of them get."""

    valid_from: datetime
    valid_until: datetime
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Left:
    """A version that was not passed, and why."""

    title: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Passed:
    """What became of the selection."""

    approved: int
    left: tuple[Left, ...]


async def approve(
    session: AsyncSession,
    files: FileStore,
    version_ids: Sequence[UUID],
    *,
    by: Person,
    terms: Terms,
    now: datetime,
) -> Passed:
    """Approve each that is low-risk, without findings, and at its last step; the others stay."""
    approved, left = 0, []
    # In one order, so that two people with overlapping selections wait instead of deadlocking.
    for version_id in sorted(set(version_ids))[:MOST]:
        outcome = await _one(session, files, version_id, by, terms, now)
        if isinstance(outcome, review.Approved):
            approved += 1
            continue
        version = await session.get(Version, version_id)
        left.append(Left(version.title if version else "—", outcome.reasons))
    return Passed(approved, tuple(left))


async def _one(
    session: AsyncSession,
    files: FileStore,
    version_id: UUID,
    by: Person,
    terms: Terms,
    now: datetime,
) -> review.Approved | review.Refused:
    found = await steps.lock(session, version_id)
    if found is None:
        return review.Refused((Reason.NOT_FOUND,))
    _, version = found
    step = (await steps.way_of(session, version_id)).open
    if step is None or step.risk is not ReviewRisk.LOW or version.findings:
        return review.Refused((Reason.NOT_BULK,))
    return await review.approve(
        session, files, version_id, by=by, checks=[True] * len(step.checks),
        valid_from=terms.valid_from, valid_until=terms.valid_until,
        channels=terms.channels, branch_ids=None, now=now,
    )  # fmt: skip
