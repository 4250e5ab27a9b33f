"""F-20: five hundred materials withdrawn while ten thousand touches of them are being sent."""

import asyncio
import re
from collections import Counter
from datetime import timedelta
from random import Random
from time import perf_counter
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Role
from bot.bench.people import CARE, approved
from bot.chaos.found import Found, share_of
from bot.chaos.ground import Clock, Ground
from bot.chaos.refusals import CREATE, befriend
from bot.chaos.town import Town, a_town
from content import review
from content.models import State, Version
from customers.models import Customer, Follow
from desk.signed import Signed
from scheduler import sending
from scheduler.models import (
    Arm,
    Enrolment,
    LatePolicy,
    SendTask,
    Step,
    TaskState,
    Touch,
    TouchState,
)
from wecom.answer import Answer
from wecom.client import WeComClient

MATERIALS, CUSTOMERS, SENDERS = 500, 20, 3
LEAST = 12
AT_ONCE, LONGEST_PAUSE = 40, 0.05
# What is said has a number of its own for each material, so that a call names what it carries.
NUMBER = re.compile(r"第(\d+)次回访")
QUEUED = (TouchState.PLANNED, TouchState.HANDED)
OVER = (TouchState.REFUSED, TouchState.HANDED)


class Looking:
    """The real client; at the moment of each call it looks whether what goes out is still live."""

    def __init__(self, town: Town, versions: dict[int, UUID]) -> None:
        self._town, self._versions = town, versions
        self._wecom, self.calls = town.parts.wecom, self
        self.states: list[State] = []
        self.called = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wecom, name)

    async def post(self, path: str, fields: dict[str, Any], *, once: bool = False) -> Answer:
        """The call, after a look into the database in a transaction of its own."""
        found = NUMBER.search(str(fields)) if path == CREATE else None
        if found:
            version_id = self._versions[int(found[1])]
            async with self._town.sessions() as session:
                state = select(Version.state).where(Version.id == version_id)
                self.states.append(State((await session.execute(state)).scalar_one()))
            self.called.set()
        return await self._wecom.calls.post(path, fields, once=once)


async def withdrawn(ground: Ground, seed: int, share: float) -> Found:
    """Nothing is called after the commit of a withdrawal, and nothing of it stays queued."""
    found, clock, dice = Found("F-20 withdrawn while sent", seed), Clock(), Random(seed)
    with ground.bank() as settings:
        async with a_town(settings, clock) as town:
            versions = await _materials(town, clock, share_of(MATERIALS, share, LEAST))
            await _queued(town, clock, dice, list(versions.values()))
            looking, left = Looking(town, versions), list[int]()
            senders = [asyncio.create_task(_sends(town, looking)) for _ in range(SENDERS)]
            over = asyncio.gather(*senders)
            for version_id in dice.sample(list(versions.values()), len(versions)):
                await _next_call(looking, over)
                await asyncio.sleep(dice.random() * LONGEST_PAUSE)
                left.append(await _withdraw(town, version_id, found))
            await over
            clock.forward(timedelta(minutes=6))  # a claim that was dropped is given again
            await _sends(town, looking)
            await _settled(town, looking, left, found)
    return found


async def _materials(town: Town, clock: Clock, count: int) -> dict[int, UUID]:
    people, numbers = town.people, range(1, count + 1)
    async with town.sessions.begin() as session:
        materials = {
            number: await approved(
                session, f"问候{number}", CARE.replace("{step}", str(number)), people.hq,
                people.colleague, clock(),
            )
            for number in numbers
        }  # fmt: skip
        live = select(Version.material_id, Version.id).where(
            col(Version.material_id).in_(materials.values())
        )
        ids = dict((await session.execute(live)).all())
    return {number: ids[material] for number, material in materials.items()}


async def _queued(town: Town, clock: Clock, dice: Random, versions: list[UUID]) -> None:
    """Every customer is due for every material within the last hour, in no order."""
    rms, now = (town.people.rm, town.people.colleague), clock()
    names = [f"wmGONE{number:026d}" for number in range(CUSTOMERS)]
    for place, rm in enumerate(rms):
        befriend(town, names[place::2], rm.userid, now)
    async with town.sessions.begin() as session:
        customers = [Customer(external_userid=n, name="李女士", created_at=now) for n in names]
        session.add_all(customers)
        await session.flush()
        for place, customer in enumerate(customers):
            rm = rms[place % 2]
            session.add(Follow(staff_id=rm.id, customer_id=customer.id, added_at=now))
        for number, version_id in enumerate(versions):
            step = await _step(session, town, number, version_id)
            await _entered(session, town, step, customers, rms, clock, dice)


