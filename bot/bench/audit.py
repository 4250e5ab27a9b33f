"""The audit book: what a line costs with and without its chain, and how damage is found."""

import asyncio
import random
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import psycopg

from bank.audit_check import check
from bank.audit_heads import Heads, open_heads
from bank.audit_keeping import Keeper
from bank.database import open_engine, open_sessions, plain_url, utc_now
from bank.settings import Settings
from migrations import migrate

WAYS = ("no chain", "noted to be linked", "linked meanwhile", "one writer after another")
DAMAGES = ("altered", "removed", "removed with its link", "reordered", "cut off at the end")


@dataclass(frozen=True)
class Plan:
    """How much is written and checked."""

    writers: int = 8
    seconds: float = 4.0
    rounds: int = 3
    lines: int = 100_000
    times: int = 5


@dataclass(frozen=True)
class Written:
    """Transactions of one line each a second, all writers together, and the cost of one."""

    way: str
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Found:
    """How often a kind of damage to one line was found, and how long a check took."""

    damage: str
    tried: int
    found: int
    slowest_seconds: float


@dataclass(frozen=True)
class Auditing:
    """Everything that was measured."""

    plan: Plan
    written: list[Written]
    behind_seconds: float  # longest that a committed line waited for its link meanwhile
    link_seconds: float  # to link so many lines at once
    check_seconds: float  # to check them while nothing is wrong
    found: list[Found]


def measure(settings: Settings, plan: Plan) -> Auditing:
    """Writers first, on an empty book; then the checks, on a full one."""
    migrate(settings.database_url)
    written, behind = asyncio.run(_writing(settings, plan))
    link_seconds = asyncio.run(_filled(settings, plan.lines))
    heads = open_heads(settings)
    sound = check(settings.database_url, heads)
    if not sound.sound or sound.lines != plan.lines:
        raise RuntimeError(sound.say())
    found = [_found(settings, heads, damage, plan) for damage in DAMAGES]
    return Auditing(plan, written, behind, link_seconds, sound.seconds, found)


# ------------------------------------------------------------------------------ writing


async def _writing(settings: Settings, plan: Plan) -> tuple[list[Written], float]:
    """All ways round by round, so that what else the machine does meets each of them."""
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    waits: dict[str, list[float]] = {way: [] for way in WAYS}
    behind = 0.0
    for _ in range(plan.rounds):
        for way in WAYS:
            _emptied(settings, noted=way in WAYS[1:3])
            latencies, late = await _round(settings, plan, way)
            rates[way].append(len(latencies) / plan.seconds)
            waits[way] += latencies
            behind = max(behind, late)
    return [_written(way, rates[way], sorted(waits[way])) for way in WAYS], behind


def _written(way: str, rates: list[float], waits: list[float]) -> Written:
    p99 = waits[min(len(waits) - 1, int(len(waits) * 0.99))]
    return Written(way, median(rates), median(waits) * 1000, p99 * 1000)


def _emptied(settings: Settings, *, noted: bool) -> None:
    """An empty book, with or without the note that a line waits to be linked."""
    switch = "ENABLE" if noted else "DISABLE"
    with psycopg.connect(plain_url(settings.database_url)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE audit_entry, audit_link, audit_waiting RESTART IDENTITY")
        connection.execute(f"ALTER TABLE audit_entry {switch} TRIGGER audit_line_waits".encode())


async def _round(settings: Settings, plan: Plan, way: str) -> tuple[list[float], float]:
    serial = way == WAYS[3]
    until = perf_counter() + plan.seconds
    tasks = [asyncio.create_task(_writer(settings, until, serial)) for _ in range(plan.writers)]
    linking = asyncio.create_task(_linking(settings, until)) if way == WAYS[2] else None
    latencies = [each for task in tasks for each in await task]
    return latencies, await linking if linking else 0.0


INSERT = (
    "INSERT INTO audit_entry (at, actor, action, subject, subject_id, detail) VALUES"
    " (now(), 'wangmin', 'knowledge:suggestion:send', 'suggestion', gen_random_uuid(),"
    """ '{"customer": "6f0b1c1e-5b4e-4b0a-9d5e-4f2a7c3d8e10", "edited": false}')"""
)


async def _writer(settings: Settings, until: float, serial: bool) -> list[float]:
    """Transactions of one line each; `serial`: as if each were linked by its writer."""
    took = []
    url = plain_url(settings.database_url)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        while (begun := perf_counter()) < until:
            if serial:
                await connection.execute("SELECT pg_advisory_xact_lock(1)")
            await connection.execute(INSERT)
            await connection.commit()
            took.append(perf_counter() - begun)
    return took


async def _linking(settings: Settings, until: float) -> float:
    """A keeper as a worker runs it; the longest time a line has waited for it."""
    engine = open_engine(settings.database_url, pool_size=2)
    keeper, behind = Keeper(open_sessions(engine), open_heads(settings)), 0.0
    try:
        while perf_counter() < until:
            await keeper.link(utc_now())
            behind = max(behind, await _oldest(settings))
            await asyncio.sleep(1.0)
    finally:
        await engine.dispose()
    return behind


async def _oldest(settings: Settings) -> float:
    query = (
        "SELECT coalesce(max(extract(epoch FROM l.linked_at - e.at)), 0)"
        " FROM audit_link l JOIN audit_entry e ON e.id = l.entry_id"
    )
    url = plain_url(settings.database_url)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute(query)).fetchone()
    return float(row[0]) if row else 0.0


