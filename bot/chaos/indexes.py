"""F-03, F-16: the index killed while it is built again, its files damaged; search stays right."""

import asyncio
import multiprocessing
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from time import perf_counter

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from bank.database import open_engine, open_sessions, utc_now
from bank.settings import Settings
from bot.bench import shelf
from bot.bench.machine import quiet
from bot.chaos.found import Found, hushed, share_of
from bot.chaos.ground import Ground
from content import library
from knowledge.encoder import load_encoder
from knowledge.hybrid import Audience
from knowledge.indexing import LibraryIndex
from knowledge.vectors import Kind, open_store

# The product is imported once; every building process is a copy of that.
COPIES = multiprocessing.get_context("forkserver")

KILLS, MUTATIONS = 200, 500
MATERIALS, LEAST_MATERIALS = 1_500, 30  # of about seven rows
SMALL = 60  # materials of the library whose files are damaged
START_SECONDS, DEGRADED_SECONDS = 10.0, 30.0
ASKED, NEAREST = 50, 5
STORES: tuple[Kind, ...] = ("faiss", "pgvector")


@dataclass(frozen=True)
class Answers:
    """What was found for each question, and by which state of the index."""

    generation: str
    documents: tuple[frozenset[object], ...]

    def right(self, wanted: Sequence[object]) -> float:
        """Share of the questions whose document is among those found."""
        pairs = zip(wanted, self.documents, strict=True)
        return sum(document in found for document, found in pairs) / len(wanted)


@dataclass(frozen=True)
class Library:
    """A stocked library, and questions whose documents are known."""

    settings: Settings
    session: AsyncSession
    house: shelf.House
    asked: tuple[tuple[object, str], ...]
    now: datetime

    @property
    def folder(self) -> Path:
        """Where the index is saved."""
        return self.settings.home / "index"

    @property
    def wanted(self) -> list[object]:
        """The documents asked for."""
        return [document for document, _ in self.asked]

    @asynccontextmanager
    async def index(self, kind: Kind) -> AsyncIterator[LibraryIndex]:
        """A fresh process's index on that store."""
        store = open_store(kind, self.settings.database_url)
        try:
            yield LibraryIndex(load_encoder("builtin"), self.folder, store)
        finally:
            store.close()

    async def grow(self, number: int) -> None:
        """One more live material, the one of that number."""
        await shelf.stock(self.session, self.house, number, number + 1, self.now)
        await self.session.commit()

    def ask(self, index: LibraryIndex) -> Answers:
        """Every question once."""
        audience = Audience(self.now, "single_chat", None, 5)
        found = [index.hybrid.search(text, audience, NEAREST) for _, text in self.asked]
        hits = tuple(frozenset(hit.document for hit in each.hits) for each in found)
        [generation] = {each.generation for each in found}
        return Answers(generation, hits)


@asynccontextmanager
async def a_library(ground: Ground, materials: int, dice: Random) -> AsyncIterator[Library]:
    """So many live materials, and questions after the titles of some of them."""
    with ground.bank() as settings:
        engine = open_engine(settings.database_url, pool_size=2)
        try:
            async with open_sessions(engine)() as session:
                now = utc_now()
                house = await shelf.a_house(session, now)
                await shelf.stock(session, house, 0, materials, now)
                await session.commit()
                live = await library.live_documents(session, now)
                chosen = dice.sample(live, min(ASKED, len(live)))
                asked = tuple((each.version_id, each.title) for each in chosen)
                yield Library(settings, session, house, asked, now)
        finally:
            await engine.dispose()


