"""Which customer groups a member of staff may see, and what a page tells of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.calendar import local_day
from bank.models import Role, Staff
from customers import book
from customers.models import CustomerGroup, GroupMember
from desk.signed import Signed

A_PAGE = 20
LATELY = timedelta(days=7)
GROWTH_DAYS = 30

STATES = (("live", "正常"), ("dismissed", "已解散"))


@dataclass(frozen=True)
class Wanted:
    """The filter of the list, and the page."""

    text: str = ""
    state: str = ""
    page: int = 1


@dataclass(frozen=True)
class Line:
    """A group with its figures; `owner` is a name, or the userid of somebody not on our list."""

    group: CustomerGroup
    owner: str
    members: int
    customers: int
    joined: int  # of the last seven days
    left: int


@dataclass(frozen=True)
class Found:
    """One page of groups."""

    lines: list[Line]
    total: int
    page: int
    pages: int


def visible(who: Signed) -> ColumnElement[bool]:
    """The groups this member of staff may see, as a condition on `customer_group`.

    An RM: those they own or are in. A branch manager: those the branch's staff own or are in.
    """
    if who.may(*book.SEES_ALL):
        return true()
    mine: ColumnElement[bool] = false()
    if who.may(Role.RM):
        mine = mine | _of(select(col(Staff.userid)).where(col(Staff.id) == who.id))
    if who.may(Role.BRANCH_MANAGER) and who.branch_id is not None:
        mine = mine | _of(select(col(Staff.userid)).where(col(Staff.branch_id) == who.branch_id))
    return mine


def _of(userids: Select[str]) -> ColumnElement[bool]:
    """Groups that these own or sit in; WeCom may answer in lower case."""
    names = userids.with_only_columns(func.lower(col(Staff.userid)))
    sits = select(col(GroupMember.group_id)).where(
        col(GroupMember.is_staff),
        col(GroupMember.left_at).is_(None),
        func.lower(col(GroupMember.member_id)).in_(names),
    )
    owns = func.lower(col(CustomerGroup.owner_userid)).in_(names)
    return owns | col(CustomerGroup.id).in_(sits)


async def find(session: AsyncSession, who: Signed, group_id: UUID) -> CustomerGroup | None:
    """The group, if this member of staff may see it."""
    query = select(CustomerGroup).where(col(CustomerGroup.id) == group_id, visible(who))
    return (await session.execute(query)).scalar_one_or_none()


async def scan(session: AsyncSession, who: Signed, wanted: Wanted, now: datetime) -> Found:
    """The groups that fit, living ones first, then by name."""
    fits = [visible(who), *_filters(wanted)]
    counted = select(func.count(col(CustomerGroup.id))).where(*fits)
    total = (await session.execute(counted)).scalar_one()
    pages = max(1, -(-total // A_PAGE))
    number = min(max(1, wanted.page), pages)
    query = (
        select(CustomerGroup, col(Staff.name))
        .outerjoin(Staff, func.lower(col(Staff.userid)) == func.lower(CustomerGroup.owner_userid))
        .where(*fits)
        .order_by(
            col(CustomerGroup.dismissed_at).is_not(None),
            col(CustomerGroup.name),
            col(CustomerGroup.id),
        )
        .limit(A_PAGE)
        .offset((number - 1) * A_PAGE)
    )
    rows = (await session.execute(query)).all()
    figures = await _figures(session, [group.id for group, _ in rows], now)
    lines = [
        Line(group, owner or group.owner_userid, *figures.get(group.id, (0, 0, 0, 0)))
        for group, owner in rows
    ]
    return Found(lines, total, number, pages)


def _filters(wanted: Wanted) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if wanted.text:
        filters.append(col(CustomerGroup.name).contains(wanted.text, autoescape=True))
    if wanted.state == "live":
        filters.append(col(CustomerGroup.dismissed_at).is_(None))
    if wanted.state == "dismissed":
        filters.append(col(CustomerGroup.dismissed_at).is_not(None))
    return filters


async def _figures(
    session: AsyncSession, group_ids: list[UUID], now: datetime
) -> dict[UUID, tuple[int, int, int, int]]:
    """Members, customers, and who joined and left in the last seven days."""
    here, since = col(GroupMember.left_at).is_(None), now - LATELY
    count = func.count(col(GroupMember.id))
    query = (
        select(
            col(GroupMember.group_id),
            count.filter(here),
            count.filter(and_(here, col(GroupMember.customer_id).is_not(None))),
            count.filter(col(GroupMember.joined_at) >= since),
            count.filter(col(GroupMember.left_at) >= since),
        )
        .where(col(GroupMember.group_id).in_(group_ids))
        .group_by(col(GroupMember.group_id))
    )
    rows = await session.execute(query)
    return {id_: (members, customers, new, gone) for id_, members, customers, new, gone in rows}


async def line_of(session: AsyncSession, group: CustomerGroup, now: datetime) -> Line:
    """One group with its figures."""
    same = func.lower(col(Staff.userid)) == group.owner_userid.lower()
    owner = (await session.execute(select(col(Staff.name)).where(same))).scalar_one_or_none()
    figures = await _figures(session, [group.id], now)
    return Line(group, owner or group.owner_userid, *figures.get(group.id, (0, 0, 0, 0)))


async def owners(session: AsyncSession, groups: Collection[CustomerGroup]) -> dict[UUID, str]:
    """Who owns each of these: a name, or the userid of somebody not on our list."""
    same = func.lower(col(Staff.userid))
    userids = {group.owner_userid.lower() for group in groups}
    names = await session.execute(select(same, col(Staff.name)).where(same.in_(userids)))
    known: dict[str, str] = dict(names.all())
    return {one.id: known.get(one.owner_userid.lower(), one.owner_userid) for one in groups}


def growth(members: list[GroupMember], now: datetime) -> list[tuple[date, int]]:
    """How many were in the group at the end of each of the last thirty local days."""
    today = local_day(now)
    days = [today - timedelta(days=back) for back in reversed(range(GROWTH_DAYS))]
    stays = [
        (local_day(one.joined_at), local_day(one.left_at) if one.left_at else date.max)
        for one in members
    ]
    return [(day, sum(came <= day < went for came, went in stays)) for day in days]
