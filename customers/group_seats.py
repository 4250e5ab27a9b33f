"""Who is in a customer group at this moment, and which groups an RM is in."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from customers.models import (
    CareAlert,
    CareKind,
    CareState,
    Consent,
    Customer,
    CustomerGroup,
    Follow,
    FollowState,
    GroupMember,
    Purpose,
)
from desk.signed import Signed


@dataclass(frozen=True)
class Present:
    """Somebody in the group who is not one of us; `customer_id` of those we know."""

    member_id: str
    nickname: str = field(repr=False)
    customer_id: UUID | None
    name: str = field(repr=False)
    consents: bool


async def group_of(session: AsyncSession, who: Signed, chat_id: str) -> CustomerGroup | None:
    """The living group with that WeCom id, if this very member of staff owns it or sits in it."""
    me = who.userid.lower()
    sits = select(col(GroupMember.id)).where(
        col(GroupMember.group_id) == col(CustomerGroup.id),
        col(GroupMember.left_at).is_(None),
        func.lower(col(GroupMember.member_id)) == me,
    )
    query = select(CustomerGroup).where(
        col(CustomerGroup.chat_id) == chat_id,
        col(CustomerGroup.dismissed_at).is_(None),
        or_(func.lower(col(CustomerGroup.owner_userid)) == me, sits.exists()),
    )
    return (await session.execute(query)).scalar_one_or_none()


@dataclass(frozen=True)
class Circle:
    """社交关系: how many of us follow a customer, and which groups they are in."""

    followers: int  # colleagues who follow them now, oneself included
    groups: int  # living customer groups they are in
    shared: int  # of these, groups one is in as well


async def circle_of(session: AsyncSession, customer_id: UUID, userid: str) -> Circle:
    """The circle of a customer, as seen by the member of staff with that userid."""
    mine = aliased(GroupMember)
    sits = select(col(mine.id)).where(
        col(mine.group_id) == col(CustomerGroup.id),
        col(mine.left_at).is_(None),
        func.lower(col(mine.member_id)) == userid.lower(),
    )
    owns = func.lower(col(CustomerGroup.owner_userid)) == userid.lower()
    different = func.count(col(CustomerGroup.id).distinct())
    groups = (
        select(different, different.filter(or_(owns, sits.exists())))
        .join(GroupMember, col(GroupMember.group_id) == col(CustomerGroup.id))
        .where(
            col(GroupMember.customer_id) == customer_id,
            col(GroupMember.left_at).is_(None),
            col(CustomerGroup.dismissed_at).is_(None),
        )
    )
    follows = select(func.count(col(Follow.id))).where(
        col(Follow.customer_id) == customer_id, col(Follow.state) == FollowState.ACTIVE
    )
    number, shared = (await session.execute(groups)).one()
    colleagues = (await session.execute(follows)).scalar_one()
    return Circle(colleagues, number, shared)


async def present(session: AsyncSession, group_id: UUID, now: datetime) -> list[Present]:
    """Every customer, known or not, who is in the group now, in the order they came."""
    consenting = select(col(Consent.id)).where(
        col(Consent.customer_id) == col(Customer.id),
        col(Consent.purpose) == Purpose.MARKETING,
        col(Consent.granted_at) <= now,
        or_(col(Consent.withdrawn_at).is_(None), col(Consent.withdrawn_at) > now),
    )
    complaining = select(col(CareAlert.id)).where(
        or_(
            col(CareAlert.customer_id) == col(Customer.id),
            col(CareAlert.contact) == col(Customer.external_userid),
        ),
        col(CareAlert.kind) == CareKind.COMPLAINT,
        col(CareAlert.state) == CareState.OPEN,
    )
    agrees = and_(col(Customer.id).is_not(None), consenting.exists(), ~complaining.exists())
    query = (
        select(GroupMember, col(Customer.id), func.coalesce(col(Customer.name), ""))
        .add_columns(agrees)
        .outerjoin(
            Customer,
            or_(
                col(Customer.id) == col(GroupMember.customer_id),
                col(Customer.external_userid) == col(GroupMember.member_id),
            ),
        )
        .where(
            col(GroupMember.group_id) == group_id,
            col(GroupMember.left_at).is_(None),
            ~col(GroupMember.is_staff),
        )
        .order_by(col(GroupMember.joined_at), col(GroupMember.member_id))
    )
    return [
        Present(member.member_id, member.nickname, customer_id, name, consents)
        for member, customer_id, name, consents in await session.execute(query)
    ]
