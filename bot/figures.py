"""The number cards of the workbench; each counts exactly what the list behind it shows."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import reports
from attribution.chosen import DEFAULT_DAYS
from attribution.reports import Period
from bank.calendar import at_local, day_bounds, local_day
from bank.models import AuditEntry, Role, Staff
from bot.models import InboundEvent, InboundState
from content import queue, shelf
from content.review import REVIEWERS
from customers.book import SEES_ALL, visible
from customers.models import (
    CareAlert,
    CareKind,
    CareState,
    Customer,
    Follow,
    FollowState,
)
from desk.render import count, percent, yuan
from desk.signed import Signed
from knowledge import quality
from knowledge.models import Suggestion, SuggestionState
from scheduler.models import Touch, TouchState

MONTH = timedelta(days=30)
SENT = (SuggestionState.SENT, SuggestionState.EDITED)
ALL_MATERIAL = shelf.Reader(only_live=False, branch_id=None)
MATERIAL = (
    (
        "approved",
        "已上线素材",
        "可被检索和引用",
        (Role.EDITOR, Role.APPROVER, Role.HQ, Role.BRANCH_MANAGER),
    ),
    ("submitted", "审批中", "等待审批人处理", (Role.EDITOR,)),
    ("rejected", "被驳回", "修改后可重新提交", (Role.EDITOR, Role.APPROVER)),
    (
        "expiring",
        "30 天内到期",
        "到期后自动下线",
        (Role.EDITOR, Role.APPROVER, Role.COMPLIANCE),
    ),
)
ACTS = (Role.RM, Role.BRANCH_MANAGER, Role.HQ)
OVERSEES = (Role.RM, Role.BRANCH_MANAGER, Role.HQ, Role.COMPLIANCE, Role.AUDITOR)


@dataclass(frozen=True)
class Number:
    """A number card; it opens the list behind it."""

    label: str
    value: str
    note: str
    href: str


async def of(session: AsyncSession, who: Signed, now: datetime) -> list[Number]:
    """The cards of these roles, their own work first."""
    numbers: list[Number] = []
    if who.may(*REVIEWERS):
        numbers += await _reviewing(session, who, now)
    if who.may(*ACTS):
        numbers += await _waiting(session, who)
    if who.may(Role.BRANCH_MANAGER, Role.COMPLIANCE):
        numbers.append(await _caring(session, who))
    if who.may(Role.BRANCH_MANAGER, Role.COMPLIANCE, Role.AUDITOR):
        numbers.append(await _blocked(session, who, now))
    if who.may(*OVERSEES):
        numbers += await _customers(session, who, now)
    if who.may(Role.HQ, Role.COMPLIANCE, Role.BRANCH_MANAGER, Role.AUDITOR):
        numbers += await _results(session, who, now)
    numbers += await _material(session, who, now)
    if who.may(Role.AUDITOR):
        numbers.append(await _audited(session, now))
    if who.may(Role.ADMIN, Role.AUDITOR):
        numbers += await _callbacks(session, who)
    if who.may(Role.ADMIN):
        numbers.append(await _staff(session))
    return list({number.label: number for number in numbers}.values())


async def _count(session: AsyncSession, column: Any, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count(column)).where(*conditions)
    return int((await session.execute(query)).scalar_one())


async def _reviewing(session: AsyncSession, who: Signed, now: datetime) -> list[Number]:
    tasks = await queue.waiting_for(session, who, now)
    late = sum(task.overdue for task in tasks)
    note = f"其中 {late} 份已超过时限" if late else "都在时限之内"
    return [Number("待我审批", count(len(tasks)), note, "/review")]


async def _material(session: AsyncSession, who: Signed, now: datetime) -> list[Number]:
    numbers = []
    for state, label, note, roles in MATERIAL:
        if not who.may(*roles):
            continue
        found = await shelf.shelf(session, shelf.Wanted(state=state), ALL_MATERIAL, now)
        numbers.append(Number(label, count(found.total), note, f"/content?state={state}"))
    return numbers


async def _caring(session: AsyncSession, who: Signed) -> Number:
    theirs = col(CareAlert.customer_id).in_(select(Customer.id).where(visible(who)))
    # Who only wrote at 微信客服 is nobody's customer.
    mine = true() if who.may(*SEES_ALL) else theirs
    opened = col(CareAlert.state) == CareState.OPEN
    every = await _count(session, CareAlert.id, mine, opened)
    angry = col(CareAlert.kind) == CareKind.COMPLAINT
    complaints = await _count(session, CareAlert.id, mine, opened, angry)
    return Number("待复核关怀提醒", count(every), f"其中投诉 {count(complaints)} 件", "/care")


async def _blocked(session: AsyncSession, who: Signed, now: datetime) -> Number:
    mine = col(Suggestion.customer_id).in_(select(Customer.id).where(visible(who)))
    blocked = col(Suggestion.state) == SuggestionState.BLOCKED
    ever = await _count(session, Suggestion.id, mine, blocked)
    lately = await _count(
        session, Suggestion.id, mine, blocked, col(Suggestion.created_at) >= now - MONTH
    )
    return Number(
        "累计合规拦截", count(ever), f"近 30 天 {count(lately)} 条", "/suggestions?state=blocked"
    )


async def _customers(session: AsyncSession, who: Signed, now: datetime) -> list[Number]:
    mine = select(Customer.id).where(visible(who))
    today, _ = day_bounds(local_day(now))
    customers = await _count(session, Customer.id, visible(who))
    lately = await quality.total(session, now - MONTH, visible(who))
    new = await _count(
        session,
        Follow.id,
        col(Follow.customer_id).in_(mine),
        col(Follow.state) == FollowState.ACTIVE,
        col(Follow.added_at) >= today - timedelta(days=7),
    )
    return [
        Number("客户", count(customers), f"近 7 天新增 {count(new)} 位", "/customers"),
        Number(
            "近 30 天采用率",
            percent(lately.accepted, 0),
            f"{count(lately.made)} 条推荐，采用 {count(lately.sent + lately.edited)} 条",
            "/suggestions/quality?days=30",
        ),
    ]


async def _waiting(session: AsyncSession, who: Signed) -> list[Number]:
    mine = select(Customer.id).where(visible(who))
    offered = await _count(
        session,
        Suggestion.id,
        col(Suggestion.customer_id).in_(mine),
        col(Suggestion.state) == SuggestionState.OFFERED,
    )
    handed = await _count(
        session,
        Touch.id,
        col(Touch.customer_id).in_(mine),
        col(Touch.state) == TouchState.HANDED,
    )
    return [
        Number("待处理推荐", count(offered), "客户在等回复", "/suggestions?state=offered"),
        Number("待确认触达", count(handed), "在“群发助手”中确认后发出", "/touches?state=handed"),
    ]


async def _results(session: AsyncSession, who: Signed, now: datetime) -> list[Number]:
    today = local_day(now)
    first = today.replace(day=1)
    tomorrow = at_local(today + timedelta(days=1), time())
    month = Period(at_local(first, time()), tomorrow)
    mine = select(Customer.id).where(visible(who))
    delivered = (col(Touch.customer_id).in_(mine), col(Touch.state) == TouchState.DELIVERED)
    ever = await _count(session, Touch.id, *delivered)
    lately = await _count(session, Touch.id, *delivered, col(Touch.settled_at) >= month.start)
    reached = await _count(session, func.distinct(Touch.customer_id), *delivered)
    customers = await _count(session, Customer.id, visible(who))
    earned = await reports.totals(session, month, visible(who))
    usual = Period(at_local(today - timedelta(days=DEFAULT_DAYS), time()), tomorrow)
    held = (await reports.totals(session, usual, visible(who))).held
    coverage = percent(reached / customers, 0) if customers else "—"
    numbers = [
        Number(
            "已送达触达",
            count(ever),
            f"本月 {count(lately)} 次，累计覆盖 {coverage} 的客户",
            "/touches?state=delivered",
        ),
        Number(
            "本月转化",
            yuan(earned.cents, True),
            f"{count(earned.conversions)} 笔",
            f"/attribution/conversions?start={first}&end={today}",
        ),
    ]
    if who.may(Role.HQ, Role.COMPLIANCE):
        href = "/attribution/conversions?state=held"
        numbers.append(Number("待核对转化", count(held), "客户号没有对上，核对后归因", href))
    return numbers


async def _audited(session: AsyncSession, now: datetime) -> Number:
    today, _ = day_bounds(local_day(now))
    ever = await _count(session, AuditEntry.id)
    new = await _count(session, AuditEntry.id, col(AuditEntry.at) >= today)
    return Number("操作日志", count(ever), f"今天新增 {count(new)} 条", "/system/audit")


async def _callbacks(session: AsyncSession, who: Signed) -> list[Number]:
    cards = [
        (InboundState.NEW, "待处理回调", "企业微信推送的事件"),
        (InboundState.QUARANTINED, "已隔离回调", "三次处理失败，可重放"),
        (InboundState.DONE, "已处理回调", "累计"),
    ]
    numbers = []
    for state, label, note in cards:
        if state is InboundState.DONE and not who.may(Role.ADMIN):
            continue
        found = await _count(session, InboundEvent.id, col(InboundEvent.state) == state)
        numbers.append(Number(label, count(found), note, f"/system/inbound?state={state.value}"))
    return numbers


async def _staff(session: AsyncSession) -> Number:
    everyone = await _count(session, Staff.id)
    enabled = await _count(session, Staff.id, col(Staff.enabled).is_(True))
    return Number("员工", count(everyone), f"启用 {count(enabled)} 人", "/system/staff")
