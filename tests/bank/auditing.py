"""A book of audit lines for tests, and hands that damage it as a database administrator could."""

from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from bank import audit
from bank.audit_check import Checked, check
from bank.audit_heads import Heads, open_heads
from bank.audit_keeping import Keeper
from bank.database import Sessions, plain_url
from bank.settings import Settings
from tests.builders import MONDAY


class Book:
    """The audit book of a test's bank."""

    def __init__(self, sessions: Sessions, settings: Settings) -> None:
        self.sessions, self.settings = sessions, settings
        self.heads: Heads = open_heads(settings)
        self.keeper = Keeper(sessions, self.heads)

    @property
    def folder(self) -> Path:
        """Where the heads are."""
        return self.heads.folder

    async def write(self, count: int = 1, *, now: datetime = MONDAY) -> None:
        """So many lines, a second apart."""
        async with self.sessions.begin() as session:
            for number in range(count):
                audit.record(
                    session,
                    "content:version:approve",
                    f"version-{number}",
                    by=f"staff{number % 7}",
                    now=now + timedelta(seconds=number),
                    number=number,
                    reason="依据充分",
                )

    async def linked(self, count: int, *, now: datetime = MONDAY) -> "Book":
        """So many lines, linked."""
        await self.write(count, now=now)
        await self.keeper.link(now)
        return self

    def damage(self, *statements: str) -> None:
        """What somebody does who may switch the triggers off."""
        with psycopg.connect(plain_url(self.settings.database_url)) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                connection.execute(statement.encode())

    def read(self, query: str) -> list[tuple[object, ...]]:
        """Rows as they lie in the database."""
        with psycopg.connect(plain_url(self.settings.database_url)) as connection:
            return connection.execute(query.encode()).fetchall()

    def check(self) -> Checked:
        """The check that a worker and the command line make."""
        return check(self.settings.database_url, self.heads)
