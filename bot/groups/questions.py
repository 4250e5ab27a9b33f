"""Questions of customer groups 群问题: found in what was said, kept once a meaning and day.

open → answered (sent from the sidebar, or seen in the archive) or passed (a person says so); from
both back to open. This is the only module that writes their state.

Messages are looked through group by group in the order they were sent. A question joins the one of
the same day whose wordings are nearest, by the measure of content gaps (`knowledge.gaps.ALIKE`).
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit
from bank.calendar import local_day
from bank.database import Sessions
from bot.chat import group_messages
from bot.groups import drafting, recognising
from bot.groups.drafting import Draft
from bot.groups.models import Advice, GroupAsking, GroupMessage, GroupQuestion, QuestionState
from customers import group_seats
from customers.models import CustomerGroup
from desk.signed import Signed
from knowledge import gaps
from knowledge.encoder import Encoder
from knowledge.indexing import LibraryIndex
from knowledge.models import HeardQuestion
from knowledge.suggestions import masked_question

log = structlog.get_logger("bot")

AT_ONCE = 200
TRIES = 3
MOST_WORDINGS = 500
# An answer comes on the same day or the next, hardly later.
ANSWERED_WITHIN = timedelta(days=2)


async def catch_up(sessions: Sessions, index: LibraryIndex, level: int, now: datetime) -> int:
    """Look through what was said since last time; how many messages.

    `level` is the highest product level that may be spoken of in a group. A message that fails
    three times is left with its reason and holds up none behind it.
    """
    seen = 0
    for group_id in await _waiting(sessions):
        async with sessions.begin() as session:
            seen += await _look_through(session, group_id, index, level, now)
    return seen


async def _waiting(sessions: Sessions) -> Sequence[UUID]:
    query = select(col(GroupMessage.group_id)).where(~col(GroupMessage.looked_at)).distinct()
    async with sessions() as session:
        return (await session.execute(query)).scalars().all()


async def _look_through(
    session: AsyncSession, group_id: UUID, index: LibraryIndex, level: int, now: datetime
) -> int:
    """One group, if no other process has it in hand: two would keep one question twice."""
    turn = select(CustomerGroup).where(col(CustomerGroup.id) == group_id)
    turn = turn.with_for_update(key_share=True, skip_locked=True)
    group = (await session.execute(turn)).scalar_one_or_none()
    if group is None:
        return 0
    said = (
        select(col(GroupMessage.id))
        .where(col(GroupMessage.group_id) == group_id, ~col(GroupMessage.looked_at))
        .order_by(col(GroupMessage.sent_at), col(GroupMessage.msgid))
        .limit(AT_ONCE)
    )
    found = (await session.execute(said)).scalars().all()
    for message_id in found:
        await _look_at(session, group, message_id, index, level, now)
    return len(found)


async def _look_at(
    session: AsyncSession,
    group: CustomerGroup,
    message_id: UUID,
    index: LibraryIndex,
    level: int,
    now: datetime,
) -> None:
    try:
        async with session.begin_nested():
            message = await session.get_one(GroupMessage, message_id)
            if message.is_staff:
                await _staff_said(session, group, message, index.encoder)
            else:
                await _customer_said(session, group, message, index, level, now)
            message.looked_at, message.failure = True, ""
    except Exception as error:
        log.warning("group_message_failed", message=str(message_id), error=type(error).__name__)
        await _note_failure(session, message_id, type(error).__name__)


async def _note_failure(session: AsyncSession, message_id: UUID, failure: str) -> None:
    tried = col(GroupMessage.attempts) + 1
    noted = update(GroupMessage).where(col(GroupMessage.id) == message_id)
    await session.execute(
        noted.values(attempts=tried, failure=failure, looked_at=tried >= TRIES).execution_options(
            synchronize_session=False
        )
    )


async def _customer_said(
    session: AsyncSession,
    group: CustomerGroup,
    message: GroupMessage,
    index: LibraryIndex,
    level: int,
    now: datetime,
) -> None:
    said = recognising.question_of(message.text)
    if not said:
        return
    names = [one.name for one in await group_seats.present(session, group.id, now) if one.name]
    reason = recognising.why_private(said, names)
    wording = masked_question(recognising.without_names(said, names))
    question = await _alike(session, message, wording, index.encoder, private=bool(reason))
    if question is None:
        audience = await drafting.audience_of(session, group, level, now)
        made = (
            drafting.in_private(reason)
            if reason
            else await drafting.draft(session, wording, audience, index)
        )
        question = _opened(message, wording, made)
        session.add(question)
        await session.flush()
    session.add(GroupAsking(message_id=message.id, question_id=question.id, wording=wording))
    await session.flush()
    if question.advice is Advice.NONE:
        await _tell_gaps(session, question)


def _opened(message: GroupMessage, wording: str, made: Draft) -> GroupQuestion:
    return GroupQuestion(
        group_id=message.group_id,
        day=local_day(message.sent_at),
        question=wording,
        asked_at=message.sent_at,
        **made.fields(),
    )


async def _tell_gaps(session: AsyncSession, question: GroupQuestion) -> None:
    """Every asking that found no material is heard once by who writes material."""
    asked = (
        select(GroupMessage, col(GroupAsking.wording))
        .join(GroupAsking, col(GroupAsking.message_id) == GroupMessage.id)
        .where(col(GroupAsking.question_id) == question.id)
    )
    for message, wording in (await session.execute(asked)).all():
        heard = insert(HeardQuestion).values(
            source_id=message.id,
            member_id=message.member_id,
            customer_id=message.customer_id,
            question=wording,
            created_at=message.sent_at,
        )
        await session.execute(heard.on_conflict_do_nothing(index_elements=["source_id"]))


async def _alike(
    session: AsyncSession, message: GroupMessage, wording: str, encoder: Encoder, *, private: bool
) -> GroupQuestion | None:
    """The question of that day that asks the same; what is private joins only what is private."""
    asked = (
        select(col(GroupAsking.question_id), col(GroupAsking.wording))
        .join(GroupQuestion, col(GroupQuestion.id) == GroupAsking.question_id)
        .join(GroupMessage, col(GroupMessage.id) == GroupAsking.message_id)
        .where(
            col(GroupQuestion.group_id) == message.group_id,
            col(GroupQuestion.day) == local_day(message.sent_at),
            (col(GroupQuestion.advice) == Advice.PRIVATE) == private,
        )
        .order_by(col(GroupMessage.sent_at), col(GroupMessage.msgid))
        .limit(MOST_WORDINGS)
    )
    known = [(question_id, text) for question_id, text in await session.execute(asked)]
    found = await _nearest(known, wording, encoder)
    return await session.get(GroupQuestion, found) if found else None


async def _nearest(known: list[tuple[UUID, str]], text: str, encoder: Encoder) -> UUID | None:
    """Whose text means the same as this one, by the measure of content gaps."""
    ids = list(dict.fromkeys(question_id for question_id, _ in known))
    vectors = await asyncio.to_thread(encoder.encode, [*(said for _, said in known), text])
    [number] = gaps.grouped([ids.index(question_id) for question_id, _ in known], vectors)
    return ids[number] if number < len(ids) else None


async def _staff_said(
    session: AsyncSession, group: CustomerGroup, message: GroupMessage, encoder: Encoder
) -> None:
    """An answer, if it is what was sent, replies to a question or says what was drafted."""
    asked = await _answerable(session, message)
    if not asked:
        return
    ids = [question.id for question in asked]
    text, at = message.text, message.sent_at
    found = await group_messages.recognise_sent(session, group, ids, text, at)
    open_ones = [one for one in asked if one.state is QuestionState.OPEN]
    found = found or await _answered_in_words(open_ones, message, encoder)
    question = next((one for one in asked if one.id == found), None)
    if question is not None:
        _settled(question, QuestionState.ANSWERED, question.settled_by or audit.SYSTEM, at)
        question.answer_id = message.id


async def _answerable(session: AsyncSession, message: GroupMessage) -> Sequence[GroupQuestion]:
    """What was asked before it and is open, or was sent and not seen in the archive yet."""
    query = select(GroupQuestion).where(
        col(GroupQuestion.group_id) == message.group_id,
        col(GroupQuestion.asked_at) <= message.sent_at,
        col(GroupQuestion.asked_at) > message.sent_at - ANSWERED_WITHIN,
        col(GroupQuestion.state) != QuestionState.PASSED,
        col(GroupQuestion.answer_id).is_(None),
    )
    return (await session.execute(query.order_by(col(GroupQuestion.asked_at)))).scalars().all()


async def _answered_in_words(
    asked: Sequence[GroupQuestion], message: GroupMessage, encoder: Encoder
) -> UUID | None:
    quoted, said = recognising.answered_part(message.text)
    if quoted:
        wordings = [(one.id, one.question) for one in asked]
        if found := await _nearest(wordings, masked_question(quoted), encoder):
            return found
    drafts = [(one.id, one.draft) for one in asked if one.draft]
    return await _nearest(drafts, said, encoder) if drafts and said.strip() else None


async def failed(session: AsyncSession, limit: int = 50) -> Sequence[GroupMessage]:
    """The newest messages of groups that could not be looked through."""
    query = select(GroupMessage).where(col(GroupMessage.failure) != "", col(GroupMessage.looked_at))
    newest = query.order_by(col(GroupMessage.sent_at).desc()).limit(limit)
    return (await session.execute(newest)).scalars().all()


async def of_group(
    session: AsyncSession, group: CustomerGroup, question_id: UUID
) -> GroupQuestion | None:
    """The question, locked, if it was asked in this group."""
    query = select(GroupQuestion).where(
        col(GroupQuestion.id) == question_id, col(GroupQuestion.group_id) == group.id
    )
    return (await session.execute(query.with_for_update())).scalar_one_or_none()


async def draft_again(
    session: AsyncSession,
    group: CustomerGroup,
    question: GroupQuestion,
    index: LibraryIndex,
    level: int,
    now: datetime,
) -> None:
    """Look for approved words once more: the library may have changed since."""
    if question.state is not QuestionState.OPEN or question.advice is Advice.PRIVATE:
        return
    audience = await drafting.audience_of(session, group, level, now)
    made = await drafting.draft(session, question.question, audience, index)
    for name, value in made.fields().items():
        setattr(question, name, value)
    if made.advice is Advice.NONE:
        await _tell_gaps(session, question)


def answered(question: GroupQuestion, by: str, now: datetime) -> None:
    """Somebody sent the answer; the archive will show it."""
    if question.state is QuestionState.OPEN:
        _settled(question, QuestionState.ANSWERED, by, now)


def settle(
    session: AsyncSession, question: GroupQuestion, state: QuestionState, by: Signed, now: datetime
) -> None:
    """A person says that it is answered, needs no answer, or is open after all."""
    if question.state is state:
        return
    if state is QuestionState.OPEN:
        question.state, question.settled_at, question.settled_by = state, None, ""
        question.answer_id = None
    else:
        _settled(question, state, by.userid, now)
    audit.record(session, f"bot:group_question:{state.value}", question.id, by=by.userid, now=now)


def _settled(question: GroupQuestion, state: QuestionState, by: str, at: datetime) -> None:
    question.state, question.settled_by = state, by
    question.settled_at = question.settled_at or at
