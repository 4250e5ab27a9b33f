"""One question of one customer, and what live material answers it at that moment."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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
from knowledge.hybrid import Audience, Found, Hit
from knowledge.indexing import LibraryIndex
from knowledge.intents import Read
from knowledge.matching import Match, rank
from knowledge.models import Suggestion, SuggestionState
from knowledge.writer import Source
from wecom.channels import Channel

SOURCES = 3


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
    """What the library holds for a case, best first."""

    found: Found
    live: list[Hit]
    documents: dict[UUID, library.LibraryDocument]
    matches: list[Match]

    @property
    def confidence(self) -> float:
        """The chance that the first match answers; the best hit gone, at most what it left over."""
        sure = self.found.confidence
        return sure if self._best_stands() else min(sure, 1 - sure)

    @property
    def tier(self) -> Tier:
        """What to do with the first match; the best hit gone, a person has to choose."""
        sure = self.found.tier == "answer"
        return "candidates" if sure and not self._best_stands() else self.found.tier

    def _best_stands(self) -> bool:
        """A search is sure of its first hit alone, and that one may not fit, or have been used."""
        best = version_of(self.found.hits[0]) if self.found.hits else None
        return any(match.candidate.version_id == best for match in self.matches)

    def sources(self) -> list[Source]:
        """The passages a reply may be made of."""
        best = [match.candidate for match in self.matches[:SOURCES]]
        return [source_of(candidate, self.documents[candidate.version_id]) for candidate in best]


async def case_of(
    session: AsyncSession, question: Question, facts: CustomerFacts, now: datetime
) -> Case:
    """The question read and completed from the turns before it."""
    masked = masked_question(question.text)
    said = "\n".join([masked, *(turn.text for turn in question.turns)])
    named = await products.named_in(session, said)
    what = understood(masked, question.turns, [product.name for product in named])
    read = intents.reader().read(question.text)
    spoken = tuple((p.name, p.rating) for p in named if p.name in what.text)
    return Case(question, masked, facts, read, what, now, spoken)


async def answers_to(session: AsyncSession, case: Case, index: LibraryIndex) -> Answers:
    """Live material on a case, ranked, without what does not fit the moment."""
    with SUGGESTION_SECONDS.labels("search").time():
        found = await asyncio.to_thread(index.hybrid.search, case.sought, case.audience, CANDIDATES)
    with SUGGESTION_SECONDS.labels("match").time():
        return await _matched(session, case, found)


async def _matched(session: AsyncSession, case: Case, found: Found) -> Answers:
    live, documents = await still_live(session, found.hits, case.audience)
    fitting = {key: each for key, each in documents.items() if _fits(case, each)}
    suited = [c for c in candidates_of(live, documents) if c.version_id in fitting]
    candidates = await effects.weighed(session, suited, documents, case.now)
    turned_down = await _turned_down(session, case)
    matches = rank(candidates, held=case.facts.held_products, turned_down=turned_down)
    return Answers(found, live, fitting, await _without_used(session, case.question, matches))


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
    query = select(Suggestion.version_id).where(Suggestion.question_key == question.key)
    used = set((await session.execute(query)).scalars())
    return [match for match in matches if match.candidate.version_id not in used]
