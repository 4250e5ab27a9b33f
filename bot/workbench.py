"""工作台: the first page of every role."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import day_bounds, local, local_day
from bank.models import Role, Staff
from bot.demo import guide
from bot.models import InboundEvent, InboundState
from content.models import State, Version
from customers.book import visible
from customers.models import Customer, Follow, FollowState
from desk.keys import SETTINGS
from desk.permissions import public
from desk.render import page, see_other
from desk.signed import SIGNED, Signed, now_of, session_of, signed
from knowledge.models import Suggestion, SuggestionState
from scheduler.models import Touch, TouchState

routes = web.RouteTableDef()

SHOWN = 8
SENT = (SuggestionState.SENT, SuggestionState.EDITED)


@dataclass(frozen=True)
class Number:
    """A number card; it opens the list behind it."""

    label: str
    value: str
    note: str
    href: str


@dataclass(frozen=True)
class Waiting:
    """A suggestion that waits for its RM."""

    suggestion: Suggestion
    customer: str
    rm: str


@dataclass(frozen=True)
class Workbench:
    """`/`: numbers of the role, what waits, and where to go."""

    greeting: str
    numbers: list[Number]
    waiting: list[Waiting]
    trend: dict[str, list[str] | list[int]]  # days, suggestions, sent


@routes.get("/")
@public
async def first_page(request: web.Request) -> web.StreamResponse:
    """The workbench of whoever is signed in; the guide of the demo, or sign-in, for others."""
    if SIGNED in request:
        return await _workbench(request)
    if request.app[SETTINGS].demo:
        return await guide.show(request)
    return see_other("/signin")


async def _workbench(request: web.Request) -> web.Response:
    session, who, now = session_of(request), signed(request), now_of(request)
    context = Workbench(
        greeting=f"{who.name}，{_part_of_day(now)}好",
        numbers=await _numbers(session, who, now),
        waiting=await _waiting(session, who),
        trend=await _trend(session, who, now),
    )
    return page(request, "bot/workbench.html", context)


def _part_of_day(now: datetime) -> str:
    hour = local(now).hour
    return "早上" if hour < 11 else "中午" if hour < 13 else "下午" if hour < 18 else "晚上"


async def _numbers(session: AsyncSession, who: Signed, now: datetime) -> list[Number]:
    numbers: list[Number] = []
    if who.may(Role.RM, Role.BRANCH_MANAGER, Role.HQ, Role.COMPLIANCE, Role.AUDITOR):
        numbers += await _customer_numbers(session, who, now)
    if who.may(Role.EDITOR, Role.APPROVER, Role.COMPLIANCE, Role.HQ, Role.AUDITOR):
        numbers += await _content_numbers(session, now)
    if who.may(Role.ADMIN, Role.AUDITOR):
        numbers += await _system_numbers(session)
    return numbers


async def _count(session: AsyncSession, query: object) -> int:
    return int((await session.execute(query)).scalar_one())  # type: ignore[call-overload]


async def _customer_numbers(session: AsyncSession, who: Signed, now: datetime) -> list[Number]:
    mine = select(Customer.id).where(visible(who))
    today, _ = day_bounds(local_day(now))
    customers = await _count(session, select(func.count()).select_from(mine.subquery()))
    of_mine = col(Suggestion.customer_id).in_(mine)
    month = col(Suggestion.created_at) >= now - timedelta(days=30)
    offered = col(Suggestion.state) == SuggestionState.OFFERED
    waiting = await _count(session, select(func.count(col(Suggestion.id))).where(of_mine, offered))
    sent = await _count(
        session,
        select(func.count(col(Suggestion.id))).where(
            of_mine, month, col(Suggestion.state).in_(SENT)
        ),
    )
    made = await _count(session, select(func.count(col(Suggestion.id))).where(of_mine, month))
    handed = await _count(
        session,
        select(func.count(col(Touch.id))).where(
            col(Touch.customer_id).in_(mine), Touch.state == TouchState.HANDED
        ),
    )
    new = await _count(
        session,
        select(func.count(col(Follow.id))).where(
            col(Follow.customer_id).in_(mine),
            Follow.state == FollowState.ACTIVE,
            col(Follow.added_at) >= today - timedelta(days=7),
        ),
    )
    share = f"{sent / made:.0%}" if made else "—"
    return [
        Number("客户", f"{customers:,}", f"近 7 天新增 {new}", "/customers"),
        Number("待处理推荐", f"{waiting:,}", "客户等待回复", "/suggestions?state=offered"),
        Number("近 30 天采用率", share, f"{made:,} 条推荐，采用 {sent:,} 条", "/suggestions"),
        Number("待确认群发", f"{handed:,}", "在企业微信群发助手中确认", "/touches?state=handed"),
    ]


async def _content_numbers(session: AsyncSession, now: datetime) -> list[Number]:
    live = await _count(
        session, select(func.count(col(Version.id))).where(Version.state == State.APPROVED)
    )
    submitted = await _count(
        session, select(func.count(col(Version.id))).where(Version.state == State.SUBMITTED)
    )
    soon = await _count(
        session,
        select(func.count(col(Version.id))).where(
            Version.state == State.APPROVED,
            col(Version.valid_until) < now + timedelta(days=30),
        ),
    )
    return [
        Number("已上线素材", f"{live:,}", "可被检索和引用", "/content?state=approved"),
        Number("待审", f"{submitted:,}", "提交后 24 小时内处理", "/review"),
        Number("30 天内到期", f"{soon:,}", "到期后自动下线", "/content?state=expiring"),
    ]


async def _system_numbers(session: AsyncSession) -> list[Number]:
    new = await _count(
        session,
        select(func.count(col(InboundEvent.id))).where(InboundEvent.state == InboundState.NEW),
    )
    held = await _count(
        session,
        select(func.count(col(InboundEvent.id))).where(
            InboundEvent.state == InboundState.QUARANTINED
        ),
    )
    return [
        Number("待处理回调", f"{new:,}", "企业微信推送的事件", "/system/inbound?state=new"),
        Number(
            "已隔离回调", f"{held:,}", "三次处理失败，可重放", "/system/inbound?state=quarantined"
        ),
    ]


async def _waiting(session: AsyncSession, who: Signed) -> list[Waiting]:
    if not who.may(Role.RM, Role.BRANCH_MANAGER):
        return []
    query = (
        select(Suggestion, Customer.name, Staff.name)
        .join(Customer, col(Customer.id) == col(Suggestion.customer_id))
        .join(Staff, col(Staff.id) == col(Suggestion.staff_id))
        .where(visible(who), Suggestion.state == SuggestionState.OFFERED)
        .order_by(col(Suggestion.created_at).desc())
        .limit(SHOWN)
    )
    if not who.may(Role.BRANCH_MANAGER):
        query = query.where(Suggestion.staff_id == who.id)
    return [Waiting(s, name, rm) for s, name, rm in (await session.execute(query))]


async def _trend(
    session: AsyncSession, who: Signed, now: datetime
) -> dict[str, list[str] | list[int]]:
    """Suggestions made and sent on each of the last 30 local days."""
    if not who.may(Role.RM, Role.BRANCH_MANAGER, Role.HQ, Role.COMPLIANCE, Role.AUDITOR):
        return {}
    day = func.date(func.timezone("Asia/Shanghai", col(Suggestion.created_at)))
    mine = select(Customer.id).where(visible(who))
    query = (
        select(day, func.count(), func.count().filter(col(Suggestion.state).in_(SENT)))
        .where(
            col(Suggestion.customer_id).in_(mine),
            col(Suggestion.created_at) >= now - timedelta(days=30),
        )
        .group_by(day)
    )
    found = {row[0]: (row[1], row[2]) for row in (await session.execute(query))}
    days = [local_day(now) - timedelta(days=29 - i) for i in range(30)]
    return {
        "days": [f"{d.month}-{d.day}" for d in days],
        "made": [found.get(d, (0, 0))[0] for d in days],
        "sent": [found.get(d, (0, 0))[1] for d in days],
    }
