"""A customer wrote, came, or left: what each of these means for us."""

from datetime import datetime

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from attribution import touchpoints
from attribution.models import TouchpointKind
from bank import staff as people
from bank.database import ring
from bank.models import Staff
from bot import conversations
from bot.conversations import Line
from bot.models import Cursor, Message, Speaker
from customers import book, follows
from customers.models import Customer, FollowState
from knowledge import suggestions
from knowledge.indexing import LibraryIndex
from knowledge.suggestions import Question
from knowledge.writer import Writer
from scheduler import enrolment
from scheduler.models import Trigger
from wecom.archive import ArchiveClient, ArchivedMessage
from wecom.client import WeComClient
from wecom.events import ContactChange, ContactChanged

log = structlog.get_logger("bot")

QUESTION_BELL = "question"
ARCHIVE = "archive"
PULL_AT_ONCE = 500
CONTACT_PREFIXES = ("wm", "wo")


async def pull_archive(
    session: AsyncSession, archive: ArchiveClient, wecom: WeComClient, now: datetime
) -> int:
    """Store what the archive has beyond our cursor; the cursor moves in the same transaction."""
    await session.execute(insert(Cursor).values(name=ARCHIVE, position=0).on_conflict_do_nothing())
    query = select(Cursor).where(Cursor.name == ARCHIVE).with_for_update()
    cursor = (await session.execute(query)).scalar_one()
    stored = 0
    while batch := await archive.messages(cursor.position, PULL_AT_ONCE):
        for message in batch:
            stored += await _take_in(session, message, wecom, now)
        cursor.position = batch[-1].seq
    if stored:
        await ring(session, QUESTION_BELL)
    return stored


async def _take_in(
    session: AsyncSession, message: ArchivedMessage, wecom: WeComClient, now: datetime
) -> bool:
    """One archived message; groups and other kinds than text wait for the group assistant."""
    if message.kind != "text" or message.room_id or message.action != "send":
        return False
    line = await _line(session, message, wecom, now)
    if line is None:
        log.warning("archive_message_without_relation", seq=message.seq)
        return False
    message_id = await conversations.append(session, line, now)
    if message_id is None:
        return False
    await _note(session, line, str(message_id))
    return True


async def _line(
    session: AsyncSession, message: ArchivedMessage, wecom: WeComClient, now: datetime
) -> Line | None:
    """Whose words these are, between which RM and which customer."""
    from_customer = message.sender.startswith(CONTACT_PREFIXES)
    other = message.recipients[0] if message.recipients else ""
    contact, member = (message.sender, other) if from_customer else (other, message.sender)
    rm = await people.by_userid(session, member)
    if rm is None or not contact:
        return None
    customer = await _customer(session, contact, rm, wecom, now)
    speaker = Speaker.CUSTOMER if from_customer else Speaker.RM
    return Line(message.msgid, rm.id, customer.id, speaker, message.text, message.sent_at)


async def _customer(
    session: AsyncSession, external_userid: str, rm: Staff, wecom: WeComClient, now: datetime
) -> Customer:
    """The customer behind a contact; one whose callback was lost is fetched from WeCom."""
    query = select(Customer).where(Customer.external_userid == external_userid)
    known = (await session.execute(query)).scalar_one_or_none()
    if known is not None:
        return known
    return await follows.adopt(session, await wecom.contact(external_userid), rm, now)


async def _note(session: AsyncSession, line: Line, message_id: str) -> None:
    if line.speaker is Speaker.RM:
        await suggestions.recognise_sent(
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


async def answer(
    session: AsyncSession,
    message: Message,
    *,
    index: LibraryIndex,
    writer: Writer,
    now: datetime,
) -> None:
    """Suggest a reply to one stored message of a customer, once."""
    customer = await session.get_one(Customer, message.customer_id)
    facts = await book.facts_of(session, customer, now)
    question = Question(f"message:{message.id}", message.text, message.staff_id)
    await suggestions.suggest(session, question, facts, index=index, writer=writer, now=now)
    message.answered = True


async def on_contact_changed(
    session: AsyncSession, event: ContactChanged, wecom: WeComClient, now: datetime
) -> str:
    """A customer came or left; says what was done."""
    rm = await people.by_userid(session, event.userid)
    if rm is None:
        return "not handled: member is not on our staff list"
    if event.change in (ContactChange.ADDED, ContactChange.HALF_ADDED, ContactChange.EDITED):
        return await _came(session, event, rm, wecom, now)
    if event.change is ContactChange.DELETED_BY_CUSTOMER:
        return await _left(session, event, rm, FollowState.REMOVED_BY_CUSTOMER, now)
    if event.change is ContactChange.DELETED_BY_MEMBER:
        return await _left(session, event, rm, FollowState.REMOVED_BY_RM, now)
    return f"not handled: {event.kind}"


async def _came(
    session: AsyncSession,
    event: ContactChanged,
    rm: Staff,
    wecom: WeComClient,
    now: datetime,
) -> str:
    contact = await wecom.contact(event.external_userid)
    customer = await follows.adopt(session, contact, rm, now)
    if event.change is ContactChange.ADDED:
        await enrolment.on_trigger(session, Trigger.FOLLOW_ADDED, customer.id, rm.id, now)
    return "customer adopted"


async def _left(
    session: AsyncSession, event: ContactChanged, rm: Staff, how: FollowState, now: datetime
) -> str:
    follow = await follows.end(session, rm, event.external_userid, how, now)
    if follow is None:
        return "relation was over already"
    await enrolment.leave_all(session, follow.customer_id, rm.id, "客户关系已解除", now)
    return "relation ended"
