"""What a card's button does when a member presses it: once, and the card then says so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from bank import audit
from bank import staff as people
from bank.calendar import local_day
from bank.database import Sessions
from bot import member_cards
from bot.models import CardKind, MemberCard
from bot.service import handover as service_handover
from outbound import alerts
from scheduler import reminders
from wecom.client import WeComClient
from wecom.errors import WeComError
from wecom.events import CardPressed
from wecom.messages import Text

log = structlog.get_logger("bot")

UNKNOWN = "not handled: this card is not one of ours"
STRANGER = "not handled: the card was not sent to this member"


@dataclass(frozen=True)
class Pressed:
    """What came of a press: what the button says from now on, or why nothing was done."""

    says: str = ""
    refused: str = ""


Act = Callable[[Sessions, WeComClient, MemberCard, str, datetime], Awaitable[Pressed]]


async def on_pressed(
    sessions: Sessions, wecom: WeComClient, event: CardPressed, now: datetime
) -> str:
    """Do what the button promises and update the card; returns the outcome for the inbox.

    The same callback again does nothing twice; of two members the first one counts.
    """
    await _keep_reminder(sessions, event.task_id)
    card = await member_cards.press(sessions, event.task_id, event.userid, event.button, now)
    if card is None:
        log.warning("card_unknown", task=event.task_id)
        await member_cards.show(wecom, [event.userid], event.response_code, "卡片已失效")
        return UNKNOWN
    if not await _may_press(sessions, card, event.userid):
        await member_cards.release(sessions, card.task_id, event.userid)
        return STRANGER
    if card.pressed_by.lower() != event.userid.lower():
        says = f"已由{await _name(sessions, card.pressed_by)}处理"
        await member_cards.show(wecom, [event.userid], event.response_code, says)
        return "handled: somebody else was first"
    return await _act(sessions, wecom, card, event, now)


async def _act(
    sessions: Sessions,
    wecom: WeComClient,
    card: MemberCard,
    event: CardPressed,
    now: datetime,
) -> str:
    pressed = await _ACTS[card.kind](sessions, wecom, card, event.userid, now)
    if pressed.refused:
        await member_cards.release(sessions, card.task_id, event.userid)
        await _tell(wecom, event.userid, pressed.refused)
        return "handled: refused, and the member was told why"
    await member_cards.show(wecom, card.userids, event.response_code, pressed.says)
    return "handled: the button was pressed"


async def _keep_reminder(sessions: Sessions, task_id: str) -> None:
    """The scheduler's cards are many and rarely pressed: they enter the book of cards now."""
    async with sessions.begin() as session:
        told = await reminders.told(session, task_id)
        if told is not None:
            await member_cards.write_down(
                session, CardKind.TASKS, task_id, str(told.staff_id), [told.userid], told.at
            )


async def _may_press(sessions: Sessions, card: MemberCard, userid: str) -> bool:
    """Only who got the card, and still works here."""
    if userid.lower() not in {one.lower() for one in card.userids}:
        return False
    async with sessions() as session:
        return await people.by_userid(session, userid) is not None


async def _name(sessions: Sessions, userid: str) -> str:
    async with sessions() as session:
        return await service_handover.name_of(session, userid)


async def _tell(wecom: WeComClient, userid: str, why: str) -> None:
    try:
        await wecom.messages.send([userid], Text(f"操作没有完成：{why}。"))
    except WeComError as error:
        log.warning("member_not_told", member=userid, error=repr(error))


async def _take_over(
    sessions: Sessions, wecom: WeComClient, card: MemberCard, userid: str, now: datetime
) -> Pressed:
    chat_id = UUID(card.subject_id)
    refused = await service_handover.take_over(sessions, wecom, chat_id, userid, now)
    if refused.startswith("已由") or refused == "会话已结束":
        return Pressed(says=refused)  # over for everybody, so the card may say it
    if refused:
        return Pressed(refused=refused)
    return Pressed(says=f"{await _name(sessions, userid)}已接待")


async def _seen(
    sessions: Sessions, wecom: WeComClient, card: MemberCard, userid: str, now: datetime
) -> Pressed:
    """Somebody looks after it: kept in the audit book, told on the card."""
    at = card.pressed_at or now
    async with sessions.begin() as session:
        noted = await audit.history(session, "card", card.subject_id)
        if at not in {line.at for line in noted}:
            action = f"bot:card:{card.kind.value}_seen"
            audit.record(session, action, card.subject_id, by=userid, now=at)
    return Pressed(says=f"{await _name(sessions, userid)}已知悉")


async def _look_into(
    sessions: Sessions, wecom: WeComClient, card: MemberCard, userid: str, now: datetime
) -> Pressed:
    """Somebody of compliance looks into a refused attempt; the first one counts."""
    async with sessions.begin() as session:
        await alerts.see(session, UUID(card.subject_id), by=userid, now=card.pressed_at or now)
    return Pressed(says=f"{await _name(sessions, userid)}核查中")


async def _no_more_today(
    sessions: Sessions, wecom: WeComClient, card: MemberCard, userid: str, now: datetime
) -> Pressed:
    """No further reminder on the day of the first press, however late it is handled again."""
    pressed_at = card.pressed_at or now
    async with sessions.begin() as session:
        await reminders.silence(session, UUID(card.subject_id), pressed_at)
    day = local_day(pressed_at)
    return Pressed(says=f"{day.month}月{day.day}日不再提醒")


_ACTS: dict[CardKind, Act] = {
    CardKind.HANDOVER: _take_over,
    CardKind.CHURN: _seen,
    CardKind.TASKS: _no_more_today,
    CardKind.CONDUCT: _look_into,
    CardKind.EXPIRY: _seen,
    CardKind.CARE: _seen,
}
