"""Review of material: the only module that writes a version's state.

draft → submitted → (its review steps, one by one) → approved → superseded | withdrawn | expired;
from any step back: rejected, or returned for changes. Every transition locks the material, writes
the audit line and, where the library changes, the LibraryChange rows and the bell `library`, all
in the caller's transaction. The table keeps the rest: `ck_version_four_eyes`,
`ck_version_approved_is_complete`, `uq_version_live`, and those of `review_step`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from content import checks as findings_of_rules
from content import comments, library, objections, products, roads, steps
from content.files import FileStore
from content.models import State, Version
from content.objections import Reason as Reason
from content.objections import a_year_after as a_year_after
from content.objections import unchanged as unchanged
from content.people import Person
from content.review_models import ReviewStep, ReviewVerdict
from content.steps import REVIEWERS as REVIEWERS
from content.steps import Way
from wecom.channels import Channel


@dataclass(frozen=True)
class Refused:
    """The step did not happen; every reason that stands against it."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Moved:
    """The step happened; the version as it stands now."""

    version: Version


@dataclass(frozen=True)
class Submitted(Moved):
    """Waiting for a reviewer."""


@dataclass(frozen=True)
class PassedOn(Moved):
    """One step is behind it; the next one is open."""

    step: ReviewStep


@dataclass(frozen=True)
class Approved(Moved):
    """Live; with the version it took the place of."""

    superseded: Version | None


@dataclass(frozen=True)
class Rejected(Moved):
    """Back to the author, who revises."""


@dataclass(frozen=True)
class Returned(Moved):
    """Back to the author for the changes the comments ask for; the next version carries them."""


@dataclass(frozen=True)
class Withdrawn(Moved):
    """Out of the library."""


@dataclass(frozen=True)
class Upheld(Moved):
    """A third person looked at the approval again and agrees."""


