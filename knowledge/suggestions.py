"""Suggested replies: found, worded, checked and stored, or picked by hand.

A suggestion keeps everything that led to it: the candidates, what each filter did, scores, draft,
findings. What the RM makes of it is `knowledge/replies.py`; nobody else writes its state.
"""

import asyncio
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.database import ring
from bank.metrics import SUGGESTIONS
from compliance import citations, disclosures
from compliance.guard import checked
from compliance.masking import mask
from compliance.normalise import as_seen
from compliance.verdict import Level, Verdict
from compliance.verdict import Role as Speaker
from content import library, products
from content.sendable import SHAPES
from customers.book import CustomerFacts
from knowledge import effects
from knowledge.hybrid import Audience, Found, Hit
from knowledge.indexing import LibraryIndex
from knowledge.matching import Candidate, Match, rank
from knowledge.models import Suggestion, SuggestionState
from knowledge.writer import QUOTING, Draft, QuotingWriter, Source, Writer, quote
from outbound import stops
from wecom.channels import Channel

log = structlog.get_logger("knowledge")

BELL = "suggestion"
CANDIDATES = 8
SOURCES = 3
PICKED = "picked"
# Characters of a question or a reply, and wordings by a model for one RM (L-07).
LONGEST = 4000
WORDINGS_A_MINUTE = 8


@dataclass(frozen=True)
class Question:
    """What a customer asked one RM; `key` makes sure it is answered once."""

    key: str
    text: str
    staff_id: UUID
    channel: Channel = Channel.SINGLE_CHAT
    variant: int = 0


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
    masked = masked_question(question.text)
    audience = Audience(now, question.channel.value, facts.branch_id, facts.risk_ceiling)
    found = await asyncio.to_thread(index.hybrid.search, masked, audience, CANDIDATES)
    live, documents = await still_live(session, found.hits, audience)
    turned_down = await _turned_down(session, facts.customer_id, question)
    candidates = await effects.weighed(session, candidates_of(live, documents), documents, now)
    matches = rank(candidates, held=facts.held_products, turned_down=turned_down)
    matches = await _without_used(session, question, matches)
    suggestion = _blank(question, facts, masked, found, now)
    suggestion.filters = _filters(audience, found.hits, live)
    suggestion.candidates = [_shown(match) for match in matches]
    if found.tier == "none" or not matches:
        suggestion.state, suggestion.tier = SuggestionState.NO_MATCH, "none"
    else:
        await _word(session, suggestion, masked, matches, documents, writer)
    session.add(suggestion)
    await session.flush()
    SUGGESTIONS.labels(suggestion.state.value).inc()
    await ring(session, BELL, f"{facts.customer_id}:{question.staff_id}")
    log.info(
        "suggested", suggestion=str(suggestion.id), state=suggestion.state.value, tier=found.tier
    )
    return suggestion


# A number cut in two by the cap would no longer be known as one, so its beginning goes too.
CUT_NUMBER = re.compile(r"[\dXx零〇一二三四五六七八九幺\s.\-—–·_]+$")


def masked_question(text: str) -> str:
    """A question as it may be searched for, stored and shown to a model: short enough, masked."""
    text = as_seen(text[: 2 * LONGEST])
    if len(text) > LONGEST:
        text = CUT_NUMBER.sub("", text[:LONGEST])
    return mask(text).text


async def still_live(
    session: AsyncSession, hits: Sequence[Hit], audience: Audience
) -> tuple[list[Hit], dict[UUID, library.LibraryDocument]]:
    """The hits that may be used now, and their documents: the index may lag behind."""
    ids = [_version(hit) for hit in hits]
    live = await library.only_live(
        session,
        ids,
        now=audience.now,
        channel=audience.channel,
        branch_id=audience.branch,
        risk_ceiling=audience.risk_ceiling,
    )
    documents = {d.version_id: d for d in await library.documents(session, list(live))}
    return [hit for hit in hits if _version(hit) in documents], documents


def _version(hit: Hit) -> UUID:
    return hit.document if isinstance(hit.document, UUID) else UUID(hit.document)


