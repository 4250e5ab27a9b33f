"""A burst: ten times the ordinary rate for a minute, with everything else of the product running.

The product serves, stores and handles at once, in one process; the platform and the load have
processes of their own. What comes is a bank's mix (`bot/bench/mix.py`): mostly RMs who edit the
same customers and groups again and again, some customers who come or go. Each callback is due at
its moment whether or not the one before it was answered, and its latency counts from then. The
callbacks of a customer or group go out one after another. Meanwhile customers with a welcome code
come at the platform (`bot/bench/arrivals.py`), are welcomed, and enter the running SOP.
"""

import asyncio
import hashlib
from collections import defaultdict
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from threading import Event, Thread
from time import monotonic, perf_counter, sleep

import psutil
import psycopg
import uvloop
from aiohttp import web

from bank.database import utc_now
from bank.sealing import Seal, open_seal
from bank.settings import Settings
from bot.bench import arrivals, mix
from bot.bench.arrivals import Arrivals
from bot.bench.callbacks import a_process
from bot.bench.idle import free_port
from bot.bench.load import GO, HOST
from bot.bench.machine import cores, percentile, quiet, stay_on
from bot.demo.run import CORP, demo_settings
from bot.inbound.arrivals import CONTEXT
from bot.inbound.keys import accepted_keys
from bot.serve import serving
from migrations import migrate
from wecom.callback import seal
from wecom.events import parse
from wecom.simulator import make_simulator
from wecom.simulator.api_call import PLATFORM
from wecom.simulator.platform import Platform

PATIENCE_SECONDS = 900.0
LOOK_SECONDS = 0.2
OUTCOMES = (
    "SELECT outcome, count(*) FROM inbound_event"
    " WHERE state = 'done' AND digest = ANY(%s) GROUP BY outcome"
)
OPEN = "SELECT count(*) FROM inbound_event WHERE state = 'new'"
IN_ORDER = "SELECT order_key, sealed FROM inbound_event WHERE digest = ANY(%s) ORDER BY id"


@dataclass(frozen=True)
class Plan:
    """How fast, how long, about how many customers, over how many connections."""

    per_second: int = 500
    seconds: float = 60.0
    customers: int = 3000
    groups: int = 300
    connections: int = 60
    arrivals_per_second: float = 5.0

    @property
    def callbacks(self) -> int:
        """All in all."""
        return int(self.per_second * self.seconds)

    @property
    def size(self) -> mix.Size:
        """What it is about."""
        return mix.Size(self.callbacks, self.customers, self.groups)


@dataclass(frozen=True)
class Burst:
    """What the callers saw, and how long the product went on handling what they left.

    `handled_meanwhile` events were done when the last one was sent; `drain_seconds` later all were.
    """

    plan: Plan
    acknowledged: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    slowest_ms: float
    handled_meanwhile: int
    drain_seconds: float
    outcomes: dict[str, int]
    cpu_ms_each: float
    peak_rss_mib: float
    came: int
    welcomed: int
    welcome_p50_s: float
    welcome_p99_s: float
    slowest_welcome_s: float

    @property
    def drained_per_second(self) -> float:
        """How fast what was left was handled."""
        return (self.acknowledged - self.handled_meanwhile) / max(self.drain_seconds, 0.001)


class BurstLost(RuntimeError):
    """The table holds another number of events than were acknowledged, or they are not handled."""


class OrderLost(RuntimeError):
    """A customer's events do not lie in the table as they were sent."""


def measure(settings: Settings, plan: Plan) -> Burst:
    """One burst on that empty bank; raises if anything was lost or out of order."""
    migrate(settings.database_url)
    with ExitStack() as stack:
        port = free_port()
        platform, _ = stack.enter_context(a_process(serve_platform, port, plan, cores()))
        at = demo_settings(settings, platform.recv())
        asyncio.run(mix.settle_bank(at, plan.size))
        product, process = stack.enter_context(a_process(serve_product, at, port, cores()))
        product.recv()
        memory = stack.enter_context(_Peak(process))
        load, _ = stack.enter_context(a_process(pour, at, port, plan, cores()))
        load.recv()  # every request is built
        used = _cpu_seconds(process)
        for pipe in (load, platform):
            pipe.send(GO)
        seconds, latencies, refused = load.recv()
        handled, began = _done(at, plan), perf_counter()
        _until_handled(at)
        drain = perf_counter() - began
        welcomed: Arrivals = platform.recv()
        used = _cpu_seconds(process) - used
        peak = memory.mib
    _check(at, plan, len(latencies) - refused)
    latencies.sort()
    return Burst(
        plan=plan,
        acknowledged=len(latencies) - refused,
        refused=refused,
        seconds=seconds,
        p50_ms=percentile(latencies, 0.5),
        p99_ms=percentile(latencies, 0.99),
        slowest_ms=latencies[-1],
        handled_meanwhile=handled,
        drain_seconds=drain,
        outcomes=_outcomes(at, plan),
        cpu_ms_each=used / len(latencies) * 1000,
        peak_rss_mib=peak,
        came=welcomed.came,
        welcomed=len(welcomed.waits),
        welcome_p50_s=percentile(welcomed.waits, 0.5),
        welcome_p99_s=percentile(welcomed.waits, 0.99),
        slowest_welcome_s=welcomed.waits[-1],
    )


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


class _Peak:
    """The most memory a process held while it was looked at."""

    def __init__(self, process: psutil.Process) -> None:
        self.mib = 0.0
        self._process, self._over = process, Event()
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            with suppress(psutil.NoSuchProcess):
                self.mib = max(self.mib, self._process.memory_info().rss / 2**20)


