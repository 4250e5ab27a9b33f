"""One question of one customer, and what live material answers it at that moment."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import repeat
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.metrics import SUGGESTION_SECONDS
from content import library, products
from content.models import PROMOTING
from customers.book import CustomerFacts
from knowledge import effects, intents, steering
from knowledge.calibration import Tier
from knowledge.conversation import Turn, Understood, understood
from knowledge.finding import (
    CANDIDATES,
    candidates_of,
    masked_question,
    source_of,
    still_live,
    version_of,
)
from knowledge.hybrid import Audience, Found
from knowledge.indexing import LibraryIndex
from knowledge.intents import Read
from knowledge.matching import Match, rank
from knowledge.models import Suggestion, SuggestionState
from knowledge.parts import parts_of
from knowledge.writer import Source
from wecom.channels import Channel

SOURCES = 3
SEVERAL = "客户问了不止一件事，分段作答"


@dataclass(frozen=True)
class Question:
    """What a customer asked one RM, after which turns; `key` makes sure it is answered once."""

    key: str
    text: str
    staff_id: UUID
    channel: Channel = Channel.SINGLE_CHAT
    variant: int = 0
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class Case:
    """One question with everything that is known about it before it is answered."""

    question: Question
    masked: str
    facts: CustomerFacts
    read: Read
    what: Understood
    now: datetime
    named: tuple[tuple[str, int], ...] = ()  # products spoken of: name, rating
    parts: tuple[str, ...] = ()  # what it asks, where that is more than one thing

    @property
    def above(self) -> tuple[tuple[str, int], ...]:
        """The products spoken of that are too risky for the customer."""
        return tuple(one for one in self.named if one[1] > self.facts.risk_ceiling)

    @property
    def audience(self) -> Audience:
        """For whom material must be fit."""
        facts = self.facts
        return Audience(self.now, self.question.channel.value, facts.branch_id, facts.risk_ceiling)

    @property
    def sought(self) -> str:
        """What is searched for."""
        return steering.sought(self.read, self.what, self.facts.risk_ceiling)


@dataclass(frozen=True)
class Answers:
    """What the library holds for a case, best first.

    Where a message asks several things, the first `leading` matches answer one each, and nothing
    answers those in `unanswered`.
    """

    generation: str
    found: frozenset[UUID]  # versions the search came upon
    live: frozenset[UUID]  # of them those that may be used now
    documents: dict[UUID, library.LibraryDocument]  # of them those that fit the moment
    matches: list[Match]
    tier: Tier
    confidence: float  # the chance that the first matches answer
    leading: int = 1
    unanswered: tuple[str, ...] = ()

    @property
    def is_none(self) -> bool:
        """Whether nothing may be offered."""
        return self.tier == "none" or not self.matches

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why these lead."""
        why = [reason for match in self.matches[: self.leading] for reason in match.reasons]
        return tuple(dict.fromkeys(([SEVERAL] if self.leading > 1 else []) + why))

    def sources(self) -> list[Source]:
        """The passages a reply may be made of."""
        best = [match.candidate for match in self.matches[: max(SOURCES, self.leading)]]
        parts = [*range(self.leading), *repeat(0, len(best) - self.leading)]
        return [
            source_of(candidate, self.documents[candidate.version_id], part)
            for candidate, part in zip(best, parts, strict=True)
        ]


async def case_of(
    session: AsyncSession, question: Question, facts: CustomerFacts, now: datetime
) -> Case:
    """The question read and completed from the turns before it."""
    masked = masked_question(question.text)
    said = "\n".join([masked, *(turn.text for turn in question.turns)])
    named = await products.named_in(session, said)
    names = [product.name for product in named]
    what = understood(masked, question.turns, names)
    read = intents.reader().read(question.text)
    spoken = tuple((p.name, p.rating) for p in named if p.name in what.text)
    parts = parts_of(masked, question.turns, names)
    return Case(question, masked, facts, read, what, now, spoken, parts)


