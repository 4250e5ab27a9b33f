"""The portrait of a customer group 群画像: who is there, what moves them, who speaks."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.calendar import day_bounds, local_day
from bot.groups import rows
from bot.groups.models import GroupMessage
from bot.groups.recognising import veiled
from customers import book, group_book
from customers.models import Customer, CustomerGroup, CustomerTag, GroupMember
from desk.signed import Signed

DAYS = 7
TOPICS, ACTIVE, TAGS = 6, 6, 8


@dataclass(frozen=True)
class Active:
    """Somebody who writes in the group: a customer of one's own by name, others veiled."""

    name: str
    own: bool
    messages: int


@dataclass(frozen=True)
class Portrait:
    """What is known of a group now."""

    line: group_book.Line
    joined: int  # today
    left: int
    staff: int
    tags: list[tuple[str, int]]  # of one's own customers in the group
    topics: list[tuple[str, int]]  # what was asked in the last days, and how often
    active: list[Active]
    waiting: int
    archived: bool  # whether anything of this group was ever archived


async def of(session: AsyncSession, who: Signed, group: CustomerGroup, now: datetime) -> Portrait:
    """Everything about the group that this member of staff may know."""
    joined, left, staff = await _moves(session, group, now)
    asked = await rows.since(session, group, local_day(now) - timedelta(days=DAYS - 1))
    return Portrait(
        line=await group_book.line_of(session, group, now),
        joined=joined,
        left=left,
        staff=staff,
        tags=await _tags(session, who, group),
        topics=_topics(asked),
        active=await _active(session, who, group, now),
        waiting=sum(one.is_open for one in asked),
        archived=await archived(session, group),
    )


async def _moves(
    session: AsyncSession, group: CustomerGroup, now: datetime
) -> tuple[int, int, int]:
    """Who came today, who left today, how many colleagues are there."""
    first, _ = day_bounds(local_day(now))
    count, left = func.count(), col(GroupMember.left_at)
    query = select(
        count.filter(col(GroupMember.joined_at) >= first),
        count.filter(left >= first),
        count.filter(col(GroupMember.is_staff), left.is_(None)),
    ).where(col(GroupMember.group_id) == group.id)
    came, went, staff = (await session.execute(query)).one()
    return came, went, staff


async def _tags(session: AsyncSession, who: Signed, group: CustomerGroup) -> list[tuple[str, int]]:
    count = func.count(func.distinct(col(CustomerTag.customer_id)))
    query = (
        select(col(CustomerTag.name), count)
        .join(Customer, col(Customer.id) == CustomerTag.customer_id)
        .join(GroupMember, col(GroupMember.customer_id) == Customer.id)
        .where(
            col(GroupMember.group_id) == group.id,
            col(GroupMember.left_at).is_(None),
            book.visible(who),
        )
        .group_by(col(CustomerTag.name))
        .order_by(count.desc(), col(CustomerTag.name))
        .limit(TAGS)
    )
    return [(name, number) for name, number in await session.execute(query)]


def _topics(asked: list[rows.Line]) -> list[tuple[str, int]]:
    """What is quoted names the topic; what nothing answers stands for itself."""
    found: dict[str, int] = {}
    for line in asked:
        topic = line.title or line.question.question
        found[topic] = found.get(topic, 0) + line.times
    return sorted(found.items(), key=lambda one: -one[1])[:TOPICS]


async def _active(
    session: AsyncSession, who: Signed, group: CustomerGroup, now: datetime
) -> list[Active]:
    said = func.count(col(GroupMessage.id))
    query = (
        select(GroupMember, said)
        .join(
            GroupMessage,
            (col(GroupMessage.group_id) == GroupMember.group_id)
            & (col(GroupMessage.member_id) == GroupMember.member_id),
        )
        .where(
            col(GroupMember.group_id) == group.id,
            ~col(GroupMember.is_staff),
            col(GroupMember.left_at).is_(None),
            col(GroupMessage.sent_at) >= now - timedelta(days=DAYS),
        )
        .group_by(col(GroupMember.id))
        .order_by(said.desc(), col(GroupMember.member_id))
        .limit(ACTIVE)
    )
    found = (await session.execute(query)).all()
    known = await _known(session, who, [member.member_id for member, _ in found])
    return [_shown(member, known, number) for member, number in found]


async def _known(session: AsyncSession, who: Signed, contacts: list[str]) -> dict[str, str]:
    """The names of those who are this member of staff's to see, by WeCom id."""
    mine = select(col(Customer.external_userid), col(Customer.name)).where(
        col(Customer.external_userid).in_(contacts), book.visible(who)
    )
    return {str(contact): name for contact, name in await session.execute(mine)}


def _shown(member: GroupMember, known: dict[str, str], number: int) -> Active:
    name = known.get(member.member_id)
    return Active(name or veiled(member.nickname), name is not None, number)


async def archived(session: AsyncSession, group: CustomerGroup) -> bool:
    """Whether anything of this group was ever archived."""
    said = select(col(GroupMessage.id)).where(col(GroupMessage.group_id) == group.id).limit(1)
    return (await session.execute(said)).first() is not None
