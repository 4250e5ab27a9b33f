"""F-11: the database goes away under load, in three ways; what was answered 200 is stored."""

import asyncio
import os
import signal
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from time import perf_counter

from bank.database import utc_now
from bank.embedded import EmbeddedPostgres
from bank.settings import Settings
from bot.bench.machine import a_home
from bot.chaos.found import Found, share_of
from bot.chaos.ground import HOST, Ground, bank_at, counted, words
from bot.chaos.killed import OPEN, PER_SECOND
from bot.chaos.town import settled
from bot.chaos.wire import Sender, event, letter, paced
from bot.inbound.dispatch import LEASE
from bot.serve import serving
from migrations import migrate

RESTARTS = 50
FEW_A_SECOND = 50.0  # where only a share of the outages is made
WAYS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill -9": signal.SIGKILL}
UP_SECONDS = (0.3, 1.5)
DOWN_SECONDS = (0.0, 1.5)
DRAIN_SECONDS, LOOK_SECONDS = 60.0, 0.2
RETRY_SECONDS = 1.0


async def outages(ground: Ground, seed: int, share: float) -> Found:
    """F-11: fifty outages of a server of its own, two hundred callbacks a second meanwhile."""
    found, dice = Found("F-11 database restarts", seed), Random(seed)
    restarts = share_of(RESTARTS, share, 3)
    with a_home() as home:
        server = EmbeddedPostgres(home)
        try:
            settings = bank_at(home, await asyncio.to_thread(server.start))
            await asyncio.to_thread(migrate, settings.database_url)
            await settled(settings, utc_now)
            await _under_load(settings, home, found, dice, restarts)
        finally:
            server.stop()
    return found


async def _under_load(
    settings: Settings, home: Path, found: Found, dice: Random, restarts: int
) -> None:
    port = int(settings.public_url.rsplit(":", 1)[1])
    clock, whole = Ahead(), restarts >= RESTARTS
    async with serving(settings, HOST, port, now=clock):
        load = Plain(settings, port, dice)
        pouring = asyncio.create_task(paced(PER_SECOND if whole else FEW_A_SECOND, load.one))
        down = 0.0
        for _ in range(restarts):
            await asyncio.sleep(dice.uniform(*UP_SECONDS))
            down = max(down, await _restart(home, found, dice))
        load.over = True
        await pouring
        await load.sender.settle()
        if not whole:
            # What was claimed in an outage waits for its lease; only the full run waits with it.
            clock.ahead = LEASE
        await _drained(settings, found)
        await load.sender.close()
    stored = words(settings.database_url, "SELECT order_key FROM inbound_event")
    found.runs, found.events = restarts, len(load.sender.acknowledged)
    found.faults["sent again"] = load.sender.again
    found.lost = len(load.sender.acknowledged - set(stored))
    found.doubled = len(stored) - len(set(stored))
    found.figures["longest outage"] = f"{down:.1f} s"
    found.figures["slowest answer"] = f"{load.sender.slowest_ms:.0f} ms"
    found.figures["given up by the platform"] = f"{len(load.sender.given_up):,}"


async def _restart(home: Path, found: Found, dice: Random) -> float:
    """Stop the server in one of the ways, leave it for a moment, start it; seconds it was away."""
    name = dice.choice(sorted(WAYS))
    found.faults[name] += 1
    postmaster = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    began = perf_counter()
    with suppress(ProcessLookupError):
        os.kill(postmaster, WAYS[name])
    await asyncio.sleep(dice.uniform(*DOWN_SECONDS))
    await asyncio.to_thread(EmbeddedPostgres(home).start)
    return perf_counter() - began


class Ahead:
    """The real clock, and as much more as somebody says."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


class Plain:
    """A steady stream of events that mean nothing to the bank."""

    def __init__(self, settings: Settings, port: int, dice: Random) -> None:
        self.settings, self.dice = settings, dice
        self.sender = Sender(port, RETRY_SECONDS)
        self.sent, self.over = 0, False

    async def one(self) -> bool:
        """Send the next one; whether it is over."""
        if self.over:
            return True
        name = f"wmPLAIN{self.sent:025d}"
        plain = event(self.settings, utc_now(), name, "nobody", "edit_external_contact")
        self.sender.send(name, lambda: letter(self.settings, plain, utc_now(), self.dice))
        self.sent += 1
        return False


async def _drained(settings: Settings, found: Found) -> None:
    """After the last outage everything stored is handled by itself."""
    began = perf_counter()
    for _ in range(round(DRAIN_SECONDS / LOOK_SECONDS)):
        if not counted(settings.database_url, OPEN):
            break
        await asyncio.sleep(LOOK_SECONDS)
    left = counted(settings.database_url, OPEN)
    found.check(not left, f"{left} events were not handled within {DRAIN_SECONDS:.0f} s")
    found.figures["drained"] = f"{perf_counter() - began:.1f} s"
