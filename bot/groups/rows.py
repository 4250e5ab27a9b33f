"""What pages tell of questions in groups: how often, by how many, what was answered; no names."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from bot.groups.models import Advice, GroupAsking, GroupMessage, GroupQuestion, QuestionState
from bot.groups.recognising import answered_part
from compliance.masking import mask
from content.models import Version
from customers import group_book
from customers.models import CustomerGroup
from desk.signed import Signed

MOST = 200
A_PAGE = 20
_ASKED, _ANSWER = aliased(GroupMessage), aliased(GroupMessage)


@dataclass(frozen=True)
class Line:
    """A question with how it was asked and answered."""

    question: GroupQuestion
    group: CustomerGroup
    times: int
    people: int
    last_at: datetime
    wordings: list[str]  # other ones than the first, in the order they were asked
    material_id: UUID | None
    title: str  # of the material that is quoted; empty without
    number: int
    valid_until: datetime | None
    answer: str  # as the archive has it, masked, without what it quotes; empty where it has none

    @property
    def is_open(self) -> bool:
        return self.question.state is QuestionState.OPEN

    @property
    def sent_unseen(self) -> bool:
        """Sent or answered, as a person says, and not in the archive yet."""
        return self.question.state is QuestionState.ANSWERED and not self.answer


@dataclass(frozen=True)
class Tally:
    """The questions of one group and day in numbers."""

    asked: int  # askings
    questions: int
    answered: int
    passed: int
    waiting: int
    private: int
    without_material: int


@dataclass(frozen=True)
class GroupDay:
    """One group on one day."""

    group: CustomerGroup
    owner: str
    tally: Tally


@dataclass(frozen=True)
class Found:
    """One page of groups on a day, and all of them added up."""

    days: list[GroupDay]
    whole: Tally
    total: int
    page: int
    pages: int


def tally(lines: Iterable[Line]) -> Tally:
    """Add up lines."""
    rows = list(lines)
    states = [line.question.state for line in rows]
    advice = [line.question.advice for line in rows]
    return Tally(
        asked=sum(line.times for line in rows),
        questions=len(rows),
        answered=states.count(QuestionState.ANSWERED),
        passed=states.count(QuestionState.PASSED),
        waiting=states.count(QuestionState.OPEN),
        private=advice.count(Advice.PRIVATE),
        without_material=advice.count(Advice.NONE),
    )


async def of_day(session: AsyncSession, group: CustomerGroup, day: date) -> list[Line]:
    """Everything asked in a group on a day, most asked first."""
    where = (col(GroupQuestion.group_id) == group.id, col(GroupQuestion.day) == day)
    return await _lines(session, *where)


async def since(session: AsyncSession, group: CustomerGroup, first: date) -> list[Line]:
    """Everything asked in a group since that day, most asked first."""
    where = (col(GroupQuestion.group_id) == group.id, col(GroupQuestion.day) >= first)
    return await _lines(session, *where)


async def waiting(session: AsyncSession, who: Signed, first: date, text: str = "") -> list[Line]:
    """What is open since that day in the groups this member of staff may see."""
    where = [
        col(GroupQuestion.state) == QuestionState.OPEN,
        col(GroupQuestion.day) >= first,
        col(CustomerGroup.dismissed_at).is_(None),
        group_book.visible(who),
    ]
    return await _lines(session, *where, *_named(text))


async def by_group(
    session: AsyncSession, who: Signed, day: date, text: str = "", page: int = 1
) -> Found:
    """Each group in which something was asked on that day, most open questions first."""
    where = [col(GroupQuestion.day) == day, group_book.visible(who), *_named(text)]
    counted = _counted().where(*where).subquery()
    total = (await session.execute(select(func.count()).select_from(counted))).scalar_one()
    pages = max(1, -(-total // A_PAGE))
    number = min(max(1, page), pages)
    order = (counted.c.waiting.desc(), counted.c.asked.desc(), counted.c.group_id)
    rows = select(CustomerGroup, counted).join(counted, counted.c.group_id == CustomerGroup.id)
    rows = rows.order_by(*order).limit(A_PAGE).offset((number - 1) * A_PAGE)
    found = (await session.execute(rows)).all()
    owners = await group_book.owners(session, [group for group, *_ in found])
    days = [GroupDay(group, owners[group.id], Tally(*n)) for group, _, *n in found]
    sums = select(*(func.coalesce(func.sum(counted.c[name.name]), 0) for name in fields(Tally)))
    whole = (await session.execute(sums)).one()
    return Found(days, Tally(*(int(one) for one in whole)), total, number, pages)


def _counted() -> Any:
    """Per group: how often and how many different things were asked, and what came of them."""
    asked = (
        select(col(GroupAsking.question_id), func.count().label("times"))
        .group_by(col(GroupAsking.question_id))
        .subquery()
    )
    state, advice, count = col(GroupQuestion.state), col(GroupQuestion.advice), func.count()
    return (
        select(
            col(GroupQuestion.group_id).label("group_id"),
            func.sum(asked.c.times).label("asked"),
            count.label("questions"),
            count.filter(state == QuestionState.ANSWERED).label("answered"),
            count.filter(state == QuestionState.PASSED).label("passed"),
            count.filter(state == QuestionState.OPEN).label("waiting"),
            count.filter(advice == Advice.PRIVATE).label("private"),
            count.filter(advice == Advice.NONE).label("without_material"),
        )
        .join(asked, asked.c.question_id == GroupQuestion.id)
        .join(CustomerGroup, col(CustomerGroup.id) == GroupQuestion.group_id)
        .group_by(col(GroupQuestion.group_id))
    )


def _named(text: str) -> list[ColumnElement[bool]]:
    return [col(CustomerGroup.name).icontains(text, autoescape=True)] if text else []


async def _lines(session: AsyncSession, *where: ColumnElement[bool]) -> list[Line]:
    rows = (await session.execute(_query().where(*where))).all()
    wordings = await _wordings(session, [question.id for question, *_ in rows])
    return [
        Line(
            question=question,
            group=group,
            times=times,
            people=people,
            last_at=last,
            wordings=[one for one in wordings.get(question.id, []) if one != question.question],
            material_id=version.material_id if version else None,
            title=version.title if version else "",
            number=version.number if version else 0,
            valid_until=version.valid_until if version else None,
            answer=mask(answered_part(answer)[1]).text if answer else "",
        )
        for question, group, version, answer, times, people, last in rows
    ]


def _query() -> Select[GroupQuestion, CustomerGroup, Version, str, int, int, datetime]:
    times, last = func.count(), func.max(col(_ASKED.sent_at))
    return (
        select(
            GroupQuestion,
            CustomerGroup,
            Version,
            col(_ANSWER.text),
            times,
            func.count(func.distinct(col(_ASKED.member_id))),
            last,
        )
        .join(CustomerGroup, col(CustomerGroup.id) == GroupQuestion.group_id)
        .join(GroupAsking, col(GroupAsking.question_id) == GroupQuestion.id)
        .join(_ASKED, col(_ASKED.id) == GroupAsking.message_id)
        .outerjoin(Version, col(Version.id) == GroupQuestion.version_id)
        .outerjoin(_ANSWER, col(_ANSWER.id) == GroupQuestion.answer_id)
        .group_by(col(GroupQuestion.id), col(CustomerGroup.id), col(Version.id), col(_ANSWER.id))
        .order_by(times.desc(), last.desc(), col(GroupQuestion.id))
        .limit(MOST)
    )


async def _wordings(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """Each way a question was put, once, in the order they came."""
    query = (
        select(col(GroupAsking.question_id), col(GroupAsking.wording))
        .join(GroupMessage, col(GroupMessage.id) == GroupAsking.message_id)
        .where(col(GroupAsking.question_id).in_(ids))
        .group_by(col(GroupAsking.question_id), col(GroupAsking.wording))
        .order_by(func.min(col(GroupMessage.sent_at)))
    )
    found: dict[UUID, list[str]] = {}
    for question_id, wording in await session.execute(query):
        found.setdefault(question_id, []).append(wording)
    return found