async def _turned_down(
    session: AsyncSession, customer_id: UUID, question: Question
) -> frozenset[UUID]:
    query = select(Suggestion.version_id).where(
        Suggestion.customer_id == customer_id,
        Suggestion.staff_id == question.staff_id,
        Suggestion.state == SuggestionState.REJECTED,
        col(Suggestion.version_id).is_not(None),
    )
    return frozenset(v for v in (await session.execute(query)).scalars() if v)


async def _without_used(
    session: AsyncSession, question: Question, matches: list[Match]
) -> list[Match]:
    """换一条: leave out what earlier variants of the same answer were made of."""
    if question.variant == 0:
        return matches
    query = select(Suggestion.version_id).where(Suggestion.question_key == question.key)
    used = set((await session.execute(query)).scalars())
    return [match for match in matches if match.candidate.version_id not in used]


def candidates_of(
    hits: Sequence[Hit], documents: dict[UUID, library.LibraryDocument]
) -> list[Candidate]:
    """What ranking and quoting look at, in the order of the hits."""
    return [_candidate(hit, documents[_version(hit)]) for hit in hits]


def _candidate(hit: Hit, document: library.LibraryDocument) -> Candidate:
    return Candidate(
        version_id=document.version_id,
        material_id=document.material_id,
        title=document.title,
        kind=str(document.kind),
        score=hit.score,
        lexical=hit.lexical,
        dense=hit.dense,
        matched_text=hit.matched_text,
        matched_role=hit.best_role,
        passage_position=hit.passage_position or 0,
        risk=document.risk,
        product_codes=frozenset(document.product_codes),
        named=hit.named,
    )


def _blank(
    question: Question,
    facts: CustomerFacts,
    masked: str,
    found: Found,
    now: datetime,
) -> Suggestion:
    return Suggestion(
        question_key=question.key,
        variant=question.variant,
        customer_id=facts.customer_id,
        staff_id=question.staff_id,
        channel=question.channel.value,
        question=masked,
        created_at=now,
        tier=found.tier,
        confidence=found.confidence,
        draft="",
        writer="",
        generation=found.generation,
    )


def _filters(audience: Audience, found: Sequence[Hit], live: Sequence[Hit]) -> dict[str, Any]:
    return {
        "channel": audience.channel,
        "branch": str(audience.branch) if audience.branch else None,
        "risk_ceiling": audience.risk_ceiling,
        "at": audience.now.isoformat(),
        "found": len(found),
        "live": len(live),
    }


def _shown(match: Match) -> dict[str, Any]:
    candidate = asdict(match.candidate)
    kept = {name: candidate[name] for name in ("title", "kind", "matched_text", "risk")}
    scores = {name: round(candidate[name], 4) for name in ("lexical", "dense")}
    ids = {"version_id": str(match.candidate.version_id), "score": round(match.score, 4)}
    return kept | scores | ids | {"reasons": list(match.reasons)}


async def _word(
    session: AsyncSession,
    suggestion: Suggestion,
    question: str,
    matches: Sequence[Match],
    documents: dict[UUID, library.LibraryDocument],
    writer: Writer,
) -> None:
    """Draft from the best passages; a draft the rules refuse gives way to the quoted passage."""
    sources = [source_of(m.candidate, documents[m.candidate.version_id]) for m in matches[:SOURCES]]
    by = writer if await _may_word(session, suggestion) else QuotingWriter()
    draft, verdict, reasons = await worded(session, question, sources, by)
    best = documents[draft.sentences[0].source.version_id]
    cited = {sentence.source.material_id for sentence in draft.sentences}
    suggestion.draft = await with_reminder(session, draft.text, cited)
    suggestion.citations = [_citation(s.text, s.source) for s in draft.sentences]
    suggestion.verdict = _stored(verdict)
    suggestion.writer, suggestion.prompt_hash = draft.writer, draft.prompt_hash
    suggestion.version_id = best.version_id
    suggestion.reasons = [*matches[0].reasons, *reasons]
    suggestion.state = SuggestionState.BLOCKED if reasons else SuggestionState.OFFERED


