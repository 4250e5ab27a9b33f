"""微信客服 is pulled, not pushed: a bell says which account, the cursor says from where.

The cursor moves in the transaction that stores the messages, and only from where it was read: of
two processes with the same page one stores it, the other looks again. A message is stored once for
its id, so a page that comes twice changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.database import Sessions, ring
from bank.settings import Settings
from bot.models import ServiceAccount, ServiceMessage, ServiceSession, ServiceSpeaker
from bot.service import caring as service_caring
from bot.service import greeting as service_greeting
from bot.service import rows as service_rows
from bot.service import saying, words
from bot.service.greeting import Entrance
from outbound import records
from wecom.client import WeComClient
from wecom.errors import RateLimited, WeComError
from wecom.service import MAX_CUSTOMERS, ServicePage
from wecom.service_messages import Origin, ServiceEvent, ServiceState
from wecom.service_messages import ServiceMessage as Pulled

log = structlog.get_logger("bot")

# Without a token pulling is strictly limited; the bell makes this the exception.
PATIENCE = timedelta(seconds=60)
MOST_EMPTY = 20
NAMELESS = "微信用户"
TAKEN, PASSED_ON, ENDED, TAKEN_AGAIN = 1, 2, 3, 4


@dataclass(frozen=True)
class Stored:
    """What a page brought."""

    new: int
    entrances: tuple[Entrance, ...]


async def pull(
    sessions: Sessions,
    wecom: WeComClient,
    settings: Settings,
    open_kfid: str,
    token: str,
    now: datetime,
) -> int:
    """Store what an account has beyond its cursor, greet who has just come; how many were new."""
    new = empty = 0
    more = True
    while more and empty < MOST_EMPTY:
        cursor = await _cursor(sessions, open_kfid)
        page = await wecom.service.sync(open_kfid, cursor, token)
        stored = await _store(sessions, open_kfid, cursor, page, now)
        if stored is None:
            continue  # another process was faster: look from where it has come to
        new += stored.new
        await service_greeting.greet(sessions, wecom, settings, stored.entrances, now)
        empty = 0 if page.messages else empty + 1
        more = page.has_more
    if new:
        log.info("service_pulled", account=open_kfid, messages=new)
        await _learn_names(sessions, wecom, open_kfid)
    return new


async def pull_without_bell(
    sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime
) -> int:
    """The bell may be lost: pull accounts that nobody looked at for a minute, one after another."""
    due = or_(
        col(ServiceAccount.checked_at).is_(None), col(ServiceAccount.checked_at) <= now - PATIENCE
    )
    async with sessions.begin() as session:
        await service_rows.end_quiet(session, now)
        query = select(ServiceAccount.open_kfid).where(due)
        accounts = (await session.execute(query.order_by(col(ServiceAccount.checked_at)))).scalars()
    new = 0
    for open_kfid in accounts:
        try:
            new += await pull(sessions, wecom, settings, open_kfid, "", now)
        except RateLimited:
            break
        except WeComError as error:
            log.warning("service_not_pulled", account=open_kfid, error=repr(error))
            await _note_checked(sessions, open_kfid, now)
    return new


async def learn_accounts(sessions: Sessions, wecom: WeComClient) -> int:
    """Know every account this app may act for, by name; returns how many there are."""
    accounts = [one for one in await wecom.service.accounts() if one.manageable]
    async with sessions.begin() as session:
        for account in accounts:
            row = insert(ServiceAccount).values(
                ServiceAccount(open_kfid=account.open_kfid, name=account.name).model_dump()
            )
            named = {"name": account.name}
            await session.execute(
                row.on_conflict_do_update(index_elements=["open_kfid"], set_=named)
            )
    return len(accounts)


async def _cursor(sessions: Sessions, open_kfid: str) -> str:
    async with sessions.begin() as session:
        row = insert(ServiceAccount).values(ServiceAccount(open_kfid=open_kfid).model_dump())
        await session.execute(row.on_conflict_do_nothing(index_elements=["open_kfid"]))
        query = select(ServiceAccount.cursor).where(ServiceAccount.open_kfid == open_kfid)
        return (await session.execute(query)).scalar_one()


async def _note_checked(sessions: Sessions, open_kfid: str, now: datetime) -> None:
    async with sessions.begin() as session:
        account = await session.get_one(ServiceAccount, open_kfid)
        account.checked_at = now


async def _store(
    sessions: Sessions, open_kfid: str, cursor: str, page: ServicePage, now: datetime
) -> Stored | None:
    """Messages and cursor in one transaction; None where the cursor is no longer the one read."""
    async with sessions.begin() as session:
        moved = (
            update(ServiceAccount)
            .where(col(ServiceAccount.open_kfid) == open_kfid)
            .where(col(ServiceAccount.cursor) == cursor)
            .values(cursor=page.next_cursor, checked_at=now)
            .returning(col(ServiceAccount.open_kfid))
        )
        if (await session.execute(moved)).first() is None:
            return None
        new, entrances = 0, []
        for pulled in page.messages:
            if not pulled.external_userid:
                continue
            chat = await service_rows.chat_of(session, open_kfid, pulled.external_userid, now)
            if pulled.event is None:
                new += await _hear(session, chat, pulled, now)
            else:
                await _happened(session, chat, pulled, pulled.event, now)
                if pulled.event.welcome_code:
                    code = pulled.event.welcome_code
                    entrances.append(Entrance(chat.id, pulled.msgid, code, pulled.sent_at))
        if new:
            await ring(session, service_rows.BELL)
    return Stored(new, tuple(entrances))


async def _hear(session: AsyncSession, chat: ServiceSession, pulled: Pulled, now: datetime) -> bool:
    """What a customer or a servicer said; whether it was new."""
    speaker = _SPEAKERS.get(pulled.origin)
    if speaker is None:
        return False
    message = ServiceMessage(
        msgid=pulled.msgid,
        session_id=chat.id,
        speaker=speaker,
        kind=pulled.kind,
        text=pulled.text,
        sent_at=pulled.sent_at,
        stored_at=now,
        answered=speaker is not ServiceSpeaker.CUSTOMER,
    )
    if not await service_rows.heard(session, message, now):
        return False
    if speaker is ServiceSpeaker.CUSTOMER:
        await _customer_wrote(session, chat, pulled.sent_at)
        await service_caring.hear(session, chat, message, now)
    elif _is_news(chat, pulled.sent_at):
        chat.state, chat.servicer = int(ServiceState.SERVICER), pulled.servicer
        chat.changed_at = pulled.sent_at
    return True


async def _customer_wrote(session: AsyncSession, chat: ServiceSession, at: datetime) -> None:
    """48 hours and five messages begin anew; an ended session does too."""
    if chat.wrote_at is None or at >= chat.wrote_at:
        chat.wrote_at = at
        chat.sent_since = await service_rows.spoken_since(session, chat.id, at)
    if chat.state == ServiceState.ENDED and _is_news(chat, at):
        chat.state, chat.servicer, chat.handover_reason = int(ServiceState.NEW), "", ""
        chat.opened_at = chat.changed_at = at


async def _happened(
    session: AsyncSession,
    chat: ServiceSession,
    pulled: Pulled,
    event: ServiceEvent,
    now: datetime,
) -> None:
    match event.kind:
        case "session_status_change" if _is_news(chat, pulled.sent_at):
            ended = event.change == ENDED
            chat.state = int(ServiceState.ENDED if ended else ServiceState.SERVICER)
            # Who served last stays known: it is their conversation to look at.
            chat.servicer = chat.servicer if ended else event.new_servicer
            chat.changed_at = pulled.sent_at
        case "msg_send_fail":
            await _not_delivered(session, event, now)
        case "user_recall_msg" | "servicer_recall_msg":
            await _taken_back(session, chat, event.recalled_msgid, now)


async def _not_delivered(session: AsyncSession, event: ServiceEvent, now: datetime) -> None:
    message = await _message(session, event.failed_msgid)
    if message is not None:
        service_rows.settle(message, words.failure_label(event.failure))
        await records.did_not_arrive(session, saying.SOURCE, message.msgid, now)


async def _taken_back(
    session: AsyncSession, chat: ServiceSession, msgid: str, now: datetime
) -> None:
    """Its text goes, and nothing is said because of it any more."""
    message = await _message(session, msgid)
    if message is None:
        return
    message.text, message.kind = "", service_rows.RECALLED
    service_rows.settle(message, words.RECALLED)
    said = [service_rows.msgid_for(kind, msgid) for kind in _BECAUSE_OF_A_MESSAGE]
    await service_rows.drop_open(session, chat.id, said)
    await records.unsent(session, saying.SOURCE, said, now)


async def _message(session: AsyncSession, msgid: str) -> ServiceMessage | None:
    query = select(ServiceMessage).where(ServiceMessage.msgid == msgid).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


def _is_news(chat: ServiceSession, at: datetime) -> bool:
    """Whether it happened after what we know last; WeCom counts whole seconds."""
    return at >= chat.changed_at.replace(microsecond=0)


async def _learn_names(sessions: Sessions, wecom: WeComClient, open_kfid: str) -> None:
    """What the customers call themselves, for the colleagues who serve them."""
    async with sessions() as session:
        query = select(ServiceSession.external_userid).where(
            ServiceSession.open_kfid == open_kfid, ServiceSession.nickname == ""
        )
        unnamed = list((await session.execute(query.limit(MAX_CUSTOMERS))).scalars())
    if not unnamed:
        return
    try:
        known = await wecom.service.customers(unnamed)
    except WeComError as error:
        log.warning("service_names_unknown", account=open_kfid, error=repr(error))
        return
    names = {one.external_userid: one.nickname for one in known}
    for external_userid in unnamed:
        async with sessions.begin() as session:
            named = (
                update(ServiceSession)
                .where(col(ServiceSession.open_kfid) == open_kfid)
                .where(col(ServiceSession.external_userid) == external_userid)
                .values(nickname=names.get(external_userid) or NAMELESS)
            )
            await session.execute(named)


_SPEAKERS = {
    Origin.CUSTOMER: ServiceSpeaker.CUSTOMER,
    Origin.SERVICER: ServiceSpeaker.SERVICER,
}
_BECAUSE_OF_A_MESSAGE = (service_rows.ANSWER, service_rows.NOTICE, service_rows.HANDOVER)
