"""One real PostgreSQL for the run, a fresh database for each test, the product behind real HTTP."""

import gc
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import psycopg
import pytest
import structlog
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.ext.asyncio import AsyncSession

from bank.database import Sessions, open_engine, open_sessions
from bank.embedded import EmbeddedPostgres
from bank.models import Staff
from bank.settings import Settings
from bot.app import Parts, make_app, open_parts
from bot.bench.processes import postgres_in
from desk.signed import COOKIES, open_session
from migrations import migrate
from tests.browser import browsing_at, joined
from tests.builders import MONDAY

IN_MEMORY, ROOM = Path("/dev/shm"), 4 << 30


class Clock:
    """The time of a test: stands still until it is moved."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def at(self, moment: datetime) -> None:
        """It is now that moment."""
        self.moment = moment

    def forward(self, span: timedelta) -> None:
        """That much time passes."""
        self.moment += span


@pytest.fixture(autouse=True)
def logs_of_its_own() -> Iterator[None]:
    """A verb that sets up logging does so for one test: its stderr is gone afterwards."""
    handlers = list(logging.root.handlers)
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """Every test opens engines of its own; what they compile, a fifth of their work, they share."""
    compiled: dict[Any, Any] = {}
    dialects: dict[type[Dialect], Dialect] = {}

    def share(connection: Connection) -> None:
        # What is compiled is kept by dialect, and each engine has made one of its own.
        connection.dialect = dialects.setdefault(type(connection.dialect), connection.dialect)
        connection.execution_options(compiled_cache=compiled)

    event.listen(Engine, "engine_connect", share)
    yield
    event.remove(Engine, "engine_connect", share)


@pytest.fixture(scope="session")
def started_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose PostgreSQL has run and is stopped: making one anew takes seconds."""
    path = tmp_path_factory.mktemp("started")
    server = EmbeddedPostgres(path)
    server.start()
    server.stop()
    return path


@pytest.fixture
def home(started_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own for a PostgreSQL, whose server is gone when the test is over."""
    path = tmp_path_factory.mktemp("home")
    # With its owners: run by root, the server belongs to a user of its own.
    subprocess.run(["cp", "-a", f"{started_once}/.", str(path)], check=True)
    yield path
    for process in postgres_in(path / "postgres"):
        process.kill()


@pytest.fixture
def clock() -> Clock:
    """Monday morning, ten o'clock in Shanghai."""
    return Clock(MONDAY)


def roomy() -> bool:
    """Whether there is a disk in memory with room: thousands of small databases live briefly."""
    return IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM


@pytest.fixture(scope="session")
def template() -> Iterator[str]:
    """A migrated database on the run's own server; every test gets a copy of it."""
    home = Path(tempfile.mkdtemp(prefix="siyu-test-", dir=IN_MEMORY if roomy() else None))
    home.chmod(0o755)
    server = EmbeddedPostgres(home)
    url = server.start()
    migrate(url)
    without_flushing(url)
    yield url
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


def without_flushing(url: str) -> None:
    """Tests of durability start servers of their own; for all others flushing only costs time."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def databases(template: str) -> Iterator[psycopg.Connection]:
    """The one connection that makes and drops databases: opening it anew would cost each test."""
    url = template.replace("/siyu?", "/postgres?")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def database(template: str, databases: psycopg.Connection) -> Iterator[str]:
    """Address of a fresh, migrated, empty database."""
    name = f"test_{uuid4().hex[:12]}"
    # Nothing is flushed, so copying files costs half of writing every block to the log; and with
    # them comes the catalogue's cache, which the first connection would otherwise build.
    databases.execute(f'CREATE DATABASE "{name}" TEMPLATE siyu STRATEGY file_copy')
    yield template.replace("/siyu?", f"/{name}?")
    databases.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def sessions(database: str) -> AsyncIterator[Sessions]:
    """Sessions on the test's database."""
    engine = open_engine(database, pool_size=5)
    yield open_sessions(engine)
    await engine.dispose()


@pytest.fixture
async def session(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """One session for arranging and looking; commit what the product should see."""
    async with sessions() as opened:
        yield opened


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    """Settings of a bank with nothing outside but its database."""
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        home=tmp_path / "home",
        database_url=database,
        wecom_base_url="http://127.0.0.1:9",
        wecom_corp_id="wx5823bf96d3bd56c7",
        wecom_agent_id=1000002,
        wecom_secret=SecretStr("app-secret"),
        wecom_token=SecretStr("QDG6eK"),
        wecom_aes_key=SecretStr("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"),
    )


class Visitor:
    """A member of staff at a browser: cookies, form token, no redirects followed."""

    def __init__(self, http: aiohttp.ClientSession, base: str, csrf: str) -> None:
        self.http, self.base, self.csrf = http, base, csrf

    async def get(self, path: str, **options: object) -> aiohttp.ClientResponse:
        """Open a page."""
        return await self.http.get(self.base + path, allow_redirects=False, **options)  # type: ignore[arg-type]

    async def post(
        self, path: str, data: object = None, **options: object
    ) -> aiohttp.ClientResponse:
        """Submit a form with its token."""
        headers = {"X-CSRF-Token": self.csrf}
        return await self.http.post(
            self.base + path,
            data=data,
            headers=headers,
            allow_redirects=False,
            **options,  # type: ignore[arg-type]
        )

    async def text(self, path: str) -> str:
        """The page's text; it must open."""
        response = await self.get(path)
        assert response.status == 200, f"{path}: {response.status} {await response.text()}"
        return await response.text()


class Product:
    """The running product behind HTTP."""

    def __init__(self, server: TestServer, parts: Parts, clock: Clock) -> None:
        self.server, self.parts, self.clock = server, parts, clock
        self.app = server.app
        self.base = str(server.make_url("")).rstrip("/")
        self._open: list[aiohttp.ClientSession] = []

    async def client(self, staff: Staff | None = None, place: str = "desk") -> Visitor:
        """A browser in which this member of staff is signed in; nobody without one."""
        jar = aiohttp.CookieJar(unsafe=True)
        http = aiohttp.ClientSession(cookie_jar=jar)
        self._open.append(http)
        csrf = ""
        if staff is not None:
            async with self.parts.sessions() as session:
                token, opened = await open_session(session, staff, place, self.clock())
                csrf = opened.csrf
                await session.commit()
            jar.update_cookies({COOKIES[place][0]: token}, response_url=self.server.make_url("/"))
        return Visitor(http, self.base, csrf)

    async def close(self) -> None:
        """Close every browser."""
        for http in self._open:
            await http.close()


@pytest.fixture
async def product(settings: Settings, clock: Clock) -> AsyncIterator[Product]:
    """The product without its loops: tests call the ticks they mean."""
    async with open_parts(settings, now=clock) as parts:
        server = TestServer(make_app(settings, parts))
        await server.start_server()
        running = Product(server, parts, clock)
        yield running
        await running.close()
        await server.close()


def pytest_configure(config: pytest.Config) -> None:
    """Chromium and PostgreSQL write where they may."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())


def pytest_sessionstart(session: pytest.Session) -> None:
    """What is imported and collected from here on stays to the end: none of it is garbage."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Now tests begin to leave garbage; nobody looks for it in what was there before."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def browsing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the run's one Chromium listens: starting it costs more than most pages."""
    with browsing_at(tmp_path_factory.mktemp("browsing")) as address:
        yield address


@pytest.fixture
async def chromium(browsing: str) -> AsyncIterator[Browser]:
    """A real browser with nothing open and nothing remembered."""
    async with joined(browsing) as browser:
        yield browser