async def _step(session: AsyncSession, town: Town, number: int, version_id: UUID) -> Step:
    version = await session.get_one(Version, version_id)
    step = Step(
        sop_id=town.people.sop.id,
        position=100 + number,
        day=0,
        at=Clock()().time(),
        material_id=version.material_id,
        late=LatePolicy.SEND,
    )
    session.add(step)
    await session.flush()
    return step


async def _entered(
    session: AsyncSession,
    town: Town,
    step: Step,
    customers: list[Customer],
    rms: tuple[Any, Any],
    clock: Clock,
    dice: Random,
) -> None:
    now = clock()
    entered = [
        Enrolment(
            sop_id=town.people.sop.id, customer_id=customer.id, staff_id=rms[place % 2].id,
            round=step.position, arm=Arm.TREATED, starts_at=now, enrolled_at=now,
        )
        for place, customer in enumerate(customers)
    ]  # fmt: skip
    session.add_all(entered)
    await session.flush()
    for one in entered:
        due = now - timedelta(seconds=dice.randrange(3600))
        session.add(
            Touch(
                enrolment_id=one.id, step_id=step.id, customer_id=one.customer_id,
                staff_id=one.staff_id, due_at=due, planned_for=due,
            )
        )  # fmt: skip
    await session.flush()


async def _sends(town: Town, looking: Looking) -> None:
    """One sender of several, until nothing is due."""
    while True:
        sent = await sending.send_due(
            town.sessions, cast(WeComClient, looking), town.settings, town.now(), AT_ONCE
        )
        if not sent.claimed:
            return


async def _next_call(looking: Looking, over: "asyncio.Future[Any]") -> None:
    """Until somebody is calling, or nobody will any more."""
    looking.called.clear()
    waiting = asyncio.ensure_future(looking.called.wait())
    await asyncio.wait((waiting, over), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _withdraw(town: Town, version_id: UUID, found: Found) -> int:
    """Withdraw it; how many touches of it are queued then, held by a sender."""
    who = town.people.former
    by = Signed(who.id, who.userid, who.name, frozenset({Role.COMPLIANCE}), None, "")
    began = perf_counter()
    async with town.sessions.begin() as session:
        done = await review.withdraw(session, version_id, by=by, reason="有误", now=town.now())
    took = (perf_counter() - began) * 1000
    found.check(isinstance(done, review.Withdrawn), f"not withdrawn: {done}")
    slowest = max(took, float(found.figures.get("slowest withdrawal", "0 ms")[:-3]))
    found.figures["slowest withdrawal"] = f"{slowest:.0f} ms"
    found.runs += 1
    return await _still_queued(town, version_id)


async def _still_queued(town: Town, version_id: UUID) -> int:
    """Touches of it that are planned or handed; a sender may hold some of them."""
    material = select(Version.material_id).where(Version.id == version_id).scalar_subquery()
    query = (
        select(Touch.id)
        .join(Step, col(Step.id) == col(Touch.step_id))
        .where(Step.material_id == material, col(Touch.state).in_(QUEUED))
    )
    async with town.sessions() as session:
        return len((await session.execute(query)).all())


async def _settled(town: Town, looking: Looking, left: list[int], found: Found) -> None:
    """After the last withdrawal nothing is open, and no call was made of what had ended."""
    called = Counter(looking.states)
    late = len(looking.states) - called[State.APPROVED]
    found.check(bool(called), "nothing was sent at all")
    found.check(not late, f"{late} calls of what was no longer live")
    states = Counter(touch.state for touch in await town.rows(Touch))
    open_ = {state.value: n for state, n in states.items() if state not in OVER}
    found.check(not open_, f"touches left open: {open_}")
    tasks = Counter(task.state for task in await town.rows(SendTask))
    found.check(not tasks[TaskState.INTENT], f"{tasks[TaskState.INTENT]} intents left")
    found.events = states.total()
    found.faults["withdrawn"] = found.runs
    found.figures["calls"] = str(len(looking.states))
    found.figures["touches"] = ", ".join(f"{n} {state.value}" for state, n in states.items())
    found.figures["left to a sender"] = str(sum(left))
