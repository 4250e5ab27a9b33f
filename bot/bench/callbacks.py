"""Callbacks: how many a second one process takes on one core, door by door, rounds interleaved."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median

import psutil
import psycopg

from bank.settings import Settings
from bot.bench.doors import DOORS, serve_door
from bot.bench.load import GO, Order, Round, obey
from bot.bench.machine import percentile, split_cores
from migrations import migrate

# One process imports the product and is copied for every door: started in a tenth of the time.
COPIES = multiprocessing.get_context("forkserver")
COPIES.set_forkserver_preload(["bot.bench.doors"])
STORING = ("gathered", "single")
GOAL = 0.75
GOODBYE_SECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    """How much is sent: every round this many requests to each door, after a warm-up."""

    rounds: int = 3
    requests: int = 8000
    warm_up: int = 2000
    connections: int = 32


@dataclass(frozen=True)
class Figures:
    """One door: requests a second, milliseconds to the answer, server CPU µs for each request.

    `core_share` is how much of its core the server got; well below 1 other work was in the way.
    """

    door: str
    per_second: float
    slowest_round: float
    fastest_round: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    core_share: float


@dataclass(frozen=True)
class Callbacks:
    """Every door, what was acknowledged and what is in the table, and the ratio that counts."""

    plan: Plan
    doors: dict[str, Figures]
    acknowledged: int
    stored: int

    @property
    def ratio(self) -> float:
        """The product's callbacks a second for each one that is only opened."""
        return self.doors["gathered"].per_second / self.doors["opening"].per_second

    @property
    def cpu_ratio(self) -> float:
        """The same by the CPU a request takes, which other work on the machine disturbs less."""
        return self.doors["opening"].cpu_us / self.doors["gathered"].cpu_us


class CallbacksLost(RuntimeError):
    """The table holds another number of events than were acknowledged."""


def measure(settings: Settings, plan: Plan) -> Callbacks:
    """All doors on that empty bank; raises CallbacksLost if the sums do not agree."""
    migrate(settings.database_url)
    with ExitStack() as stack:
        load = stack.enter_context(_load(settings))
        doors = {name: stack.enter_context(_door(name, settings)) for name in DOORS}
        played = _interleaved(load, doors, plan)
    counted = [each for name in STORING for each in played[name]]
    acknowledged = sum(each.round.acknowledged for each in counted)
    stored = _stored(settings.database_url)
    if stored != acknowledged or any(p.round.refused for each in played.values() for p in each):
        raise CallbacksLost(f"{CallbacksLost.__doc__} ({stored} stored, {acknowledged} answered)")
    figures = {name: _figures(name, each[1:]) for name, each in played.items()}
    return Callbacks(plan, figures, acknowledged, stored)


@dataclass(frozen=True)
class Served:
    """A door that is being served."""

    port: int
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """What its process has used so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


@dataclass(frozen=True)
class Played:
    """A round and the CPU the server used for it."""

    round: Round
    cpu_seconds: float


@contextmanager
def _load(settings: Settings) -> Iterator[Connection]:
    """The load on the other cores; on the same one where there is but one."""
    with a_process(obey, settings, split_cores()[1]) as (pipe, _):
        yield pipe


@contextmanager
def _door(name: str, settings: Settings) -> Iterator[Served]:
    with a_process(serve_door, name, settings, split_cores()[0]) as (pipe, process):
        yield Served(pipe.recv(), process)


@contextmanager
def a_process(
    work: Callable[..., None], *arguments: object
) -> Iterator[tuple[Connection, psutil.Process]]:
    """A process that works until we hang up."""
    here, there = COPIES.Pipe()
    process = COPIES.Process(target=work, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    try:
        yield here, psutil.Process(process.pid)
    finally:
        here.close()
        process.join(GOODBYE_SECONDS)
        process.kill()


def _interleaved(load: Connection, doors: dict[str, Served], plan: Plan) -> dict[str, list[Played]]:
    """Round by round, one door after another; the first round of each only warms up."""
    played: dict[str, list[Played]] = {name: [] for name in doors}
    first = 0
    for number in range(plan.rounds + 1):
        count = plan.requests if number else plan.warm_up
        for name, door in doors.items():
            load.send(Order(door.port, first, count, plan.connections))
            load.recv()  # every request is built
            used = door.cpu_seconds()
            load.send(GO)
            result: Round = load.recv()
            played[name].append(Played(result, door.cpu_seconds() - used))
            first += count
    return played


def _stored(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM inbound_event").fetchone()
    return int(row[0]) if row else 0


def _figures(name: str, played: list[Played]) -> Figures:
    """Medians over the rounds; latencies over all requests of all rounds."""
    speeds = [each.round.acknowledged / each.round.seconds for each in played]
    latencies = sorted(ms for each in played for ms in each.round.latencies)
    cpu = [each.cpu_seconds / each.round.acknowledged * 1e6 for each in played]
    return Figures(
        door=name,
        per_second=median(speeds),
        slowest_round=min(speeds),
        fastest_round=max(speeds),
        p50_ms=percentile(latencies, 0.5),
        p99_ms=percentile(latencies, 0.99),
        cpu_us=median(cpu),
        core_share=median(each.cpu_seconds / each.round.seconds for each in played),
    )