async def killed_rebuilding(ground: Ground, seed: int, share: float) -> Found:
    """F-03: kill -9 at a random moment of building again; the next start has one whole index."""
    found, dice = Found("F-03 kill -9, index rebuild", seed), Random(seed)
    materials = share_of(MATERIALS, share, LEAST_MATERIALS)
    starts: list[float] = []
    async with a_library(ground, materials, dice) as stocked:
        for kind in STORES:
            before, took = await _rebuilt(stocked, kind)
            for _ in range(share_of(KILLS // len(STORES), share, 2)):
                # Something new each time, so that there is another generation to be written.
                await stocked.grow(materials + found.runs)
                await _killed(stocked.settings, kind, dice.uniform(0, 1.2 * took))
                found.runs += 1
                found.faults[f"kill -9, {kind}"] += 1
                restored, after, seconds = await _started(stocked, kind, found)
                starts.append(seconds)
                later, took = await _rebuilt(stocked, kind)
                whole = restored in (before.generation, later.generation)
                found.check(whole, f"{kind}: a generation nobody has built")
                _not_worse(stocked, before, after, found)
                before = later
    found.check(max(starts) <= START_SECONDS, f"a start took {max(starts):.1f} s")
    found.figures["rows"] = f"{materials:,} materials"
    found.figures["slowest start"] = f"{max(starts):.1f} s"
    return found


async def _rebuilt(stocked: Library, kind: Kind) -> tuple[Answers, float]:
    """The index built again undisturbed: what it finds, and how long that took."""
    async with stocked.index(kind) as index:
        began = perf_counter()
        await index.rebuild(stocked.session, stocked.now)
        await stocked.session.commit()
        return stocked.ask(index), perf_counter() - began


async def _started(stocked: Library, kind: Kind, found: Found) -> tuple[str, Answers, float]:
    """The generation a start finds, what it finds with it, and seconds to the first answer."""
    async with stocked.index(kind) as index:
        began = perf_counter()
        damage = await index.restore(stocked.session)
        restored = index.hybrid.generation
        await index.catch_up(stocked.session, stocked.now)
        await stocked.session.commit()
        took = perf_counter() - began
        after = stocked.ask(index)
    found.events += len(stocked.asked)
    found.check(not damage, f"{kind}: nothing was left to serve ({damage})")
    return restored, after, took


def _not_worse(stocked: Library, before: Answers, after: Answers, found: Found) -> None:
    """Recall@5 is as before; one newcomer may push one document out."""
    was, now = before.right(stocked.wanted), after.right(stocked.wanted)
    found.check(now >= was - 1 / len(stocked.asked), f"{now:.0%} found instead of {was:.0%}")


async def _killed(settings: Settings, kind: Kind, seconds: float) -> None:
    here, there = COPIES.Pipe()
    process = COPIES.Process(target=build, args=(there, settings, kind), daemon=True)
    process.start()
    there.close()
    with suppress(EOFError):
        await asyncio.to_thread(here.recv)
    await asyncio.sleep(seconds)
    if process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.join)
    here.close()


def build(pipe: Connection, settings: Settings, kind: Kind) -> None:
    """Build the index again and again, until killed."""
    quiet()
    hushed()
    asyncio.run(_build(pipe, settings, kind))


async def _build(pipe: Connection, settings: Settings, kind: Kind) -> None:
    engine = open_engine(settings.database_url, pool_size=2)
    sessions, store = open_sessions(engine), open_store(kind, settings.database_url)
    index = LibraryIndex(load_encoder("builtin"), settings.home / "index", store)
    pipe.send("building")
    while True:
        async with sessions.begin() as session:
            await index.rebuild(session, utc_now())


async def damaged(ground: Ground, seed: int, share: float) -> Found:
    """F-16: bits flipped, files cut, gone, of yesterday or of another bank; never garbage."""
    found, dice = Found("F-16 damaged index", seed), Random(seed)
    slowest = 0.0
    async with a_library(ground, SMALL, dice) as stocked:
        async with stocked.index("faiss") as index:
            await index.rebuild(stocked.session, stocked.now)
            await stocked.session.commit()
            least = stocked.ask(index).right(stocked.wanted) - 0.1
        kept = stocked.settings.home / "kept"
        shutil.copytree(stocked.folder, kept)
        for _ in range(share_of(MUTATIONS, share, len(HARMS))):
            shutil.rmtree(stocked.folder)
            shutil.copytree(kept, stocked.folder)
            name = list(HARMS)[found.runs % len(HARMS)]
            HARMS[name](stocked.folder, dice)
            found.runs += 1
            found.faults[name] += 1
            slowest = max(slowest, await _served_again(stocked, name, least, found))
        await _dropped(stocked, least, found)
    found.check(slowest <= DEGRADED_SECONDS, f"searching again took {slowest:.1f} s")
    found.figures["slowest way back"] = f"{slowest:.1f} s"
    return found


async def _served_again(stocked: Library, harm: str, least: float, found: Found) -> float:
    async with stocked.index("faiss") as index:
        began = perf_counter()
        damage = await index.restore(stocked.session)
        await index.catch_up(stocked.session, stocked.now)
        took = perf_counter() - began
        right = stocked.ask(index).right(stocked.wanted)
    found.events += len(stocked.asked)
    found.check(bool(damage), f"{harm}: not noticed")
    found.check(right >= least, f"{harm}: {right:.0%} found instead of {least:.0%}")
    return took


async def _dropped(stocked: Library, least: float, found: Found) -> None:
    """Vectors taken away in the database: words still find, and the next learning heals it."""
    shutil.rmtree(stocked.folder)
    async with stocked.index("pgvector") as index:
        await index.rebuild(stocked.session, stocked.now)
        await stocked.session.commit()
        take_away_vectors(stocked.settings.database_url)
        found.runs += 1
        found.faults["table dropped"] += 1
        right = stocked.ask(index).right(stocked.wanted)
        found.check(right >= least, f"by words alone {right:.0%} found instead of {least:.0%}")
        await index.catch_up(stocked.session, stocked.now)
        found.check(index.has_more_to_learn, "a dropped table was not noticed")
        await index.learn(stocked.session, stocked.now)
        await stocked.session.commit()
        found.check(not index.hybrid.is_missing_vectors, "a dropped table was not built again")
        found.events += len(stocked.asked)


def take_away_vectors(url: str) -> None:
    """Drop every table of vectors, as somebody who tidies up too much."""
    with psycopg.connect(url, autocommit=True) as connection:
        for (name,) in connection.execute("SELECT name FROM siyu_vectors.vector_set").fetchall():
            connection.execute(f'DROP TABLE siyu_vectors."{name}"'.encode())


def _a_file(folder: Path, dice: Random) -> Path:
    return dice.choice(sorted(folder.iterdir()))


def _flip(folder: Path, dice: Random) -> None:
    path = _a_file(folder, dice)
    content = bytearray(path.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)


def _cut(folder: Path, dice: Random) -> None:
    path = _a_file(folder, dice)
    os.truncate(path, dice.randrange(path.stat().st_size))


def _lose(folder: Path, dice: Random) -> None:
    _a_file(folder, dice).unlink()


def _swap(folder: Path, dice: Random) -> None:
    """One file has what belongs into another."""
    one, other = dice.sample(sorted(folder.iterdir()), 2)
    one.write_bytes(other.read_bytes())


HARMS: dict[str, Callable[[Path, Random], None]] = {
    "bit flipped": _flip,
    "cut off": _cut,
    "file missing": _lose,
    "wrong file": _swap,
}
