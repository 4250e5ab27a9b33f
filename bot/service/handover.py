"""From the assistant to a person, in one step: the customer is told, colleagues get a card.

    hand over    a sentence to the customer → state 2 待接入池 → 「我来接待」 to who receives now
    take over    state 3 with that colleague; whoever comes second is told who was first

Each step may be done again: the sentence has an id WeCom takes once, the state is read before it is
moved, the card has a task id.
"""

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from yarl import URL

from bank import audit
from bank import staff as people
from bank.database import Sessions
from bank.settings import Settings
from bot import member_cards
from bot.models import CardKind, ServiceAccount, ServiceMessage, ServiceSession
from bot.service import rows as service_rows
from bot.service import saying, words
from bot.service.rows import Words
from outbound import records, sending
from outbound.check import Cleared, Refused
from wecom.cards import Button, ButtonCard, Fact, Frame, Page, Title
from wecom.client import WeComClient
from wecom.errors import (
    BadRequest,
    OutcomeUnknown,
    ServiceChatRefused,
    ServiceStateWrong,
    ServiceWindowClosed,
    UnreadableAnswer,
    WeComError,
)
from wecom.service_messages import ServiceState

log = structlog.get_logger("bot")

TAKE = "take"
NOBODY_RECEIVES = "没有正在接待的客服人员，请尽快安排"


async def plan(
    session: AsyncSession, chat: ServiceSession, reason: str, because: str, now: datetime
) -> None:
    """Write down that a person is to answer; the caller holds the session's row."""
    chat.handover_reason = reason
    if not await service_rows.hands_over(session, chat.id):
        said = Words(service_rows.HANDOVER, words.HANDOVER, because)
        await service_rows.say(session, chat, said, now)


async def complete(
    sessions: Sessions, wecom: WeComClient, settings: Settings, message_id: UUID, now: datetime
) -> None:
    """Do what was planned; raises WeComError where the rest must be tried again later."""
    async with sessions() as session:
        message = await session.get_one(ServiceMessage, message_id)
        chat = await session.get_one(ServiceSession, message.session_id)
    standing = await wecom.service.standing(chat.open_kfid, chat.external_userid)
    told = standing.state in service_rows.ANSWERABLE
    failure = ""
    if told:
        failure = await _say_so(sessions, wecom, settings, chat, message, now)
        await _move(wecom, chat, ServiceState.WAITING)
        standing = await wecom.service.standing(chat.open_kfid, chat.external_userid)
    async with sessions.begin() as session:
        chat = await service_rows.locked(session, chat.id)
        service_rows.note_state(chat, standing, now)
    if standing.state is ServiceState.WAITING:
        await _call_colleagues(sessions, wecom, settings, chat, message, now)
    async with sessions.begin() as session:
        row = await session.get_one(ServiceMessage, message_id, with_for_update=True)
        service_rows.settle(row, failure)
        if told and not failure:
            await records.sent(session, saying.SOURCE, row.msgid, now)
        elif told:
            await records.unsent(session, saying.SOURCE, [row.msgid], now)
    log.info("service_handed_over", chat=str(chat.id))


async def _say_so(
    sessions: Sessions,
    wecom: WeComClient,
    settings: Settings,
    chat: ServiceSession,
    message: ServiceMessage,
    now: datetime,
) -> str:
    """Tell the customer; a sentence that may not go out keeps nobody from being handed over."""
    async with sessions.begin() as session:
        cleared = await saying.clear(session, settings, chat, message, now)
    if isinstance(cleared, Refused):
        return "；".join(cleared.reasons)
    return await tell(wecom, chat, message, cleared, now)


async def tell(
    wecom: WeComClient,
    chat: ServiceSession,
    message: ServiceMessage,
    cleared: Cleared,
    now: datetime,
) -> str:
    """Send a message that was written down; empty when WeCom has it, else why it never will.

    Raises WeComError where the same may be tried again: the id makes sure it is sent once.
    """
    if not service_rows.is_open(chat, now):
        return words.OVERDUE
    if chat.sent_since > service_rows.A_WINDOW:
        return words.USED_UP
    try:
        msgid, who = message.msgid, chat.external_userid
        await sending.answer(wecom, chat.open_kfid, who, cleared, msgid)
    except ServiceWindowClosed as refusal:
        return words.OVERDUE if refusal.errcode == OVERDUE_CODE else words.USED_UP
    except ServiceStateWrong:
        return words.REPLACED
    except BadRequest:
        # Of a second try it says that the id is taken: the first one had arrived.
        return "" if message.attempts > 1 else words.MALFORMED
    except WeComError as refusal:
        if _passes(refusal):
            raise
        return f"{words.REFUSED}（{refusal.errcode}）"
    return ""


