"""The gates before a touch leaves, in order; the first refusal wins and is kept in words.

still enrolled · follow active · not converted · material live · may be said (`outbound/check.py`:
certificate, consent, suitability, words) · quiet hours · caps · control arm
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
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
    NoOpenTime,
    may_contact,
    next_allowed_time,
)
from compliance.verdict import Allowed
from content import library
from content.files import FileStore
from content.models import Material, Version
from content.sendable import words_of
from customers.models import Customer, Follow, FollowState
from outbound import check
from outbound.attachments import Stock, Unfit, prepare
from outbound.check import Passed as Sayable
from outbound.facts import Saying
from outbound.facts import policy_of as policy_of_texts
from outbound.models import Door
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

NOT_ENROLLED = "客户已退出该 SOP"
SOP_STOPPED = "SOP 已停止"
NOT_FOLLOWED = "客户与客户经理的跟进关系已解除"
RM_DISABLED = "客户经理账号已停用"
NO_CONTACT = "客户未绑定企业微信"
MISSED = "错过计划时间，按设置放弃这一步"

# A check that could not be made is made again.
ONCE_MORE = timedelta(minutes=5)


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
    said: Sayable


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
    files: FileStore,
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
    said = await _may_be_said(session, case, version, settings, stock_of(settings, files), now)
    if not isinstance(said, Sayable):
        return said
    against = _late(case, now) or _moment(case, policy_of(settings), marketing, now)
    if against is not None:
        return against
    if case.enrolment.arm == Arm.CONTROL:
        return Ghost(version.id)
    return Passed(version.id, said)


def stock_of(settings: Settings, files: FileStore) -> Stock:
    """Where attachments come from."""
    return Stock(files, settings.public_url, settings.radar != "off")


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


async def _may_be_said(
    session: AsyncSession,
    case: Case,
    version: Version,
    settings: Settings,
    stock: Stock,
    now: datetime,
) -> Sayable | No | Later:
    """The check that everything passes that customers see; a refusal is kept by itself too."""
    material = await session.get_one(Material, version.material_id)
    body = rendered(words_of(version, material.kind), case.customer, case.staff)
    attached = await prepare(session, stock, [version.id], case.staff, now)
    if isinstance(attached, Unfit):
        return No(attached.reasons)
    saying = Saying(
        door=Door.TOUCH,
        text=body,
        version_ids=frozenset({version.id}),
        staff_id=case.staff.id,
        customer_id=case.customer.id,
        contact=case.customer.external_userid or "",
        marketing=case.sop.marketing,
        attachments=attached,
    )
    answer = await check.check(session, saying, policy_of_texts(settings), now)
    if isinstance(answer, Sayable):
        return answer
    if answer.cause is check.Cause.UNABLE:
        return Later(now + ONCE_MORE, answer.reasons[0])
    await check.record(session, answer, case.touch.id, now)
    return No(answer.reasons)


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
