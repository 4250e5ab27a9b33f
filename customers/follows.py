"""Follow relations as WeCom tells them: the only writer of a relation's state."""

from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.models import Staff
from customers.models import Customer, Follow, FollowState, Stage
from wecom.client import Contact


async def known(session: AsyncSession, external_userid: str, rm: Staff) -> Customer | None:
    """The customer behind a WeCom contact, if there is or was a relation with this RM."""
    query = (
        select(Customer)
        .join(Follow, col(Follow.customer_id) == col(Customer.id))
        .where(Customer.external_userid == external_userid, Follow.staff_id == rm.id)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def adopt(session: AsyncSession, contact: Contact, rm: Staff, now: datetime) -> Customer:
    """The customer behind a WeCom contact, and their relation with this RM as WeCom tells it now.

    Repeatable. A contact whom the RM does not serve, such as one of an event that came late, gives
    the RM nothing to see.
    """
    customer = await _customer(session, contact, rm, now)
    link = next((f for f in contact.follows if f.userid.lower() == rm.userid.lower()), None)
    if link is not None:
        follow = insert(Follow).values(
            staff_id=rm.id,
            customer_id=customer.id,
            state=FollowState.ACTIVE,
            added_at=link.added_at,
            source=link.state,
            remark=link.remark,
        )
        again = {"state": FollowState.ACTIVE, "removed_at": None, "remark": link.remark}
        await session.execute(
            follow.on_conflict_do_update(index_elements=["staff_id", "customer_id"], set_=again)
        )
    return customer


async def _customer(session: AsyncSession, contact: Contact, rm: Staff, now: datetime) -> Customer:
    fresh = insert(Customer).values(
        external_userid=contact.external_userid,
        name=contact.name,
        gender=contact.gender,
        branch_id=rm.branch_id,
        created_at=now,
    )
    await session.execute(fresh.on_conflict_do_nothing(index_elements=["external_userid"]))
    query = select(Customer).where(Customer.external_userid == contact.external_userid)
    return (await session.execute(query)).scalar_one()


async def end(
    session: AsyncSession, rm: Staff, external_userid: str, how: FollowState, now: datetime
) -> Follow | None:
    """The relation is over; the RM loses sight of the customer at once."""
    query = (
        select(Follow, Customer)
        .join(Customer, col(Customer.id) == col(Follow.customer_id))
        .where(Customer.external_userid == external_userid, Follow.staff_id == rm.id)
        .with_for_update(of=Follow)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None or found[0].state != FollowState.ACTIVE:
        return None
    follow, customer = found
    follow.state, follow.removed_at = how, now
    if how is FollowState.REMOVED_BY_CUSTOMER:
        customer.stage = Stage.LOST
    audit.record(
        session, "customers:follow:end", follow.id, by=audit.SYSTEM, now=now, how=how.value
    )
    return follow