OVERDUE_CODE = 95002


def _passes(error: WeComError) -> bool:
    """Whether the same call may succeed later, or may have succeeded already."""
    unclear = isinstance(error, OutcomeUnknown | UnreadableAnswer)
    return unclear or error.retry_after is not None


async def _move(wecom: WeComClient, chat: ServiceSession, state: ServiceState) -> None:
    """Move the session on, unless somebody else just did."""
    try:
        await wecom.service.move(chat.open_kfid, chat.external_userid, state)
    except ServiceStateWrong:
        log.info("service_state_moved_meanwhile", chat=str(chat.id))


async def _call_colleagues(
    sessions: Sessions,
    wecom: WeComClient,
    settings: Settings,
    chat: ServiceSession,
    message: ServiceMessage,
    now: datetime,
) -> None:
    """「我来接待」 to everybody who receives customers now."""
    servicers = await wecom.service.servicers(chat.open_kfid)
    receiving = [one.userid for one in servicers if one.receiving and one.userid]
    if not receiving:
        async with sessions.begin() as session:
            waiting = await service_rows.locked(session, chat.id)
            waiting.handover_reason = f"{chat.handover_reason}；{NOBODY_RECEIVES}"
        return
    async with sessions() as session:
        account = await session.get_one(ServiceAccount, chat.open_kfid)
    card = _card(settings, chat, account, message)
    subject = str(chat.id)
    await member_cards.send(sessions, wecom, CardKind.HANDOVER, subject, receiving, card, now)


def _card(
    settings: Settings, chat: ServiceSession, account: ServiceAccount, message: ServiceMessage
) -> ButtonCard:
    address = URL(settings.public_url) / "service" / str(chat.id)
    facts = (
        Fact("客户", chat.nickname or "微信用户"),
        Fact("客服账号", account.name or account.open_kfid),
        Fact("转接原因", chat.handover_reason),
    )
    return ButtonCard(
        Title("有客户等待人工接待", "微信客服"),
        (Button("我来接待", TAKE),),
        task_id=f"handover-{message.msgid}",
        frame=Frame(facts=facts),
        page=Page(str(address)),
    )


async def take_over(
    sessions: Sessions, wecom: WeComClient, chat_id: UUID, servicer: str, now: datetime
) -> str:
    """Move the session to this member; empty when they have it, else why not, in words."""
    async with sessions() as session:
        chat = await session.get_one(ServiceSession, chat_id)
    standing = await wecom.service.standing(chat.open_kfid, chat.external_userid)
    theirs = standing.servicer.lower() == servicer.lower()
    if standing.state is ServiceState.ENDED:
        refused = words.ENDED
    elif standing.state is ServiceState.SERVICER and not theirs:
        refused = await _taken_by(sessions, standing.servicer)
    elif standing.state is ServiceState.SERVICER:
        refused = ""
    else:
        refused = await _give_to(wecom, chat, servicer)
    standing = await wecom.service.standing(chat.open_kfid, chat.external_userid)
    async with sessions.begin() as session:
        chat = await service_rows.locked(session, chat_id)
        service_rows.note_state(chat, standing, now)
        if not refused:
            audit.record(session, "bot:service:take_over", chat_id, by=servicer, now=now)
    return refused


async def _give_to(wecom: WeComClient, chat: ServiceSession, servicer: str) -> str:
    state = ServiceState.SERVICER
    try:
        await wecom.service.move(chat.open_kfid, chat.external_userid, state, servicer)
    except ServiceStateWrong:
        return words.REPLACED_MEANWHILE
    except ServiceChatRefused as refusal:
        return NO_SERVICER.get(refusal.errcode or 0, f"{words.REFUSED}（{refusal.errcode}）")
    return ""


NO_SERVICER = {
    95014: "您不是这个客服账号的接待人员，请联系管理员添加",
    95019: "您当前处于“停止接待”状态，请先在企业微信中开启接待",
}


async def _taken_by(sessions: Sessions, userid: str) -> str:
    async with sessions() as session:
        return f"已由{await name_of(session, userid)}接待"


async def name_of(session: AsyncSession, userid: str) -> str:
    """A member's name; the userid of one who is not on our list."""
    found = await people.by_userid(session, userid)
    return found.name if found else userid
