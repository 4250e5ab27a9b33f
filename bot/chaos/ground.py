"""Where scenarios run: a PostgreSQL of their own, and a fresh migrated bank for each of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
from aiohttp.test_utils import unused_port
from pydantic import SecretStr

from bank.embedded import EmbeddedPostgres
from bank.settings import Settings
from bot.bench.machine import a_home
from migrations import migrate
from wecom.simulator import Corp

HOST = "127.0.0.1"
MONDAY = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # ten o'clock in Shanghai
CORP = Corp(
    corp_id="wwchaosbank0000001",
    agent_id=1000002,
    secret="secret-of-the-app-under-faults",
    token="chaosCallbackToken",
    aes_key="cHaOs" * 8 + "cHa",
    archive_secret="secret-of-the-archive-under-faults",
    name="云州银行",
)


class Clock:
    """The time of a story: stands still until it is moved."""

    def __init__(self, moment: datetime = MONDAY) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, span: timedelta) -> None:
        """That much time passes."""
        self.moment += span


class Ground:
    """A server with a migrated database that is copied for every bank."""

    def __init__(self, template: str, home: Path) -> None:
        self.template, self.home = template, home

    @contextmanager
    def bank(self) -> Iterator[Settings]:
        """Settings of a bank on a fresh copy of the database; dropped in the end."""
        name = f"chaos_{uuid4().hex[:12]}"
        admin = self.template.replace("/siyu?", "/postgres?")
        _say(admin, f'CREATE DATABASE "{name}" TEMPLATE siyu STRATEGY wal_log')
        try:
            yield bank_at(self.home / name, self.template.replace("/siyu?", f"/{name}?"))
        finally:
            _say(admin, f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def a_ground() -> Iterator[Ground]:
    """A server started for these scenarios alone, in a folder that is removed in the end."""
    with a_home() as home:
        server = EmbeddedPostgres(home)
        try:
            url = server.start()
            migrate(url)
            yield Ground(url, home)
        finally:
            server.stop()


def bank_at(home: Path, url: str) -> Settings:
    """Settings of a bank on that database whose WeCom is the simulator of `a_town`."""
    platform = f"http://{HOST}:{unused_port()}"
    return Settings(
        _env_file=None,
        home=home,
        database_url=url,
        public_url=f"http://{HOST}:{unused_port()}",
        wecom_base_url=platform,
        wecom_corp_id=CORP.corp_id,
        wecom_agent_id=CORP.agent_id,
        wecom_secret=SecretStr(CORP.secret),
        wecom_token=SecretStr(CORP.token),
        wecom_aes_key=SecretStr(CORP.aes_key),
        archive_url=f"{platform}/archive",
        archive_secret=SecretStr(CORP.archive_secret),
    )


def counted(url: str, query: str) -> int:
    """The one number a query answers."""
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def words(url: str, query: str) -> list[str]:
    """The first column of what a query answers."""
    with psycopg.connect(url) as connection:
        return [str(row[0]) for row in connection.execute(query.encode())]


def _say(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


async def until(holds: asyncio.Event, seconds: float) -> bool:
    """Wait at most so long; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await holds.wait()
    except TimeoutError:
        return False
    return True
