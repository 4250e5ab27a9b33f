"""Compliance hears of a refused attempt within a minute: a card, one press that says who looks.

The alert is a row before anybody is told; a card that fails is sent again, and WeCom knows its task
id once.
"""

from datetime import datetime
from functools import partial

from sqlmodel import col, select
from yarl import URL

from bank.database import Sessions
from bank.models import Role, Staff
from bank.settings import Settings
from bot import member_cards, telling
from bot.models import CardKind
from outbound import alerts
from outbound.models import ConductAlert, OutboundMessage
from wecom.cards import Button, ButtonCard, Fact, Frame, Page, Title
from wecom.client import WeComClient

SEEN = "seen"
NOBODY = "—"


async def tell(sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime) -> int:
    """Tell compliance of every alert nobody was told of; how many were told."""
    send = partial(_send, sessions, wecom, settings, now)
    return await telling.tell_each(sessions, alerts.claim, send, alerts.told, now)


async def _send(
    sessions: Sessions,
    wecom: WeComClient,
    settings: Settings,
    now: datetime,
    alert: ConductAlert,
) -> bool:
    async with sessions() as session:
        compliance = select(Staff.userid).where(
            col(Staff.enabled), col(Staff.roles).contains([Role.COMPLIANCE.value])
        )
        userids = list((await session.execute(compliance)).scalars())
        message = await session.get_one(OutboundMessage, alert.message_id)
        rm = await session.get(Staff, message.staff_id) if message.staff_id else None
    if not userids:
        return False
    card = _card(settings, alert, message, rm.name if rm else NOBODY)
    return await member_cards.send(
        sessions, wecom, CardKind.CONDUCT, str(alert.id), userids, card, now
    )


def _card(settings: Settings, alert: ConductAlert, message: OutboundMessage, rm: str) -> ButtonCard:
    address = URL(settings.public_url) / "system" / "outbound" / str(message.id)
    facts = (
        Fact("客户经理", rm),
        Fact("入口", message.door.label),
        Fact("类别", alerts.labels_of(alert.categories)),
    )
    return ButtonCard(
        Title("一条发给客户的内容被拦截，请核查", "内容没有发出"),
        (Button("我来核查", SEEN),),
        task_id=f"conduct-{alert.id}",
        frame=Frame(facts=facts),
        page=Page(str(address)),
    )
