"""Content gaps 内容缺口: the only module that writes a gap's state.

open → writing (a material names the gap) → answered (a search finds live material that answers);
from any of them back as the library changes; dismissed by a person with a reason, and reopened.

Questions come from chats and from customer groups, and are grouped by meaning in the order they
were asked: each joins the gap with the nearest wording if that is `ALIKE` or nearer, else it opens
a gap of its own. The same questions in the same order give the same gaps, whichever process groups
them. What was asked in chats and in groups is answered once both have material for it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np
import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit
from content.models import Material, State, Version
from content.people import Person
from knowledge.encoder import BUILTIN, Vectors, load_encoder
from knowledge.finding import still_live
from knowledge.gap_askings import askings
from knowledge.hybrid import Audience
from knowledge.indexing import LibraryIndex
from knowledge.models import (
    ContentGap,
    GapQuestion,
    GapState,
    HeardQuestion,
    Suggestion,
)
from wecom.channels import Channel

log = structlog.get_logger("knowledge")

# Cosine of two wordings. Measured on the demo's questions with the built-in encoder: of pairs that
# ask for different things 6 in 10,000 are nearer than this; from 0.40 on it is 13.
ALIKE: Final = 0.45
AT_ONCE = 500
MOST_WORDINGS = 20_000
ANY_RISK = 5
LONGEST_REASON = 200


@dataclass(frozen=True)
class Refused:
    """Nothing changed, and why."""

    reason: str


async def catch_up(
    session: AsyncSession, index: LibraryIndex, now: datetime, group_level: int = 0
) -> int:
    """Group what was asked since last time and see what is answered by now; how many were new.

    `group_level` is the highest product level that may be spoken of in a customer group.
    """
    # One process at a time: two would open two gaps for one question.
    free = select(func.pg_try_advisory_xact_lock(func.hashtext("content_gap")))
    if not (await session.execute(free)).scalar_one():
        return 0
    grouped = 0
    while asked := await _ungrouped(session):
        await _group(session, asked)
        grouped += len(asked)
    if index.caught_up:
        await _settle(session, index, now, group_level)
    if grouped:
        log.info("gaps_grouped", questions=grouped)
    return grouped


Asked = Suggestion | HeardQuestion


async def _ungrouped(session: AsyncSession) -> list[Asked]:
    """Questions without an answer that belong to no gap yet, oldest first."""
    heard = (
        select(HeardQuestion)
        .where(col(HeardQuestion.gap_id).is_(None))
        .order_by(col(HeardQuestion.created_at), col(HeardQuestion.id))
        .limit(AT_ONCE)
    )
    found: list[Asked] = [*await _in_chats(session), *(await session.execute(heard)).scalars()]
    return sorted(found, key=lambda asked: (asked.created_at, asked.id))


async def _in_chats(session: AsyncSession) -> Sequence[Suggestion]:
    known = select(col(GapQuestion.suggestion_id)).where(
        col(GapQuestion.suggestion_id) == Suggestion.id
    )
    rows = (
        select(Suggestion)
        .where(
            col(Suggestion.unanswered) != "",
            # 换一条 that found nothing more is no gap: there was an answer.
            col(Suggestion.variant) == 0,
            ~known.correlate(Suggestion).exists(),
        )
        .order_by(col(Suggestion.created_at), col(Suggestion.id))
        .limit(AT_ONCE)
    )
    return (await session.execute(rows)).scalars().all()


async def _group(session: AsyncSession, asked: Sequence[Asked]) -> None:
    """Give every question its gap, opening those that are missing."""
    wordings = await _wordings(session)
    texts = [text for _, text in wordings] + [_words(each) for each in asked]
    vectors = await asyncio.to_thread(meanings, texts)
    ids = list(dict.fromkeys(gap_id for gap_id, _ in wordings))
    numbers = grouped([ids.index(gap_id) for gap_id, _ in wordings], vectors)
    for question, number in zip(asked, numbers, strict=True):
        if number == len(ids):
            opened = ContentGap(question=_words(question), opened_at=question.created_at)
            session.add(opened)
            await session.flush()
            ids.append(opened.id)
        await _join(session, question, ids[number])
    await session.flush()


def _words(asked: Asked) -> str:
    return asked.unanswered if isinstance(asked, Suggestion) else asked.question


async def _join(session: AsyncSession, question: Asked, gap_id: UUID) -> None:
    if isinstance(question, Suggestion):
        session.add(GapQuestion(suggestion_id=question.id, gap_id=gap_id))
        return
    question.gap_id = gap_id
    # What answers a chat need not be approved for groups: the search is asked again.
    (await session.get_one(ContentGap, gap_id)).checked_in = ""


def meanings(texts: Sequence[str]) -> Vectors:
    """The texts as the shipped encoder has them: `ALIKE` holds for it, whichever one searches."""
    return load_encoder(BUILTIN).encode(texts)


def grouped(known: Sequence[int], vectors: Vectors) -> list[int]:
    """The group of each row after the known ones: the nearest row's if alike, else a new one."""
    groups, alike = list(known), vectors @ vectors.T
    fresh = max(groups, default=-1) + 1
    for row in range(len(known), len(vectors)):
        nearest = int(np.argmax(alike[row, :row])) if row else 0
        if row and alike[row, nearest] >= ALIKE:
            groups.append(groups[nearest])
        else:
            groups.append(fresh)
            fresh += 1
    return groups[len(known) :]