async def submit(
    session: AsyncSession, version_id: UUID, *, by: Person, now: datetime
) -> Submitted | Refused:
    """Hand a draft to the reviewers: findings beside it, and the steps it must pass fixed."""
    found = await steps.lock(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    material, version = found
    about = await products.of_material(session, material.id)
    reasons = await objections.against_submitting(session, material, version, about, by)
    if reasons:
        return Refused(tuple(reasons))
    version.risk = products.highest_rating(about)
    findings = findings_of_rules.findings_of(version.title, version.body, about)
    version.findings = [finding.stored() for finding in findings]
    version.submitted_at = now
    risk = roads.risk_of(about, findings, f"{version.title}\n{version.body}")
    road = await roads.road_of(session, material.kind, risk)
    await session.flush()
    await steps.lay(session, version, road, risk, now)
    _move(
        session, version, State.SUBMITTED, "submit", by.userid, now, sha256=version.sha256,
        risk=risk.value, road=[step.desk.value for step in road.steps],
    )  # fmt: skip
    await session.flush()
    return Submitted(version)


async def pass_on(
    session: AsyncSession,
    files: FileStore,
    version_id: UUID,
    *,
    by: Person,
    checks: Sequence[bool],
    now: datetime,
) -> PassedOn | Refused:
    """Pass a step that is not the last, and open the next."""
    found = await steps.lock(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    material, version = found
    way = await steps.way_of(session, version.id)
    about = await products.of_material(session, material.id)
    reasons = [
        *objections.against_reviewer(version, way, by, now),
        *objections.against_checks(way, checks),
        *await objections.against_content(session, files, material, version, about),
    ]
    if way.last:
        reasons.append(Reason.LAST_STEP)
    if reasons or way.open is None:
        return _refused(reasons)
    step = way.open
    await steps.decide(session, step, by, ReviewVerdict.PASSED, "", now)
    await steps.open_next(session, way, now)
    _note(session, version, "pass", by.userid, now, step=step.desk.value)
    return PassedOn(version, step)


async def approve(
    session: AsyncSession,
    files: FileStore,
    version_id: UUID,
    *,
    by: Person,
    checks: Sequence[bool],
    valid_from: datetime,
    valid_until: datetime,
    channels: Sequence[str],
    branch_ids: Sequence[UUID] | None,
    now: datetime,
) -> Approved | Refused:
    """Pass the last step: these bytes live for this time and audience, in place of what was live.

    The only function that makes a version live. `branch_ids` None: all branches.
    """
    found = await steps.lock(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    material, version = found
    way = await steps.way_of(session, version.id)
    about = await products.of_material(session, material.id)
    live = await _live(session, material.id)
    reasons = [
        *objections.against_reviewer(version, way, by, now),
        *objections.against_checks(way, checks),
        *await objections.against_content(session, files, material, version, about),
        *objections.against_validity(valid_from, valid_until, now, live),
        *await objections.against_audience(session, channels, branch_ids, about),
    ]
    if way.open is not None and not way.last:
        reasons.append(Reason.STEPS_LEFT)
    if live is not None and live.number > version.number:
        reasons.append(Reason.NEWER_IS_LIVE)
    if reasons or way.open is None:
        return _refused(reasons)
    step = way.open
    await steps.decide(session, step, by, ReviewVerdict.PASSED, "", now)
    if live is not None:
        await _end(session, live, State.SUPERSEDED, "supersede", by.userid, now, by_version=version)
    version.approved_by, version.approved_at = by.id, now
    version.valid_from, version.valid_until = valid_from, valid_until
    version.channels = [Channel(channel).value for channel in channels]
    version.branch_ids = None if branch_ids is None else list(branch_ids)
    _move(
        session, version, State.APPROVED, "approve", by.userid, now,
        sha256=version.sha256, valid_from=valid_from.isoformat(),
        valid_until=valid_until.isoformat(), channels=version.channels,
        branches="all" if branch_ids is None else [str(id_) for id_ in branch_ids],
        step=step.desk.value, hasty=step.hasty,
    )  # fmt: skip
    if steps.is_drawn(version.id):
        await steps.draw(session, version, way, now)
    await library.tell(session, version.id, live=True, now=now)
    return Approved(version, live)


async def reject(
    session: AsyncSession, version_id: UUID, *, by: Person, reason: str, now: datetime
) -> Rejected | Refused:
    """End the review of a version for good; its author reads the reason."""
    found = await _back(session, version_id, by, reason, now)
    if isinstance(found, Refused):
        return found
    version, way = found
    await _send_back(session, version, way, by, ReviewVerdict.REJECTED, reason, now)
    return Rejected(version)


async def ask_for_changes(
    session: AsyncSession, version_id: UUID, *, by: Person, reason: str, now: datetime
) -> Returned | Refused:
    """Send a version back to its author, whose next version carries the comments left open."""
    found = await _back(session, version_id, by, reason, now)
    if isinstance(found, Refused):
        return found
    version, way = found
    await _send_back(session, version, way, by, ReviewVerdict.CHANGES, reason, now)
    return Returned(version)


async def _back(
    session: AsyncSession, version_id: UUID, by: Person, reason: str, now: datetime
) -> tuple[Version, Way] | Refused:
    found = await steps.lock(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    _, version = found
    way = await steps.way_of(session, version.id)
    reasons = objections.against_reviewer(version, way, by, now)
    if not reason.strip():
        reasons.append(Reason.NO_REASON)
    return _refused(reasons) if reasons else (version, way)


async def _send_back(
    session: AsyncSession,
    version: Version,
    way: Way,
    by: Person,
    verdict: ReviewVerdict,
    reason: str,
    now: datetime,
) -> None:
    rejected = verdict is ReviewVerdict.REJECTED
    if way.open is not None:
        await steps.decide(session, way.open, by, verdict, reason.strip(), now)
    version.reason, version.ended_at = reason.strip(), now
    _move(
        session, version, State.REJECTED if rejected else State.RETURNED,
        "reject" if rejected else "return", by.userid, now,
        reason=version.reason, comments=await comments.count_open(session, version.id),
    )  # fmt: skip
    await session.flush()


async def withdraw(
    session: AsyncSession, version_id: UUID, *, by: Person, reason: str, now: datetime
) -> Withdrawn | Refused:
    """Take a live version out of the library at once; a re-review that waits is settled by it."""
    found = await steps.lock(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    _, version = found
    reasons = [] if version.state == State.APPROVED else [Reason.NOT_LIVE]
    reasons += objections.against_role(by)
    if not reason.strip():
        reasons.append(Reason.NO_REASON)
    if reasons:
        return _refused(reasons)
    way = await steps.way_of(session, version.id)
    if way.open is not None and not objections.against_rechecker(version, way, by, now):
        await steps.decide(session, way.open, by, ReviewVerdict.REJECTED, reason.strip(), now)
    version.reason = reason.strip()
    await _end(session, version, State.WITHDRAWN, "withdraw", by.userid, now)
    return Withdrawn(version)


async def uphold(
    session: AsyncSession,
    files: FileStore,
    version_id: UUID,
    *,
    by: Person,
    checks: Sequence[bool],
    now: datetime,
) -> Upheld | Refused:
    """A third person looked at a live version again and agrees; disagreeing is `withdraw`."""
    found = await steps.lock(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    _, version = found
    way = await steps.way_of(session, version.id)
    reasons = objections.against_rechecker(version, way, by, now)
    reasons += objections.against_checks(way, checks)
    if not await unchanged(session, files, version):
        reasons.append(Reason.BYTES_CHANGED)
    if reasons or way.open is None:
        return _refused(reasons)
    await steps.decide(session, way.open, by, ReviewVerdict.PASSED, "", now)
    _note(session, version, "uphold", by.userid, now)
    return Upheld(version)


async def expire_due(session: AsyncSession, now: datetime) -> list[UUID]:
    """End every live version whose validity is over; returns their ids.

    Only tidies up: `library.only_live` refuses them from the very moment they end.
    """
    due = select(Version).where(Version.state == State.APPROVED, col(Version.valid_until) <= now)
    rows = await session.execute(due.with_for_update(skip_locked=True))
    versions = list(rows.scalars())
    for version in versions:
        await _end(session, version, State.EXPIRED, "expire", audit.SYSTEM, now)
    return [version.id for version in versions]


def _refused(reasons: Sequence[Reason]) -> Refused:
    return Refused(tuple(dict.fromkeys(reasons)) or (Reason.NOT_SUBMITTED,))


async def _live(session: AsyncSession, material_id: UUID) -> Version | None:
    live = select(Version).where(
        Version.material_id == material_id, Version.state == State.APPROVED
    )
    rows = await session.execute(
        live.with_for_update(), execution_options={"populate_existing": True}
    )
    return rows.scalar_one_or_none()


def _move(
    session: AsyncSession,
    version: Version,
    state: State,
    verb: str,
    by: str,
    now: datetime,
    **detail: object,
) -> None:
    version.state = state
    _note(session, version, verb, by, now, **detail)


def _note(
    session: AsyncSession, version: Version, verb: str, by: str, now: datetime, **detail: object
) -> None:
    audit.record(
        session, f"content:version:{verb}", version.id, by=by, now=now,
        material_id=str(version.material_id), number=version.number, **detail,
    )  # fmt: skip


async def _end(
    session: AsyncSession,
    version: Version,
    state: State,
    verb: str,
    by: str,
    now: datetime,
    by_version: Version | None = None,
) -> None:
    version.ended_at = now
    detail: dict[str, object] = {"reason": version.reason} if version.reason else {}
    if by_version is not None:
        detail["by_number"] = by_version.number
    _move(session, version, state, verb, by, now, **detail)
    await library.tell(session, version.id, live=False, now=now)
