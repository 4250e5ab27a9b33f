"""Listening to customer groups: what was asked in them, and what was answered.

Messages are looked through group by group, in the order they were sent. A question joins the one of
the same day whose wordings are nearest, by the measure of content gaps (`knowledge.gaps.ALIKE`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.calendar import local_day
from bank.database import Sessions
from bot.chat import group_messages
from bot.groups import drafting, questions, recognising
from bot.groups.drafting import Draft
from bot.groups.models import Advice, GroupAsking, GroupMessage, GroupQuestion, QuestionState
from customers import group_seats
from customers.models import CustomerGroup
from knowledge import gaps
from knowledge.finding import masked_question
from knowledge.indexing import LibraryIndex

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


async def failed(session: AsyncSession, limit: int = 50) -> Sequence[GroupMessage]:
    """The newest messages that could not be looked through."""
    query = select(GroupMessage).where(col(GroupMessage.failure) != "", col(GroupMessage.looked_at))
    newest = query.order_by(col(GroupMessage.sent_at).desc()).limit(limit)
    return (await session.execute(newest)).scalars().all()


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
    listener = Listener(session, group, index, level, now)
    for message_id in found:
        await listener.look_at(message_id)
    return len(found)


@dataclass(frozen=True)
class Listener:
    """Somebody who reads one group, message by message."""

    session: AsyncSession
    group: CustomerGroup
    index: LibraryIndex
    level: int
    now: datetime

    async def look_at(self, message_id: UUID) -> None:
        """See whether it asks or answers; a failure leaves nothing behind but its reason."""
        try:
            async with self.session.begin_nested():
                message = await self.session.get_one(GroupMessage, message_id)
                await (self._staff_said if message.is_staff else self._customer_said)(message)
                message.looked_at, message.failure = True, ""
        except Exception as error:
            log.warning("group_message_failed", message=str(message_id), error=type(error).__name__)
            await _note_failure(self.session, message_id, type(error).__name__)

    async def _customer_said(self, message: GroupMessage) -> None:
        said = recognising.question_of(message.text)
        if not said:
            return
        there = await group_seats.present(self.session, self.group.id, self.now)
        names = [one.name for one in there if one.name]
        private = recognising.why_private(said, names)
        wording = masked_question(recognising.without_names(said, names))
        question = await self._alike(message, wording, private=bool(private))
        if question is None:
            question = await questions.opened(
                self.session, message, wording, await self._draft(wording, private)
            )
        await questions.asked(self.session, question, message, wording)

    async def _draft(self, wording: str, private: str) -> Draft:
        if private:
            return drafting.in_private(private)
        audience = await drafting.audience_of(self.session, self.group, self.level, self.now)
        return await drafting.draft(self.session, wording, audience, self.index)

    async def _alike(
        self, message: GroupMessage, wording: str, *, private: bool
    ) -> GroupQuestion | None:
        """The question of that day that asks the same; what is private joins only such."""
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
        known = [(question_id, text) for question_id, text in await self.session.execute(asked)]
        found = await self._nearest(known, wording)
        return await self.session.get(GroupQuestion, found) if found else None

    async def _nearest(self, known: list[tuple[UUID, str]], text: str) -> UUID | None:
        """Whose text means the same as this one, by the measure of content gaps."""
        ids = list(dict.fromkeys(question_id for question_id, _ in known))
        texts = [*(said for _, said in known), text]
        vectors = await asyncio.to_thread(gaps.meanings, texts)
        [number] = gaps.grouped([ids.index(question_id) for question_id, _ in known], vectors)
        return ids[number] if number < len(ids) else None

    async def _staff_said(self, message: GroupMessage) -> None:
        """An answer, if it is what was sent, replies to a question or says what was drafted."""
        asked = await self._answerable(message)
        if not asked:
            return
        found = await group_messages.recognise_sent(
            self.session, self.group, [one.id for one in asked], message.text, message.sent_at
        )
        found = found or await self._answered_in_words(asked, message)
        for question in asked:
            if question.id == found:
                await questions.seen_answered(self.session, question, message)

    async def _answerable(self, message: GroupMessage) -> Sequence[GroupQuestion]:
        """What was asked before it and is open, or was sent and not seen in the archive yet."""
        query = select(GroupQuestion).where(
            col(GroupQuestion.group_id) == message.group_id,
            col(GroupQuestion.asked_at) <= message.sent_at,
            col(GroupQuestion.asked_at) > message.sent_at - ANSWERED_WITHIN,
            col(GroupQuestion.state) != QuestionState.PASSED,
            col(GroupQuestion.answer_id).is_(None),
        )
        ordered = query.order_by(col(GroupQuestion.asked_at)).with_for_update()
        return (await self.session.execute(ordered)).scalars().all()

    async def _answered_in_words(
        self, asked: Sequence[GroupQuestion], message: GroupMessage
    ) -> UUID | None:
        waiting = [one for one in asked if one.state is QuestionState.OPEN]
        if not waiting:
            return None
        quoted, said = recognising.answered_part(message.text)
        wordings = [(one.id, one.question) for one in waiting]
        if quoted and (found := await self._nearest(wordings, masked_question(quoted))):
            return found
        drafts = [(one.id, one.draft) for one in waiting if one.draft]
        return await self._nearest(drafts, said) if said.strip() else None


async def _note_failure(session: AsyncSession, message_id: UUID, failure: str) -> None:
    tried = col(GroupMessage.attempts) + 1
    noted = update(GroupMessage).where(col(GroupMessage.id) == message_id)
    noted = noted.values(attempts=tried, failure=failure, looked_at=tried >= TRIES)
    await session.execute(noted.execution_options(synchronize_session=False))
