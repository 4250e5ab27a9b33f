"""The demo bank, loaded once for the run."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tests.demo.looking import loaded, reading


@pytest.fixture(scope="session")
def full(template: str) -> Iterator[str]:
    """A database with the demo bank in it; tests look, and undo what they change."""
    name = f"demo_{uuid4().hex[:12]}"
    admin, url = template.replace("/siyu?", "/postgres?"), template.replace("/siyu?", f"/{name}?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE siyu STRATEGY file_copy')
    asyncio.run(loaded(url))
    yield url
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def bank(full: str) -> AsyncIterator[AsyncSession]:
    """A session on the loaded bank; nothing of it is kept."""
    async with reading(full) as opened:
        yield opened
