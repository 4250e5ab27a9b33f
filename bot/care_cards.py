"""Superiors hear of complaints and of customers who need care within a minute (C-44, L-09)."""

from datetime import datetime
from functools import partial

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select
from yarl import URL

from bank.database import Sessions
from bank.models import Role, Staff
from bank.settings import Settings
from bot import member_cards, telling
from bot.models import CardKind
from customers import care
from customers.care_pages import NOBODY, VISITOR
from customers.models import CareAlert, CareKind, Customer
from wecom.cards import Button, ButtonCard, Fact, Frame, Page, Title
from wecom.client import WeComClient

SEEN = "seen"
WHAT = {
    CareKind.COMPLAINT: ("有客户投诉，请尽快处理", "办结前已暂停对该客户的营销"),
    CareKind.VULNERABLE: ("有客户可能需要特别照顾", "请安排人员亲自沟通"),
}


async def tell(sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime) -> int:
    """Tell superiors of every open alert they were not told of; how many were told."""
    send = partial(_send, sessions, wecom, settings, now)
    return await telling.tell_each(sessions, care.claim, send, care.told, now)


async def _send(
    sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime, alert: CareAlert
) -> bool:
    async with sessions() as session:
        customer = await session.get(Customer, alert.customer_id) if alert.customer_id else None
        rm = await session.get(Staff, alert.staff_id) if alert.staff_id else None
        userids = await superiors(session, customer, rm)
    if not userids:
        return False
    card = _card(settings, alert, customer, rm)
    return await member_cards.send(
        sessions, wecom, CardKind.CARE, str(alert.id), userids, card, now
    )


async def superiors(
    session: AsyncSession, customer: Customer | None, rm: Staff | None
) -> list[str]:
    """The managers of the branch; without one, compliance. Never the RM it was written to."""
    branch = (customer.branch_id if customer else None) or (rm.branch_id if rm else None)
    managers: list[str] = []
    if branch is not None:
        managers = await _with(session, Role.BRANCH_MANAGER, rm, col(Staff.branch_id) == branch)
    return managers or await _with(session, Role.COMPLIANCE, rm)


async def _with(
    session: AsyncSession, role: Role, rm: Staff | None, *where: ColumnElement[bool]
) -> list[str]:
    having = col(Staff.roles).contains([role.value])
    others = [col(Staff.id) != rm.id] if rm else []
    query = select(Staff.userid).where(col(Staff.enabled), having, *others, *where)
    return list((await session.execute(query.order_by(Staff.userid))).scalars())


def _card(
    settings: Settings, alert: CareAlert, customer: Customer | None, rm: Staff | None
) -> ButtonCard:
    title, below = WHAT[alert.kind]
    address = URL(settings.public_url) / "care" % {"kind": alert.kind.value}
    facts = (
        Fact("客户", customer.name if customer else VISITOR),
        Fact("客户经理", rm.name if rm else NOBODY),
        Fact("类别", alert.kind.label),
    )
    return ButtonCard(
        Title(title, below),
        (Button("我来处理", SEEN),),
        task_id=f"care-{alert.id}",
        frame=Frame(facts=facts),
        page=Page(str(address)),
    )