async def worded(
    session: AsyncSession, question: str, sources: Sequence[Source], writer: Writer
) -> tuple[Draft, Verdict, tuple[str, ...]]:
    """A draft with its judgement; one that strays or is refused gives way to quoting."""
    if await stops.current(session) is not None:
        writer = QuotingWriter()
    draft = await writer.draft(question, sources)
    # Stopped while the model was writing: what it wrote is dropped (C-42).
    if draft.writer != QUOTING and await stops.current(session) is not None:
        draft = quote(sources)
    verdict, reasons = judge(draft)
    if draft.writer == QUOTING or not (reasons or await _strays(session, draft)):
        return draft, verdict, reasons
    log.warning("draft_refused", writer=draft.writer, rules=len(reasons))
    return (draft := quote(sources)), *judge(draft)


async def _may_word(session: AsyncSession, suggestion: Suggestion) -> bool:
    """Whether a model may still word for this RM in this minute (L-07); beyond, we quote."""
    lately = select(func.count(col(Suggestion.id))).where(
        Suggestion.staff_id == suggestion.staff_id,
        col(Suggestion.created_at) > suggestion.created_at - timedelta(minutes=1),
    )
    return (await session.execute(lately)).scalar_one() < WORDINGS_A_MINUTE


async def _strays(session: AsyncSession, draft: Draft) -> bool:
    """Whether a model's sentence says more than its own passage, or names another product."""
    named = await products.named_in(session, draft.text)
    return any(
        not citations.stays_within(sentence.text, sentence.source.text)
        or any(
            name in sentence.text and name not in f"{sentence.source.title}{sentence.source.text}"
            for product in named
            for name in (product.name, product.code)
        )
        for sentence in draft.sentences
    )


def source_of(candidate: Candidate, document: library.LibraryDocument) -> Source:
    """The passage of a document that answers best."""
    positions = {p.position: p for p in document.passages}
    return _source(document, positions.get(candidate.passage_position) or document.passages[0])


def _source(document: library.LibraryDocument, passage: library.PassageText) -> Source:
    return Source(
        passage_id=f"{document.version_id}#{passage.position}",
        version_id=document.version_id,
        material_id=document.material_id,
        title=document.title,
        number=document.number,
        position=passage.position,
        text=passage.text,
    )


def judge(draft: Draft, speaker: Speaker = Speaker.RM) -> tuple[Verdict, tuple[str, ...]]:
    """What the rules say of a draft: wording, and every number found in the passage it cites."""
    verdict = checked(draft.text, speaker)
    reasons = blocked_by(verdict)
    cited = [sentence.source.text for sentence in draft.sentences]
    if not cited:
        reasons.append("没有引用任何已审批段落")
    pairs = [(sentence.text, [sentence.source.text]) for sentence in draft.sentences]
    for text, sources in [(draft.text, cited), *pairs]:
        for start, end in citations.untraceable_numbers(text, sources):
            reasons.append(f"数字“{text[start:end]}”在引用段落中找不到出处")
    return verdict, tuple(dict.fromkeys(reasons))


async def with_reminder(session: AsyncSession, text: str, material_ids: Collection[UUID]) -> str:
    """The text with the statutory reminders of the products these materials speak of (C-17)."""
    about = await products.of_materials(session, material_ids)
    every = {product.id: product for found in about.values() for product in found}
    return disclosures.append(text, list(every.values()))


def cited_versions(suggestion: Suggestion) -> set[UUID]:
    """Every version the suggestion is made of; all of them must be live for it to be sent."""
    cited = {UUID(citation["version_id"]) for citation in suggestion.citations}
    cited |= set(attached_versions(suggestion))
    return cited | ({suggestion.version_id} if suggestion.version_id else set())


def attached_versions(suggestion: Suggestion) -> list[UUID]:
    """The versions that are sent beside the text, in their order."""
    return [UUID(version_id) for version_id in suggestion.attached]


def blocked_by(verdict: Verdict) -> list[str]:
    """Why a text may not go; what only warns is left to the RM, who reads before sending."""
    if verdict.level is not Level.BLOCK:
        return []
    return [finding.reason for finding in verdict.findings]


