"""Certificates 从业资格 of RMs: until when they may sell (C-34); the only writer of the date.

One proposes another date, a second person agrees, and neither is the RM concerned. The table keeps
it: `ck_certificate_change_four_eyes`, `ck_certificate_change_not_their_own`, one that waits for
each RM (`uq_certificate_change_open`). Every step is a line of the audit book.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit, sheets
from bank.calendar import local_day
from bank.models import CertificateChange, Role, Staff

ENDING = timedelta(days=120)
LONGEST_REASON = 200
# A certificate is renewed every few years: a date farther away is a slip of the pen.
FARTHEST = timedelta(days=6 * 366)
COLUMNS = {"userid": "企业微信账号", "until": "从业资格有效期"}

NO_REASON = f"请写明依据，例如证书编号或人力资源部通知（{LONGEST_REASON} 字以内）。"
NO_NOTE = "请填写驳回原因，提交人会看到。"
NOT_AN_RM = "没有这位客户经理，请核对账号。"
UNREADABLE = "有效期请写成 2027-06-30"
SAME = "与现在登记的有效期相同，无需修改。"
TOO_FAR = "有效期超过六年，请核对年份。"
WAITS = "这位客户经理已有一项修改待确认，请先处理。"
THEIR_OWN = "不能登记或确认本人的从业资格，请由其他同事处理。"
OWN_CHANGE = "不能确认自己提交的修改，请由另一人处理。"
NOT_WAITING = "这项修改不在待确认状态，可能已由他人处理，请刷新页面。"
STALE = "提交之后登记的有效期已有变化，请驳回后重新提交。"
SELLS = "客户经理不得兼任确认人，请由未参与销售的人员处理。"


class Person(Protocol):
    """Whoever acts: a member of staff, or one who is signed in."""

    @property
    def id(self) -> UUID: ...
    @property
    def userid(self) -> str: ...
    @property
    def roles(self) -> Iterable[str]: ...


class Standing(enum.StrEnum):
    """How a certificate stands on a day."""

    VALID = "valid"
    ENDING = "ending"
    ENDED = "ended"
    MISSING = "missing"

    @property
    def label(self) -> str:
        return {"valid": "有效", "ending": "即将到期", "ended": "已到期", "missing": "未登记"}[self]

    @property
    def sells(self) -> bool:
        """Whether the RM may sell; else only pass on investor education."""
        return self in (Standing.VALID, Standing.ENDING)


def standing(until: date | None, today: date) -> Standing:
    """How a certificate that ends then stands today; its last day still counts."""
    if until is None:
        return Standing.MISSING
    if until < today:
        return Standing.ENDED
    return Standing.ENDING if until <= today + ENDING else Standing.VALID


@dataclass(frozen=True)
class Holder:
    """An RM, the certificate, and the change that waits, if one does."""

    staff: Staff
    standing: Standing
    waiting: CertificateChange | None


async def holders(session: AsyncSession, today: date, branch_id: UUID | None) -> list[Holder]:
    """Every RM at work, of one branch where it is given: who may not sell first."""
    rms = (
        select(Staff, CertificateChange)
        .outerjoin(
            CertificateChange,
            (col(CertificateChange.staff_id) == col(Staff.id))
            & col(CertificateChange.agreed).is_(None),
        )
        .where(col(Staff.roles).contains([Role.RM.value]), col(Staff.enabled))
        .order_by(col(Staff.certified_until).asc().nulls_first(), col(Staff.name))
    )
    if branch_id is not None:
        rms = rms.where(Staff.branch_id == branch_id)
    found = await session.execute(rms)
    return [Holder(rm, standing(rm.certified_until, today), open_) for rm, open_ in found]


async def history(session: AsyncSession, staff_id: UUID) -> list[CertificateChange]:
    """Every change asked for, newest first."""
    rows = select(CertificateChange).where(CertificateChange.staff_id == staff_id)
    newest = rows.order_by(col(CertificateChange.proposed_at).desc())
    return list((await session.execute(newest)).scalars())


async def propose(
    session: AsyncSession,
    staff_id: UUID,
    until: date | None,
    *,
    by: Person,
    reason: str,
    now: datetime,
) -> CertificateChange | str:
    """Ask for another end of the certificate, or for none; what is wrong, in words."""
    rm = await _locked(session, staff_id)
    if rm is None or Role.RM not in rm.roles:
        return NOT_AN_RM
    if wrong := await _against(session, rm, until, by, reason.strip(), now):
        return wrong
    change = CertificateChange(
        staff_id=rm.id, before=rm.certified_until, until=until, reason=reason.strip(),
        proposed_by=by.id, proposed_at=now,
    )  # fmt: skip
    session.add(change)
    _note(session, rm, change, "propose", by, now, reason=change.reason)
    await session.flush()
    return change


async def _against(
    session: AsyncSession, rm: Staff, until: date | None, by: Person, reason: str, now: datetime
) -> str:
    if rm.id == by.id:
        return THEIR_OWN
    if not reason or len(reason) > LONGEST_REASON or "\0" in reason:
        return NO_REASON
    if until == rm.certified_until:
        return SAME
    if until is not None and until > local_day(now) + FARTHEST:
        return TOO_FAR
    return WAITS if await _waiting(session, rm.id) else ""


async def _waiting(session: AsyncSession, staff_id: UUID) -> CertificateChange | None:
    rows = select(CertificateChange).where(
        CertificateChange.staff_id == staff_id, col(CertificateChange.agreed).is_(None)
    )
    return (await session.execute(rows)).scalar_one_or_none()


async def _locked(session: AsyncSession, staff_id: UUID) -> Staff | None:
    rows = select(Staff).where(Staff.id == staff_id).with_for_update()
    found = await session.execute(rows, execution_options={"populate_existing": True})
    return found.scalar_one_or_none()


def against_deciding(change: CertificateChange, by: Person) -> str:
    """Why this person may not decide on it; empty if they may."""
    if Role.RM in by.roles:
        return SELLS
    if change.staff_id == by.id:
        return THEIR_OWN
    return OWN_CHANGE if change.proposed_by == by.id else ""


async def agree(session: AsyncSession, change_id: UUID, *, by: Person, now: datetime) -> str:
    """The second person says yes: the date counts from now on; what is wrong, or nothing."""
    found = await _open(session, change_id)
    if found is None:
        return NOT_WAITING
    rm, change = found
    if wrong := against_deciding(change, by):
        return wrong
    if rm.certified_until != change.before:
        return STALE
    rm.certified_until = change.until
    change.agreed, change.decided_by, change.decided_at = True, by.id, now
    _note(session, rm, change, "confirm", by, now)
    await session.flush()
    return ""


async def refuse(
    session: AsyncSession, change_id: UUID, note: str, *, by: Person, now: datetime
) -> str:
    """The second person says no, and why; what is wrong, or nothing."""
    found = await _open(session, change_id)
    if found is None:
        return NOT_WAITING
    rm, change = found
    if wrong := against_deciding(change, by):
        return wrong
    if not note.strip() or "\0" in note:
        return NO_NOTE
    change.agreed, change.decided_by, change.decided_at = False, by.id, now
    change.note = note.strip()[:LONGEST_REASON]
    _note(session, rm, change, "reject", by, now, reason=change.note)
    await session.flush()
    return ""


async def _open(session: AsyncSession, change_id: UUID) -> tuple[Staff, CertificateChange] | None:
    """RM first: two who decide at the same moment wait for each other."""
    change = await session.get(CertificateChange, change_id)
    rm = await _locked(session, change.staff_id) if change else None
    if change is None or rm is None:
        return None
    await session.refresh(change)
    return (rm, change) if change.agreed is None else None


def _note(
    session: AsyncSession,
    rm: Staff,
    change: CertificateChange,
    verb: str,
    by: Person,
    now: datetime,
    **detail: Any,
) -> None:
    audit.record(
        session, f"bank:certificate:{verb}", rm.userid, by=by.userid, now=now,
        before=_written(change.before), after=_written(change.until), **detail,
    )  # fmt: skip


def _written(until: date | None) -> str:
    return until.isoformat() if until else "未登记"


async def take_in(
    session: AsyncSession,
    rows: Iterable[Mapping[str, Any]],
    *,
    by: Person,
    reason: str,
    now: datetime,
) -> sheets.Outcome:
    """Ask for the dates of a file, one by one; what is registered already changes nothing."""
    outcome = sheets.Outcome()
    rms = select(Staff.userid, Staff.id).where(col(Staff.roles).contains([Role.RM.value]))
    known = {userid.lower(): id_ for userid, id_ in await session.execute(rms)}
    for raw in rows:
        outcome.counts_by["read"] += 1
        userid, typed = (
            sheets.cell_text(raw.get(name, raw.get(word))) for name, word in COLUMNS.items()
        )
        staff_id, until = known.get(userid.lower()), _day(typed)
        if staff_id is None or until is None:
            outcome.reject(raw, NOT_AN_RM if staff_id is None else UNREADABLE)
            continue
        asked = await propose(session, staff_id, until, by=by, reason=reason, now=now)
        if asked == SAME:
            outcome.counts_by["same"] += 1
        elif isinstance(asked, str):
            outcome.reject(raw, asked)
        else:
            outcome.counts_by["changed"] += 1
    return outcome


def _day(text: str) -> date | None:
    try:
        return datetime.fromisoformat(text.replace("/", "-")).date()
    except ValueError:
        return None