# ---------------------------------------------------------------------------------- the sums


def _digests(plan: Plan) -> list[bytes]:
    """What the load's callbacks are known by; what the platform sends besides is another matter."""
    told = (mix.told(each).encode() for each in mix.happenings(plan.size))
    return [hashlib.sha256(plain).digest() for plain in told]


def _outcomes(settings: Settings, plan: Plan) -> dict[str, int]:
    """What the load's callbacks became that are handled."""
    with psycopg.connect(settings.database_url) as connection:
        rows = connection.execute(OUTCOMES, (_digests(plan),))
        return {str(outcome): int(count) for outcome, count in rows}


def _done(settings: Settings, plan: Plan) -> int:
    return sum(_outcomes(settings, plan).values())


def _open(settings: Settings) -> int:
    with psycopg.connect(settings.database_url) as connection:
        row = connection.execute(OPEN).fetchone()
    return int(row[0]) if row else 0


def _until_handled(settings: Settings) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    while _open(settings):
        if monotonic() > deadline:
            raise BurstLost(BurstLost.__doc__)
        sleep(LOOK_SECONDS)


def _check(settings: Settings, plan: Plan, acknowledged: int) -> None:
    """Nothing lost, all of it handled, and each customer's events as they were sent."""
    done = _done(settings, plan)
    if done != acknowledged:
        raise BurstLost(f"{BurstLost.__doc__} ({done} handled, {acknowledged} answered)")
    box, stored = open_seal(settings), defaultdict[str, list[datetime]](list)
    with psycopg.connect(settings.database_url) as connection:
        rows = connection.execute(IN_ORDER, (_digests(plan),))
        for customer, sealed in rows:
            stored[customer].append(_told_at(box, sealed))
    if any(times != sorted(times) for customer, times in stored.items() if customer):
        raise OrderLost(OrderLost.__doc__)


def _told_at(box: Seal, sealed: bytes) -> datetime:
    return parse(box.open(sealed, CONTEXT)).created_at


# ------------------------------------------------------------------------------- the processes


def serve_platform(pipe: Connection, product: int, plan: Plan, chosen: list[int]) -> None:
    """The platform's process: tells its port, lets customers come when it hears back, and tells
    how they were welcomed; serves until the other side hangs up."""
    stay_on(chosen)
    quiet()
    platform = make_simulator(
        mix.a_world(plan.size),
        corp=CORP,
        callback_url=f"http://{HOST}:{product}/wecom/callback",
        sidebar_url=f"http://{HOST}:{product}/sidebar",
        now=utc_now,
    )
    app = web.Application()
    app.add_subapp("/simulator/", platform)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(pipe, app, platform[PLATFORM], plan))


async def _serve(pipe: Connection, app: web.Application, platform: Platform, plan: Plan) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    pipe.send(runner.addresses[0][1])
    stirring = asyncio.create_task(mix.stir(platform.world, plan.size))
    with suppress(EOFError):
        await asyncio.to_thread(pipe.recv)
        pipe.send(await arrivals.come(platform, plan.arrivals_per_second, plan.seconds))
        await asyncio.to_thread(pipe.recv)
    stirring.cancel()
    await runner.cleanup()


def serve_product(pipe: Connection, settings: Settings, port: int, chosen: list[int]) -> None:
    """The product's process, with all its loops: says when it serves, until we hang up."""
    stay_on(chosen)
    quiet()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_product(pipe, settings, port))


async def _product(pipe: Connection, settings: Settings, port: int) -> None:
    async with serving(settings, HOST, port):
        pipe.send(GO)
        with suppress(EOFError):
            await asyncio.to_thread(pipe.recv)


def pour(pipe: Connection, settings: Settings, port: int, plan: Plan, chosen: list[int]) -> None:
    """The load's process: builds, waits for the word, pours, and tells what the callers saw."""
    stay_on(chosen)
    built = _built(settings, plan)
    pipe.send(GO)
    pipe.recv()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pipe.send(runner.run(_poured(built, port)))


def _built(settings: Settings, plan: Plan) -> list[list[tuple[float, bytes]]]:
    """For each caller when its callbacks are due, in seconds, and their bytes on the wire.

    All callbacks of a customer or group go over one connection, in order.
    """
    keys, now = accepted_keys(settings)[0], int(utc_now().timestamp())
    built: list[list[tuple[float, bytes]]] = [[] for _ in range(plan.connections)]
    for each in mix.happenings(plan.size):
        query, body = seal(keys, mix.told(each), f"nonce{each.number}", now)
        address = "&".join(f"{name}={value}" for name, value in query.items())
        head = (
            f"POST /wecom/callback?{address} HTTP/1.1\r\nHost: {HOST}\r\n"
            f"Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        caller = each.subject if mix.is_in_order(each.kind) else each.number
        request = (each.number / plan.per_second, head.encode() + body)
        built[caller % plan.connections].append(request)
    return built


async def _poured(
    built: list[list[tuple[float, bytes]]], port: int
) -> tuple[float, list[float], int]:
    """Seconds, milliseconds from each due moment to its answer, and how many were not 200."""
    latencies: list[float] = []
    refused = 0
    began = perf_counter()

    async def caller(requests: list[tuple[float, bytes]]) -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection(HOST, port)
        for due, request in requests:
            await asyncio.sleep(max(0.0, began + due - perf_counter()))
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            latencies.append((perf_counter() - began - due) * 1000)
            refused += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(caller(requests) for requests in built))
    return perf_counter() - began, latencies, refused


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0] or 0)