def _citation(text: str, source: Source) -> dict[str, Any]:
    return {
        "text": text,
        "version_id": str(source.version_id),
        "material_id": str(source.material_id),
        "title": source.title,
        "number": source.number,
        "position": source.position,
        "passage": source.text,
    }


def _stored(verdict: Verdict) -> dict[str, Any]:
    findings = [
        {"category": str(f.category), "reason": f.reason, "rule": f.rule} for f in verdict.findings
    ]
    return {"level": verdict.level.value, "findings": findings}


async def open_for(
    session: AsyncSession, staff_id: UUID, customer_id: UUID, limit: int = 5
) -> list[Suggestion]:
    """The newest suggestions for this RM and customer."""
    of_both = Suggestion.staff_id == staff_id, Suggestion.customer_id == customer_id
    newest = (col(Suggestion.created_at).desc(), col(Suggestion.variant).desc())
    query = select(Suggestion).where(*of_both).order_by(*newest).limit(limit)
    return list((await session.execute(query)).scalars())


async def find(
    session: AsyncSession,
    query: str,
    facts: CustomerFacts,
    channel: Channel,
    index: LibraryIndex,
    now: datetime,
    limit: int,
) -> list[library.LibraryDocument]:
    """Live material for a search box, best first, under the same filters as suggestions."""
    audience = Audience(now, channel.value, facts.branch_id, facts.risk_ceiling)
    found = await asyncio.to_thread(index.hybrid.search, masked_question(query), audience, limit)
    live, documents = await still_live(session, found.hits, audience)
    return [documents[_version(hit)] for hit in live]


async def pick(
    session: AsyncSession,
    version_id: UUID,
    question: Question,
    facts: CustomerFacts,
    now: datetime,
    generation: str,
) -> Suggestion | Refused:
    """The RM chose a material by hand: a suggestion like any other, quoted and judged."""
    audience = Audience(now, question.channel.value, facts.branch_id, facts.risk_ceiling)
    live = await library.only_live(
        session,
        [version_id],
        now=now,
        channel=audience.channel,
        branch_id=audience.branch,
        risk_ceiling=audience.risk_ceiling,
    )
    if not live:
        return Refused(("这份素材已下线、过期或不适合该客户。",))
    [document] = await library.documents(session, [version_id])
    suggestion = _quoted(question, facts, document, now, generation)
    if document.kind in SHAPES:
        suggestion.attached = [str(version_id)]
    suggestion.draft = await with_reminder(session, suggestion.draft, [document.material_id])
    session.add(suggestion)
    await session.flush()
    SUGGESTIONS.labels(suggestion.state.value).inc()
    await ring(session, BELL, f"{facts.customer_id}:{question.staff_id}")
    return suggestion


def _quoted(
    question: Question,
    facts: CustomerFacts,
    document: library.LibraryDocument,
    now: datetime,
    generation: str,
) -> Suggestion:
    draft = quote([_source(document, document.passages[0])])
    verdict, reasons = judge(draft)
    return Suggestion(
        question_key=question.key,
        customer_id=facts.customer_id,
        staff_id=question.staff_id,
        channel=question.channel.value,
        question=masked_question(question.text),
        created_at=now,
        state=SuggestionState.BLOCKED if reasons else SuggestionState.OFFERED,
        tier=PICKED,
        confidence=1.0,
        draft=draft.text,
        citations=[_citation(s.text, s.source) for s in draft.sentences],
        verdict=_stored(verdict),
        reasons=["客户经理从素材库选用", *reasons],
        writer="quoting",
        generation=generation,
        version_id=document.version_id,
    )


async def next_variant(session: AsyncSession, suggestion: Suggestion) -> Question:
    """换一条: the same question, answered from other material."""
    query = select(col(Suggestion.variant)).where(
        Suggestion.question_key == suggestion.question_key
    )
    highest = max((await session.execute(query)).scalars())
    question = Question(
        key=suggestion.question_key,
        text=suggestion.question,
        staff_id=suggestion.staff_id,
        channel=Channel(suggestion.channel),
    )
    return replace(question, variant=highest + 1)
