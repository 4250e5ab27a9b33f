"""Suggested replies to what a customer wrote: understood, found, worded, checked and stored.

A suggestion keeps everything that led to it: the intent, the turns before, the candidates, what
each filter did, scores, draft, findings. What the RM makes of it is `knowledge/replies.py`; nobody
else writes its state.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.database import ring
from bank.metrics import SUGGESTIONS
from customers.book import CustomerFacts
from knowledge import finishing, steering
from knowledge.cases import Answers, Case, Question, answers_to, case_of
from knowledge.conversation import Turn
from knowledge.indexing import LibraryIndex
from knowledge.intents import Intent
from knowledge.matching import Match
from knowledge.models import Suggestion, SuggestionState
from knowledge.wording import citations_of, stored, worded
from knowledge.writer import QUOTING, QuotingWriter, Writer
from wecom.channels import Channel

log = structlog.get_logger("knowledge")

BELL = "suggestion"
# Wordings by a model for one RM (L-07).
WORDINGS_A_MINUTE = 8
# What was sent, and how much of it is shown beside a chat.
TOLD, TOLD_SHOWN = (SuggestionState.SENT, SuggestionState.EDITED), 3


@dataclass(frozen=True)
class Refused:
    """Why a suggestion may not be sent now, in words for the RM."""

    reasons: tuple[str, ...]


async def suggest(
    session: AsyncSession,
    question: Question,
    facts: CustomerFacts,
    *,
    index: LibraryIndex,
    writer: Writer,
    now: datetime,
) -> Suggestion:
    """Find, word, check and store a reply to a question; what cannot be said is stored too."""
    case = await case_of(session, question, facts, now)
    suggestion = _blank(case, index)
    if why := steering.held(case.read):
        suggestion.state, suggestion.reasons = SuggestionState.HELD, list(why)
    else:
        await _answer(session, suggestion, case, index, writer)
    session.add(suggestion)
    await session.flush()
    SUGGESTIONS.labels(suggestion.state.value).inc()
    await ring(session, BELL, f"{facts.customer_id}:{question.staff_id}")
    log.info(
        "suggested", suggestion=str(suggestion.id), state=suggestion.state.value,
        tier=suggestion.tier, intent=case.read.intent.value,
    )  # fmt: skip
    return suggestion


def _blank(case: Case, index: LibraryIndex) -> Suggestion:
    question = case.question
    return Suggestion(
        question_key=question.key,
        variant=question.variant,
        customer_id=case.facts.customer_id,
        staff_id=question.staff_id,
        channel=question.channel.value,
        question=case.masked,
        intent=case.read.intent,
        conversation=case.what.kept(question.turns) | {"intent_reasons": list(case.read.reasons)},
        created_at=case.now,
        filters=_filters(case),
        tier="none",
        confidence=0.0,
        draft="",
        writer="",
        generation=index.hybrid.generation,
    )


async def _answer(
    session: AsyncSession,
    suggestion: Suggestion,
    case: Case,
    index: LibraryIndex,
    writer: Writer,
) -> None:
    answers = await answers_to(session, case, index)
    suggestion.tier, suggestion.confidence = answers.tier, answers.confidence
    suggestion.generation = answers.generation
    suggestion.filters |= {
        "sought": case.sought,
        "parts": list(case.parts),
        "found": len(answers.found),
        "live": len(answers.live),
        "fitting": len(answers.documents),
    }
    suggestion.candidates = [_shown(match) for match in answers.matches]
    if answers.is_none:
        _nothing(suggestion, case)
    else:
        await _word(session, suggestion, case, answers, writer)
    suggestion.reasons = [
        *steering.notes(case.read, case.facts.risk_ceiling),
        *([case.what.reason] if case.what.reason else []),
        *suggestion.reasons,
    ]


def _nothing(suggestion: Suggestion, case: Case) -> None:
    """Whoever wants to buy asks for nothing the library lacks: the notes say what to do."""
    buys = case.read.intent is Intent.BUY
    suggestion.state = SuggestionState.HELD if buys else SuggestionState.NO_MATCH
    suggestion.tier, suggestion.unanswered = "none", "" if buys else suggestion.question.strip()


def _filters(case: Case) -> dict[str, Any]:
    """For whom it was made, whether anything was searched for or not."""
    audience = case.audience
    return {
        "channel": audience.channel,
        "branch": str(audience.branch) if audience.branch else None,
        "risk_ceiling": audience.risk_ceiling,
        "above": [{"name": name, "rating": rating} for name, rating in case.above],
        "at": audience.now.isoformat(),
    }


def _shown(match: Match) -> dict[str, Any]:
    candidate = match.candidate
    return {
        "title": candidate.title,
        "kind": candidate.kind,
        "matched_text": candidate.matched_text,
        "risk": candidate.risk,
        "lexical": round(candidate.lexical, 4),
        "dense": round(candidate.dense, 4),
        "version_id": str(candidate.version_id),
        "material_id": str(candidate.material_id),
        "score": round(match.score, 4),
        "reasons": list(match.reasons),
    }


async def _word(
    session: AsyncSession, suggestion: Suggestion, case: Case, answers: Answers, writer: Writer
) -> None:
    """Draft from the best passages, then what code alone may add: figures, style, reminders."""
    sources = answers.sources()
    by = writer if await _may_word(session, suggestion, writer) else QuotingWriter()
    draft, verdict, reasons = await worded(session, case.what.text, sources, by)
    touch = await finishing.of(session, case, draft, answers.documents.values())
    text, against = finishing.finished(draft, touch)
    suggestion.draft, suggestion.citations = text, citations_of(draft)
    suggestion.figures = [figures.kept() for figures in touch.figures]
    suggestion.verdict = stored(verdict)
    suggestion.writer, suggestion.prompt_hash = draft.writer, draft.prompt_hash
    suggestion.version_id = draft.sentences[0].source.version_id
    blocked = [*reasons, *against]
    suggestion.reasons = [*answers.reasons, *touch.notes, *blocked]
    suggestion.state = SuggestionState.BLOCKED if blocked else SuggestionState.OFFERED
    suggestion.unanswered = "\n".join(answers.unanswered)
    if not blocked:
        others = finishing.others(draft, sources, answers.matches)
        suggestion.variants = finishing.variants(others, touch)


async def _may_word(session: AsyncSession, suggestion: Suggestion, writer: Writer) -> bool:
    """Whether a model may still word for this RM this minute (L-07); tokens are metered."""
    if writer.name == QUOTING:
        return True
    lately = select(func.count(col(Suggestion.id))).where(
        Suggestion.staff_id == suggestion.staff_id,
        col(Suggestion.created_at) > suggestion.created_at - timedelta(minutes=1),
    )
    return (await session.execute(lately)).scalar_one() < WORDINGS_A_MINUTE


def cited_versions(suggestion: Suggestion) -> set[UUID]:
    """Every version the suggestion is made of; all of them must be live for it to be sent."""
    return suggestion.quoted | set(attached_versions(suggestion))


def attached_versions(suggestion: Suggestion) -> list[UUID]:
    """The versions that are sent beside the text, in their order."""
    return [UUID(version_id) for version_id in suggestion.attached]


async def open_for(
    session: AsyncSession, staff_id: UUID, customer_id: UUID, limit: int = 5
) -> list[Suggestion]:
    """The newest suggestions for this RM and customer, and the newest that were sent."""
    of_both = Suggestion.staff_id == staff_id, Suggestion.customer_id == customer_id
    newest = (col(Suggestion.created_at).desc(), col(Suggestion.variant).desc())
    query = select(Suggestion).where(*of_both).order_by(*newest)
    found = list((await session.execute(query.limit(limit))).scalars())
    # However many stand before them, what the customer was told stays in sight.
    sent = query.where(col(Suggestion.state).in_(TOLD)).limit(TOLD_SHOWN)
    told = (await session.execute(sent)).scalars()
    return found + [one for one in told if one not in found]


async def next_variant(session: AsyncSession, suggestion: Suggestion) -> Question:
    """换一条: the same question, answered from other material."""
    query = select(col(Suggestion.variant)).where(
        Suggestion.question_key == suggestion.question_key
    )
    highest = max((await session.execute(query)).scalars())
    question = Question(
        suggestion.question_key,
        suggestion.question,
        suggestion.staff_id,
        Channel(suggestion.channel),
        turns=tuple(Turn(**turn) for turn in suggestion.conversation.get("turns", [])),
    )
    return replace(question, variant=highest + 1)
