"""What the pages of contact ways and welcomes show: each reader's own part of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, false, func, true
from sqlalchemy import select as columns
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local_day
from bank.models import Branch, Role, Staff
from bot.models import ContactWay, WayState, Welcome, WelcomeState
from content.models import Material, Version
from content.products import escaped
from customers import book
from customers.models import Customer, Follow
from desk.signed import Signed

A_PAGE = 20
LATEST = 50
WEEK = timedelta(days=7)
DAYS_SHOWN = 30


@dataclass(frozen=True)
class Wanted:
    """The filter of the list."""

    channel: str = ""
    rm: UUID | None = None
    branch: UUID | None = None
    state: str = ""
    page: int = 1


@dataclass(frozen=True)
class WayRow:
    """A contact way with whose it is and whom it brought."""

    way: ContactWay
    rm: str
    branch: str
    welcome: str  # title of its own welcome; empty: that of the RM or the bank
    total: int = 0
    week: int = 0


@dataclass(frozen=True)
class Totals:
    """The numbers above the list."""

    live: int
    waiting: int  # being made, or failed
    customers: int
    week: int


@dataclass(frozen=True)
class WelcomeRow:
    """A welcome with whom it was for, as far as the reader may see them."""

    welcome: Welcome
    rm: str
    customer_id: UUID | None
    customer: str
    channel: str
    title: str

    @property
    def seconds(self) -> float | None:
        """From the customer's arrival to the welcome sent."""
        if self.welcome.state is not WelcomeState.SENT or self.welcome.settled_at is None:
            return None
        return max(0.0, (self.welcome.settled_at - self.welcome.created_at).total_seconds())


def of_reader(who: Signed) -> ColumnElement[bool]:
    """The staff whose codes and welcomes this reader may see, as a condition on `staff`."""
    if who.may(Role.HQ):
        return true()
    own: ColumnElement[bool] = false()
    if who.may(Role.RM):
        own = own | (col(Staff.id) == who.id)
    if who.may(Role.BRANCH_MANAGER) and who.branch_id is not None:
        own = own | (col(Staff.branch_id) == who.branch_id)
    return own


async def ways(
    session: AsyncSession, who: Signed, wanted: Wanted, now: datetime
) -> tuple[list[WayRow], int]:
    """One page of the codes wanted, newest first, and how many there are in all."""
    conditions = [of_reader(who), *_wanted(wanted)]
    counted = (
        select(func.count())
        .select_from(ContactWay)
        .join(Staff, col(Staff.id) == col(ContactWay.staff_id))
    )
    total = (await session.execute(counted.where(*conditions))).scalar_one()
    query = (
        select(ContactWay, col(Staff.name), col(Branch.name), col(Material.title))
        .join(Staff, col(Staff.id) == col(ContactWay.staff_id))
        .outerjoin(Branch, col(Branch.id) == col(Staff.branch_id))
        .outerjoin(Material, col(Material.id) == col(ContactWay.welcome_material_id))
        .where(*conditions)
        .order_by(
            col(ContactWay.state) == WayState.RETIRED,
            col(ContactWay.made_at).desc(),
            col(ContactWay.channel),
            col(Staff.userid),
        )
        .limit(A_PAGE)
        .offset((wanted.page - 1) * A_PAGE)
    )
    found = (await session.execute(query)).all()
    brought = await gained(session, [way.key for way, *_ in found], now)
    rows = [
        WayRow(way, rm, branch or "", title or "", *brought.get(way.key, (0, 0)))
        for way, rm, branch, title in found
    ]
    return rows, total


