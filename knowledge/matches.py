"""Matches 匹配: what suits each customer, made for all of them and kept; read only when it holds.

    a run of the day · portion after portion of customers: gathered, scored in blocks, stored ·
    the cursor moves in the transaction that stores, so a run cut short goes on where it was

Whoever reads a match is told only what holds now: live, suitable, not seen lately.
"""

import asyncio
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import numpy as np
import structlog
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local, local_day
from bank.database import Sessions
from content import library
from content.models import Version
from customers.models import Customer
from knowledge.blocks import Crowd, Materials
from knowledge.encoder import Encoder
from knowledge.match_shelf import Stocked, stock
from knowledge.models import CustomerMatch, MatchRun
from knowledge.profiles import profiles_of
from knowledge.scoring import made_of

log = structlog.get_logger("knowledge")

# Customers in one transaction: ten thousand rows at most, gathered in eight queries.
AT_ONCE = 500
NIGHT_ENDS = 6


async def is_due(session: AsyncSession, now: datetime) -> bool:
    """Whether a run is to begin or to go on.

    Without any run before, whenever it is asked; else a new one begins between midnight and six.
    """
    last = await last_run(session)
    if last is None or (last.day == local_day(now) and last.done_at is None):
        return True
    return last.day < local_day(now) and local(now).hour < NIGHT_ENDS


async def is_small(session: AsyncSession, now: datetime) -> bool:
    """Whether a run is over before anybody notices: customers of a portion, little material."""
    customers = select(col(Customer.id)).limit(AT_ONCE + 1)
    materials = select(col(Version.id)).where(*library.is_live(now)).limit(library.AT_ONCE + 1)
    counts = [len((await session.execute(ids)).all()) for ids in (customers, materials)]
    return counts[0] <= AT_ONCE and counts[1] <= library.AT_ONCE


async def run(
    sessions: Sessions,
    encoder: Encoder,
    now: datetime,
    *,
    steps: Collection[UUID] = (),
    portions: int | None = None,
    afresh: bool = False,
) -> int:
    """Match customer after customer until all are done, or so many portions; how many customers.

    Goes on where today's run stands; `afresh` begins it again. Processes take turns at portions.
    `steps` are the materials that touch sequences send.
    """
    async with sessions.begin() as session:
        await begin(session, now, afresh=afresh)
    async with sessions() as session:
        stocked = await stock(session, encoder, now, steps)
    materials, done = Materials(stocked.vectors), 0
    while portions is None or portions > 0:
        async with sessions.begin() as session:
            matched = await _next_portion(session, stocked, materials, encoder, now)
        if not matched:
            break
        done += matched
        portions = None if portions is None else portions - 1
    return done


async def begin(session: AsyncSession, now: datetime, *, afresh: bool = False) -> None:
    """Have a run of today; `afresh` sends one that there is back to its beginning."""
    fresh: dict[str, Any] = {
        "started_at": now, "cursor": None, "customers": 0, "matches": 0, "materials": 0,
        "shown": {}, "done_at": None,
    }  # fmt: skip
    row = insert(MatchRun).values(day=local_day(now), **fresh)
    if afresh:
        await session.execute(row.on_conflict_do_update(index_elements=["day"], set_=fresh))
    else:
        await session.execute(row.on_conflict_do_nothing(index_elements=["day"]))


async def run_of(session: AsyncSession, day: date, *, held: bool = False) -> MatchRun | None:
    """The run of that day; `held` until the transaction ends, so that one writes at a time."""
    query = select(MatchRun).where(MatchRun.day == day)
    return (await session.execute(query.with_for_update() if held else query)).scalar_one_or_none()


async def last_run(session: AsyncSession) -> MatchRun | None:
    """The newest run, done or not."""
    newest = select(MatchRun).order_by(col(MatchRun.day).desc()).limit(1)
    return (await session.execute(newest)).scalar_one_or_none()


async def newest_run(session: AsyncSession, now: datetime) -> MatchRun:
    """The run whose matches stand now, held until the transaction ends; begun if there is none."""
    query = select(MatchRun).order_by(col(MatchRun.day).desc()).limit(1).with_for_update()
    newest = (await session.execute(query)).scalar_one_or_none()
    if newest is not None:
        return newest
    await begin(session, now)
    return (await session.execute(query)).scalar_one()


async def _next_portion(
    session: AsyncSession, stocked: Stocked, materials: Materials, encoder: Encoder, now: datetime
) -> int:
    """Match the customers after the cursor, store them and move it; 0 once all are done."""
    of_today = await run_of(session, local_day(now), held=True)
    if of_today is None or of_today.done_at is not None:
        return 0
    query = select(Customer).order_by(col(Customer.id)).limit(AT_ONCE)
    if of_today.cursor is not None:
        query = query.where(col(Customer.id) > of_today.cursor)
    customers = list((await session.execute(query)).scalars())
    if not customers:
        of_today.done_at = now
        log.info("matched", customers=of_today.customers, matches=of_today.matches)
        return 0
    crowd = _crowd(of_today, stocked)
    made = await matched(session, customers, stocked, materials, crowd, encoder, now)
    await store(session, customers, made, of_today)
    of_today.cursor, of_today.materials = customers[-1].id, len(stocked.shelf)
    of_today.customers += len(customers)
    of_today.matches += len(made)
    of_today.shown = _shown(crowd, stocked)
    return len(customers)


def _crowd(of_today: MatchRun, stocked: Stocked) -> Crowd:
    counts = [of_today.shown.get(str(piece.version_id), 0) for piece in stocked.shelf.pieces]
    return Crowd(np.array(counts, dtype=np.int64), of_today.customers)


def _shown(crowd: Crowd, stocked: Stocked) -> dict[str, int]:
    pairs = zip(stocked.shelf.pieces, crowd.shown, strict=True)
    return {str(piece.version_id): int(times) for piece, times in pairs if times}


async def matched(
    session: AsyncSession,
    customers: Sequence[Customer],
    stocked: Stocked,
    materials: Materials,
    crowd: Crowd,
    encoder: Encoder,
    now: datetime,
) -> list[CustomerMatch]:
    """The matches of these customers as of now, not stored yet."""
    profiles = await profiles_of(session, customers, now)
    return await asyncio.to_thread(made_of, profiles, stocked, materials, crowd, encoder, now)


async def store(
    session: AsyncSession,
    customers: Sequence[Customer],
    made: Sequence[CustomerMatch],
    of_run: MatchRun,
) -> None:
    """In place of whatever these customers had."""
    ids = [customer.id for customer in customers]
    await session.execute(delete(CustomerMatch).where(col(CustomerMatch.customer_id).in_(ids)))
    if made:
        rows = [one.model_dump() | {"generation": of_run.generation} for one in made]
        await session.execute(insert(CustomerMatch), rows)
