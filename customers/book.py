"""An RM's book: which customers a member of staff may see, and what is known of one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, false, func, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

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


async def active_follow(session: AsyncSession, staff_id: UUID, customer_id: UUID) -> Follow | None:
    """The live relation of that RM with that customer."""
    query = select(Follow).where(
        Follow.staff_id == staff_id,
        Follow.customer_id == customer_id,
        Follow.state == FollowState.ACTIVE,
    )
    return (await session.execute(query)).scalar_one_or_none()


@dataclass(frozen=True)
class Followed:
    """A customer an RM looks after, and what may be known of them at that moment."""

    customer: Customer
    follow: Follow
    facts: CustomerFacts


async def followed(
    session: AsyncSession, staff_id: UUID, which: ColumnElement[bool], now: datetime
) -> Followed | None:
    """That customer, if this RM looks after them now; all of it asked for at once."""
    in_force = _consents(col(Customer.id), now, Purpose.MARKETING).correlate(Customer).lateral()
    consent = aliased(Consent, in_force)
    query = (
        select(Customer, Follow, consent, _held(col(Customer.id)))
        .join(Follow, col(Follow.customer_id) == col(Customer.id))
        .outerjoin(consent, true())
        .where(which, Follow.staff_id == staff_id, Follow.state == FollowState.ACTIVE)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    customer, follow, agreed, held = row
    return Followed(customer, follow, _facts(customer, held, agreed, now))


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
    held = (await session.execute(select(_held(customer.id)))).scalar_one()
    return _facts(customer, held, await consent_of(session, customer.id, now), now)


def _held(customer_id: Any) -> Any:
    """The codes of what the customer holds, as one value."""
    codes = select(Holding.product_code).where(
        Holding.customer_id == customer_id, col(Holding.ended_on).is_(None)
    )
    return func.array(codes.scalar_subquery())


def _facts(
    customer: Customer, held: Sequence[str], consent: Consent | None, now: datetime
) -> CustomerFacts:
    return CustomerFacts(
        customer_id=customer.id,
        branch_id=customer.branch_id,
        risk_level=customer.risk_level,
        risk_assessed_at=customer.risk_assessed_at,
        risk_ceiling=customer_ceiling(customer.risk_level, customer.risk_assessed_at, now),
        age=age_on(customer, now),
        held_products=frozenset(held),
        consent=consent,
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
    in_force = await session.execute(_consents(customer_id, now, purpose))
    return in_force.scalar_one_or_none()


def _consents(customer_id: Any, now: datetime, purpose: Purpose) -> SelectOfScalar[Consent]:
    """The newest consent in force for that purpose."""
    return (
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


async def holdings_of(session: AsyncSession, customer_id: UUID) -> list[Holding]:
    """What the customer holds, largest first."""
    query = select(Holding).where(
        Holding.customer_id == customer_id, col(Holding.ended_on).is_(None)
    )
    return list((await session.execute(query.order_by(col(Holding.amount_cents).desc()))).scalars())
