"""A message of 微信客服 on its way through the check that every word to a customer passes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from bank.settings import Settings
from bot.models import ServiceMessage, ServiceSession
from bot.service import rows as service_rows
from bot.service.rows import Words
from outbound.check import Cleared, Passed, Refused, check, check_and_record
from outbound.facts import FIXED, QUOTING, Saying, policy_of
from outbound.models import Door

SOURCE = "service"


async def judge(
    session: AsyncSession, settings: Settings, chat: ServiceSession, said: Words, now: datetime
) -> Passed | Refused:
    """Whether this may be said, before it is written down."""
    saying = _saying(chat, said.kind, said.text, said.version_ids)
    return await check(session, saying, policy_of(settings), now)


async def clear(
    session: AsyncSession,
    settings: Settings,
    chat: ServiceSession,
    message: ServiceMessage,
    now: datetime,
) -> Cleared | Refused:
    """Whether it may still be said, right before it goes; written down either way."""
    versions = tuple(UUID(version_id) for version_id in message.version_ids)
    saying = _saying(chat, message.kind, message.text, versions)
    return await check_and_record(session, saying, message.msgid, policy_of(settings), now)


def _saying(chat: ServiceSession, kind: str, text: str, versions: tuple[UUID, ...]) -> Saying:
    answers = kind == service_rows.ANSWER
    return Saying(
        door=Door.SERVICE,
        text=text,
        version_ids=frozenset(versions),
        contact=chat.external_userid,
        writer=QUOTING if answers else FIXED,
        ai_assisted=answers,
    )
