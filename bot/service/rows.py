"""The tables of 微信客服: sessions, what was said in them, and what waits to be said.

A customer's message is open until somebody has decided about it; a message of ours is open from
the moment it is written down until WeCom has taken it or refused it for good. Whoever works on an
open row holds a lease; a dead process loses it.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.database import ring
from bot.chat.conversations import storable
from bot.models import ServiceAccount, ServiceMessage, ServiceSession, ServiceSpeaker
from bot.service import words
from wecom.service import ServiceStanding
from wecom.service_messages import ServiceState

BELL = "service"
LEASE = timedelta(seconds=60)
# WeCom being away is no fault of the message: about an hour of patience.
TRIES = 12
LONGEST_PAUSE = 600.0
WINDOW = timedelta(hours=48)
A_WINDOW = 5
ANSWERABLE = (ServiceState.NEW, ServiceState.ROBOT)

ANSWER, NOTICE, HANDOVER, WELCOME = "answer", "notice", "handover", "welcome"
RECALLED = "recalled"

CLAIM = text("""
UPDATE service_message SET lease_until = :until, attempts = attempts + 1
WHERE id = (
    SELECT id FROM service_message
    WHERE NOT answered AND speaker = :speaker AND attempts < :tries
      AND (lease_until IS NULL OR lease_until <= :now)
    ORDER BY sent_at, stored_at LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING id
""")


@dataclass(frozen=True)
class Words:
    """A message of ours to be written down."""

    kind: str
    text: str
    because: str  # msgid of what it answers; the same message is never answered twice
    version_ids: tuple[UUID, ...] = ()
    confidence: float | None = None

    @property
    def msgid(self) -> str:
        """Its id at WeCom, the same however often it is tried: 32 characters."""
        return msgid_for(self.kind, self.because)


def msgid_for(kind: str, because: str) -> str:
    """The id of what we say of this kind because of that message."""
    return kind[0] + hashlib.sha256(f"{kind}:{because}".encode()).hexdigest()[:31]


async def chat_of(
    session: AsyncSession, open_kfid: str, external_userid: str, now: datetime
) -> ServiceSession:
    """The customer's session at the account, locked; begun when there is none."""
    fresh = insert(ServiceSession).values(
        ServiceSession(
            open_kfid=open_kfid, external_userid=external_userid, opened_at=now, changed_at=now
        ).model_dump()
    )
    await session.execute(
        fresh.on_conflict_do_nothing(index_elements=["open_kfid", "external_userid"])
    )
    query = select(ServiceSession).where(
        ServiceSession.open_kfid == open_kfid, ServiceSession.external_userid == external_userid
    )
    return (await session.execute(query.with_for_update())).scalar_one()


async def locked(session: AsyncSession, chat_id: UUID) -> ServiceSession:
    """That session as it is now, ours until the commit."""
    return await session.get_one(
        ServiceSession, chat_id, with_for_update=True, populate_existing=True
    )


async def heard(
    session: AsyncSession, message: ServiceMessage, now: datetime
) -> ServiceMessage | None:
    """Store what was pulled; None where the same message is there already."""
    message.text, message.stored_at = storable(message.text), now
    row = insert(ServiceMessage).values(message.model_dump())
    stored = row.on_conflict_do_nothing(index_elements=["msgid"]).returning(col(ServiceMessage.id))
    new = (await session.execute(stored)).scalar_one_or_none()
    return message if new else None


async def say(session: AsyncSession, chat: ServiceSession, said: Words, now: datetime) -> None:
    """Write down what is to be sent, once; it counts as one of the five from now on."""
    row = ServiceMessage(
        msgid=said.msgid,
        session_id=chat.id,
        speaker=ServiceSpeaker.ROBOT,
        kind=said.kind,
        text=said.text,
        sent_at=now,
        stored_at=now,
        version_ids=[str(version_id) for version_id in said.version_ids],
        confidence=said.confidence,
    )
    if await heard(session, row, now):
        chat.sent_since += 1
        await ring(session, BELL)


async def spoken_since(session: AsyncSession, chat_id: UUID, moment: datetime) -> int:
    """How many messages of ours may count against the customer's message of that moment."""
    query = select(func.count(col(ServiceMessage.id))).where(
        ServiceMessage.session_id == chat_id,
        ServiceMessage.speaker == ServiceSpeaker.ROBOT,
        ServiceMessage.kind != WELCOME,
        col(ServiceMessage.sent_at) >= moment,
    )
    return (await session.execute(query)).scalar_one()


async def claim(session: AsyncSession, speaker: ServiceSpeaker, now: datetime) -> UUID | None:
    """The oldest open row of this speaker, ours for a minute; None when none is due."""
    facts = {"now": now, "until": now + LEASE, "speaker": speaker.value, "tries": TRIES}
    return (await session.execute(CLAIM, facts)).scalar_one_or_none()


def settle(message: ServiceMessage, failure: str = "") -> None:
    """Nothing more is to be done about it; with the reason where it led to nothing."""
    message.answered, message.failure, message.lease_until = True, failure, None


def postpone(message: ServiceMessage, failure: str, pause: float, now: datetime) -> None:
    """Try again after a pause; after the last try it is settled with its reason."""
    if message.attempts >= TRIES:
        settle(message, failure)
        return
    message.failure = failure
    wait = max(pause, min(2.0**message.attempts, LONGEST_PAUSE))
    message.lease_until = now + timedelta(seconds=wait)


async def give_up_lost(session: AsyncSession, now: datetime) -> None:
    """Rule out what was tried for the last time by a process that died of it."""
    lost = (
        update(ServiceMessage)
        .where(col(ServiceMessage.answered).is_(False))
        .where(col(ServiceMessage.attempts) >= TRIES, col(ServiceMessage.lease_until) <= now)
        .values(answered=True, failure=words.UNCLEAR, lease_until=None)
    )
    await session.execute(lost)


async def hands_over(session: AsyncSession, chat_id: UUID) -> bool:
    """Whether the session is being handed over at this moment."""
    query = select(ServiceMessage.id).where(
        ServiceMessage.session_id == chat_id,
        ServiceMessage.kind == HANDOVER,
        col(ServiceMessage.answered).is_(False),
    )
    return (await session.execute(query)).first() is not None


async def drop_open(session: AsyncSession, chat_id: UUID, msgids: Collection[str]) -> None:
    """What was to be said because of a message that was taken back is not said any more."""
    query = select(ServiceMessage).where(
        ServiceMessage.session_id == chat_id,
        col(ServiceMessage.msgid).in_(msgids),
        col(ServiceMessage.answered).is_(False),
    )
    for message in (await session.execute(query.with_for_update())).scalars():
        settle(message, words.RECALLED)


def note_state(chat: ServiceSession, standing: ServiceStanding, now: datetime) -> None:
    """What WeCom says of the session is what holds."""
    before = chat.state, chat.servicer
    chat.state = int(standing.state)
    if standing.state is not ServiceState.ENDED:
        chat.servicer = standing.servicer
    if before != (chat.state, chat.servicer):
        chat.changed_at = now


def is_open(chat: ServiceSession, now: datetime) -> bool:
    """Whether the customer wrote within the 48 hours; a minute early rather than late."""
    return chat.wrote_at is not None and now - chat.wrote_at < WINDOW - timedelta(minutes=1)


async def end_quiet(session: AsyncSession, now: datetime) -> None:
    """Sessions in which nobody wrote for 48 hours are over; WeCom ends them without a word."""
    quiet = (
        update(ServiceSession)
        .where(col(ServiceSession.state) != int(ServiceState.ENDED))
        .where(col(ServiceSession.wrote_at) < now - WINDOW)
        .values(state=int(ServiceState.ENDED), changed_at=now)
    )
    await session.execute(quiet)


async def accounts(session: AsyncSession) -> dict[str, ServiceAccount]:
    """Every account by its id."""
    rows = (await session.execute(select(ServiceAccount))).scalars()
    return {account.open_kfid: account for account in rows}


async def stop_all(session: AsyncSession) -> list[str]:
    """Switch every account off; returns those that were on."""
    stopped = (
        update(ServiceAccount)
        .where(col(ServiceAccount.automatic))
        .values(automatic=False)
        .returning(col(ServiceAccount.open_kfid))
    )
    return list((await session.execute(stopped)).scalars())
