"""Pages wait, callbacks do not: under too much work, with a slow database, and without one."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

import aiohttp
import psutil
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.database import open_engine, open_sessions
from bank.embedded import EmbeddedPostgres
from bank.models import Role
from bank.settings import Settings
from bot.bench.processes import postgres_in
from bot.inbound.keys import current_keys
from bot.inbound.shedding import LOAD, PAGES_AT_ONCE, SAY, SAY_UNDONE, Load
from bot.models import InboundEvent
from migrations import migrate
from tests.bot.test_webhook import Bank, Door, a_bank, xml
from tests.builders import a_staff
from tests.conftest import Clock, Product, Visitor
from wecom.callback import seal


def test_what_is_too_much() -> None:
    load = Load()
    assert load.too_much(inbox_seconds=0.0) == ""
    assert load.too_much(inbox_seconds=2.0) == "inbox"
    load.lag = 3.0
    assert load.too_much(inbox_seconds=0.0) == "loop"
    load.pages = PAGES_AT_ONCE
    assert load.too_much(inbox_seconds=0.0) == "pages"


def test_one_stall_is_no_overload_and_many_are() -> None:
    load = Load()
    load.feel(9.0)
    assert load.too_much(0.0) == ""
    for _ in range(8):
        load.feel(3.0)
    assert load.too_much(0.0) == "loop"
    for _ in range(8):
        load.feel(0.0)
    assert load.too_much(0.0) == ""


async def test_the_loop_is_watched_while_the_product_runs(product: Product) -> None:
    began = perf_counter()
    while perf_counter() - began < 0.6:
        pass  # somebody holds up the loop
    async with asyncio.timeout(20):
        while product.app[LOAD].lag < 0.01:  # noqa: ASYNC110 - the watcher tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
async def rm(product: Product, session: AsyncSession) -> Visitor:
    """A signed-in RM at the desk."""
    staff = await a_staff(session, Role.RM)
    await session.commit()
    return await product.client(staff)


async def test_a_shed_page_says_so_calmly_and_asks_to_come_back(
    product: Product, rm: Visitor
) -> None:
    product.app[LOAD].pages = PAGES_AT_ONCE
    page = await rm.get("/customers", headers={"Accept": "text/html"})
    assert (page.status, page.headers["Retry-After"]) == (503, "5")
    assert SAY in await page.text()
    assert "Content-Security-Policy" in page.headers
    piece = await rm.get("/customers", headers={"HX-Request": "true"})
    assert (piece.status, await piece.text()) == (503, SAY)
    pressed = await rm.post("/signout")
    assert (pressed.status, await pressed.text()) == (503, SAY_UNDONE)
    product.app[LOAD].pages = 0
    assert (await rm.get("/customers")).status == 200


async def test_callbacks_and_health_are_never_shed(settings: Settings, clock: Clock) -> None:
    async with a_bank(settings, clock) as door:
        door.product.app[LOAD].pages = PAGES_AT_ONCE
        assert await door.push(xml(1)) == 200
        visitor = await door.product.client()
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await visitor.get(path)).status != 503 or path == "/readyz"
        shed = 'siyu_pages_shed_total{reason="pages"}'
        assert (await visitor.get("/signin")).status == 503
        assert shed in await (await visitor.get("/metrics")).text()


async def test_pages_under_way_are_counted_and_let_go(product: Product, rm: Visitor) -> None:
    await asyncio.gather(*(rm.get("/customers") for _ in range(8)))
    assert product.app[LOAD].pages == 0


# ------------------------------------------------------------------------ a slow database (F-12)

SLOW = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(2); RETURN NULL; END';
CREATE TRIGGER slowly BEFORE INSERT ON inbound_event FOR EACH STATEMENT EXECUTE FUNCTION slowly();
"""


async def test_with_two_seconds_a_query_nobody_waits_five(
    settings: Settings, clock: Clock, database: str
) -> None:
    async with a_bank(settings, clock) as door:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(SLOW)

        async def timed(number: int) -> tuple[int, float]:
            await asyncio.sleep(number * 0.05)
            began = perf_counter()
            return await door.push(xml(number)), perf_counter() - began

        answers = await asyncio.gather(*(timed(number) for number in range(80)))
        assert {status for status, _ in answers} == {200}
        assert max(seconds for _, seconds in answers) < 4
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("DROP TRIGGER slowly ON inbound_event")
        await drained(door)
        assert len(await door.stored()) == 80


