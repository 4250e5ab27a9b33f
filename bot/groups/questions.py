"""Questions of customer groups 群问题: the only module that writes what becomes of them.

open ──▶ answered   sent from the sidebar, seen in the archive, or a person says so
 │  └──▶ passed     a person says that it needs no answer
 └◀──── from both   a person takes it up again
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit
from bank.calendar import local_day
from bank.database import ring
from bot.groups import drafting
from bot.groups.drafting import Draft
from bot.groups.models import Advice, GroupAsking, GroupMessage, GroupQuestion, QuestionState
from customers.models import CustomerGroup
from desk.signed import Signed
from knowledge.indexing import LibraryIndex
from knowledge.models import HeardQuestion

BELL = "group_question"


async def opened(
    session: AsyncSession, message: GroupMessage, wording: str, made: Draft
) -> GroupQuestion:
    """A question nobody asked before on that day, with what is advised."""
    question = GroupQuestion(
        group_id=message.group_id,
        day=local_day(message.sent_at),
        question=wording,
        asked_at=message.sent_at,
        **made.fields(),
    )
    session.add(question)
    await session.flush()
    return question


async def asked(
    session: AsyncSession, question: GroupQuestion, message: GroupMessage, wording: str
) -> None:
    """One more asking of it; whoever writes material hears of it where there is none."""
    session.add(GroupAsking(message_id=message.id, question_id=question.id, wording=wording))
    await session.flush()
    await _tell_gaps(session, question)
    await _changed(session, question)


async def _tell_gaps(session: AsyncSession, question: GroupQuestion) -> None:
    """Every asking that finds no material is heard, once."""
    if question.advice is not Advice.NONE:
        return
    askings = (
        select(GroupMessage, col(GroupAsking.wording))
        .join(GroupAsking, col(GroupAsking.message_id) == GroupMessage.id)
        .where(col(GroupAsking.question_id) == question.id)
    )
    for message, wording in (await session.execute(askings)).all():
        heard = insert(HeardQuestion).values(
            source_id=message.id,
            member_id=message.member_id,
            customer_id=message.customer_id,
            question=wording,
            created_at=message.sent_at,
        )
        await session.execute(heard.on_conflict_do_nothing(index_elements=["source_id"]))


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
    await _tell_gaps(session, question)
    await _changed(session, question)


async def answered(session: AsyncSession, question: GroupQuestion, by: str, now: datetime) -> None:
    """Somebody sent the answer; the archive will show it."""
    if question.state is QuestionState.OPEN:
        _settled(question, QuestionState.ANSWERED, by, now)
        await _changed(session, question)


async def seen_answered(
    session: AsyncSession, question: GroupQuestion, answer: GroupMessage
) -> None:
    """The archive shows the answer in the group, whoever sent it."""
    by = question.settled_by or audit.SYSTEM
    _settled(question, QuestionState.ANSWERED, by, answer.sent_at)
    question.answer_id = answer.id
    await _changed(session, question)


async def settle(
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
    await _changed(session, question)


async def _changed(session: AsyncSession, question: GroupQuestion) -> None:
    """Write it down, and tell every open page of the group once it is committed."""
    await session.flush()
    await ring(session, BELL, str(question.group_id))


def _settled(question: GroupQuestion, state: QuestionState, by: str, at: datetime) -> None:
    question.state, question.settled_by = state, by
    question.settled_at = question.settled_at or at
