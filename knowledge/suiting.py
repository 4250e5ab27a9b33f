"""Whom a material suits, counted by what stands against the rest, and whom it was put before."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local_day
from customers.models import Customer
from knowledge import match_reading
from knowledge.fitting import Exclusion, Piece, against
from knowledge.match_reading import Shown
from knowledge.models import CustomerMatch
from knowledge.needs import Profile, was_seen
from knowledge.profiles import profiles_of


@dataclass(frozen=True)
class Suited:
    """Whom a material suits among the customers a reader may see."""

    seen_by_reader: int
    suits: int
    excluded: list[tuple[Exclusion, int]]  # each customer counted once, by the first that stands
    matches: list[tuple[Customer, Shown]]  # the best of those it is matched with
    matched: int
    complete: bool  # whether every customer was counted, not only the first so many


# Counting looks at every customer the reader may see, so many at once, and at no more than these.
COUNTED_AT_ONCE, COUNTED = 500, 5_000
LISTED = 20


async def of_material(
    session: AsyncSession, piece: Piece, visible: ColumnElement[bool], now: datetime
) -> Suited:
    """Counts by reason, and the customers the last run put it before, best first."""
    counts: Counter[Exclusion | None] = Counter()
    counted = 0
    last: UUID | None = None
    while counted < COUNTED and (ids := await _some(session, visible, last)):
        for profile in await profiles_of(session, ids, now):
            counts[_first_against(profile, piece, now)] += 1
        counted, last = counted + len(ids), ids[-1].id
    total = await _count(session, visible)
    listed, matched = await _matched(session, piece, visible, now)
    return Suited(
        seen_by_reader=total,
        suits=counts[None],
        excluded=[(reason, counts[reason]) for reason in Exclusion if counts[reason]],
        matches=listed,
        matched=matched,
        complete=counted >= total,
    )


def _first_against(profile: Profile, piece: Piece, now: datetime) -> Exclusion | None:
    found = against(profile.standing, piece)
    if found:
        return found[0]
    return Exclusion.SEEN if was_seen(profile, piece.material_id, local_day(now)) else None


async def _some(
    session: AsyncSession, visible: ColumnElement[bool], last: UUID | None
) -> list[Customer]:
    query = select(Customer).where(visible).order_by(col(Customer.id)).limit(COUNTED_AT_ONCE)
    if last is not None:
        query = query.where(col(Customer.id) > last)
    return list((await session.execute(query)).scalars())


async def _count(session: AsyncSession, visible: ColumnElement[bool]) -> int:
    return (
        await session.execute(select(func.count()).select_from(Customer).where(visible))
    ).scalar_one()


async def _matched(
    session: AsyncSession, piece: Piece, visible: ColumnElement[bool], now: datetime
) -> tuple[list[tuple[Customer, Shown]], int]:
    query = (
        select(CustomerMatch, Customer)
        .join(Customer, col(Customer.id) == col(CustomerMatch.customer_id))
        .where(CustomerMatch.version_id == piece.version_id, visible)
        .order_by(col(CustomerMatch.score).desc(), col(CustomerMatch.customer_id))
        .limit(2 * LISTED)
    )
    rows = (await session.execute(query)).all()
    customers = {customer.id: customer for _, customer in rows}
    held = await match_reading.holding(session, [row for row, _ in rows], now)
    counted = (
        select(func.count())
        .select_from(CustomerMatch)
        .join(Customer, col(Customer.id) == col(CustomerMatch.customer_id))
        .where(CustomerMatch.version_id == piece.version_id, visible)
    )
    total = (await session.execute(counted)).scalar_one()
    return [(customers[one.customer_id], one) for one in held[:LISTED]], total