async def drained(door: Door) -> None:
    async with asyncio.timeout(90):
        while door.product.parts.inbox.spooled:  # noqa: ASYNC110 - nobody rings when it is done
            await asyncio.sleep(0.05)


# -------------------------------------------------------------------- a database that goes (F-11)


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().split()[0]))


@asynccontextmanager
async def pouring(door: Door, answered: list[str]) -> AsyncIterator[None]:
    """Ten senders with customers of their own; each sends its next event when it was answered."""
    stop = asyncio.Event()
    keys = current_keys(door.product.app_settings)

    async def sender(http: aiohttp.ClientSession, name: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            plain = xml(number, ExternalUserID=f"wm{name}")
            second = int(door.product.clock().timestamp())
            query, body = seal(keys, plain, f"n{name}-{number}", second)
            address = f"{door.product.base}/wecom/callback"
            async with http.post(address, params=query, data=body) as answer:
                if answer.status == 200:
                    answered.append(plain)

    async with aiohttp.ClientSession() as http:
        tasks = [asyncio.create_task(sender(http, name)) for name in range(10)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["restart", "kill -9"])
async def test_a_database_that_goes_and_comes_back_loses_nothing_and_keeps_the_order(
    settings: Settings, clock: Clock, home: Path, how: signal.Signals
) -> None:
    server = EmbeddedPostgres(home)
    url = await asyncio.to_thread(server.start)
    await asyncio.to_thread(migrate, url)
    answered: list[str] = []
    at = settings.model_copy(update={"database_url": url, "home": home})
    try:
        async with a_bank(at, clock) as door, pouring(door, answered):
            await more_than(answered, 50)
            postmaster(home).send_signal(how)
            await gone(home)
            await more_than(answered, len(answered) + 100)
            assert door.product.parts.inbox.spooled > 0
            began = perf_counter()
            await asyncio.to_thread(EmbeddedPostgres(home).start)
            await drained(door)
            assert perf_counter() - began < 60
            await more_than(answered, len(answered) + 50)
        assert_in_order(await stored_at(url, door.product), answered)
    finally:
        server.stop()


async def more_than(answered: list[str], count: int) -> None:
    async with asyncio.timeout(90):
        while len(answered) <= count:  # noqa: ASYNC110 - the senders tell nobody
            await asyncio.sleep(0.01)


async def gone(home: Path) -> None:
    async with asyncio.timeout(90):
        while any(p.status() != psutil.STATUS_ZOMBIE for p in postgres_in(home / "postgres")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def stored_at(url: str, bank: Bank) -> list[tuple[str, str]]:
    """Customer and text of every event, in the order of the table."""
    engine = open_engine(url)
    async with open_sessions(engine)() as session:
        rows = await session.execute(select(InboundEvent).order_by(InboundEvent.id))  # type: ignore[arg-type]
        seal_of = bank.parts.seal
        found = [
            (event.order_key, seal_of.open(event.sealed or b"", b"inbound_event").decode())
            for event in rows.scalars()
        ]
    await engine.dispose()
    return found


def assert_in_order(stored: list[tuple[str, str]], answered: list[str]) -> None:
    texts = [text for _, text in stored]
    assert set(answered) <= set(texts)
    assert len(texts) == len(set(texts))
    for customer in {key for key, _ in stored}:
        theirs = [text for key, text in stored if key == customer]
        assert theirs == sorted(theirs)


async def test_two_processes_spool_beside_each_other(
    settings: Settings, clock: Clock, home: Path
) -> None:
    server = EmbeddedPostgres(home)
    url = await asyncio.to_thread(server.start)
    await asyncio.to_thread(migrate, url)
    at = settings.model_copy(update={"database_url": url, "home": home})
    try:
        async with a_bank(at, clock) as one, a_bank(at, clock) as other:
            postmaster(home).send_signal(signal.SIGINT)
            await gone(home)
            assert await one.push(xml(1)) == await other.push(xml(2)) == 200
            assert one.product.parts.inbox.spooled == other.product.parts.inbox.spooled == 1
            await asyncio.to_thread(EmbeddedPostgres(home).start)
            await drained(one)
            await drained(other)
            assert len(await one.stored()) == 2
    finally:
        server.stop()
