"""From a withdrawal's commit until it is felt: search, open sidebars, links, queued touches."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from itertools import cycle
from time import perf_counter
from urllib.parse import quote
from uuid import UUID

import aiohttp
import uvloop
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.database import Sessions, utc_now
from bank.models import Staff
from bank.settings import Settings
from bot import loops
from bot.app import Parts, make_app, open_parts
from bot.bench import shelf
from bot.bench.machine import percentile
from bot.bench.suggestions import store as store_question
from bot.chat.sidebar_materials import SCRIPTS
from content import links, review
from content.models import Material, State, Version
from content.review_models import MaterialLink
from customers.models import Customer
from desk.signed import COOKIES, open_session
from migrations import migrate
from scheduler.models import (
    Arm,
    Enrolment,
    Sop,
    SopState,
    Step,
    Touch,
    TouchState,
    Trigger,
)

# What trust.md calls I4, in seconds.
BOUNDS = {"search": 5.0, "index": 5.0, "sidebar": 10.0, "link": 5.0, "touch": 5.0}
PATIENCE = 15.0
LOOK_AGAIN = 0.02


@dataclass(frozen=True)
class Plan:
    """How many are withdrawn one after the other, from how large a shelf, and what runs beside."""

    withdrawals: int = 200
    materials: int = 350
    questions_per_second: float = 4.0
    readers: int = 3


@dataclass(frozen=True)
class Bound:
    """Milliseconds from the commit, over all withdrawals."""

    p50_ms: float
    p99_ms: float
    slowest_ms: float
    bound_ms: float

    @property
    def kept(self) -> bool:
        """Whether the slowest one was within the bound."""
        return self.slowest_ms <= self.bound_ms


@dataclass(frozen=True)
class Withdrawals:
    """All bounds, and what went on meanwhile."""

    plan: Plan
    bounds: dict[str, Bound]
    commit_p99_ms: float
    questions: int
    pages: int


class NotFelt(RuntimeError):
    """A withdrawal was not felt within fifteen seconds."""


def measure(settings: Settings, plan: Plan) -> Withdrawals:
    """Withdraw at random on that empty bank while customers ask and RMs read."""
    migrate(settings.database_url)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(settings, plan))


@dataclass
class House:
    """The bank of the bench with its doors open."""

    parts: Parts
    people: shelf.House
    contacts: tuple[str, ...]
    http: aiohttp.ClientSession
    base: str
    sop_id: UUID
    questions: int = 0
    pages: int = 0
    touches: int = 0
    tab_of: dict[UUID, str] = field(default_factory=dict)

    async def text(self, path: str) -> str:
        """A page as the RM's sidebar gets it."""
        async with self.http.get(self.base + path) as response:
            return await response.text()


async def _measure(settings: Settings, plan: Plan) -> Withdrawals:
    async with _house(settings, plan) as house:
        beside = [
            asyncio.create_task(_asking(house, plan)),
            *(asyncio.create_task(_reading(house, number)) for number in range(plan.readers)),
        ]
        took: dict[str, list[float]] = {name: [] for name in (*BOUNDS, "commit")}
        try:
            for version_id in await _chosen(house.parts.sessions, plan):
                for name, seconds in (await _withdraw(house, version_id)).items():
                    took[name].append(seconds * 1000)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
    return Withdrawals(
        plan,
        {name: _bound(sorted(took[name]), limit) for name, limit in BOUNDS.items()},
        percentile(sorted(took["commit"]), 0.99),
        house.questions,
        house.pages,
    )


def _bound(took: Sequence[float], limit: float) -> Bound:
    return Bound(percentile(took, 0.5), percentile(took, 0.99), took[-1], limit * 1000)