async def _wordings(session: AsyncSession) -> list[tuple[UUID, str]]:
    """What was asked so far, each wording of each gap once, oldest first."""
    asking = askings().c
    rows = (
        select(asking.gap_id, asking.question)
        .group_by(asking.gap_id, asking.question)
        .order_by(func.min(asking.at), asking.question)
        .limit(MOST_WORDINGS)
    )
    return [(gap_id, text) for gap_id, text in await session.execute(rows)]


async def _settle(
    session: AsyncSession, index: LibraryIndex, now: datetime, group_level: int
) -> None:
    """See which gaps are written for, and ask the search again where the library has changed."""
    written = await _written_for(session)
    generation = index.hybrid.generation
    rows = select(ContentGap).where(col(ContentGap.state) != GapState.DISMISSED)
    for gap in (await session.execute(rows.order_by(col(ContentGap.opened_at)))).scalars().all():
        if gap.checked_in != generation:
            audiences = await _audiences(session, gap.id, now, group_level)
            answer = await _answer(session, gap.question, index, audiences)
            _note(gap, GapState.ANSWERED if answer else GapState.OPEN, answer)
            gap.checked_in = generation
        if gap.state is not GapState.ANSWERED:
            draft = written.get(gap.id)
            _note(gap, GapState.WRITING if draft else GapState.OPEN, draft)
    await session.flush()


def _note(gap: ContentGap, state: GapState, material_id: UUID | None) -> None:
    gap.state, gap.material_id = state, material_id


async def _written_for(session: AsyncSession) -> dict[UUID, UUID]:
    """Gaps that somebody is writing for, each with the newest material."""
    newest = (
        select(func.max(col(Version.number)))
        .where(col(Version.material_id) == Material.id)
        .correlate(Material)
        .scalar_subquery()
    )
    rows = (
        select(col(Material.gap_id), col(Material.id))
        .join(Version, col(Version.material_id) == Material.id)
        .where(
            col(Material.gap_id).is_not(None),
            col(Version.number) == newest,
            col(Version.state).not_in([State.WITHDRAWN, State.EXPIRED]),
        )
        .order_by(col(Material.created_at))
    )
    return {gap_id: material_id for gap_id, material_id in await session.execute(rows) if gap_id}


async def _audiences(
    session: AsyncSession, gap_id: UUID, now: datetime, group_level: int
) -> list[Audience]:
    """Before whom it was asked: one customer, everybody in a group, or both."""
    asking, group = askings().c, Channel.GROUP.value
    rows = select(asking.channel == group).where(asking.gap_id == gap_id).distinct()
    found = sorted((await session.execute(rows)).scalars())
    chat = Audience(now, Channel.SINGLE_CHAT.value, None, ANY_RISK)
    return [Audience(now, group, None, group_level) if heard else chat for heard in found]


async def _answer(
    session: AsyncSession, question: str, index: LibraryIndex, audiences: Sequence[Audience]
) -> UUID | None:
    """The live material that answers this question; None while somebody who asked gets none."""
    answers = [await _material(session, question, index, audience) for audience in audiences]
    return answers[0] if answers and all(answers) else None


async def _material(
    session: AsyncSession, question: str, index: LibraryIndex, audience: Audience
) -> UUID | None:
    """What the search itself would answer this audience with."""
    found = await asyncio.to_thread(index.hybrid.search, question, audience, 1)
    if found.tier != "answer":
        return None
    _, live = await still_live(session, found.hits, audience)
    return next((document.material_id for document in live.values()), None)


async def dismiss(
    session: AsyncSession, gap_id: UUID, reason: str, *, by: Person, now: datetime
) -> ContentGap | Refused:
    """Nobody will write for it, and why."""
    gap = await _locked(session, gap_id)
    if gap is None:
        return Refused("没有找到这个缺口：请刷新列表。")
    if gap.state not in (GapState.OPEN, GapState.WRITING):
        return Refused(f"这个缺口{gap.state.label}，无需再标记。")
    if not reason.strip():
        return Refused("请写明不处理的原因，例如：不属于理财业务，由网点答复。")
    gap.state, gap.material_id, gap.reason = (
        GapState.DISMISSED, None, reason.strip()[:LONGEST_REASON],
    )  # fmt: skip
    gap.decided_by, gap.decided_at = by.id, now
    audit.record(
        session, "knowledge:content_gap:dismiss", gap.id, by=by.userid, now=now, reason=gap.reason
    )
    await session.flush()
    return gap


async def reopen(
    session: AsyncSession, gap_id: UUID, *, by: Person, now: datetime
) -> ContentGap | Refused:
    """Look at it again after all."""
    gap = await _locked(session, gap_id)
    if gap is None or gap.state is not GapState.DISMISSED:
        return Refused("这个缺口已经在处理中：请刷新列表。")
    gap.state, gap.reason, gap.checked_in = GapState.OPEN, "", ""
    gap.decided_by = gap.decided_at = None
    audit.record(session, "knowledge:content_gap:reopen", gap.id, by=by.userid, now=now)
    await session.flush()
    return gap


async def _locked(session: AsyncSession, gap_id: UUID) -> ContentGap | None:
    rows = select(ContentGap).where(col(ContentGap.id) == gap_id).with_for_update()
    return (await session.execute(rows)).scalar_one_or_none()
