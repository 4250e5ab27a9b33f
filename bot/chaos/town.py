"""The product behind real HTTP and the simulated platform beside it, in one process."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from sqlmodel import SQLModel, select
from yarl import URL

from bank.database import Sessions
from bank.settings import Settings
from bot import loops
from bot.app import Pace, Parts, make_app, open_parts
from bot.bench import people
from bot.bench.people import People
from bot.chaos.ground import CORP, HOST, Clock
from bot.inbound import repair
from scheduler import clock as ticks
from wecom.errors import WeComError
from wecom.simulator import Member, World, make_simulator
from wecom.simulator.api_call import PLATFORM
from wecom.simulator.app import offered
from wecom.simulator.platform import Platform

CALL_SECONDS = 2.0
# What a running product does by itself: after every callback, and from time to time.
AT_ONCE = (loops.handle_events, loops.pull_archive, loops.answer)
BY_AND_BY = (
    loops.catch_up_library,
    loops.release_held,
    loops.make_contact_ways,
    loops.note_welcomes_seen,
)
OFTEN = ("send", "collect", "reconcile")
CALLBACK = "/wecom/callback"
Act = Callable[[Platform, dict[str, Any]], Awaitable[dict[str, Any]]]
# What a person or a test may make happen on the platform, by its name.
VERBS: dict[str, Act] = offered("CONTROLS")
Now = Callable[[], datetime]
Row = TypeVar("Row", bound=SQLModel)


@dataclass
class Town:
    """A running product, the platform's control room, and the people of the bank."""

    settings: Settings
    now: Now
    world: World
    platform: Platform
    http: aiohttp.ClientSession
    people: People
    requests: list[tuple[datetime, str]]
    pauses: list[float] = field(default_factory=list)
    setbacks: Counter[str] = field(default_factory=Counter)
    surprises: Counter[str] = field(default_factory=Counter)
    _heard: int = 0
    _product: AsyncExitStack = field(default_factory=AsyncExitStack)
    parts: Parts = field(init=False)

    @property
    def port(self) -> int:
        """Where callbacks go."""
        return _port(self.settings.public_url)

    @property
    def sessions(self) -> Sessions:
        """Sessions on the bank's database."""
        return self.parts.sessions

    async def open(self) -> None:
        """Start the product: its parts and its pages; its loops are run by hand."""
        self.parts = await self._product.enter_async_context(
            open_parts(self.settings, now=self.now, pace=self.pace)
        )
        await self._product.enter_async_context(
            served(make_app(self.settings, self.parts), self.port)
        )
        async with self.parts.sessions.begin() as session:
            await self.parts.index.restore(session)

    @property
    def pace(self) -> Pace:
        """The story's time for calls: their pauses are noted and take none."""
        return Pace(lambda: self.now().timestamp(), self._pause, CALL_SECONDS)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def asked(self, path: str) -> list[datetime]:
        """When the platform was asked for this."""
        return [at for at, asked in self.requests if asked.endswith(path)]

    async def close(self) -> None:
        """Stop it."""
        await self._product.aclose()
        self._product = AsyncExitStack()

    async def control(self, verb: str, **wish: Any) -> dict[str, Any]:
        """Make somebody act on the platform, or something fail."""
        act: Act = VERBS[verb]
        return await act(self.platform, wish)

    def heard(self) -> list[str]:
        """The plaintexts of the callbacks the platform made since this was last asked."""
        new = [delivery for delivery in self.platform.line.log if delivery.id > self._heard]
        self._heard = max((delivery.id for delivery in new), default=self._heard)
        return [delivery.xml for delivery in new]

    async def ledger(self) -> list[dict[str, Any]]:
        """What customers really saw, oldest first."""
        async with self.http.get(f"{self.settings.wecom_base_url}/control/ledger") as response:
            lines: list[dict[str, Any]] = (await response.json())["ledger"]
        return lines

    async def handle(self) -> int:
        """Handle every stored event that is due."""
        return await self.parts.dispatcher.handle_new(self.now())

    async def answer(self) -> None:
        """Take in the library and suggest replies."""
        async with self.sessions.begin() as session:
            await self.parts.index.catch_up(session, self.now())
        await self.parts.dispatcher.answer_new(self.now())

    async def forward(self, span: timedelta) -> None:
        """That much time passes, on both sides."""
        if not isinstance(self.now, Clock):
            raise TypeError("the real clock cannot be moved")
        self.now.forward(span)
        self.platform.pass_time()
        self.platform.line.release_due()

    async def greet(self) -> None:
        """Send every welcome that is due; its pauses take the story's time."""
        await replace(self.parts.greeter, sleep=self._linger).greet_new()

    async def _linger(self, seconds: float) -> None:
        await self.forward(timedelta(seconds=seconds))

    async def works(self, *, all_of_it: bool = True) -> None:
        """One round of what a running product does by itself; a failed part comes again."""
        await self._safely("greet", self.greet())
        for work in (*AT_ONCE, *(BY_AND_BY if all_of_it else ())):
            await self._safely(work.__name__, work(self.parts))
        for job in ticks.JOBS:
            if all_of_it or job.tick.__name__ in OFTEN:
                await self._safely(job.tick.__name__, self._run(job))

    async def compare(self) -> None:
        """The comparisons that are due by now."""
        await self._safely("compare", self._compare())

    async def _run(self, job: ticks.Job) -> bool:
        return await ticks.run(job, self.sessions, self.parts.wecom, self.settings, self.now())

    async def put_right(self) -> None:
        """Compare with the platform, whatever the hour: what callbacks may have lost is found."""
        for kind in repair.Kind:
            await self._safely("repair", self._compare(kind))

    async def _compare(self, kind: repair.Kind | None = None) -> None:
        await repair.run_due(self.sessions, self.parts.wecom, self.now, kind)

    async def _safely(self, name: str, work: Awaitable[object]) -> None:
        """WeCom's failures are what is expected here; any other one is kept as a surprise."""
        try:
            await work
        except WeComError as error:
            self.setbacks[f"{name}: {type(error).__name__}"] += 1
        except Exception as error:
            self.surprises[f"{name}: {error!r}"[:200]] += 1

    async def tick(self) -> None:
        """The ticks that send and look up, once."""
        for job in ticks.JOBS:
            if job.tick.__name__ in OFTEN:
                await self._run(job)

    async def rows(self, table: type[Row]) -> list[Row]:
        """Every row of a table."""
        async with self.sessions() as session:
            return list((await session.execute(select(table))).scalars())