@asynccontextmanager
async def _house(settings: Settings, plan: Plan) -> AsyncIterator[House]:
    async with (
        open_parts(settings) as parts,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        now = utc_now()
        async with parts.sessions.begin() as session:
            people = await shelf.a_house(session, now)
            await shelf.stock(session, people, 0, plan.materials, now)
        async with parts.sessions.begin() as session:
            sop_id = await _a_sop(session, people.editor, now)
            rm = await session.get_one(Staff, people.rm)
            token, _ = await open_session(session, rm, "sidebar", now)
            known = select(Customer.external_userid).where(col(Customer.id).in_(people.customers))
            contacts = tuple(c for c in (await session.execute(known)).scalars() if c)
        http.cookie_jar.update_cookies({COOKIES["sidebar"][0]: token})
        runner = web.AppRunner(make_app(settings, parts))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with loops.running_loops(settings, parts, "worker"):
            yield House(parts, people, contacts, http, base, sop_id)
        await runner.cleanup()


async def _a_sop(session: AsyncSession, owner: UUID, now: datetime) -> UUID:
    sop = Sop(
        code="BENCH",
        name="到期承接",
        kind="周期营销",
        goal="撤回时限",
        trigger=Trigger.MANUAL,
        control_percent=0,
        marketing=True,
        state=SopState.RUNNING,
        owner_id=owner,
        created_at=now,
    )
    session.add(sop)
    await session.flush()
    return sop.id


async def _chosen(sessions: Sessions, plan: Plan) -> list[UUID]:
    async with sessions() as session:
        live = select(Version.id).where(Version.state == State.APPROVED).order_by(col(Version.id))
        ids = list((await session.execute(live)).scalars())
    return random.Random(37).sample(ids, plan.withdrawals)


async def _asking(house: House, plan: Plan) -> None:
    """Customers write, and the worker suggests answers."""
    for number, asked in enumerate(cycle(shelf.asked())):
        customer = house.people.customers[number % len(house.people.customers)]
        await store_question(
            house.parts.sessions, house.people.rm, customer, f"asked-{number}", asked, utc_now()
        )
        house.questions += 1
        await asyncio.sleep(1 / plan.questions_per_second)


async def _reading(house: House, number: int) -> None:
    """An RM goes through the sidebar's lists."""
    for asked in cycle(shelf.asked()[number:]):
        contact = house.contacts[number % len(house.contacts)]
        await house.text(f"/sidebar/{contact}/scripts?q={quote(asked)}")
        house.pages += 1
        await asyncio.sleep(0.05)


async def _withdraw(house: House, version_id: UUID) -> dict[str, float]:
    """Seconds from the commit until each place knows."""
    title, link, touch_id = await _in_use(house, version_id)
    contact = house.contacts[-1]
    stream = await house.http.get(f"{house.base}/sidebar/{contact}/stream")
    try:
        await stream.content.readuntil(b"\n\n")
        asked = perf_counter()
        async with house.parts.sessions.begin() as session:
            by = await session.get_one(Staff, house.people.approver)
            gone = await review.withdraw(
                session, version_id, by=by, reason="撤回演练", now=utc_now()
            )
            if not isinstance(gone, review.Withdrawn):
                raise NotFelt(str(gone))
        committed = perf_counter()
        felt = await asyncio.gather(
            _until(committed, lambda: _unfindable(house, version_id, title, contact)),
            _until(committed, lambda: _dropped(house, version_id)),
            _nudged(committed, stream),
            _until(committed, lambda: _is_gone(house, link)),
            _until(committed, lambda: _refused(house.parts.sessions, touch_id)),
        )
    finally:
        stream.close()
    return {**dict(zip(BOUNDS, felt, strict=True)), "commit": committed - asked}


async def _in_use(house: House, version_id: UUID) -> tuple[str, str, UUID]:
    """The version gets a public link and a touch that waits for tomorrow."""
    now = utc_now()
    async with house.parts.sessions.begin() as session:
        version = await session.get_one(Version, version_id)
        material = await session.get_one(Material, version.material_id)
        house.tab_of[version_id] = "scripts" if material.kind in SCRIPTS else "materials"
        by = await session.get_one(Staff, house.people.editor)
        link = await links.make(session, version_id, by, now)
        if not isinstance(link, MaterialLink):
            raise NotFelt(str(link))
        house.touches += 1
        step = Step(
            sop_id=house.sop_id,
            position=house.touches,
            day=1,
            at=time(10),
            material_id=material.id,
        )
        customer = house.people.customers[0]
        enrolment = Enrolment(
            sop_id=house.sop_id,
            customer_id=customer,
            staff_id=house.people.rm,
            round=step.position,
            arm=Arm.TREATED,
            starts_at=now,
            enrolled_at=now,
        )
        session.add_all([step, enrolment])
        await session.flush()
        due = now + timedelta(days=1)
        touch = Touch(
            enrolment_id=enrolment.id,
            step_id=step.id,
            customer_id=customer,
            staff_id=house.people.rm,
            due_at=due,
            planned_for=due,
        )
        session.add(touch)
    return version.title, link.token, touch.id


async def _until(since: float, holds: Callable[[], Awaitable[bool]]) -> float:
    while not await holds():
        if perf_counter() - since > PATIENCE:
            raise NotFelt(NotFelt.__doc__)
        await asyncio.sleep(LOOK_AGAIN)
    return perf_counter() - since


async def _unfindable(house: House, version_id: UUID, title: str, contact: str) -> bool:
    """Not among what the sidebar finds for its own title, in the list of its kind."""
    shown = await house.text(f"/sidebar/{contact}/{house.tab_of[version_id]}?q={quote(title)}")
    return str(version_id) not in shown


async def _dropped(house: House, version_id: UUID) -> bool:
    """Not in the index of this process."""
    return not house.parts.index.holds(version_id)


async def _nudged(since: float, stream: aiohttp.ClientResponse) -> float:
    """The open sidebar is told to look again."""
    while True:
        event = await asyncio.wait_for(stream.content.readuntil(b"\n\n"), PATIENCE)
        if event.startswith(b"event:"):
            return perf_counter() - since


async def _is_gone(house: House, token: str) -> bool:
    async with house.http.get(f"{house.base}/m/{token}") as response:
        return response.status == web.HTTPGone.status_code


async def _refused(sessions: Sessions, touch_id: UUID) -> bool:
    async with sessions() as session:
        state = select(Touch.state).where(Touch.id == touch_id)
        return (await session.execute(state)).scalar_one() is TouchState.REFUSED
