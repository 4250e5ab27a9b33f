"""客户群: the groups one may see, and one of them with its members."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from aiohttp import web
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.models import Staff
from customers import book, group_book, groups
from customers.addressed import group_of
from customers.group_book import Found, Line, Wanted
from customers.models import Customer, GroupMember
from customers.pages import LONGEST_TEXT, SEES, Options
from desk.permissions import allow
from desk.render import page
from desk.signed import Signed, now_of, session_of, signed

routes = web.RouteTableDef()

JOINS = {1: "成员邀请", 2: "邀请链接", 3: "扫群二维码"}
QUITS = {0: "自行退群", 1: "被移出群"}
UNNAMED = "未命名的客户群"


@dataclass(frozen=True)
class GroupsPage:
    """`/groups`: the customer groups one may see."""

    wanted: Wanted  # the filter as typed
    found: Found
    query: dict[str, str]  # the filter, for the pager
    states: Options
    unnamed: str = UNNAMED


@dataclass(frozen=True)
class Seat:
    """Somebody who is or was in the group."""

    member: GroupMember
    name: str
    href: str  # their portrait; empty for colleagues and for customers one may not see
    kind: str
    joined: str  # how they came
    quit: str  # how they left; empty where only WeCom's list told us
    invited_by: str


@dataclass(frozen=True)
class GroupPage:
    """`/groups/{id}`: a group, who is in it, who left, and how it grew."""

    line: Line
    here: list[Seat]
    gone: list[Seat]  # those who left last first
    chart: dict[str, object]  # ECharts option: members at the end of each of thirty days
    unnamed: str = UNNAMED


@routes.get("/groups")
@allow(*SEES)
async def group_list(request: web.Request) -> web.Response:
    """The list with its filters."""
    wanted = _wanted(request)
    found = await group_book.scan(session_of(request), signed(request), wanted, now_of(request))
    typed = {"q": wanted.text, "state": wanted.state}
    query = {name: value for name, value in typed.items() if value}
    states = [("", "全部状态"), *group_book.STATES]
    return page(request, "customers/groups.html", GroupsPage(wanted, found, query, states))


def _wanted(request: web.Request) -> Wanted:
    query, number = request.query, request.query.get("page", "1")
    return Wanted(
        text=query.get("q", "").replace("\0", "").strip()[:LONGEST_TEXT],
        state=query.get("state", ""),
        page=int(number[:9]) if number.isascii() and number.isdigit() else 1,
    )


@routes.get("/groups/{id}")
@allow(*SEES)
async def group_detail(request: web.Request) -> web.Response:
    """One group."""
    session, who, now = session_of(request), signed(request), now_of(request)
    group = await group_of(request)
    members = await groups.members_of(session, group.id)
    names = await _names(session, who, members)
    seats = [_seat(member, names) for member in members]
    gone = [seat for seat in seats if seat.member.left_at is not None]
    context = GroupPage(
        line=await group_book.line_of(session, group, now),
        here=[seat for seat in seats if seat.member.left_at is None],
        gone=sorted(gone, key=lambda seat: seat.member.left_at or now, reverse=True),
        chart=_chart(group_book.growth(members, now)),
    )
    return page(request, "customers/group.html", context)


@dataclass(frozen=True)
class Names:
    """Colleagues by userid in lower case, and the customers one may see by id."""

    staff: dict[str, str]
    customers: dict[UUID, str]


async def _names(session: AsyncSession, who: Signed, members: list[GroupMember]) -> Names:
    userids = {m.member_id.lower() for m in members if m.is_staff}
    userids |= {m.invited_by.lower() for m in members if m.invited_by}
    same = func.lower(col(Staff.userid))
    staff = await session.execute(select(same, col(Staff.name)).where(same.in_(userids)))
    ids = {m.customer_id for m in members if m.customer_id}
    seen = select(col(Customer.id), col(Customer.name)).where(
        col(Customer.id).in_(ids), book.visible(who)
    )
    customers = await session.execute(seen)
    return Names(dict(staff.all()), dict(customers.all()))


def _seat(member: GroupMember, names: Names) -> Seat:
    known = names.customers.get(member.customer_id) if member.customer_id else None
    if member.is_staff:
        name, kind = names.staff.get(member.member_id.lower(), member.member_id), "员工"
    else:
        name, kind = known or member.nickname or "未登记的客户", "客户" if known else "群友"
    invited = member.invited_by != member.member_id  # Owners are said to have invited themselves.
    return Seat(
        member=member,
        name=name,
        href=f"/customers/{member.customer_id}" if known else "",
        kind=kind,
        joined=JOINS.get(member.join_scene or 0, "—"),
        quit=QUITS.get(member.quit_scene, "") if member.quit_scene is not None else "",
        invited_by=names.staff.get(member.invited_by.lower(), "") if invited else "",
    )


def _chart(days: list[tuple[date, int]]) -> dict[str, object]:
    return {
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "category", "data": [f"{day:%m-%d}" for day, _ in days]},
        "yAxis": {"type": "value", "name": "人", "minInterval": 1},
        "series": [{"type": "line", "name": "群成员", "data": [number for _, number in days]}],
    }
