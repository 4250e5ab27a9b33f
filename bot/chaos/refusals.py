"""F-07 and F-08: a platform that fails, and one that wants to be left alone."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

from bot.chaos.found import Found, share_of
from bot.chaos.ground import Clock, Ground, counted, words
from bot.chaos.town import Town, a_town
from bot.chaos.wire import event, letter, send_all
from scheduler.models import Touch, TouchState
from wecom.calls import BACKOFF
from wecom.client import WeComClient
from wecom.errors import WeComError
from wecom.simulator import Contact, FollowRelation

CUSTOMERS, WAVE, AWAY = 2_000, 50, 20
BURST = 1_000
ANSWERS = ("503", "hang", "reset", "half")
SHARE_OF_EACH = 0.055  # of four: one call in five goes wrong
HANG_SECONDS = 0.2
ACK_MS = 2_000.0
ROUNDS, PAUSE = 60, timedelta(minutes=10)
MOST_CALLS = 12 * (1 + len(BACKOFF))  # tries of an event, requests of a try
LIMITED_FOR, PROBE_EVERY = timedelta(hours=2), 30.0
TICK = timedelta(seconds=30)
CONTACT, CREATE = "externalcontact/get", "externalcontact/add_msg_template"
OPEN = "SELECT count(*) FROM inbound_event WHERE state = 'new'"
PARKED = "SELECT outcome FROM inbound_event WHERE state = 'quarantined'"
FOLLOWED = (
    "SELECT c.external_userid FROM follow f JOIN customer c ON c.id = f.customer_id"
    " WHERE f.state = 'active'"
)
LEFT_OVER = (TouchState.PLANNED, TouchState.CLAIMED, TouchState.UNKNOWN)


async def failing(ground: Ground, seed: int, share: float) -> Found:
    """F-07: a fifth of all calls goes wrong, then all of them; answering goes on."""
    found, clock = Found("F-07 WeCom fails", seed), Clock()
    customers = share_of(CUSTOMERS, share, 40)
    with ground.bank() as settings:
        async with a_town(settings, clock) as town:
            api = [
                {"path": "", "rate": SHARE_OF_EACH, "answer": answer, "seconds": HANG_SECONDS}
                for answer in ANSWERS
            ]
            await town.control("faults", seed=seed, api=api)
            names = [f"wmFAIL{number:026d}" for number in range(customers)]
            for first in range(0, customers, WAVE):
                await _come(town, clock, found, Random(seed + first), names[first : first + WAVE])
            await _wait(town, clock)
            followed = set(words(settings.database_url, FOLLOWED))
            found.lost = len(set(names) - followed)
            found.faults["calls gone wrong"] = len(town.requests) * 4 * 55 // 1000
            _check_jitter(town, found)
            await _away(town, clock, found, seed)
    found.runs, found.events = customers, customers + AWAY
    return found


async def _come(town: Town, clock: Clock, found: Found, dice: Random, names: list[str]) -> None:
    """Customers come while events are handled; their callbacks are answered in time."""
    befriend(town, names, town.people.rm.userid, clock())
    requests = [_added(town, clock, dice, name) for name in names]
    handling = asyncio.create_task(town.handle())
    sent = await send_all(town.port, requests)
    await handling
    found.check(sent.count(200) == len(names), "a callback was not answered while WeCom failed")
    found.check(sent.slowest_ms < ACK_MS, f"an answer took {sent.slowest_ms:.0f} ms")
    slowest = max(sent.slowest_ms, float(found.figures.get("slowest answer", "0 ms")[:-3]))
    found.figures["slowest answer"] = f"{slowest:.0f} ms"


def befriend(town: Town, names: list[str], userid: str, now: datetime) -> None:
    """These customers are friends of that member on the platform; nobody is told."""
    contacts = [Contact(name, "微信用户") for name in names]
    town.world.seed([], contacts, [FollowRelation(userid, name, now) for name in names])


def _added(town: Town, clock: Clock, dice: Random, name: str) -> bytes:
    rm = town.people.rm.userid
    plain = event(town.settings, clock(), name, rm, "add_external_contact", State="lobby")
    return letter(town.settings, plain, clock(), dice)


async def _wait(town: Town, clock: Clock) -> None:
    """Time passes until nothing is open, or for ten hours."""
    for _ in range(ROUNDS):
        await town.handle()
        if not counted(town.settings.database_url, OPEN):
            return
        clock.forward(PAUSE)


def _check_jitter(town: Town, found: Found) -> None:
    """Pauses before another try differ, within half and one and a half of the plan."""
    pauses = town.pauses
    if len(pauses) < 4:
        return
    found.check(len(set(pauses)) > len(pauses) // 2, "pauses before another try are all alike")
    low, high = BACKOFF[0] * 0.5, BACKOFF[-1] * 1.5
    outside = [pause for pause in pauses if not low <= pause <= high]
    found.check(not outside, f"pauses outside {low}–{high} s: {outside[:3]}")
    found.figures["pauses"] = f"{min(pauses):.2f}–{max(pauses):.2f} s"


async def _away(town: Town, clock: Clock, found: Found, seed: int) -> None:
    """Nothing works for hours: events are parked with a reason, after a bounded number of calls."""
    await town.control("faults", clear=True, api=[{"path": "", "times": -1, "answer": "503"}])
    names = [f"wmAWAY{number:026d}" for number in range(AWAY)]
    already = len(words(town.settings.database_url, PARKED))
    befriend(town, names, town.people.rm.userid, clock())
    before = len(town.requests)
    await send_all(town.port, [_added(town, clock, Random(seed), name) for name in names])
    await _wait(town, clock)
    parked = words(town.settings.database_url, PARKED)
    found.faults["away"] = len(town.requests) - before
    found.check(len(parked) - already == AWAY, f"{len(parked) - already} of {AWAY} parked")
    found.check(all(":" in reason for reason in parked), f"without a reason: {set(parked)}")
    calls = (len(town.requests) - before) / AWAY
    found.check(calls <= MOST_CALLS, f"{calls:.0f} calls for each parked event")
    found.figures["calls before parking"] = f"{calls:.0f}"


async def limited(ground: Ground, seed: int, share: float) -> Found:
    """F-08: 45009, 45033 and −1 in bursts: nobody hammers, and what waits is sent or expires."""
    found, clock = Found("F-08 rate limited", seed), Clock()
    with ground.bank() as settings:
        async with a_town(settings, clock) as town:
            await _burst(town, clock, found, share_of(BURST, share, 50))
            await _sending_limited(town, clock, found, share_of(BURST, share, 50))
    return found


async def _burst(town: Town, clock: Clock, found: Found, calls: int) -> None:
    """A thousand calls at once while 45009 is the answer for two hours."""
    befriend(town, ["wmBURST"], town.people.rm.userid, clock())
    for code, bound in ((45033, 1 + len(BACKOFF)), (-1, 1 + len(BACKOFF)), (45009, 1)):
        await town.control("faults", clear=True)
        api = [{"path": CONTACT, "times": -1, "answer": code}]
        await town.control("faults", api=api)
        before = len(town.asked(CONTACT))
        asks = [ask(town.parts.wecom) for _ in range(calls if code == 45009 else 20)]
        await asyncio.gather(*asks)
        opened = len(town.asked(CONTACT)) - before
        found.faults[str(code)] += opened
        most = len(asks) * bound
        found.check(opened <= most, f"{code}: {opened} requests for {len(asks)} calls")
        if code == 45009:
            await _probed(town, clock, found, calls)
    await town.control("faults", clear=True)
    clock.forward(timedelta(hours=2))
    found.check(await ask(town.parts.wecom) == "answered", "not called again after recovery")
    found.runs += calls
    found.events += calls


async def ask(wecom: WeComClient) -> str:
    try:
        await wecom.contacts.get("wmBURST")
    except WeComError as error:
        return type(error).__name__
    return "answered"


async def _probed(town: Town, clock: Clock, found: Found, calls: int) -> None:
    """While limited, somebody asks every second for ten minutes: at most one probe in 30 s."""
    before = len(town.asked(CONTACT))
    for _ in range(600):
        clock.forward(timedelta(seconds=1))
        await asyncio.gather(*(ask(town.parts.wecom) for _ in range(1 + calls // 600)))
    probes = town.asked(CONTACT)[before:]
    found.figures["probes in 10 min"] = str(len(probes))
    _spaced(probes, found, "contacts")


def _spaced(probes: list[datetime], found: Found, name: str) -> None:
    gaps = [(b - a).total_seconds() for a, b in pairwise(probes)]
    close = [gap for gap in gaps if gap < PROBE_EVERY]
    found.check(not close, f"{name}: probes {min(close, default=0):.0f} s apart")


async def _sending_limited(town: Town, clock: Clock, found: Found, customers: int) -> None:
    """Touches fall due while tasks cannot be created for two hours."""
    names = [f"wmLIMIT{number:025d}" for number in range(customers)]
    # A Tuesday about ten: nobody is in quiet hours, today or two hours later.
    clock.moment = clock.moment.replace(hour=1, minute=59) + timedelta(days=1)
    befriend(town, names, town.people.rm.userid, clock())
    await send_all(town.port, [_added(town, clock, Random(1), name) for name in names])
    await town.handle()
    await town.control("faults", api=[{"path": CREATE, "times": -1, "answer": 45009}])
    before, began = len(town.asked(CREATE)), clock()
    while clock() - began < LIMITED_FOR:
        clock.forward(TICK)
        await town.tick()
    _spaced(town.asked(CREATE)[before:], found, "sending")
    found.faults["45009 on sending"] = len(town.asked(CREATE)) - before
    await town.control("faults", clear=True)
    while clock() - began < 3 * LIMITED_FOR:
        clock.forward(TICK * 20)
        await town.tick()
    await _all_settled(town, clock, found, set(names))
    found.events += customers


async def _all_settled(town: Town, clock: Clock, found: Found, names: set[str]) -> None:
    """Every due touch is with its RM once, or has ended with a reason."""
    due = [touch for touch in await town.rows(Touch) if touch.planned_for <= clock()]
    waiting = [touch for touch in due if touch.state in LEFT_OVER]
    silent = [touch for touch in due if touch.state is not TouchState.HANDED and not touch.reasons]
    found.lost += len(waiting)
    found.check(not silent, f"{len(silent)} touches ended without a reason")
    found.figures["touches"] = ", ".join(
        f"{count} {state.value}" for state, count in Counter(t.state for t in due).items()
    )
    carried = Counter(
        target.external_userid for task in town.world.tasks.values() for target in task.targets
    )
    found.doubled += sum(count - 1 for count in carried.values() if count > 1)
    found.check(set(carried) == names, f"{len(names - set(carried))} were never handed")