def _wanted(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.channel:
        conditions.append(col(ContactWay.channel).ilike(f"%{escaped(wanted.channel)}%"))
    if wanted.rm:
        conditions.append(col(ContactWay.staff_id) == wanted.rm)
    if wanted.branch:
        conditions.append(col(Staff.branch_id) == wanted.branch)
    if wanted.state in list(WayState):
        conditions.append(col(ContactWay.state) == WayState(wanted.state))
    return conditions


async def gained(
    session: AsyncSession, keys: Collection[str], now: datetime
) -> dict[str, tuple[int, int]]:
    """Customers by key: all of them, and those of the last seven days."""
    recent = func.count().filter(col(Follow.added_at) > now - WEEK)
    query = (
        select(Follow.source, func.count(), recent)
        .where(col(Follow.source).in_(keys))
        .group_by(col(Follow.source))
    )
    return {key: (total, week) for key, total, week in await session.execute(query)}


async def totals(session: AsyncSession, who: Signed, now: datetime) -> Totals:
    """The numbers above the list."""
    by_state = (
        select(ContactWay.state, func.count())
        .join(Staff, col(Staff.id) == col(ContactWay.staff_id))
        .where(of_reader(who))
        .group_by(col(ContactWay.state))
    )
    counts = dict((await session.execute(by_state)).all())
    came = (
        select(func.count(), func.count().filter(col(Follow.added_at) > now - WEEK))
        .select_from(Follow)
        .join(ContactWay, col(ContactWay.key) == col(Follow.source))
        .join(Staff, col(Staff.id) == col(ContactWay.staff_id))
        .where(of_reader(who))
    )
    customers, week = (await session.execute(came)).one()
    return Totals(
        live=counts.get(WayState.LIVE, 0),
        waiting=counts.get(WayState.MAKING, 0) + counts.get(WayState.FAILED, 0),
        customers=customers,
        week=week,
    )


async def find_way(
    session: AsyncSession, who: Signed, way_id: UUID, *, lock: bool = False
) -> tuple[ContactWay, Staff] | None:
    """The code and whose it is, if this reader may see it."""
    query = (
        select(ContactWay, Staff)
        .join(Staff, col(Staff.id) == col(ContactWay.staff_id))
        .where(ContactWay.id == way_id, of_reader(who))
    )
    if lock:
        query = query.with_for_update(of=ContactWay)
    found = (await session.execute(query)).one_or_none()
    return (found[0], found[1]) if found else None


async def by_day(
    session: AsyncSession, key: str, now: datetime, days: int = DAYS_SHOWN
) -> list[tuple[date, int]]:
    """Customers who came by this key on each local day up to today."""
    last = local_day(now)
    first = last - timedelta(days=days - 1)
    query = select(Follow.added_at).where(
        Follow.source == key, col(Follow.added_at) > now - timedelta(days=days + 1)
    )
    came = [local_day(moment) for moment in (await session.execute(query)).scalars()]
    each = [first + timedelta(days=n) for n in range(days)]
    return [(day, came.count(day)) for day in each]


async def customers_of(
    session: AsyncSession, who: Signed, key: str
) -> list[tuple[Customer, datetime]]:
    """The newest customers who came by this key and whom the reader may see."""
    query = (
        select(Customer, col(Follow.added_at))
        .join(Follow, col(Follow.customer_id) == col(Customer.id))
        .where(Follow.source == key, book.visible(who))
        .order_by(col(Follow.added_at).desc())
        .limit(LATEST)
    )
    return [(customer, at) for customer, at in await session.execute(query)]


async def welcomes(
    session: AsyncSession, who: Signed, *, state: str = "", way_id: UUID | None = None
) -> list[WelcomeRow]:
    """The newest welcomes the reader may see."""
    query = (
        columns(Welcome, col(Staff.name), Customer, col(ContactWay.channel), col(Version.title))
        .outerjoin(Staff, func.lower(col(Staff.userid)) == func.lower(col(Welcome.userid)))
        .outerjoin(
            Customer,
            (col(Customer.external_userid) == col(Welcome.external_userid)) & book.visible(who),
        )
        .outerjoin(ContactWay, col(ContactWay.id) == col(Welcome.contact_way_id))
        .outerjoin(Version, col(Version.id) == col(Welcome.version_id))
        .where(of_reader(who))
        .order_by(col(Welcome.received_at).desc(), col(Welcome.id))
        .limit(LATEST)
    )
    if state in list(WelcomeState):
        query = query.where(col(Welcome.state) == WelcomeState(state))
    if way_id is not None:
        query = query.where(col(Welcome.contact_way_id) == way_id)
    return [
        WelcomeRow(
            welcome,
            rm or welcome.userid,
            customer.id if customer else None,
            customer.name if customer else "",
            channel or "",
            title or "",
        )
        for welcome, rm, customer, channel, title in await session.execute(query)
    ]


async def welcome_counts(
    session: AsyncSession, who: Signed, *, way_id: UUID | None = None
) -> dict[str, int]:
    """How many welcomes the reader may see, by state."""
    query = (
        select(Welcome.state, func.count())
        .outerjoin(Staff, func.lower(col(Staff.userid)) == func.lower(col(Welcome.userid)))
        .where(of_reader(who))
        .group_by(col(Welcome.state))
    )
    if way_id is not None:
        query = query.where(col(Welcome.contact_way_id) == way_id)
    return {str(state): count for state, count in await session.execute(query)}


async def staff_of_reader(session: AsyncSession, who: Signed) -> Sequence[Staff]:
    """The enabled RMs this reader may make codes for, by branch and name."""
    query = (
        select(Staff)
        .where(of_reader(who), col(Staff.roles).contains([Role.RM.value]), Staff.enabled)
        .order_by(col(Staff.branch_id), col(Staff.name), col(Staff.userid))
    )
    return list((await session.execute(query)).scalars())