@asynccontextmanager
async def a_town(
    settings: Settings, now: Now, *, callbacks_to: str = "", **platform: Any
) -> AsyncIterator[Town]:
    """Product and platform, each on its own port; the product is open when the block begins."""
    async with AsyncExitStack() as stack:
        world = World()
        address = callbacks_to or f"{settings.public_url}{CALLBACK}"
        simulator = make_simulator(
            world,
            corp=CORP,
            callback_url=address,
            sidebar_url=f"{settings.public_url}/sidebar",
            now=now,
            **{"archive_bell_seconds": 0, "retry_seconds": 0.05, **platform},
        )
        asked: list[tuple[datetime, str]] = []
        simulator.middlewares.append(_noting(asked, now))
        await stack.enter_async_context(served(simulator, _port(settings.wecom_base_url)))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        bank = await settled(settings, now)
        world.seed([Member(who.userid, who.name) for who in bank.members], [], [])
        town = Town(settings, now, world, simulator[PLATFORM], http, bank, asked)
        await town.open()
        stack.push_async_callback(town.close)
        yield town


def _noting(asked: list[tuple[datetime, str]], now: Now) -> Middleware:
    """Write down every call of the platform's API."""

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/cgi-bin/"):
            asked.append((now(), request.path))
        return await handler(request)

    return note


async def settled(settings: Settings, now: Now) -> People:
    """The bank's people, written into its empty database."""
    async with open_parts(settings, now=now) as parts, parts.sessions.begin() as session:
        return await people.settle(session, now())


@asynccontextmanager
async def served(app: web.Application, port: int) -> AsyncIterator[None]:
    """The application on that port of this machine."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield
    finally:
        await runner.cleanup()


def _port(url: str) -> int:
    port = URL(url).port
    if port is None:
        raise ValueError(f"an address without a port: {url}")
    return port
