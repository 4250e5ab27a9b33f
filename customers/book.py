"""An RM's book: which customers a member of staff may see, and what is known of one of them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, false, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local_day
from bank.models import Role
from compliance.suitability import customer_ceiling
from customers.models import Consent, Customer, Follow, FollowState, Holding, Purpose
from desk.signed import Signed

SEES_ALL = (Role.HQ, Role.COMPLIANCE, Role.AUDITOR)


@dataclass(frozen=True)
class CustomerFacts:
    """What matching and gates may know of a customer at a moment; no name, no number."""

    customer_id: UUID
    branch_id: UUID | None
    risk_level: int | None
    risk_assessed_at: datetime | None
    risk_ceiling: int
    age: int | None
    held_products: frozenset[str]
    consent: Consent | None  # to marketing

    @property
    def consents_to_marketing(self) -> bool:
        """Whether marketing may reach them."""
        return self.consent is not None


def visible(who: Signed) -> ColumnElement[bool]:
    """The customers this member of staff may see, as a condition on `customer`."""
    if who.may(*SEES_ALL):
        return true()
    own: ColumnElement[bool] = false()
    if who.may(Role.RM):
        followed = select(Follow.customer_id).where(
            Follow.staff_id == who.id, Follow.state == FollowState.ACTIVE
        )
        own = own | col(Customer.id).in_(followed)
    if who.may(Role.BRANCH_MANAGER) and who.branch_id is not None:
        own = own | (col(Customer.branch_id) == who.branch_id)
    return own


async def find(session: AsyncSession, who: Signed, customer_id: UUID) -> Customer | None:
    """The customer, if this member of staff may see them."""
    query = select(Customer).where(Customer.id == customer_id, visible(who))
    return (await session.execute(query)).scalar_one_or_none()


async def find_contact(session: AsyncSession, who: Signed, external_userid: str) -> Customer | None:
    """The customer behind a WeCom contact, if this member of staff may see them."""
    query = select(Customer).where(Customer.external_userid == external_userid, visible(who))
    return (await session.execute(query)).scalar_one_or_none()


async def active_follow(session: AsyncSession, staff_id: UUID, customer_id: UUID) -> Follow | None:
    """The live relation of that RM with that customer."""
    query = select(Follow).where(
        Follow.staff_id == staff_id,
        Follow.customer_id == customer_id,
        Follow.state == FollowState.ACTIVE,
    )
    return (await session.execute(query)).scalar_one_or_none()


async def looked_after_by(session: AsyncSession, customer_id: UUID) -> UUID | None:
    """The RM who has followed this customer longest and still does; None without one."""
    query = (
        select(Follow.staff_id)
        .where(Follow.customer_id == customer_id, Follow.state == FollowState.ACTIVE)
        .order_by(col(Follow.added_at), col(Follow.id))
    )
    return (await session.execute(query.limit(1))).scalar_one_or_none()


async def facts_of(session: AsyncSession, customer: Customer, now: datetime) -> CustomerFacts:
    """What may be known of a customer at that moment; an old assessment counts as none."""
    held = select(Holding.product_code).where(Holding.customer_id == customer.id)
    return CustomerFacts(
        customer_id=customer.id,
        branch_id=customer.branch_id,
        risk_level=customer.risk_level,
        risk_assessed_at=customer.risk_assessed_at,
        risk_ceiling=customer_ceiling(customer.risk_level, customer.risk_assessed_at, now),
        age=age_on(customer, now),
        held_products=frozenset((await session.execute(held)).scalars()),
        consent=await consent_of(session, customer.id, now),
    )


def age_on(customer: Customer, now: datetime) -> int | None:
    """Full years in local days; unknown stays unknown."""
    if customer.born_on is None:
        return None
    today, born = local_day(now), customer.born_on
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


async def consent_of(
    session: AsyncSession, customer_id: UUID, now: datetime, purpose: Purpose = Purpose.MARKETING
) -> Consent | None:
    """The consent in force for that purpose, or none."""
    query = (
        select(Consent)
        .where(
            Consent.customer_id == customer_id,
            Consent.purpose == purpose,
            col(Consent.granted_at) <= now,
            col(Consent.withdrawn_at).is_(None) | (col(Consent.withdrawn_at) > now),
        )
        .order_by(col(Consent.granted_at).desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def holdings_of(session: AsyncSession, customer_id: UUID) -> list[Holding]:
    """What the customer holds, largest first."""
    query = select(Holding).where(Holding.customer_id == customer_id)
    return list((await session.execute(query.order_by(col(Holding.amount_cents).desc()))).scalars())
