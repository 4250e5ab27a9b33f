"""What became of each material lately, counted once an hour for ranking to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution.models import Conversion, Credit, Dimension, Model
from content.library import LibraryDocument
from content.models import Version
from knowledge.matching import Candidate
from knowledge.merit import Merit
from knowledge.models import MaterialEffect, Suggestion, SuggestionState

LATELY = timedelta(days=30)
TAKEN = (SuggestionState.SENT, SuggestionState.EDITED)
DECIDED = (*TAKEN, SuggestionState.REJECTED)


async def count(session: AsyncSession, model: str, now: datetime) -> int:
    """Count the last 30 days anew, with conversions as that model credits them; how many rows."""
    decided = await _decided(session, now - LATELY)
    credited = await _credited(session, Model(model), now - LATELY)
    facts = [
        {
            "material_id": material_id,
            "decided": decided.get(material_id, (0, 0))[0],
            "taken": decided.get(material_id, (0, 0))[1],
            "credited": credited.get(material_id, 0),
            "counted_at": now,
        }
        for material_id in sorted(decided.keys() | credited.keys())
    ]
    await session.execute(delete(MaterialEffect))
    if facts:
        await session.execute(insert(MaterialEffect), facts)
    return len(facts)


async def _decided(session: AsyncSession, since: datetime) -> dict[UUID, tuple[int, int]]:
    """By material how many suggestions RMs decided on, and how many of them they took."""
    taken = func.count().filter(col(Suggestion.state).in_(TAKEN))
    query = (
        select(Version.material_id, func.count(), taken)
        .join(Version, col(Version.id) == col(Suggestion.version_id))
        .where(col(Suggestion.created_at) >= since, col(Suggestion.state).in_(DECIDED))
        .group_by(col(Version.material_id))
    )
    return {row[0]: (row[1], row[2]) for row in await session.execute(query)}


async def _credited(session: AsyncSession, model: Model, since: datetime) -> dict[UUID, int]:
    """By material how many conversions it has a share of."""
    query = (
        select(Credit.subject_id, func.count(func.distinct(col(Credit.conversion_id))))
        .join(Conversion, col(Conversion.id) == col(Credit.conversion_id))
        .where(
            Credit.model == model,
            Credit.dimension == Dimension.CONTENT,
            col(Conversion.at) >= since,
        )
        .group_by(col(Credit.subject_id))
    )
    return {row[0]: row[1] for row in await session.execute(query)}


async def weighed(
    session: AsyncSession,
    candidates: Sequence[Candidate],
    documents: Mapping[UUID, LibraryDocument],
    now: datetime,
) -> list[Candidate]:
    """The candidates with how they stand."""
    wanted = {candidate.material_id for candidate in candidates}
    rows = select(MaterialEffect).where(col(MaterialEffect.material_id).in_(wanted))
    known = {row.material_id: row for row in (await session.execute(rows)).scalars()}
    return [
        replace(each, merit=_merit(known.get(each.material_id), documents[each.version_id], now))
        for each in candidates
    ]


def _merit(effect: MaterialEffect | None, document: LibraryDocument, now: datetime) -> Merit:
    days = (now - document.valid_from) / timedelta(days=1) if document.valid_from else float("inf")
    if effect is None:
        return Merit(days)
    return Merit(days, effect.decided, effect.taken, effect.credited)
