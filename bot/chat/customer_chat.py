"""A customer wrote, as the conversation archive tells: stored once, then answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import touchpoints
from attribution.models import TouchpointKind
from bank import staff as people
from bank.database import Sessions, ring
from bank.models import Staff
from bot.chat import conversations, hearing
from bot.chat.conversations import Line
from bot.groups import talk
from bot.inbound import inbox, relations
from bot.models import Cursor, Message, Speaker
from customers import book, follows
from customers.models import Customer
from knowledge import replies, suggestions
from knowledge.cases import Question
from knowledge.indexing import LibraryIndex
from knowledge.writer import Writer
from wecom.archive import UNREADABLE, ArchiveClient, ArchivedMessage
from wecom.client import WeComClient
from wecom.errors import RelationGone
from wecom.events import UnreadableEvent

log = structlog.get_logger("bot")

QUESTION_BELL = "question"
ARCHIVE = "archive"
PULL_AT_ONCE = 500
CONTACT_PREFIXES = ("wm", "wo")
# Begins the body of an event that stands for an archived message; the rest is its seq.
SET_ASIDE = "archive:"


async def pull_archive(sessions: Sessions, archive: ArchiveClient, now: datetime) -> int:
    """Store what the archive has beyond our cursor; returns how many messages.

    Each batch is one transaction with the cursor's move. Nothing is open or locked while the
    archive is asked: a slow one holds up nobody. Of two processes that ask for the same batch the
    second finds the cursor moved and leaves.
    """
    stored = 0
    while True:
        position = await _position(sessions)
        batch = await archive.messages(position, PULL_AT_ONCE)
        taken = await _store(sessions, batch, position, now) if batch else None
        if taken is None:
            return stored
        stored += taken


async def _position(sessions: Sessions) -> int:
    async with sessions.begin() as session:
        row = insert(Cursor).values(name=ARCHIVE, position=0)
        await session.execute(row.on_conflict_do_nothing())
        query = select(Cursor.position).where(Cursor.name == ARCHIVE)
        return (await session.execute(query)).scalar_one()


async def _store(
    sessions: Sessions, batch: Sequence[ArchivedMessage], position: int, now: datetime
) -> int | None:
    """Store the batch and move the cursor; None where another process has moved it already."""
    async with sessions.begin() as session:
        move = (
            update(Cursor)
            .where(col(Cursor.name) == ARCHIVE, col(Cursor.position) == position)
            .values(position=batch[-1].seq)
            .returning(col(Cursor.position))
        )
        if (await session.execute(move)).scalar_one_or_none() is None:
            return None
        stored = 0
        for message in batch:
            stored += await _take_in(session, message, now)
        if stored:
            await ring(session, QUESTION_BELL)
    return stored


async def _take_in(session: AsyncSession, message: ArchivedMessage, now: datetime) -> bool:
    """One archived message; one that fails is set aside and holds up none behind it."""
    try:
        async with session.begin_nested():
            return await _place(session, message, now)
    except Exception as error:
        log.warning("archive_message_failed", seq=message.seq, error=type(error).__name__)
        await _set_aside(session, message.seq, "", now)
        return False


async def _place(session: AsyncSession, message: ArchivedMessage, now: datetime) -> bool:
    """Text is kept, in chats and groups; who or which group is not known is looked up first."""
    if message.kind == UNREADABLE:
        await _set_aside(session, message.seq, "", now)
        return False
    if message.kind != "text" or message.action != "send":
        return False
    if message.room_id:
        return await _place_in_group(session, message, now)
    parties = await _parties(session, message)
    if parties is None:
        log.warning("archive_message_without_relation", seq=message.seq)
        return False
    customer = await follows.known(session, parties.contact, parties.rm)
    if customer is None:
        await _set_aside(session, message.seq, parties.contact, now)
        return False
    return await _append(session, message, parties, customer, now)


async def _place_in_group(session: AsyncSession, message: ArchivedMessage, now: datetime) -> bool:
    placed = await talk.place(session, message, now)
    if placed is talk.Placed.UNSURE:
        await _set_aside(session, message.seq, message.room_id, now)
    return placed is talk.Placed.KEPT


@dataclass(frozen=True)
class Parties:
    """An RM, the WeCom contact on the other side, and which of them spoke."""

    rm: Staff
    contact: str
    speaker: Speaker


async def _parties(session: AsyncSession, message: ArchivedMessage) -> Parties | None:
    """Between whom it was; None unless one is on our staff and the other a contact."""
    other = message.recipients[0] if message.recipients else ""
    # The staff list decides: a member's userid may begin like a contact's.
    rm, contact, speaker = await people.by_userid(session, message.sender), other, Speaker.RM
    if rm is None:
        rm, contact = await people.by_userid(session, other), message.sender
        speaker = Speaker.CUSTOMER
    if rm is None or not contact.startswith(CONTACT_PREFIXES):
        return None
    return Parties(rm, contact, speaker)


async def _append(
    session: AsyncSession,
    message: ArchivedMessage,
    parties: Parties,
    customer: Customer,
    now: datetime,
) -> bool:
    """Store it once, with what follows from it; whether it was new."""
    line = Line(
        message.msgid,
        parties.rm.id,
        customer.id,
        parties.speaker,
        conversations.storable(message.text),
        message.sent_at,
    )
    message_id = await conversations.append(session, line, now)
    if message_id is None:
        return False
    await _note(session, line, str(message_id))
    return True


async def _set_aside(session: AsyncSession, seq: int, order_key: str, now: datetime) -> None:
    """Keep the place of a message as an event: tried thrice, then quarantined, replayable.

    Its words stay in the archive, where they can be read for five days.
    """
    await inbox.put_own(session, f"{SET_ASIDE}{seq}", order_key, now, kind=ARCHIVE)


async def place_set_aside(
    session: AsyncSession, body: str, archive: ArchiveClient, wecom: WeComClient, now: datetime
) -> str:
    """Try again a message that was set aside; a customer whose callback was lost is fetched."""
    seq = int(body.removeprefix(SET_ASIDE))
    message = next((m for m in await archive.messages(seq - 1, 1) if m.seq == seq), None)
    if message is None:
        return "not handled: no longer in the archive"
    if message.kind == UNREADABLE:
        raise UnreadableEvent("an archived message that is not as documented")
    if message.room_id:
        return await talk.look_and_place(session, message, wecom, now)
    parties = await _parties(session, message)
    if parties is None:
        return "not handled: not between our staff and a contact"
    customer = await follows.known(session, parties.contact, parties.rm)
    if customer is None:
        try:
            contact = await wecom.contacts.get(parties.contact)
        except RelationGone:
            return "not handled: nobody of ours serves this contact any more"
        customer = (await relations.take_in(session, contact, now)).customer
    if customer is None:
        return "not handled: not between our staff and a contact"
    if await _append(session, message, parties, customer, now):
        await ring(session, QUESTION_BELL)
    return "handled: 1 message from the archive"


async def _note(session: AsyncSession, line: Line, message_id: str) -> None:
    if line.speaker is Speaker.RM:
        await replies.recognise_sent(
            session, line.staff_id, line.customer_id, line.text, line.sent_at
        )
        return
    seen = touchpoints.Seen(
        customer_id=line.customer_id,
        staff_id=line.staff_id,
        kind=TouchpointKind.CUSTOMER_WROTE,
        channel="single_chat",
        at=line.sent_at,
        source="message",
        source_id=message_id,
    )
    await touchpoints.record(session, seen)
    source = f"message:{message_id}"
    words = hearing.Words(source, line.text, line.customer_id, line.staff_id)
    await hearing.note(session, words, line.sent_at)


async def answer(
    session: AsyncSession,
    message: Message,
    *,
    index: LibraryIndex,
    writer: Writer,
    now: datetime,
) -> None:
    """Suggest a reply to one message that was taken up; none where the relation is over."""
    known = await book.followed(
        session, message.staff_id, col(Customer.id) == message.customer_id, now
    )
    if known is None:
        return
    turns = await hearing.turns_before(
        session, message.staff_id, message.customer_id, message.sent_at
    )
    question = Question(f"message:{message.id}", message.text, message.staff_id, turns=turns)
    await suggestions.suggest(session, question, known.facts, index=index, writer=writer, now=now)
