"""The timeline 时光轴 of a customer: what this package knows of it.

Touchpoints and conversions belong to `attribution`, which lays everything on one line.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit
from bank.models import AuditEntry, Staff
from compliance.suitability import expires_at
from customers.models import Consent, Customer, Follow, FollowState, Purpose, Stage

PURPOSES = {Purpose.MARKETING: "营销信息", Purpose.PROFILING: "个性化推荐"}


class Side(enum.StrEnum):
    """Whose doing an event is."""

    CUSTOMER = "customer"
    STAFF = "staff"
    FOLLOW = "follow"
    CONVERSION = "conversion"


@dataclass(frozen=True)
class Event:
    """One thing that happened with a customer."""

    at: datetime
    side: Side
    title: str
    text: str = ""
    tone: str = "grey"
    href: str = ""


async def events_of(session: AsyncSession, customer: Customer, now: datetime) -> list[Event]:
    """Relations, consents, the risk assessment and stages up to that moment, newest first."""
    events = [
        *await _relations(session, customer.id),
        *await _consents(session, customer.id),
        *await _stages(session, customer.id),
        *_assessment(customer, now),
    ]
    past = [event for event in events if event.at <= now]
    return sorted(past, key=lambda event: event.at, reverse=True)


async def _relations(session: AsyncSession, customer_id: UUID) -> list[Event]:
    query = (
        select(Follow, col(Staff.name))
        .join(Staff, col(Staff.id) == col(Follow.staff_id))
        .where(col(Follow.customer_id) == customer_id)
    )
    events = []
    for follow, rm in await session.execute(query):
        # The key of a contact way says nothing to a reader; its channel stands beside the relation.
        came = "" if follow.source.isascii() else f"来源：{follow.source}"
        events.append(Event(follow.added_at, Side.FOLLOW, f"{rm}添加了客户", came, "blue"))
        if follow.archive_agreed_at is not None:
            agreed = f"客户同意与{rm}的会话存档"
            events.append(Event(follow.archive_agreed_at, Side.CUSTOMER, agreed, "", "green"))
        if follow.removed_at is not None:
            events.append(_ended(follow, rm, follow.removed_at))
    return events


def _ended(follow: Follow, rm: str, at: datetime) -> Event:
    if follow.state == FollowState.REMOVED_BY_CUSTOMER:
        return Event(at, Side.CUSTOMER, f"客户删除了{rm}", "跟进关系结束", "red")
    if follow.state == FollowState.TRANSFERRED:
        return Event(at, Side.FOLLOW, f"{rm}的客户已移交给其他客户经理", "", "dark")
    if follow.state == FollowState.GONE:
        return Event(
            at, Side.FOLLOW, f"与{rm}的好友关系已不存在", "由对账发现，原因待企业微信告知", "dark"
        )
    return Event(at, Side.FOLLOW, f"{rm}解除了跟进关系", "", "dark")


async def _consents(session: AsyncSession, customer_id: UUID) -> list[Event]:
    query = select(Consent).where(col(Consent.customer_id) == customer_id)
    events = []
    for consent in (await session.execute(query)).scalars():
        what = PURPOSES[consent.purpose]
        version = f"授权书版本 {consent.text_version}"
        events.append(
            Event(consent.granted_at, Side.CUSTOMER, f"客户授权接收{what}", version, "green")
        )
        if consent.withdrawn_at is not None:
            title = f"客户撤回{what}授权"
            events.append(Event(consent.withdrawn_at, Side.CUSTOMER, title, version, "red"))
    return events


def _assessment(customer: Customer, now: datetime) -> list[Event]:
    if customer.risk_level is None or customer.risk_assessed_at is None:
        return []
    made, until = customer.risk_assessed_at, expires_at(customer.risk_assessed_at)
    level = f"C{customer.risk_level}"
    valid = f"有效至 {until:%Y-%m-%d}"
    over = f"风险测评 {level} 已过期"
    return [
        Event(made, Side.CUSTOMER, f"完成风险测评，结果 {level}", valid, "blue"),
        Event(until, Side.CUSTOMER, over, "过期后只能发送投教内容", "orange"),
    ]


async def _stages(session: AsyncSession, customer_id: UUID) -> list[Event]:
    """Stage changes as the audit book tells them."""
    query = (
        select(AuditEntry, col(Staff.name))
        .outerjoin(Staff, col(Staff.userid) == col(AuditEntry.actor))
        .where(
            col(AuditEntry.subject) == "customer",
            col(AuditEntry.subject_id) == str(customer_id),
            col(AuditEntry.action) == "customers:customer:stage",
        )
    )
    rows = await session.execute(query)
    by_system = {audit.SYSTEM: "系统"}
    return [_staged(entry, name or by_system.get(entry.actor, entry.actor)) for entry, name in rows]


def _staged(entry: AuditEntry, name: str) -> Event:
    stage = Stage(entry.detail["after"])
    title = f"{name}将阶段改为“{stage.label}”"
    return Event(entry.at, Side.FOLLOW, title, str(entry.detail["note"]), "grey")
