"""From opening the sidebar to the draft on the screen, in Chromium, on the simulated platform."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import uvloop
from aiohttp import web
from yarl import URL

from bank.database import utc_now
from bank.models import Staff
from bank.settings import Settings
from bot.app import Parts, make_app, open_parts
from bot.bench import shelf
from bot.bench.browser import a_browser
from bot.bench.idle import free_port
from bot.bench.machine import percentile
from bot.bench.suggestions import store
from bot.bench.watching import watched
from bot.demo.run import CORP, HOST, demo_settings
from customers.models import Customer
from desk.signed import COOKIES, open_session
from migrations import migrate
from wecom.simulator import Contact, FollowRelation, Member, World, make_simulator

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

PHONE = {"width": 400, "height": 800}
QUESTION = "我赎回的钱几天能到账啊"
# Resolves with what the browser measured once a frame with the draft in it has been drawn.
LOOKS = """
window.drawn = new Promise((resolve) => {
  const look = () => {
    const draft = document.querySelector("[data-state=offered] [data-draft]");
    if (!draft?.value || !draft.getClientRects().length) return requestAnimationFrame(look);
    const after = new MessageChannel();
    after.port1.onmessage = () => resolve(told(performance.now()));
    requestAnimationFrame(() => after.port2.postMessage(0));
  };
  const told = (now) => {
    const [paint] = performance.getEntriesByName("first-paint");
    const [page] = performance.getEntriesByType("navigation");
    const loaded = performance.getEntriesByType("resource").filter((one) => one.responseEnd <= now);
    const asked = loaded.find((one) => one.name.endsWith("/suggest"));
    return {
      frame: page.responseEnd, painted: paint.startTime, ready: page.domContentLoadedEventEnd,
      asked: asked.startTime,
      answered: asked.responseEnd, drawn: now, requests: loaded.length + 1,
      bytes: loaded.reduce((sum, one) => sum + one.transferSize, page.transferSize),
    };
  };
  requestAnimationFrame(look);
});
"""
STEPS = ("frame", "ready", "asked", "answered", "drawn")


@dataclass(frozen=True)
class Plan:
    """How often it is opened, with nothing kept by the browser and again with what it kept."""

    openings: int = 50
    warm_up: int = 3
    materials: int = 152
    goal_ms: float = 300.0


@dataclass(frozen=True)
class Opened:
    """One way of opening it: ms from navigation to each step, and what it took."""

    steps_p50_ms: dict[str, float]  # frame there, scripts run, draft asked for, there, drawn
    painted_p95_ms: float  # the first thing on the screen
    p50_ms: float  # the draft on the screen
    p95_ms: float
    slowest_ms: float
    requests: float
    kib: float
    statements: float


@dataclass(frozen=True)
class Sidebar:
    """Both ways."""

    plan: Plan
    first: Opened
    again: Opened


class NothingSuggested(RuntimeError):
    """No reply was suggested to the question of the bench."""


def measure(settings: Settings, plan: Plan) -> Sidebar:
    """Open the sidebar of one customer on that empty bank."""
    migrate(settings.database_url)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(settings, plan))


async def _measure(settings: Settings, plan: Plan) -> Sidebar:
    async with a_town(settings, plan) as town, a_browser() as browser:
        first = [await _alone(town, browser) for _ in range(plan.warm_up + plan.openings)]
        async with _signed_in(town, browser) as context:
            again = [await _open(town, context) for _ in range(plan.warm_up + plan.openings)]
    return Sidebar(plan, _opened(first[plan.warm_up :]), _opened(again[plan.warm_up :]))


@dataclass(frozen=True)
class Town:
    """The product and the platform on one address, an RM signed in, a suggestion waiting."""

    parts: Parts
    address: str
    token: str


@asynccontextmanager
async def a_town(settings: Settings, plan: Plan) -> AsyncIterator[Town]:
    """No loops run: whatever is asked of the database, the page asks."""
    joined = demo_settings(settings, free_port())
    async with open_parts(joined) as parts:
        async with parts.sessions.begin() as session:
            house = await shelf.a_house(session, utc_now())
            await shelf.stock(session, house, 0, plan.materials, utc_now())
        rm, customer, token = await _people(parts, house.rm, house.customers[0])
        await _suggested(parts, house.rm, customer)
        app = make_app(joined, parts)
        app.add_subapp("/simulator/", _platform(joined, rm, customer))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        public = URL(joined.public_url)
        await web.TCPSite(runner, HOST, public.port).start()
        query = {"demo": rm.userid, "customer": str(customer.external_userid)}
        yield Town(parts, str((public / "sidebar").with_query(query)), token)
        await runner.cleanup()


async def _people(parts: Parts, rm_id: UUID, customer_id: UUID) -> tuple[Staff, Customer, str]:
    async with parts.sessions.begin() as session:
        rm = await session.get_one(Staff, rm_id)
        customer = await session.get_one(Customer, customer_id)
        token, _ = await open_session(session, rm, "sidebar", utc_now())
    return rm, customer, token


async def _suggested(parts: Parts, rm: UUID, customer: Customer) -> None:
    async with parts.sessions.begin() as session:
        await parts.index.catch_up(session, utc_now())
        await parts.index.learn(session, utc_now())
    await store(parts.sessions, rm, customer.id, "asked", QUESTION, utc_now())
    if await parts.dispatcher.answer_new(utc_now()) != 1:
        raise NothingSuggested(NothingSuggested.__doc__)


def _platform(settings: Settings, rm: Staff, customer: Customer) -> web.Application:
    contact = str(customer.external_userid)
    world = World().seed(
        [Member(rm.userid, rm.name)],
        [Contact(contact, customer.name)],
        [FollowRelation(rm.userid, contact, utc_now())],
    )
    return make_simulator(
        world,
        corp=CORP,
        callback_url=f"{settings.public_url}/wecom/callback",
        sidebar_url=f"{settings.public_url}/sidebar?demo={{member}}",
        now=utc_now,
    )


@asynccontextmanager
async def _signed_in(town: Town, browser: "Browser") -> "AsyncIterator[BrowserContext]":
    """A window that has kept nothing yet, in which the RM is signed in."""
    context = await browser.new_context(viewport=PHONE, locale="zh-CN")  # type: ignore[arg-type]
    name, path = COOKIES["sidebar"]
    address = str(URL(town.address).origin() / path.removeprefix("/"))
    await context.add_cookies([{"name": name, "value": town.token, "url": address}])
    await context.add_init_script(LOOKS)
    yield context
    await context.close()


async def _alone(town: Town, browser: "Browser") -> dict[str, float]:
    async with _signed_in(town, browser) as context:
        return await _open(town, context)


async def _open(town: Town, context: "BrowserContext") -> dict[str, float]:
    """What the browser measured, and the statements until the draft was drawn."""
    page = await context.new_page()
    with watched(town.parts.sessions) as seen:
        await page.goto(town.address, wait_until="commit")
        told: dict[str, float] = await page.evaluate("() => window.drawn")
    await page.close()
    return told | {"statements": float(len(seen.statements))}


def _opened(told: Sequence[dict[str, float]]) -> Opened:
    by = {name: sorted(one[name] for one in told) for name in told[0]}
    drawn = by["drawn"]
    return Opened(
        steps_p50_ms={step: percentile(by[step], 0.5) for step in STEPS},
        painted_p95_ms=percentile(by["painted"], 0.95),
        p50_ms=percentile(drawn, 0.5),
        p95_ms=percentile(drawn, 0.95),
        slowest_ms=drawn[-1],
        requests=percentile(by["requests"], 0.5),
        kib=percentile(by["bytes"], 0.5) / 1024,
        statements=percentile(by["statements"], 0.5),
    )