async def answers_to(session: AsyncSession, case: Case, index: LibraryIndex) -> Answers:
    """Live material on a case, ranked, without what does not fit the moment."""
    whole = await _looked_up(session, case, case.sought, index)
    if case.sought != case.what.text:
        return whole
    each = [(part, await _looked_up(session, case, part, index)) for part in case.parts]
    return joined(whole, each)


def joined(whole: Answers, each: Sequence[tuple[str, Answers]]) -> Answers:
    """One reply to all that is asked, as sure as its least sure part; else what the whole finds."""
    answered = [answers for _, answers in each if not answers.is_none]
    first = [answers.matches[0] for answers in answered]
    leading = list({match.candidate.passage: match for match in first}.values())
    unanswered = tuple(part for part, answers in each if answers.is_none)
    if not leading or (len(leading) == 1 and not unanswered):
        return whole
    led = {match.candidate.version_id for match in leading}
    others = [match for match in whole.matches if match.candidate.version_id not in led]
    return replace(
        whole,
        found=whole.found.union(*(answers.found for _, answers in each)),
        live=whole.live.union(*(answers.live for _, answers in each)),
        documents=whole.documents | {k: d for a in answered for k, d in a.documents.items()},
        matches=leading + others,
        tier="answer" if all(answers.tier == "answer" for answers in answered) else "candidates",
        confidence=min(answers.confidence for answers in answered),
        leading=len(leading),
        unanswered=unanswered,
    )


async def _looked_up(
    session: AsyncSession, case: Case, sought: str, index: LibraryIndex
) -> Answers:
    with SUGGESTION_SECONDS.labels("search").time():
        found = await asyncio.to_thread(index.hybrid.search, sought, case.audience, CANDIDATES)
    with SUGGESTION_SECONDS.labels("match").time():
        return await _matched(session, case, found)


async def _matched(session: AsyncSession, case: Case, found: Found) -> Answers:
    live, documents = await still_live(session, found.hits, case.audience)
    fitting = {key: each for key, each in documents.items() if _fits(case, each)}
    suited = [c for c in candidates_of(live, documents) if c.version_id in fitting]
    candidates = await effects.weighed(session, suited, documents, case.now)
    turned_down = await _turned_down(session, case)
    ranked = rank(candidates, held=case.facts.held_products, turned_down=turned_down)
    matches = await _without_used(session, case.question, ranked)
    came_upon = frozenset(map(version_of, found.hits))
    sure = _how_sure(found, matches)
    return Answers(found.generation, came_upon, frozenset(documents), fitting, matches, *sure)


def _how_sure(found: Found, matches: Sequence[Match]) -> tuple[Tier, float]:
    """A search is sure of its first hit alone, and that one may not fit, or have been used.

    The best hit gone, a person has to choose, and the rest has at most what it left over.
    """
    best = version_of(found.hits[0]) if found.hits else None
    if any(match.candidate.version_id == best for match in matches):
        return found.tier, found.confidence
    tier: Tier = "candidates" if found.tier == "answer" else found.tier
    return tier, min(found.confidence, 1 - found.confidence)


def _fits(case: Case, document: library.LibraryDocument) -> bool:
    return _fits_mood(case.read, document) and not _of_another(case.named, document)


def _of_another(named: Sequence[tuple[str, int]], document: library.LibraryDocument) -> bool:
    """Who asks about one product is not answered with what is said of another."""
    names = {name for name, _ in named}
    return bool(names and document.product_names) and names.isdisjoint(document.product_names)


def _fits_mood(read: Read, document: library.LibraryDocument) -> bool:
    if steering.without_products(read) and document.products:
        return False
    return not (steering.without_selling(read) and document.use in PROMOTING)


async def _turned_down(session: AsyncSession, case: Case) -> frozenset[UUID]:
    query = select(Suggestion.version_id).where(
        Suggestion.customer_id == case.facts.customer_id,
        Suggestion.staff_id == case.question.staff_id,
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
    earlier = select(Suggestion).where(Suggestion.question_key == question.key)
    made = (await session.execute(earlier)).scalars()
    used = {version for suggestion in made for version in suggestion.quoted}
    return [match for match in matches if match.candidate.version_id not in used]
