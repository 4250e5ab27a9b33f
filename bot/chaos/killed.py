"""F-01: kill -9 of a serving process under load; what it answered 200 is stored, and done once."""

import asyncio
import multiprocessing
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from random import Random
from time import perf_counter

from bank.database import utc_now
from bank.settings import Settings
from bot.bench.machine import quiet
from bot.chaos.found import Found, hushed, share_of
from bot.chaos.ground import HOST, Ground, counted, words
from bot.chaos.town import Town, a_town
from bot.chaos.wire import Sender, event, letter, paced
from bot.inbound.dispatch import LEASE
from bot.serve import run, serving, until_stopped
from wecom.simulator import Contact, FollowRelation

# The product is imported once; every life of the serving process is a copy of that.
COPIES = multiprocessing.get_context("forkserver")
COPIES.set_forkserver_preload(["bot.chaos.killed"])

KILLS, EVENTS_A_LIFE = 1_000, 100
PER_SECOND = 200.0
LATEST_SECONDS = 0.05  # after so many events, kill at a random moment within this
RESTART_SECONDS = 10.0
WITH_EFFECTS = 10  # every so many events is a customer who comes
RETRY_SECONDS = 0.5
MOST_WAITING = 200  # while nobody answers, the platform does not go on for ever

OPEN = "SELECT count(*) FROM inbound_event WHERE state = 'new'"


@dataclass
class Life:
    """The serving process, killed and started again and again."""

    settings: Settings
    port: int
    restarts: list[float] = field(default_factory=list)
    _process: ForkServerProcess | None = None

    async def start(self) -> None:
        """Start it and wait until it says that it serves."""
        here, there = COPIES.Pipe()
        began = perf_counter()
        self._process = COPIES.Process(
            target=serve, args=(there, self.settings, self.port), daemon=True
        )
        self._process.start()
        there.close()
        await asyncio.to_thread(_wait_for, here)
        self.restarts.append(perf_counter() - began)

    async def kill(self) -> None:
        """Kill -9; nothing in it gets a last word."""
        if self._process is not None and self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            await asyncio.to_thread(self._process.join)


def _wait_for(pipe: Connection) -> None:
    with suppress(EOFError):
        pipe.recv()
    pipe.close()


def serve(pipe: Connection, settings: Settings, port: int) -> None:
    """The serving process: every role, until it is killed."""
    quiet()
    hushed()
    run(_serve(pipe, settings, port))


async def _serve(pipe: Connection, settings: Settings, port: int) -> None:
    async with serving(settings, HOST, port):
        pipe.send("serving")
        await until_stopped()


async def killed(ground: Ground, seed: int, share: float) -> Found:
    """F-01: a thousand lives of a hundred events each."""
    found, dice = Found("F-01 kill -9, ingestion", seed), Random(seed)
    kills = share_of(KILLS, share, 3)
    with ground.bank() as settings:
        async with a_town(settings, utc_now, callbacks_to=f"http://{HOST}:9/") as town:
            await town.close()  # the product runs in the process that is killed
            life = Life(settings, town.port)
            load = Load(town, dice)
            await life.start()
            pouring = asyncio.create_task(load.pour())
            await _kill_again_and_again(life, load, dice, kills)
            load.over = True
            await pouring
            await load.sender.settle()
            await life.kill()
            await _drained(town, found)
            await load.sender.close()
            await _account(load, life, found, kills)
    return found


async def _kill_again_and_again(life: Life, load: "Load", dice: Random, kills: int) -> None:
    for _ in range(kills):
        await load.more(EVENTS_A_LIFE)
        await asyncio.sleep(dice.uniform(0, LATEST_SECONDS))
        await life.kill()
        await life.start()


class Load:
    """Two hundred callbacks a second, every tenth a customer who really came."""

    def __init__(self, town: Town, dice: Random) -> None:
        self.town, self.dice = town, dice
        self.sender = Sender(town.port, RETRY_SECONDS)
        self.sender.on_answer = self._answered
        self.sent, self.over = 0, False
        self._wanted, self._enough = 0, asyncio.Event()

    async def pour(self) -> None:
        """Send until it is over."""
        await paced(PER_SECOND, self._one)

    async def more(self, count: int) -> None:
        """Return when so many more were answered 200."""
        self._wanted = len(self.sender.acknowledged) + count
        self._enough.clear()
        await self._enough.wait()

    def _answered(self) -> None:
        if len(self.sender.acknowledged) >= self._wanted:
            self._enough.set()

    async def _one(self) -> bool:
        if self.over:
            return True
        if self.sender.waiting >= MOST_WAITING:
            return False
        name = f"wmLOAD{self.sent:026d}"
        real = self.sent % WITH_EFFECTS == 0
        change = "add_external_contact" if real else "edit_external_contact"
        rm = self.town.people.rm.userid
        if real:
            self._befriend(name, rm)
        plain = event(self.town.settings, utc_now(), name, rm if real else "nobody", change)
        self.sender.send(name, lambda: letter(self.town.settings, plain, utc_now(), self.dice))
        self.sent += 1
        return False

    def _befriend(self, name: str, userid: str) -> None:
        relation = FollowRelation(userid, name, utc_now(), state="lobby")
        self.town.world.seed([], [Contact(name, "微信用户")], [relation])


async def _drained(town: Town, found: Found) -> None:
    """What the killed processes had claimed is free once their leases are over."""
    await town.open()
    began = perf_counter()
    await town.parts.dispatcher.handle_new(utc_now() + LEASE + timedelta(seconds=1))
    left = counted(town.settings.database_url, OPEN)
    found.check(not left, f"{left} events were not handled")
    found.figures["left to handle"] = f"{perf_counter() - began:.1f} s of work"


async def _account(load: Load, life: Life, found: Found, kills: int) -> None:
    """What was answered is stored; what was done was done once."""
    url, sender = load.town.settings.database_url, load.sender
    stored = words(url, "SELECT order_key FROM inbound_event")
    found.runs, found.events = kills, len(sender.acknowledged)
    found.faults.update({"kill -9": kills, "sent again": sender.again})
    found.lost = len(sender.acknowledged - set(stored))
    found.doubled = len(stored) - len(set(stored))
    # The first start also imports the product, which every later life is a copy of.
    slowest = max(life.restarts[1:])
    found.check(slowest <= RESTART_SECONDS, f"a restart took {slowest:.1f} s")
    _account_effects(url, sender, found)
    found.figures["slowest restart"] = f"{slowest:.1f} s"
    found.figures["slowest answer"] = f"{sender.slowest_ms:.0f} ms"
    found.figures["given up by the platform"] = f"{len(sender.given_up):,}"


def _account_effects(url: str, sender: Sender, found: Found) -> None:
    """A customer came once: one relation, one enrolment, each touch once."""
    came = {name for name in sender.acknowledged if int(name[6:]) % WITH_EFFECTS == 0}
    query = (
        "SELECT c.external_userid FROM follow f JOIN customer c ON c.id = f.customer_id"
        " WHERE f.state = 'active'"
    )
    followed = words(url, query)
    found.lost += len(came - set(followed))
    found.doubled += len(followed) - len(set(followed))
    enrolled = words(url, "SELECT customer_id FROM enrolment")
    found.doubled += len(enrolled) - len(set(enrolled))
    found.check(len(set(enrolled)) >= len(came), f"{len(came) - len(set(enrolled))} not enrolled")
    found.figures["customers who came"] = f"{len(came):,}"