# ------------------------------------------------------------------------------ checking


async def _filled(settings: Settings, lines: int) -> float:
    """A book of so many lines; seconds to link them all."""
    _emptied(settings, noted=True)
    with psycopg.connect(plain_url(settings.database_url)) as connection:
        connection.execute(
            "INSERT INTO audit_entry (at, actor, action, subject, subject_id, detail)"
            " SELECT now() - n * interval '7 seconds', 'staff' || n %% 300,"
            " 'content:version:approve', 'version', gen_random_uuid()::text,"
            " jsonb_build_object('number', n, 'reason', '依据充分，予以通过')"
            " FROM generate_series(1, %s) AS n",
            (lines,),
        )
    for old in open_heads(settings).folder.glob("*"):
        old.unlink()
    engine = open_engine(settings.database_url, pool_size=2)
    begun = perf_counter()
    await Keeper(open_sessions(engine), open_heads(settings)).link(utc_now())
    took = perf_counter() - begun
    await engine.dispose()
    return took


def _found(settings: Settings, heads: Heads, damage: str, plan: Plan) -> Found:
    """One line damaged, checked, mended; again and again, each time another line."""
    dice, found, slowest = random.Random(damage), 0, 0.0
    for _ in range(plan.times):
        one, other = dice.sample(range(1, plan.lines), 2)
        with psycopg.connect(plain_url(settings.database_url), autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("CREATE TEMP TABLE lines AS SELECT * FROM audit_entry LIMIT 0")
            connection.execute("CREATE TEMP TABLE links AS SELECT * FROM audit_link LIMIT 0")
            victims = [plan.lines] if damage == DAMAGES[4] else [one, other]
            _kept(connection, victims)
            _damaged(connection, damage, *victims)
            outcome = check(settings.database_url, heads)
            _mended(connection)
        found += not outcome.sound
        slowest = max(slowest, outcome.seconds)
    if not check(settings.database_url, heads).sound:
        raise RuntimeError("the book was not mended; the figures would mean nothing")
    return Found(damage, plan.times, found, slowest)


def _kept(connection: psycopg.Connection[tuple[object, ...]], ids: list[int]) -> None:
    connection.execute("INSERT INTO lines SELECT * FROM audit_entry WHERE id = ANY(%s)", (ids,))
    connection.execute(
        "INSERT INTO links SELECT * FROM audit_link WHERE entry_id = ANY(%s)", (ids,)
    )


def _damaged(
    connection: psycopg.Connection[tuple[object, ...]], damage: str, one: int, other: int = 0
) -> None:
    statements = {
        DAMAGES[0]: ["UPDATE audit_entry SET actor = actor || '?' WHERE id = %(one)s"],
        DAMAGES[1]: ["DELETE FROM audit_entry WHERE id = %(one)s"],
        DAMAGES[2]: [
            "DELETE FROM audit_entry WHERE id = %(one)s",
            "DELETE FROM audit_link WHERE entry_id = %(one)s",
        ],
        DAMAGES[3]: [
            "UPDATE audit_entry a SET at = b.at, actor = b.actor, subject_id = b.subject_id,"
            " detail = b.detail FROM lines b WHERE (a.id, b.id) IN"
            " ((%(one)s, %(other)s), (%(other)s, %(one)s))"
        ],
        DAMAGES[4]: [
            "DELETE FROM audit_entry WHERE id = %(one)s",
            "DELETE FROM audit_link WHERE entry_id = %(one)s",
        ],
    }[damage]
    for statement in statements:
        connection.execute(statement.encode(), {"one": one, "other": other})


def _mended(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute("DELETE FROM audit_entry WHERE id IN (SELECT id FROM lines)")
    connection.execute("DELETE FROM audit_link WHERE position IN (SELECT position FROM links)")
    connection.execute("INSERT INTO audit_entry OVERRIDING SYSTEM VALUE SELECT * FROM lines")
    connection.execute("INSERT INTO audit_link SELECT * FROM links")
