"""Who is in a customer group at this moment, and which groups an RM is in."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from customers.models import (
    CareAlert,
    CareKind,
    CareState,
    Consent,
    Customer,
    CustomerGroup,
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
