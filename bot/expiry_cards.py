"""The card that tells a material's owner that it ends: one a day, pressed by who looks after it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from yarl import URL

from bank import audit
from bank.calendar import local_day
from bank.database import Sessions
from bank.models import Staff
from bank.settings import Settings
from bot import member_cards
from bot.models import CardKind, MemberCard
from content.shelf import Row
from desk.render import when
from desk.signed import Signed
from wecom.cards import Button, ButtonCard, Fact, Frame, Page, Title
from wecom.client import WeComClient
from wecom.errors import WeComError

SEEN = "seen"


async def tell_owner(
    sessions: Sessions,
    wecom: WeComClient,
    settings: Settings,
    row: Row,
    used: str,
    by: Signed,
    now: datetime,
) -> str:
    """Send the card to the owner; empty when it is on their desktop, else why not."""
    task_id = f"expiry-{row.material.id}-{local_day(now):%Y%m%d}"
    async with sessions() as session:
        owner = await session.get_one(Staff, row.material.owner_id)
        told = await session.get(MemberCard, task_id)
    if not owner.enabled:
        return f"负责人{owner.name}已停用：请修订素材，换一位负责人。"
    if told is not None:
        return f"今天 {when(told.sent_at, '%H:%M')} 已提醒过{owner.name}，明天可以再次提醒。"
    card = _card(settings, row, used, task_id)
    subject = str(row.material.id)
    try:
        sent = await member_cards.send(
            sessions, wecom, CardKind.EXPIRY, subject, [owner.userid], card, now
        )
    except WeComError:
        sent = False
    if not sent:
        await _forget(sessions, task_id)
        return f"提醒没有发出：企业微信没有接收，请稍后再试，或直接联系{owner.name}。"
    async with sessions.begin() as session:
        audit.record(session, "bot:card:expiry_tell", row.material.id, by=by.userid, now=now)
    return ""


async def _forget(sessions: Sessions, task_id: str) -> None:
    """A card that did not get there must not keep the next one from being sent."""
    async with sessions.begin() as session:
        await _delete(session, task_id)


async def _delete(session: AsyncSession, task_id: str) -> None:
    card = await session.get(MemberCard, task_id)
    if card is not None:
        await session.delete(card)


def _card(settings: Settings, row: Row, used: str, task_id: str) -> ButtonCard:
    page = Page(str(URL(settings.public_url) / "content" / str(row.material.id)))
    facts = (
        Fact("素材", row.version.title[:40]),
        Fact("有效期至", when(row.ends, "%Y-%m-%d")),
        Fact("用在", used[:40] or "—"),
    )
    return ButtonCard(
        Title("您负责的素材需要续期", "到期后不再被推荐和发送，请续期或修订后送审。"),
        (Button("我来处理", SEEN),),
        task_id=task_id,
        frame=Frame(facts=facts),
        page=page,
    )
