"""Candidate questions 候选问法: how customers asked for what an RM then sent, as new wordings.

Nothing is learnt by itself: an editor adds a wording to a new version, which is reviewed like any
other, or puts it aside. The only writer of `candidate_question`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit
from content import drafts, materials, review
from content.drafts import LONGEST_QUESTION, MOST_QUESTIONS
from content.files import FileStore
from content.house import House
from content.models import Material, State, Version
from desk.signed import Signed
from knowledge.models import CandidateQuestion, CandidateState, Suggestion, SuggestionState
from knowledge.picking import PICKED

PAGE = 20
SHORTEST_QUESTION = 4
ACCEPTED = (SuggestionState.SENT, SuggestionState.EDITED)
NOT_LIVE = "这份素材有还没上线的新版本，请在那个版本里添加问法。"
FULL = f"这份素材已有 {MOST_QUESTIONS} 条常见问法，请打开“修订”替换其中一条。"
DECIDED = "这条问法已由其他同事处理，请刷新页面。"


@dataclass(frozen=True)
class CandidateRow:
    """A wording, the material that was sent for it, and how often."""

    material_id: UUID
    title: str
    question: str
    times: int
    customers: int
    newest: datetime
    same: bool  # whether every RM sent the draft unchanged


@dataclass(frozen=True)
class Refused:
    """Nothing was added, and why."""

    reason: str


async def waiting(
    session: AsyncSession, text: str = "", number: int = 1
) -> tuple[list[CandidateRow], int]:
    """Wordings nobody has decided about, those asked most often first, and how many there are."""
    query = _asked()
    if text:
        sought = col(Suggestion.question).icontains(text, autoescape=True)
        query = query.where(sought | col(Material.title).icontains(text, autoescape=True))
    total = (await session.execute(select(func.count()).select_from(query.subquery()))).scalar_one()
    order = (func.count().desc(), func.max(col(Suggestion.created_at)).desc())
    rows = query.order_by(*order, col(Suggestion.question))
    found = await session.execute(rows.limit(PAGE).offset((number - 1) * PAGE))
    return [CandidateRow(*row) for row in found], total


def _asked() -> Select[UUID, str, str, int, int, datetime, bool]:
    """Questions answered with a material that does not know them yet; masked ones stay out."""
    question = col(Suggestion.question)
    decided = select(col(CandidateQuestion.id)).where(
        col(CandidateQuestion.material_id) == col(Version.material_id),
        col(CandidateQuestion.question) == question,
    )
    other = select(Version).subquery()
    known = select(other.c.id).where(
        other.c.material_id == col(Version.material_id), question == func.any(other.c.questions)
    )
    return (
        select(
            col(Version.material_id),
            col(Material.title),
            question,
            func.count(),
            func.count(func.distinct(col(Suggestion.customer_id))),
            func.max(col(Suggestion.created_at)),
            func.bool_and(col(Suggestion.state) == SuggestionState.SENT),
        )
        .join(Version, col(Version.id) == col(Suggestion.version_id))
        .join(Material, col(Material.id) == col(Version.material_id))
        .where(
            col(Suggestion.state).in_(ACCEPTED),
            col(Suggestion.tier) != PICKED,
            col(Suggestion.variant) == 0,
            func.length(question).between(SHORTEST_QUESTION, LONGEST_QUESTION),
            ~question.contains("["),
            # A follow-up says nothing without the turns before it.
            func.coalesce(col(Suggestion.conversation)["reason"].astext, "") == "",
            # Several questions in one message are nobody's example.
            func.coalesce(func.jsonb_array_length(col(Suggestion.filters)["parts"]), 0) == 0,
            ~decided.exists(),
            ~known.exists(),
        )
        .group_by(col(Version.material_id), col(Material.title), question)
    )


async def add(
    session: AsyncSession,
    files: FileStore,
    material_id: UUID,
    question: str,
    *,
    by: Signed,
    now: datetime,
    house: House,
) -> Version | Refused:
    """A new version of the material that knows this wording, on its way to review."""
    if not await _is_waiting(session, material_id, question):
        return Refused(DECIDED)
    material = await session.get_one(Material, material_id, with_for_update=True)
    newest = (await materials.versions_of(session, material_id))[0]
    if newest.state is not State.APPROVED:
        return Refused(NOT_LIVE)
    draft = await materials.draft_of(session, material, newest)
    if len(draft.questions) >= MOST_QUESTIONS:
        return Refused(FULL)
    draft = replace(draft, questions=(*draft.questions, question))
    saved = await materials.revise(session, files, material_id, draft, by, now, house=house)
    if isinstance(saved, drafts.Refused):
        return Refused("；".join(saved.errors.values()))
    submitted = await review.submit(session, saved.id, by=by, now=now)
    if isinstance(submitted, review.Refused):
        return Refused("；".join(reason.value for reason in submitted.reasons))
    await _decide(session, material_id, question, CandidateState.ADDED, saved.id, by, now)
    return saved


async def dismiss(
    session: AsyncSession, material_id: UUID, question: str, *, by: Signed, now: datetime
) -> Refused | None:
    """This wording is no good example."""
    if not await _is_waiting(session, material_id, question):
        return Refused(DECIDED)
    await _decide(session, material_id, question, CandidateState.DISMISSED, None, by, now)
    return None


async def _is_waiting(session: AsyncSession, material_id: UUID, question: str) -> bool:
    mine = (col(Version.material_id) == material_id, col(Suggestion.question) == question)
    return (await session.execute(_asked().where(*mine))).first() is not None


async def _decide(
    session: AsyncSession,
    material_id: UUID,
    question: str,
    state: CandidateState,
    version_id: UUID | None,
    by: Signed,
    now: datetime,
) -> None:
    row = CandidateQuestion(
        material_id=material_id,
        question=question,
        state=state,
        version_id=version_id,
        decided_by=by.id,
        decided_at=now,
    )
    session.add(row)
    await session.flush()
    audit.record(
        session, f"knowledge:candidate_question:{state}", row.id, by=by.userid, now=now,
        material=str(material_id),
    )  # fmt: skip
