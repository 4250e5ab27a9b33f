"""Touchpoints 触点: what a customer really saw or did, once for each source."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution.models import Touchpoint, TouchpointKind
from content.models import Version


@dataclass(frozen=True)
class Seen:
    """A moment at which a customer saw something from us, or wrote to us."""

    customer_id: UUID
    staff_id: UUID
    kind: TouchpointKind
    channel: str
    at: datetime
    source: str
    source_id: str
    version_id: UUID | None = None


async def record(session: AsyncSession, seen: Seen) -> None:
    """Record it once: the same (source, source_id) again changes nothing."""
    version = await session.get(Version, seen.version_id) if seen.version_id else None
    row = insert(Touchpoint).values(
        customer_id=seen.customer_id,
        staff_id=seen.staff_id,
        kind=seen.kind,
        channel=seen.channel,
        at=seen.at,
        source=seen.source,
        source_id=seen.source_id,
        version_id=seen.version_id,
        material_id=version.material_id if version else None,
    )
    await session.execute(row.on_conflict_do_nothing(index_elements=["source", "source_id"]))


async def leading_to(
    session: AsyncSession, customer_id: UUID, at: datetime, window: timedelta
) -> list[Touchpoint]:
    """What the customer saw from us in the window before that moment, both edges included."""
    return (await leading_to_each(session, [(customer_id, at)], window))[0]


async def leading_to_each(
    session: AsyncSession, moments: Sequence[tuple[UUID, datetime]], window: timedelta
) -> list[list[Touchpoint]]:
    """`leading_to` for many (customer, moment) pairs, in their order, in one query."""
    if not moments:
        return []
    query = select(Touchpoint).where(
        col(Touchpoint.customer_id).in_({customer for customer, _ in moments}),
        col(Touchpoint.kind) != TouchpointKind.CUSTOMER_WROTE,
        col(Touchpoint.at) >= min(at for _, at in moments) - window,
        col(Touchpoint.at) <= max(at for _, at in moments),
    )
    of: defaultdict[UUID, list[Touchpoint]] = defaultdict(list)
    for point in (await session.execute(query)).scalars():
        of[point.customer_id].append(point)
    return [
        in_order(p for p in of[customer] if at - window <= p.at <= at) for customer, at in moments
    ]


def in_order(points: Iterable[Touchpoint]) -> list[Touchpoint]:
    """By time; at the same moment the one recorded first comes first."""
    return sorted(points, key=lambda point: (point.at, point.id))


async def last_contacts(
    session: AsyncSession, customer_ids: Sequence[UUID]
) -> dict[UUID, datetime]:
    """When each of these customers last heard from us or wrote; nobody for whom there is none."""
    query = (
        select(Touchpoint.customer_id, func.max(Touchpoint.at))
        .where(col(Touchpoint.customer_id).in_(customer_ids))
        .group_by(col(Touchpoint.customer_id))
    )
    return dict((await session.execute(query)).all())


async def times_sent(session: AsyncSession, material_ids: Collection[UUID]) -> dict[UUID, int]:
    """How often each of these materials was sent; into a group once, however many read it there."""
    one = case(
        (col(Touchpoint.source) == "group", func.split_part(Touchpoint.source_id, "/", 1)),
        else_=col(Touchpoint.source_id),
    )
    query = (
        select(
            col(Touchpoint.material_id),
            func.count(func.distinct(col(Touchpoint.source) + ":" + one)),
        )
        .where(
            col(Touchpoint.material_id).in_(material_ids),
            col(Touchpoint.kind) != TouchpointKind.CUSTOMER_WROTE,
        )
        .group_by(col(Touchpoint.material_id))
    )
    found = await session.execute(query)
    return {material_id: number for material_id, number in found if material_id is not None}


async def heard_since(
    session: AsyncSession, customer_ids: Collection[UUID], since: datetime
) -> set[UUID]:
    """Who of these customers has heard from us since that moment."""
    query = select(col(Touchpoint.customer_id)).where(
        col(Touchpoint.customer_id).in_(customer_ids),
        col(Touchpoint.kind) != TouchpointKind.CUSTOMER_WROTE,
        col(Touchpoint.at) >= since,
    )
    return set((await session.execute(query)).scalars())
