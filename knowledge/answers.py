"""An answer for whoever is not known: found in approved material, quoted, judged, or refused.

No customer stands behind the question, so nothing about one is looked at or told to anybody.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from compliance.verdict import Level, Verdict
from compliance.verdict import Role as Speaker
from content import library
from knowledge.finding import candidates_of, masked_question, source_of, still_live
from knowledge.hybrid import Audience
from knowledge.indexing import LibraryIndex
from knowledge.wording import judge, with_reminder, worded
from knowledge.writer import Draft, Source, Writer, quote

CANDIDATES = 8
SOURCES = 3


@dataclass(frozen=True)
class Found:
    """What the library holds on a question, best first; `confidence` is the chance of the first."""

    question: str  # masked, as it may be stored and shown to a model
    confidence: float
    tier: str
    sources: tuple[Source, ...]
    documents: tuple[library.LibraryDocument, ...]


@dataclass(frozen=True)
class Answered:
    """A text that may be said, sentence by sentence from approved passages."""

    draft: Draft
    text: str  # with the statutory reminders the material calls for
    confidence: float

    @property
    def sources(self) -> tuple[Source, ...]:
        """What it is taken from, each once."""
        return tuple(dict.fromkeys(sentence.source for sentence in self.draft.sentences))


@dataclass(frozen=True)
class Unanswered:
    """Why nothing may be said, in words."""

    reasons: tuple[str, ...]
    confidence: float


async def look_up(
    session: AsyncSession, text: str, audience: Audience, index: LibraryIndex
) -> Found:
    """Approved material of this moment on a question; a best hit that is gone leaves no tier."""
    masked = masked_question(text)
    found = await asyncio.to_thread(index.hybrid.search, masked, audience, CANDIDATES)
    live, documents = await still_live(session, found.hits, audience)
    candidates = candidates_of(live, documents)[:SOURCES]
    # The confidence speaks of the first hit alone.
    stands = bool(live) and live[0] == found.hits[0]
    return Found(
        question=masked,
        confidence=found.confidence if stands else 0.0,
        tier=found.tier if stands else "none",
        sources=tuple(source_of(c, documents[c.version_id]) for c in candidates),
        documents=tuple(documents[c.version_id] for c in candidates),
    )


def quoted(found: Found, least: float) -> Answered | Unanswered:
    """The best passage for a customer whom no person answers: quoted, sure enough, and clean.

    What would only warn an RM refuses here: nobody reads before it is sent.
    """
    if found.tier != "answer" or found.confidence < least:
        sure = f"最高 {found.confidence:.0%}，须不低于 {least:.0%}"
        return Unanswered((f"没有把握足够高的已审核资料（{sure}）",), found.confidence)
    draft = quote(found.sources)
    verdict, reasons = judge(draft, Speaker.BOT)
    said = tuple(dict.fromkeys((*reasons, *_findings(verdict))))
    if said:
        return Unanswered(said, found.confidence)
    return Answered(draft, _reminding(draft, found), found.confidence)


async def for_colleague(
    session: AsyncSession, found: Found, writer: Writer
) -> Answered | Unanswered:
    """The same for a member of staff: worded by the writer, at most as far as the passages go."""
    if found.tier == "none" or not found.sources:
        return Unanswered(("素材库里没有合适的已审核资料",), found.confidence)
    draft, _, reasons = await worded(session, found.question, found.sources, writer)
    if reasons:
        return Unanswered(reasons, found.confidence)
    return Answered(draft, draft.text, found.confidence)


def for_group(found: Found) -> Answered | Unanswered:
    """The best passage for everybody in a customer group: quoted; a person reads and sends it."""
    if found.tier == "none" or not found.sources:
        return Unanswered(("没有适用于客户群的已审核资料",), found.confidence)
    draft = quote(found.sources)
    _, reasons = judge(draft)
    if reasons:
        return Unanswered(reasons, found.confidence)
    return Answered(draft, _reminding(draft, found), found.confidence)


def _reminding(draft: Draft, found: Found) -> str:
    cited = {sentence.source.material_id for sentence in draft.sentences}
    return with_reminder(draft.text, found.documents, cited)


def _findings(verdict: Verdict) -> Sequence[str]:
    if verdict.level is Level.PASS:
        return ()
    return [finding.reason for finding in verdict.findings]
