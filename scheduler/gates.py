"""The gates before a touch leaves, in order; the first refusal wins and is kept in words.

still enrolled · follow active · not converted · material live · consent · suitability ·
quiet hours · caps · wording · control arm
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from attribution.models import Conversion
from bank.calendar import local_day
from bank.models import Staff
from bank.settings import Settings
from compliance.contact import (
    ConsentFacts,
    ContactPolicy,
    NoContact,
    NoOpenTime,
    may_contact,
    next_allowed_time,
)
from compliance.guard import checked
from compliance.suitability import may_recommend
from compliance.verdict import Allowed, Level, Role
from content import library
from content.models import Version
from customers import book
from customers.models import Customer, Follow, FollowState
from scheduler.enrolment import CONVERTED
from scheduler.models import (
    Arm,
    Enrolment,
    EnrolmentState,
    LatePolicy,
    Sop,
    SopState,
    Step,
    Touch,
)
from scheduler.touches import DEAD_MATERIAL
from wecom.attachments import CUSTOMER_TEXT
from wecom.channels import Channel

NOT_ENROLLED = "客户已退出该 SOP"
SOP_STOPPED = "SOP 已停止"
NOT_FOLLOWED = "客户与客户经理的跟进关系已解除"
RM_DISABLED = "客户经理账号已停用"
NO_CONTACT = "客户未绑定企业微信"
NOT_FOR_HERE = "素材不适用于单聊或该客户所在支行，或关联产品已停售"
ABOVE_CEILING = "素材风险等级高于客户风险承受能力"
MISSED = "错过计划时间，按设置放弃这一步"
TOO_LONG = "文本超过企业微信 4000 字节的上限"
UNFILLED = "文本中有未填写的占位符"

ANY_RISK = 5
SLOT = re.compile(r"\{[^{}\n]{1,20}\}")


@dataclass(frozen=True)
class Case:
    """A claimed touch with everything the gates look at."""

    touch: Touch
    enrolment: Enrolment
    sop: Sop
    step: Step
    customer: Customer
    staff: Staff
    follow: Follow | None


@dataclass(frozen=True)
class Passed:
    """This version may go out now, in these words."""

    version_id: UUID
    text: str


@dataclass(frozen=True)
class Ghost:
    """It would go out now, but the customer is in the control arm."""

    version_id: UUID


@dataclass(frozen=True)
class No:
    """It may not go out, for these reasons."""

    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Later:
    """It may not go out before `until`."""

    until: datetime
    reason: str


Verdict = Passed | Ghost | No | Later


async def cases_of(session: AsyncSession, touches: Sequence[Touch]) -> list[Case]:
    """The touches with all that belongs to them, in the given order."""
    query = (
        select(Touch, Enrolment, Sop, Step, Customer, Staff, Follow)
        .join(Enrolment, col(Enrolment.id) == col(Touch.enrolment_id))
        .join(Sop, col(Sop.id) == col(Enrolment.sop_id))
        .join(Step, col(Step.id) == col(Touch.step_id))
        .join(Customer, col(Customer.id) == col(Touch.customer_id))
        .join(Staff, col(Staff.id) == col(Touch.staff_id))
        .outerjoin(
            Follow,
            (col(Follow.staff_id) == Touch.staff_id) & (col(Follow.customer_id) == Customer.id),
        )
        .where(col(Touch.id).in_([touch.id for touch in touches]))
    )
    rows = await session.execute(query)
    found = {row[0].id: Case(*row) for row in rows}
    return [found[touch.id] for touch in touches]


async def judge(
    session: AsyncSession,
    case: Case,
    settings: Settings,
    marketing: Sequence[datetime],
    now: datetime,
) -> Verdict:
    """Whether this touch may go out now; `marketing` are the customer's messages so far.

    Marketing SOPs need consent, keep the caps and end with a conversion; a service notice the
    customer relies on needs none of these, but keeps the hours.
    """
    against: No | Later | None = _standing(case) or await _conversion(session, case)
    if against is not None:
        return against
    version = await library.live_version_of(session, case.step.material_id, now)
    if version is None:
        return No((DEAD_MATERIAL,))
    against = (
        await _usable(session, case, version, now)
        or await _consent(session, case, now)
        or await _suitability(session, case, version, now)
        or _late(case, now)
        or _moment(case, policy_of(settings), marketing, now)
    )
    if against is not None:
        return against
    text = rendered(version.body, case.customer, case.staff)
    wrong = _wording(text)
    if wrong:
        return No(wrong)
    if case.enrolment.arm == Arm.CONTROL:
        return Ghost(version.id)
    return Passed(version.id, text)


def _standing(case: Case) -> No | None:
    if case.enrolment.state != EnrolmentState.ACTIVE:
        return No((case.enrolment.reason or NOT_ENROLLED,))
    if case.sop.state != SopState.RUNNING:
        return No((SOP_STOPPED,))
    if case.follow is None or case.follow.state != FollowState.ACTIVE:
        return No((NOT_FOLLOWED,))
    if not case.staff.enabled:
        return No((RM_DISABLED,))
    if not case.customer.external_userid:
        return No((NO_CONTACT,))
    return None


async def _conversion(session: AsyncSession, case: Case) -> No | None:
    if not case.sop.marketing:
        return None
    since = select(col(Conversion.id)).where(
        col(Conversion.customer_id) == case.customer.id,
        col(Conversion.at) >= case.enrolment.enrolled_at,
    )
    found = (await session.execute(since.limit(1))).first()
    return No((CONVERTED,)) if found else None


async def _usable(session: AsyncSession, case: Case, version: Version, now: datetime) -> No | None:
    live = await library.only_live(
        session,
        [version.id],
        now=now,
        channel=Channel.SINGLE_CHAT,
        branch_id=case.customer.branch_id,
        risk_ceiling=ANY_RISK,
    )
    return None if live else No((NOT_FOR_HERE,))


async def _consent(session: AsyncSession, case: Case, now: datetime) -> No | None:
    if not case.sop.marketing or await book.consent_of(session, case.customer.id, now):
        return None
    return No((NoContact.NO_CONSENT.label,))


async def _suitability(
    session: AsyncSession, case: Case, version: Version, now: datetime
) -> No | None:
    """Material about products must suit the customer as of today; education suits everyone."""
    facts = await book.facts_of(session, case.customer, now)
    [document] = await library.documents(session, [version.id])
    if document.risk:
        answer = may_recommend(
            facts.risk_level, facts.risk_assessed_at, document.risk, now, facts.age
        )
        if not isinstance(answer, Allowed):
            return No(tuple(reason.label for reason in answer.reasons))
    live = await library.only_live(
        session,
        [version.id],
        now=now,
        channel=Channel.SINGLE_CHAT,
        branch_id=facts.branch_id,
        risk_ceiling=facts.risk_ceiling,
    )
    return None if live else No((ABOVE_CEILING,))


def _late(case: Case, now: datetime) -> No | None:
    missed = local_day(now) > local_day(case.touch.planned_for)
    return No((MISSED,)) if missed and case.step.late == LatePolicy.SKIP else None


def policy_of(settings: Settings) -> ContactPolicy:
    """Hours and caps as the bank set them."""
    return ContactPolicy(
        opens=time(settings.quiet_until),
        closes=time(settings.quiet_from),
        per_day=settings.marketing_per_day,
        per_month=settings.marketing_per_month,
    )


def _moment(
    case: Case, policy: ContactPolicy, marketing: Sequence[datetime], now: datetime
) -> No | Later | None:
    if not case.sop.marketing:
        policy, marketing = ContactPolicy(policy.opens, policy.closes), ()
    answer = may_contact(ConsentFacts(now), marketing, now, policy=policy)
    if isinstance(answer, Allowed):
        return None
    reason = answer.reasons[0].label
    try:
        until = next_allowed_time(now, marketing, policy=policy)
    except NoOpenTime:
        return No((reason,))
    if case.step.late == LatePolicy.SKIP and local_day(until) > local_day(case.touch.planned_for):
        return No((reason, MISSED))
    return Later(until, reason)


def rendered(body: str, customer: Customer, staff: Staff) -> str:
    """The text as this customer reads it from this RM."""
    filled = body.replace("{客户称呼}", customer.name).replace("{客户经理}", staff.name)
    return filled.strip()


def _wording(text: str) -> tuple[str, ...]:
    """What stands against these very words; they are judged once more with the slots filled."""
    if SLOT.search(text):
        return (UNFILLED,)
    if len(text.encode()) > CUSTOMER_TEXT:
        return (TOO_LONG,)
    verdict = checked(text, Role.RM)
    if verdict.level is not Level.BLOCK:
        return ()
    return tuple(dict.fromkeys(finding.reason for finding in verdict.findings))
