"""The welcome of 微信客服: who answers here, said within 20 seconds of a customer's entrance.

The code is kept nowhere: a process that dies with it in its hands leaves a row that says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.database import Sessions
from bank.settings import Settings
from bot.models import ServiceAccount, ServiceMessage, ServiceSession, ServiceSpeaker
from bot.service import rows as service_rows
from bot.service import saying, words
from outbound import records, sending
from outbound.check import Cleared
from wecom.client import WeComClient
from wecom.errors import WeComError

log = structlog.get_logger("bot")

LIFE = timedelta(seconds=20)


@dataclass(frozen=True)
class Entrance:
    """A customer opened the chat, and may be greeted once."""

    chat_id: UUID
    msgid: str
    code: str = field(repr=False)
    at: datetime


async def greet(
    sessions: Sessions,
    wecom: WeComClient,
    settings: Settings,
    entrances: Sequence[Entrance],
    now: datetime,
) -> None:
    """Say who answers here, where an assistant does answer and the 20 seconds last."""
    for entrance in entrances:
        async with sessions.begin() as session:
            if not await answers_here(session, settings, entrance.chat_id):
                continue
            cleared = await _written_down(session, settings, entrance, now)
        if cleared is not None:
            await _send(sessions, wecom, cleared, entrance, now)


def allowed(settings: Settings) -> bool:
    """Whether the bank may let a machine answer at all: switched on, and filed (C-41)."""
    return settings.service_automatic and bool(settings.ai_filing_number.strip())


async def answers_here(session: AsyncSession, settings: Settings, chat_id: UUID) -> bool:
    """Whether questions in this session may be answered without a person, at this very moment."""
    if not allowed(settings):
        return False
    chat = await session.get_one(ServiceSession, chat_id)
    account = await session.get_one(ServiceAccount, chat.open_kfid, populate_existing=True)
    return account.automatic


async def _written_down(
    session: AsyncSession, settings: Settings, entrance: Entrance, now: datetime
) -> Cleared | None:
    """The welcome as a row, `answered` already: nobody may try it a second time."""
    late = now - entrance.at >= LIFE
    row = ServiceMessage(
        msgid=service_rows.msgid_for(service_rows.WELCOME, entrance.msgid),
        session_id=entrance.chat_id,
        speaker=ServiceSpeaker.ROBOT,
        kind=service_rows.WELCOME,
        text=words.introduction(settings.bank_name),
        sent_at=now,
        stored_at=now,
        answered=True,
        failure=words.LATE_WELCOME,
    )
    stored = await service_rows.heard(session, row, now)
    if late or stored is None:
        return None
    chat = await session.get_one(ServiceSession, entrance.chat_id)
    answer = await saying.clear(session, settings, chat, stored, now)
    if isinstance(answer, Cleared):
        return answer
    said = await _row(session, entrance)
    said.failure = "；".join(answer.reasons)
    return None


async def _row(session: AsyncSession, entrance: Entrance) -> ServiceMessage:
    msgid = service_rows.msgid_for(service_rows.WELCOME, entrance.msgid)
    query = select(ServiceMessage).where(ServiceMessage.msgid == msgid)
    return (await session.execute(query)).scalar_one()


async def _send(
    sessions: Sessions,
    wecom: WeComClient,
    cleared: Cleared,
    entrance: Entrance,
    now: datetime,
) -> None:
    msgid = service_rows.msgid_for(service_rows.WELCOME, entrance.msgid)
    try:
        await sending.answer_event(wecom, entrance.code, cleared, msgid)
    except WeComError as refusal:
        log.warning("service_welcome_refused", chat=str(entrance.chat_id), error=repr(refusal))
        return
    async with sessions.begin() as session:
        row = await _row(session, entrance)
        # A note of WeCom that it did not arrive may be here first.
        if row.failure == words.LATE_WELCOME:
            row.failure = ""
            await records.sent(session, saying.SOURCE, msgid, now)
