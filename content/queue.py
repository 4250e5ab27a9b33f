"""What the lists of the review show: who waits for whom, at which step, since when."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, or_
from sqlalchemy import select as rows_of
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from bank.models import AuditEntry, Staff
from content import steps
from content.models import Material, State, Version
from content.people import Person
from content.review_models import ReviewDesk, ReviewRisk, ReviewStep
from content.shelf import Standing, standing

MOST = 200
DECISIONS = ("pass", "approve", "reject", "return", "withdraw", "uphold")
HASTY_SHOWN = timedelta(days=30)

Holder = aliased(Staff, name="holder")
Rows = Select[Material, Version, str, ReviewStep, str]


@dataclass(frozen=True)
class Task:
    """A version in a list of the review, with the step that is open, if any."""

    material: Material
    version: Version
    standing: Standing
    author: str
    blocking: int
    step: ReviewStep | None
    holder: str  # who has it in hand; empty: nobody
    now: datetime

    @property
    def waiting(self) -> timedelta | None:
        """How long the open step has waited."""
        if self.step is None or self.step.opened_at is None or self.step.decided_at:
            return None
        return self.now - self.step.opened_at

    @property
    def overdue(self) -> bool:
        """Whether the open step is past its time."""
        due = self.step.due_at if self.step is not None else None
        return self.waiting is not None and due is not None and due < self.now

    @property
    def waited(self) -> str:
        """The wait in words."""
        if self.waiting is None:
            return "—"
        hours, rest = divmod(int(self.waiting.total_seconds()), 3600)
        return f"{hours} 小时 {rest // 60} 分" if hours else f"{rest // 60} 分钟"

    @property
    def step_label(self) -> str:
        """The open step in words."""
        return self.step.desk.label if self.step is not None else "—"

    @property
    def bulk(self) -> bool:
        """Whether it may be passed together with others."""
        step = self.step
        return (
            step is not None
            and step.risk is ReviewRisk.LOW
            and step.desk is not ReviewDesk.RECHECK
            and not self.version.findings
        )


async def waiting_for(session: AsyncSession, who: Person, now: datetime) -> list[Task]:
    """What this reviewer may decide on now, what is due first on top."""
    rows = _tasks(now).where(_is_open(), _may_decide(who), ~_held_by_another(who.id, now))
    return await _read(session, rows.order_by(col(ReviewStep.due_at)), now)


async def held_by_others(session: AsyncSession, who: Person, now: datetime) -> list[Task]:
    """What colleagues have in hand that this reviewer might decide as well."""
    rows = _tasks(now).where(_is_open(), _may_decide(who), _held_by_another(who.id, now))
    return await _read(session, rows.order_by(col(ReviewStep.due_at)), now)


async def waiting_for_others(session: AsyncSession, now: datetime) -> list[Task]:
    """Everything that waits, for those who only read."""
    rows = _tasks(now).where(_is_open())
    return await _read(session, rows.order_by(col(ReviewStep.due_at)), now)


async def started_by(session: AsyncSession, staff_id: UUID, now: datetime) -> list[Task]:
    """Versions this author handed in, newest first."""
    mine = _tasks(now).where(
        col(Version.author_id) == staff_id, col(Version.submitted_at).is_not(None)
    )
    return await _read(session, mine.order_by(col(Version.submitted_at).desc()), now)


async def decided(session: AsyncSession, userid: str | None, now: datetime) -> list[Task]:
    """Versions that this person decided on, or anyone; newest first."""
    lines = select(AuditEntry.subject_id).where(
        col(AuditEntry.action).in_([f"content:version:{verb}" for verb in DECISIONS])
    )
    if userid is not None:
        lines = lines.where(AuditEntry.actor == userid)
    ids = {UUID(subject) for subject in (await session.execute(lines)).scalars()}
    rows = _tasks(now).where(col(Version.id).in_(ids))
    return await _read(session, rows.order_by(col(Version.submitted_at).desc()), now)


async def hasty(session: AsyncSession, now: datetime) -> list[Task]:
    """Versions with a step that was passed within seconds, of the last thirty days."""
    quick = select(ReviewStep.version_id).where(
        col(ReviewStep.hasty), col(ReviewStep.decided_at) > now - HASTY_SHOWN
    )
    rows = _tasks(now).where(col(Version.id).in_(quick))
    return await _read(session, rows.order_by(col(Version.submitted_at).desc()), now)


def _is_open() -> ColumnElement[bool]:
    """An open step that still means something: before going live, or a re-review of what is."""
    recheck = col(ReviewStep.desk) == ReviewDesk.RECHECK
    return or_(
        and_(~recheck, col(Version.state) == State.SUBMITTED),
        and_(recheck, col(Version.state) == State.APPROVED),
    )


def _may_decide(who: Person) -> ColumnElement[bool]:
    desks = steps.desks_of(who.roles, who.branch_id)
    if not desks:
        return false()
    another = aliased(ReviewStep)
    decided_one = rows_of(col(another.id)).where(
        col(another.version_id) == Version.id, col(another.decided_by) == who.id
    )
    return and_(
        col(ReviewStep.desk).in_(desks),
        col(Version.author_id) != who.id,
        ~decided_one.correlate(Version).exists(),
    )


def _held_by_another(staff_id: UUID, now: datetime) -> ColumnElement[bool]:
    # Nothing claimed is NULL in the comparison, and that must not hide it.
    held = and_(col(ReviewStep.claimed_by) != staff_id, col(ReviewStep.claimed_until) > now)
    return held.is_(True)


def _tasks(now: datetime) -> Rows:
    return (
        rows_of(Material, Version, col(Staff.name), ReviewStep, col(Holder.name))
        .select_from(Material)
        .join(Version, col(Version.material_id) == Material.id)
        .join(Staff, col(Staff.id) == Version.author_id)
        .outerjoin(
            ReviewStep,
            and_(
                col(ReviewStep.version_id) == Version.id,
                col(ReviewStep.opened_at).is_not(None),
                col(ReviewStep.decided_at).is_(None),
            ),
        )
        .outerjoin(
            Holder,
            and_(col(Holder.id) == ReviewStep.claimed_by, col(ReviewStep.claimed_until) > now),
        )
        .limit(MOST)
    )


async def _read(session: AsyncSession, rows: Rows, now: datetime) -> list[Task]:
    return [
        Task(
            material=material,
            version=version,
            standing=standing(version, now),
            author=author,
            blocking=sum(finding["level"] == "block" for finding in version.findings),
            step=step,
            holder=holder or "",
            now=now,
        )
        for material, version, author, step, holder in await session.execute(rows)
    ]
