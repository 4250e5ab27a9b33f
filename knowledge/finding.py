"""What approved material answers a question: masked, searched, checked again to be live."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from compliance.masking import mask
from compliance.normalise import as_seen
from content import library
from customers.book import CustomerFacts
from knowledge.calibration import Tier
from knowledge.hybrid import Audience, Hit
from knowledge.indexing import LibraryIndex
from knowledge.matching import Candidate
from knowledge.writer import Source
from wecom.channels import Channel

# Characters of a question or a reply (L-07).
LONGEST = 4000
CANDIDATES = 8

# A number cut in two by the cap would no longer be known as one, so its beginning goes too.
CUT_NUMBER = re.compile(r"[\dXx零〇一二三四五六七八九幺\s.\-—–·_]+$")


@dataclass(frozen=True)
class Listed:
    """What a search box lists, best first; tier `none`: nothing answers, this is only nearest."""

    documents: list[library.LibraryDocument]
    tier: Tier


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
    live = await library.usable(
        session,
        [version_of(hit) for hit in hits],
        now=audience.now,
        channel=audience.channel,
        branch_id=audience.branch,
        risk_ceiling=audience.risk_ceiling,
    )
    documents = {document.version_id: document for document in live}
    return [hit for hit in hits if version_of(hit) in documents], documents


def version_of(hit: Hit) -> UUID:
    """The version a hit is a part of."""
    return hit.document if isinstance(hit.document, UUID) else UUID(hit.document)


def candidates_of(
    hits: Sequence[Hit], documents: dict[UUID, library.LibraryDocument]
) -> list[Candidate]:
    """What ranking and quoting look at, in the order of the hits."""
    return [_candidate(hit, documents[version_of(hit)]) for hit in hits]


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


def source_of(candidate: Candidate, document: library.LibraryDocument, part: int = 0) -> Source:
    """The passage of a document that answers best, for that of several questions."""
    positions = {p.position: p for p in document.passages}
    best = positions.get(candidate.passage_position) or document.passages[0]
    return source(document, best, part)


def source(
    document: library.LibraryDocument, passage: library.PassageText, part: int = 0
) -> Source:
    """A passage as a writer may use it."""
    return Source(
        passage_id=f"{document.version_id}#{passage.position}",
        version_id=document.version_id,
        material_id=document.material_id,
        title=document.title,
        number=document.number,
        position=passage.position,
        text=passage.text,
        part=part,
    )


async def find(
    session: AsyncSession,
    query: str,
    facts: CustomerFacts,
    channel: Channel,
    index: LibraryIndex,
    now: datetime,
    limit: int,
) -> Listed:
    """Live material for a search box, under the same filters as suggestions."""
    audience = Audience(now, channel.value, facts.branch_id, facts.risk_ceiling)
    found = await asyncio.to_thread(index.hybrid.search, masked_question(query), audience, limit)
    live, documents = await still_live(session, found.hits, audience)
    return Listed([documents[version_of(hit)] for hit in live], found.tier)
