"""Ways of looking at the loaded demo bank."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, time
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, select

from bank.calendar import at_local
from bank.database import open_engine, open_sessions
from bank.settings import Settings
from bot.demo.bank import SEED, load
from knowledge.models import SuggestionState

TODAY = date(2026, 11, 23)
MIDNIGHT = at_local(TODAY, time())
SENT = (SuggestionState.SENT, SuggestionState.EDITED)
BANK = Settings(_env_file=None, home=Path("unused"))  # type: ignore[call-arg]


async def loaded(url: str) -> None:
    """Load the bank into that database, for good."""
    async with reading(url) as opened:
        await load(opened, TODAY, SEED, BANK)
        await opened.commit()


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[AsyncSession]:
    """A session on that database; what is not committed is undone."""
    engine = open_engine(url)
    try:
        async with open_sessions(engine)() as opened:
            yield opened
    finally:
        await engine.dispose()


async def every(bank: AsyncSession, model: type[SQLModel]) -> list:
    return list((await bank.execute(select(model))).scalars())


async def by_id(bank: AsyncSession, model: type[SQLModel]) -> dict:
    return {one.id: one for one in await every(bank, model)}


async def hashes(url: str) -> dict[str, str]:
    """A hash of all rows of each table."""
    found = {}
    async with reading(url) as opened:
        for table in SQLModel.metadata.sorted_tables:
            lines = (await opened.execute(text(f'SELECT t::text FROM "{table.name}" t'))).scalars()
            found[table.name] = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    return found
