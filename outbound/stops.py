"""停用模型: compliance stops everything a model words; approved passages alone are quoted (C-42).

One person stops it at once. Lifting it is an admission of a high-risk use: head office asks and
says why, somebody of compliance agrees; never the same person (`ck_model_stop_lifted_by_two`).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.database import ring
from bank.models import Role
from content.library import BELL
from desk.signed import Signed
from outbound.models import ModelStop

NOT_STOPPED = "模型起草没有停用，不用恢复"
NOT_HEAD_OFFICE = "恢复模型起草须由总行提出"
NOT_COMPLIANCE = "恢复模型起草须由合规同意"
NOT_ASKED = "总行还没有提出恢复申请"
SAME_PERSON = "提出和同意恢复的须是两个人"
SAY_WHY = "请写明恢复的依据（例如整改和复测结果），4–200 字"


@dataclass(frozen=True)
class Refused:
    """The stop stays as it is, and why."""

    reason: str


async def current(session: AsyncSession) -> ModelStop | None:
    """The stop in force, as of this very statement; None while models may word."""
    query = select(ModelStop).where(col(ModelStop.lifted_at).is_(None))
    return (await session.execute(query)).scalar_one_or_none()


async def stop(session: AsyncSession, *, by: Signed, reason: str, now: datetime) -> bool:
    """From the commit on no model words anything; False where that was so already."""
    row = ModelStop(stopped_at=now, stopped_by=by.id, reason=reason)
    written = insert(ModelStop).values(row.model_dump()).on_conflict_do_nothing()
    made = await session.execute(written.returning(col(ModelStop.id)))
    if (stop_id := made.scalar_one_or_none()) is None:
        return False
    audit.record(session, "outbound:model:stop", stop_id, by=by.userid, now=now, reason=reason)
    await ring(session, BELL)
    return True


async def ask(
    session: AsyncSession, *, by: Signed, because: str, now: datetime
) -> ModelStop | Refused:
    """Head office wants it lifted, and says on what ground; the last wish counts."""
    row = await _locked(session)
    if row is None:
        return Refused(NOT_STOPPED)
    if not by.may(Role.HQ):
        return Refused(NOT_HEAD_OFFICE)
    if not 4 <= len(because.strip()) <= 200:
        return Refused(SAY_WHY)
    row.asked_by, row.asked_at, row.asked_because = by.id, now, because.strip()
    audit.record(
        session, "outbound:model:ask", row.id, by=by.userid, now=now, reason=row.asked_because
    )
    return row


async def lift(session: AsyncSession, *, by: Signed, now: datetime) -> ModelStop | Refused:
    """Compliance agrees: models may word again from the commit on."""
    row = await _locked(session)
    if row is None:
        return Refused(NOT_STOPPED)
    if not by.may(Role.COMPLIANCE):
        return Refused(NOT_COMPLIANCE)
    if row.asked_by is None:
        return Refused(NOT_ASKED)
    if row.asked_by == by.id:
        return Refused(SAME_PERSON)
    row.lifted_by, row.lifted_at = by.id, now
    audit.record(
        session, "outbound:model:lift", row.id, by=by.userid, now=now, reason=row.asked_because
    )
    await ring(session, BELL)
    return row


async def _locked(session: AsyncSession) -> ModelStop | None:
    query = select(ModelStop).where(col(ModelStop.lifted_at).is_(None))
    return (await session.execute(query.with_for_update())).scalar_one_or_none()
