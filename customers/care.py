"""Care alerts 关怀提醒: a customer complains, wants no more marketing, or needs special care.

The only writer of an alert's state. A refusal ends the consent in the same transaction and a
complaint pauses marketing while it is open; a person looks at both and may take them back, with a
reason. Whoever the words were written to does not decide about them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit, untold
from bank.database import ring
from customers import book, consent
from customers.models import CareAlert, CareKind, CareState, Customer
from desk.signed import Signed

BELL = "care"
SERVICE = "service"  # what a source at 微信客服 begins with
LONGEST_REASON = 200

NOT_YOURS = "没有找到这条提醒，或这位客户不在您的管理范围内。"
OWN = "这是写给您本人的消息，请由支行管理或合规的另一位同事复核。"
DECIDED = "这条提醒已由其他同事复核，请刷新页面。"
NO_REASON = "请填写复核的理由。"
TOO_LONG = f"理由不超过 {LONGEST_REASON} 字。"
SAID_AGAIN = "客户此后又表示过不要营销，请先复核那一条。"


@dataclass(frozen=True)
class Heard:
    """What a customer wrote, where it stands and how it was understood."""

    kind: CareKind
    customer_id: UUID | None
    staff_id: UUID | None
    source: str
    sentence: str  # masked
    because: tuple[str, ...]
    contact: str = ""  # of whoever wrote at 微信客服


@dataclass(frozen=True)
class Refused:
    """Nothing was changed, and why."""

    reason: str


async def hear(session: AsyncSession, heard: Heard, now: datetime) -> bool:
    """Raise an alert for these words, once; a refusal ends every marketing consent with it."""
    alert = CareAlert(
        kind=heard.kind,
        customer_id=heard.customer_id,
        staff_id=heard.staff_id,
        contact=heard.contact,
        source=heard.source,
        sentence=heard.sentence,
        because=list(heard.because),
        raised_at=now,
    )
    written = insert(CareAlert).values(alert.model_dump())
    once = written.on_conflict_do_nothing(index_elements=["kind", "source"])
    if (await session.execute(once.returning(col(CareAlert.id)))).first() is None:
        return False
    await _act(session, alert, now)
    audit.record(
        session, f"customers:care_alert:{heard.kind}", alert.id, by=audit.SYSTEM, now=now,
        customer=str(heard.customer_id or ""),
    )  # fmt: skip
    await ring(session, BELL)
    return True


async def _act(session: AsyncSession, alert: CareAlert, now: datetime) -> None:
    if alert.kind is not CareKind.REFUSAL or alert.customer_id is None:
        return
    customer = await session.get_one(Customer, alert.customer_id)
    ended = await consent.withdraw(session, customer, by=audit.SYSTEM, now=now)
    kept = update(CareAlert).where(col(CareAlert.id) == alert.id)
    await session.execute(kept.values(consents=[str(one) for one in ended]))


async def complains(session: AsyncSession, customer_id: UUID) -> bool:
    """Whether a complaint of this customer is open: then nobody advertises to them (C-44)."""
    contact = select(col(Customer.external_userid)).where(col(Customer.id) == customer_id)
    query = select(col(CareAlert.id)).where(
        or_(
            col(CareAlert.customer_id) == customer_id,
            # Complained at 微信客服 before we knew who it was.
            (col(CareAlert.contact) != "") & (col(CareAlert.contact) == contact.scalar_subquery()),
        ),
        col(CareAlert.kind) == CareKind.COMPLAINT,
        col(CareAlert.state) == CareState.OPEN,
    )
    return (await session.execute(query.limit(1))).first() is not None


async def complaining(session: AsyncSession, customers: Sequence[Customer]) -> set[UUID]:
    """Those of these customers who have a complaint open, known as customers when they made it or
    by their contact alone.
    """
    by_contact = {one.external_userid: one.id for one in customers if one.external_userid}
    query = select(col(CareAlert.customer_id), col(CareAlert.contact)).where(
        or_(
            col(CareAlert.customer_id).in_([one.id for one in customers]),
            col(CareAlert.contact).in_(by_contact),
        ),
        col(CareAlert.kind) == CareKind.COMPLAINT,
        col(CareAlert.state) == CareState.OPEN,
    )
    found = {customer or by_contact[said] for customer, said in await session.execute(query)}
    return found & {one.id for one in customers}


async def needs_person(session: AsyncSession, contact: str) -> bool:
    """Whether a complaint or a need of care of this contact is open: then no machine answers."""
    customer = select(col(Customer.id)).where(col(Customer.external_userid) == contact)
    query = select(col(CareAlert.id)).where(
        or_(
            col(CareAlert.contact) == contact,
            col(CareAlert.customer_id) == customer.scalar_subquery(),
        ),
        col(CareAlert.kind) != CareKind.REFUSAL,
        col(CareAlert.state) == CareState.OPEN,
    )
    return (await session.execute(query.limit(1))).first() is not None


async def confirm(
    session: AsyncSession, alert_id: UUID, reason: str, *, by: Signed, now: datetime
) -> Refused | None:
    """It was understood rightly and has been dealt with; a consent that ended stays ended."""
    return await _decide(session, alert_id, CareState.CONFIRMED, reason, by, now)


async def undo(
    session: AsyncSession, alert_id: UUID, reason: str, *, by: Signed, now: datetime
) -> Refused | None:
    """The customer did not mean it: what was stopped because of it goes on."""
    return await _decide(session, alert_id, CareState.UNDONE, reason, by, now)


async def _decide(
    session: AsyncSession, alert_id: UUID, state: CareState, why: str, by: Signed, now: datetime
) -> Refused | None:
    # Without a customer the condition is not met: only who sees all may look at a mere contact.
    query = select(CareAlert).outerjoin(Customer, col(Customer.id) == col(CareAlert.customer_id))
    query = query.where(col(CareAlert.id) == alert_id, book.visible(by))
    alert = (await session.execute(query.with_for_update(of=CareAlert))).scalar_one_or_none()
    if alert is None:
        return Refused(NOT_YOURS)
    if against := await _against(session, alert, state, why.strip(), by):
        return Refused(against)
    alert.state, alert.reason = state, why.strip()
    alert.decided_by, alert.decided_at = by.userid, now
    if state is CareState.UNDONE and alert.consents:
        consents = [UUID(one) for one in alert.consents]
        await consent.restore(session, consents, by=by.userid, now=now, because=alert.reason)
    audit.record(
        session, f"customers:care_alert:{VERBS[state]}", alert.id, by=by.userid, now=now,
        customer=str(alert.customer_id or ""), kind=alert.kind.value, reason=alert.reason,
    )  # fmt: skip
    return None


VERBS = {CareState.CONFIRMED: "confirm", CareState.UNDONE: "undo"}


async def _against(
    session: AsyncSession, alert: CareAlert, state: CareState, why: str, by: Signed
) -> str:
    if alert.staff_id == by.id:
        return OWN
    if alert.state is not CareState.OPEN:
        return DECIDED
    if not why:
        return NO_REASON
    if len(why) > LONGEST_REASON:
        return TOO_LONG
    undoes = state is CareState.UNDONE and alert.kind is CareKind.REFUSAL
    return SAID_AGAIN if undoes and await _said_again(session, alert) else ""


async def _said_again(session: AsyncSession, alert: CareAlert) -> bool:
    """Whether another refusal of the same customer still stands."""
    query = select(func.count(col(CareAlert.id))).where(
        col(CareAlert.customer_id) == alert.customer_id,
        col(CareAlert.kind) == CareKind.REFUSAL,
        col(CareAlert.state) != CareState.UNDONE,
        col(CareAlert.raised_at) > alert.raised_at,
    )
    return bool((await session.execute(query)).scalar_one())


async def claim(session: AsyncSession, now: datetime) -> CareAlert | None:
    """The oldest open alert nobody was told of, ours for half a minute; None without one."""
    open_ones = col(CareAlert.state) == CareState.OPEN
    return await untold.claim(
        session, CareAlert, now, open_ones, col(CareAlert.kind) != CareKind.REFUSAL
    )


async def told(session: AsyncSession, alert_id: UUID, now: datetime) -> None:
    """A card about it is on a superior's desktop."""
    await untold.told(session, CareAlert, alert_id, now)
