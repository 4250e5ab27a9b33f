"""How many tokens models may take for the whole bank on one local day, and took (L-07).

Each reservation is a transaction of its own, so that processes at once never pass the budget
together, no model is waited for under a lock, and what was spent stays counted whatever becomes of
the suggestion.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local_day
from bank.database import Sessions
from knowledge.models import ModelDay

# What an endpoint says it took is believed up to here; no wording of ours comes near it.
MOST_TOLD = 100_000
SETTLING_SECONDS = 1.0


@dataclass(frozen=True)
class Reservation:
    """Tokens set aside for one wording, on the day it was asked for."""

    day: date
    tokens: int


@dataclass(frozen=True)
class Meter:
    """The bank's budget of a day, shared by every process through the database."""

    sessions: Sessions
    a_day: int
    now: Callable[[], datetime]

    async def reserve(self, tokens: int) -> Reservation | None:
        """Set tokens aside before a model is asked; None, and counted, where the day is used up."""
        wanted = Reservation(local_day(self.now()), tokens)
        async with self.sessions.begin() as session:
            if await _set_aside(session, wanted, self.a_day):
                return wanted
            await _turn_away(session, wanted.day)
        return None

    async def settle(self, reserved: Reservation, told: int) -> None:
        """Count what was really taken; where that cannot be written, the reservation stands."""
        taken = min(told, MOST_TOLD) if told > 0 else reserved.tokens
        with suppress(Exception):
            async with asyncio.timeout(SETTLING_SECONDS), self.sessions.begin() as session:
                change = col(ModelDay.tokens) + (taken - reserved.tokens)
                counted = update(ModelDay).where(col(ModelDay.day) == reserved.day)
                await session.execute(counted.values(tokens=func.greatest(change, 0)))


async def _set_aside(session: AsyncSession, wanted: Reservation, most: int) -> bool:
    if wanted.tokens > most:
        return False
    taken = col(ModelDay.tokens) + wanted.tokens
    row = insert(ModelDay).values(day=wanted.day, tokens=wanted.tokens, askings=1, turned_away=0)
    more = row.on_conflict_do_update(
        index_elements=["day"],
        set_={"tokens": taken, "askings": col(ModelDay.askings) + 1},
        where=taken <= most,
    )
    return (await session.execute(more.returning(col(ModelDay.day)))).first() is not None


async def _turn_away(session: AsyncSession, day: date) -> None:
    row = insert(ModelDay).values(day=day, tokens=0, askings=0, turned_away=1)
    once_more = {"turned_away": col(ModelDay.turned_away) + 1}
    await session.execute(row.on_conflict_do_update(index_elements=["day"], set_=once_more))


async def latest(session: AsyncSession, count: int) -> list[ModelDay]:
    """The last days on which a model was asked or would have been, newest first."""
    query = select(ModelDay).order_by(col(ModelDay.day).desc()).limit(count)
    return list((await session.execute(query)).scalars())
