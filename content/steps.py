"""Review steps 审批环节: laid out when a version is handed in, opened and decided one by one.

Only `content/review.py` calls what writes here; the table keeps that nobody decides two steps of a
version and its author none (`uq_review_step_person`, `ck_review_step_not_by_author`).
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Role
from content.models import Material, Version
from content.people import Person
from content.review_models import ReviewDesk, ReviewLook, ReviewRisk, ReviewStep, ReviewVerdict
from content.roads import Road

REVIEWERS = frozenset({Role.APPROVER, Role.COMPLIANCE})
DESK_ROLES = {
    ReviewDesk.BUSINESS: frozenset({Role.APPROVER}),
    ReviewDesk.COMPLIANCE: frozenset({Role.COMPLIANCE}),
    ReviewDesk.HEAD_OFFICE: frozenset({Role.COMPLIANCE}),
    ReviewDesk.RECHECK: REVIEWERS,
}
# Nobody reads a material and weighs it against three points in less.
HASTY = timedelta(seconds=10)
RECHECK_PERCENT = 5
RECHECK_HOURS = 72
RECHECKED = (
    "内容与审批时的结论一致，没有遗漏的问题",
    "风险提示、适用范围和有效期恰当",
)


def desks_of(roles: Iterable[str], branch_id: UUID | None) -> set[ReviewDesk]:
    """The desks at which somebody may decide; who sells may at none (C-35)."""
    held = set(roles)
    if Role.RM in held:
        return set()
    desks = {desk for desk, fitting in DESK_ROLES.items() if fitting & held}
    return desks if branch_id is None else desks - {ReviewDesk.HEAD_OFFICE}


async def lock(session: AsyncSession, version_id: UUID) -> tuple[Material, Version] | None:
    """Material first, then version: two reviewers of one material wait for each other."""
    hanging = select(Version.material_id).where(Version.id == version_id)
    material_id = (await session.execute(hanging)).scalar_one_or_none()
    if material_id is None:
        return None
    fresh = {"populate_existing": True}
    thread = select(Material).where(Material.id == material_id).with_for_update()
    material = (await session.execute(thread, execution_options=fresh)).scalar_one()
    one = select(Version).where(Version.id == version_id).with_for_update()
    return material, (await session.execute(one, execution_options=fresh)).scalar_one()


async def of_version(session: AsyncSession, version_id: UUID) -> list[ReviewStep]:
    """All steps of a version as stored now, in order."""
    rows = select(ReviewStep).where(ReviewStep.version_id == version_id)
    found = await session.execute(
        rows.order_by(col(ReviewStep.position)), execution_options={"populate_existing": True}
    )
    return list(found.scalars())


@dataclass(frozen=True)
class Way:
    """The steps of a version, and the one that is open."""

    steps: tuple[ReviewStep, ...]

    @property
    def open(self) -> ReviewStep | None:
        """The step that waits for its decision."""
        waiting = (step for step in self.steps if step.opened_at and not step.decided_at)
        return next(waiting, None)

    @property
    def last(self) -> bool:
        """Whether the open step is the one that puts the version live."""
        road = [step for step in self.steps if step.desk is not ReviewDesk.RECHECK]
        return bool(road) and self.open is road[-1]

    def decided_by(self, staff_id: UUID) -> bool:
        """Whether this person has decided one of them."""
        return any(step.decided_by == staff_id for step in self.steps)


async def way_of(session: AsyncSession, version_id: UUID) -> Way:
    """The way of a version; call `lock` first where something is to be decided."""
    return Way(tuple(await of_version(session, version_id)))


async def lay(
    session: AsyncSession, version: Version, road: Road, risk: ReviewRisk, now: datetime
) -> list[ReviewStep]:
    """Fix the steps this version must pass and open the first."""
    laid = [
        ReviewStep(
            version_id=version.id,
            author_id=version.author_id,
            position=position,
            desk=step.desk,
            risk=risk,
            hours=step.hours,
            checks=list(step.checks),
        )
        for position, step in enumerate(road.steps, 1)
    ]
    session.add_all(laid)
    open_step(laid[0], now)
    await session.flush()
    return laid


def open_step(step: ReviewStep, now: datetime) -> None:
    """It is this step's turn; its hours begin."""
    step.opened_at, step.due_at = now, now + timedelta(hours=step.hours)


async def decide(
    session: AsyncSession,
    step: ReviewStep,
    by: Person,
    verdict: ReviewVerdict,
    reason: str,
    now: datetime,
) -> None:
    """Write the decision down; a pass within seconds of first seeing the page is marked."""
    step.decided_by, step.decided_at, step.verdict = by.id, now, verdict
    step.reason, step.claimed_by, step.claimed_until = reason, None, None
    if verdict is ReviewVerdict.PASSED:
        seen = await session.get(ReviewLook, (step.id, by.id))
        step.hasty = seen is None or now - seen.at < HASTY
    # Before the next one opens: the table allows one open step of a version.
    await session.flush()


async def open_next(session: AsyncSession, way: Way, now: datetime) -> ReviewStep | None:
    """Open the step after those decided; None behind the last."""
    coming = next((step for step in way.steps if step.opened_at is None), None)
    if coming is not None:
        open_step(coming, now)
        await session.flush()
    return coming


async def note_look(session: AsyncSession, step: ReviewStep, by: Person, now: datetime) -> None:
    """Remember when this person first opened the step's page."""
    row = insert(ReviewLook).values(step_id=step.id, staff_id=by.id, at=now)
    await session.execute(row.on_conflict_do_nothing())


def is_drawn(version_id: UUID) -> bool:
    """Whether an approval is looked at again by a third person: a fixed rule nobody can steer."""
    number = int.from_bytes(hashlib.sha256(b"recheck:" + version_id.bytes).digest()[:8])
    return number % 100 < RECHECK_PERCENT


async def draw(session: AsyncSession, version: Version, way: Way, now: datetime) -> None:
    """Open a re-review behind the last step, for somebody who has not decided yet."""
    step = ReviewStep(
        version_id=version.id,
        author_id=version.author_id,
        position=len(way.steps) + 1,
        desk=ReviewDesk.RECHECK,
        risk=way.steps[-1].risk,
        hours=RECHECK_HOURS,
        checks=list(RECHECKED),
    )
    open_step(step, now)
    session.add(step)
    await session.flush()


def all_hold(step: ReviewStep, checks: Sequence[bool]) -> bool:
    """Whether every point of the step was found to hold."""
    return len(checks) == len(step.checks) and all(checks)
