"""What the list of content gaps shows: rows found, counted and ordered in the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Subquery, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from content.models import Material
from knowledge.gap_askings import askings
from knowledge.helping import Help
from knowledge.models import ContentGap, GapQuestion, GapState, Suggestion
from wecom.channels import Channel

PAGE = 20
EXAMPLES = 5
WISH = Help.MATERIAL.value


@dataclass(frozen=True)
class GapRow:
    """A gap with how often, by how many and when it was asked."""

    gap: ContentGap
    times: int
    customers: int
    in_groups: int  # how many of the times it was asked in a customer group
    newest: datetime
    examples: list[str]  # different wordings, newest first, masked
    material: str  # title of what is being written or answers; empty without
    wishes: list[str]  # what RMs added when they asked for material, newest first


@dataclass(frozen=True)
class Gaps:
    """One page of the list."""

    rows: list[GapRow]
    total: int
    pages: int
    number: int


async def gaps(
    session: AsyncSession,
    state: GapState,
    *,
    text: str = "",
    newest_first: bool = False,
    number: int = 1,
    size: int = PAGE,
) -> Gaps:
    """The gaps in this state, those asked most often first."""
    asking = askings()
    query = _counted(asking).where(col(ContentGap.state) == state)
    if text:
        query = query.where(col(ContentGap.id).in_(_asked_like(text)))
    total = (await session.execute(select(func.count()).select_from(query.subquery()))).scalar_one()
    pages = max(1, -(-total // size))
    number = min(max(1, number), pages)
    times, last = func.count(), func.max(asking.c.at)
    order = (last, times) if newest_first else (times, last)
    rows = query.order_by(*(each.desc() for each in order), col(ContentGap.id))
    found = (await session.execute(rows.offset((number - 1) * size).limit(size))).all()
    wordings = await _wordings(session, [gap.id for gap, *_ in found])
    wishes = await _wishes(session, [gap.id for gap, *_ in found])
    return Gaps(
        [
            GapRow(gap, n, c, g, at, wordings.get(gap.id, []), title or "", wishes.get(gap.id, []))
            for gap, n, c, g, at, title in found
        ],
        total,
        pages,
        number,
    )


def _counted(asking: Subquery) -> Select[ContentGap, int, int, int, datetime, str]:
    return (
        select(
            ContentGap,
            func.count(),
            func.count(func.distinct(asking.c.who)),
            func.count().filter(asking.c.channel == Channel.GROUP.value),
            func.max(asking.c.at),
            col(Material.title),
        )
        .join(asking, asking.c.gap_id == ContentGap.id)
        .outerjoin(Material, col(Material.id) == ContentGap.material_id)
        .group_by(col(ContentGap.id), col(Material.title))
    )


def _asked_like(text: str) -> Select[Any]:
    asking = askings().c
    return select(asking.gap_id).where(asking.question.icontains(text, autoescape=True))


async def _wordings(session: AsyncSession, ids: list[UUID]) -> dict[UUID, list[str]]:
    """A few different wordings of each gap, the newest first."""
    asking = askings().c
    place = func.row_number().over(
        partition_by=asking.gap_id, order_by=(func.max(asking.at).desc(), asking.question)
    )
    ranked = (
        select(asking.gap_id, asking.question, place.label("place"))
        .where(asking.gap_id.in_(ids))
        .group_by(asking.gap_id, asking.question)
        .subquery()
    )
    rows = select(ranked.c.gap_id, ranked.c.question).where(ranked.c.place <= EXAMPLES)
    found: dict[UUID, list[str]] = {}
    for gap_id, question in await session.execute(rows.order_by(ranked.c.gap_id, ranked.c.place)):
        found.setdefault(gap_id, []).append(question)
    return found


async def _wishes(session: AsyncSession, ids: list[UUID]) -> dict[UUID, list[str]]:
    """What RMs said when they asked for material 提需求; those who said nothing count too."""
    rows = (
        select(col(GapQuestion.gap_id), col(Suggestion.help))
        .join(Suggestion, col(Suggestion.id) == GapQuestion.suggestion_id)
        .where(col(GapQuestion.gap_id).in_(ids), col(Suggestion.help).op("?")(WISH))
        .order_by(col(Suggestion.created_at).desc())
    )
    found: dict[UUID, list[str]] = {}
    for gap_id, asked in await session.execute(rows):
        found.setdefault(gap_id, []).append(asked[WISH]["note"])
    return found


async def counts(session: AsyncSession) -> dict[GapState, int]:
    """How many gaps stand in each state."""
    rows = select(col(ContentGap.state), func.count()).group_by(col(ContentGap.state))
    return {GapState(state): number for state, number in await session.execute(rows)}
