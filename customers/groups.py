"""Customer groups 客户群 as WeCom tells them: the only writer of groups and their members.

Like relations, groups are asked for whenever something may have changed. Members are told apart by
`member_version`: the one we have needs no question. How somebody left only an event tells, and the
last one counts, whenever it comes.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit
from customers.models import Customer, CustomerGroup, GroupMember
from wecom.groups import Group
from wecom.groups import GroupMember as Seat


@dataclass(frozen=True)
class Leaving:
    """Members an event says have left: when, and how (0 by themselves, 1 removed)."""

    member_ids: tuple[str, ...]
    at: datetime
    scene: int | None


async def take_turn(session: AsyncSession, chat_id: str) -> None:
    """Wait until nobody else asks WeCom about this group; held until the transaction ends."""
    turn = text("SELECT pg_advisory_xact_lock(hashtextextended(:chat, 2))")
    await session.execute(turn, {"chat": chat_id})


async def known(session: AsyncSession, chat_id: str) -> CustomerGroup | None:
    """The group with that WeCom id."""
    query = select(CustomerGroup).where(col(CustomerGroup.chat_id) == chat_id)
    fresh = {"populate_existing": True}
    return (await session.execute(query, execution_options=fresh)).scalar_one_or_none()


async def take_in(session: AsyncSession, told: Group, now: datetime) -> bool:
    """Make the group what WeCom says it is; whether anything changed."""
    group = await known(session, told.chat_id)
    new = group is None
    if group is None:
        group = CustomerGroup(chat_id=told.chat_id)
        session.add(group)
    before = (group.name, group.owner_userid, group.notice, group.dismissed_at)
    group.name, group.owner_userid, group.notice = told.name, told.owner, told.notice
    group.created_at, group.dismissed_at, group.checked_at = told.created_at, None, now
    after = (group.name, group.owner_userid, group.notice, None)
    moved = new or told.member_version != group.member_version or not told.member_version
    group.member_version = told.member_version
    await session.flush()
    changed = await _seat(session, group, told.members, now) if moved else False
    return new or changed or before != after


async def _seat(
    session: AsyncSession, group: CustomerGroup, seats: Collection[Seat], now: datetime
) -> bool:
    rows = {member.member_id: member for member in await members_of(session, group.id)}
    customers = await _customers(session, [seat.userid for seat in seats if seat.is_customer])
    changed = False
    for seat in seats:
        row = rows.pop(seat.userid, None)
        changed |= row is None or row.left_at is not None
        if row is None:
            row = GroupMember(group_id=group.id, member_id=seat.userid, joined_at=seat.joined_at)
            session.add(row)
        row.is_staff, row.customer_id = not seat.is_customer, customers.get(seat.userid)
        row.nickname, row.joined_at = seat.nickname or seat.name, seat.joined_at
        row.left_at = row.quit_scene = None
        row.join_scene, row.channel_key = seat.scene or None, seat.state
        row.invited_by = seat.invited_by
    for row in rows.values():
        if row.left_at is None:
            row.left_at, changed = now, True
    return changed


async def _customers(session: AsyncSession, contacts: Collection[str]) -> dict[str, UUID]:
    query = select(col(Customer.external_userid), col(Customer.id)).where(
        col(Customer.external_userid).in_(contacts)
    )
    rows = await session.execute(query)
    return {str(contact): customer_id for contact, customer_id in rows}


async def left(session: AsyncSession, chat_id: str, leaving: Leaving) -> None:
    """Keep when and how these left, as the last event says; whoever is back stays."""
    query = (
        select(GroupMember)
        .join(CustomerGroup, col(CustomerGroup.id) == col(GroupMember.group_id))
        .where(
            col(CustomerGroup.chat_id) == chat_id,
            col(GroupMember.member_id).in_(leaving.member_ids),
            col(GroupMember.left_at).is_not(None),
        )
    )
    for row in (await session.execute(query)).scalars():
        guessed = row.quit_scene is None
        if guessed or row.left_at is None or row.left_at < leaving.at:
            row.left_at, row.quit_scene = leaving.at, leaving.scene or 0


async def dismiss(session: AsyncSession, chat_id: str, at: datetime, now: datetime) -> bool:
    """The group is no more; False where it was unknown or known to be over."""
    group = await known(session, chat_id)
    if group is None or (group.dismissed_at is not None and group.dismissed_at <= at):
        return False
    group.dismissed_at, group.checked_at = at, now
    for member in await members_of(session, group.id):
        member.left_at = member.left_at or at
    audit.record(session, "customers:group:dismiss", group.id, by=audit.SYSTEM, now=now)
    return True


async def note_consent(
    session: AsyncSession, group: CustomerGroup, refusing: Collection[str], now: datetime
) -> None:
    """Keep who does not agree to the archiving of this group, as WeCom says now."""
    group.consent_asked_at = now
    for member in await members_of(session, group.id):
        member.archive_refused = member.member_id in refusing


async def member(session: AsyncSession, group_id: UUID, member_id: str) -> GroupMember | None:
    """Somebody who is or was in the group; WeCom may write a colleague's id in lower case."""
    colleague = col(GroupMember.is_staff) & (
        func.lower(col(GroupMember.member_id)) == member_id.lower()
    )
    query = select(GroupMember).where(
        col(GroupMember.group_id) == group_id,
        (col(GroupMember.member_id) == member_id) | colleague,
    )
    return (await session.execute(query)).scalars().first()


async def members_of(session: AsyncSession, group_id: UUID) -> list[GroupMember]:
    """Everybody who is or was in the group, newest first."""
    query = select(GroupMember).where(col(GroupMember.group_id) == group_id)
    newest = query.order_by(col(GroupMember.joined_at).desc(), col(GroupMember.member_id))
    return list((await session.execute(newest)).scalars())
