"""Vectors at growing sizes, filters on: exact, in cells, in the database, side by side.

Rows lie around the texts of the demo bank's library, as more series of the same subjects would;
what is asked are the questions of its customers.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from uuid import UUID, uuid5

import numpy as np
import psutil
import psycopg
from numpy.typing import NDArray

from bank.database import plain_url
from bank.settings import Settings
from bot.bench import shelf
from bot.bench.machine import percentile
from knowledge.conditions import Audience, Conditions, Place, Within
from knowledge.encoder import Encoder, load_encoder, unit
from knowledge.index import FaissStore, Ids, IvfIndex, Rows, VectorIndex, Vectors, VectorStore
from knowledge.pgvector import SCHEMA, PgvectorStore, prepare

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
YESTERDAY, TOMORROW = NOW.replace(day=22), NOW.replace(day=24)
BRANCHES = tuple(uuid5(UUID(int=0), f"branch {number}") for number in range(50))
AUDIENCE = Audience(NOW, "single_chat", BRANCHES[0], 3)
TEXTS = 300  # materials of the shelf whose texts the rows lie around
APART = 0.6
NEAREST = 10
NEVER = 1 << 62


@dataclass(frozen=True)
class Plan:
    """Sizes in rows, how many questions at each, and which indexes: all where none is named."""

    sizes: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    questions: int = 200
    indexes: tuple[str, ...] = ()
    tell: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True)
class Figures:
    """One index at one size; `recall` is of the ten nearest of exact search, under the filter."""

    rows: int
    index: str
    build_seconds: float
    open_seconds: float
    p50_ms: float
    p95_ms: float
    recall: float
    memory_mib: float
    stored_mib: float

    def line(self) -> str:
        """What was measured, while the rest still runs."""
        return (
            f"    p50 {self.p50_ms:.1f} ms, p95 {self.p95_ms:.1f} ms, recall {self.recall:.3f},"
            f" built in {self.build_seconds:.0f} s"
        )


@dataclass(frozen=True)
class Searching:
    """All sizes and indexes; `allowed` is the share of rows that pass the filter."""

    questions: int
    allowed: float
    figures: list[Figures]


KINDS: dict[str, Callable[[str], VectorStore]] = {
    "flat": lambda _: FaissStore(ivf_from=NEVER),
    "ivf": lambda _: FaissStore(ivf_from=1),
    "pgvector, exact": lambda url: PgvectorStore(url, graph_from=NEVER),
    "pgvector, graph": lambda url: PgvectorStore(url, graph_from=1),
}
# Below, cells and graphs have nothing to save.
LEAST_ROWS = {"ivf": 10_000, "pgvector, graph": 100_000}


def measure(settings: Settings, plan: Plan) -> Searching:
    """Every index at every size, on that empty database."""
    prepare(settings.database_url)
    settings.home.mkdir(parents=True, exist_ok=True)
    encoder, figures, allowed = load_encoder("builtin"), [], 0.0
    asked = encoder.encode(list(islice(cycle(shelf.asked()), plan.questions)))
    for size in plan.sizes:
        rows = a_library(size, encoder)
        mask = rows.conditions.allow(AUDIENCE)
        within, allowed = Within(mask, np.ones(size, dtype=bool), AUDIENCE), float(mask.mean())
        best = _best(rows.vectors, asked, mask)
        for kind, store_at in KINDS.items():
            if size >= LEAST_ROWS.get(kind, 0) and kind in (plan.indexes or KINDS):
                plan.tell(f"{size:,} rows, {kind} …")
                store = store_at(settings.database_url)
                # Equal contents share a table; these are not to share theirs.
                own = replace(rows, encoder=f"{rows.encoder} {kind}")
                figures.append(_at_size(kind, store, own, within, asked, best, settings))
                store.close()
                plan.tell(figures[-1].line())
    return Searching(plan.questions, allowed, figures)


def a_library(size: int, encoder: Encoder) -> Rows:
    """So many rows around the library's texts, with conditions as mixed as a bank's."""
    dice = np.random.default_rng(size)
    texts = [text for number in range(TEXTS) for text in _texts(number)]
    known = encoder.encode(texts)
    vectors = np.empty((size, encoder.dimension), dtype=np.float32)
    for start in range(0, size, 100_000):
        part = vectors[start : start + 100_000]
        noise = dice.standard_normal(part.shape, dtype=np.float32)
        noise *= APART / np.sqrt(encoder.dimension)
        part[:] = unit(known[dice.integers(len(known), size=len(part))] + noise)
    return Rows(vectors, _conditions(size, dice), encoder.name)


def _texts(number: int) -> list[str]:
    text = shelf.text_of(number)
    return [text.title, *text.questions, *text.body.split("\n\n")]


def _conditions(size: int, dice: np.random.Generator) -> Conditions:
    """One row in ten is over, one in ten is for groups alone, three in ten are a branch's own."""
    everywhere = frozenset({"single_chat", "group"})
    places: list[Place] = [(everywhere, None), (frozenset({"group"}), None)]
    places += [(everywhere, frozenset({branch})) for branch in BRANCHES]
    shares = np.array([0.6, 0.1] + [0.3 / len(BRANCHES)] * len(BRANCHES))
    micro = np.array([int(t.timestamp()) * 1_000_000 for t in (YESTERDAY, NOW, TOMORROW)])
    return Conditions(
        opens=np.full(size, micro[0]),
        closes=np.where(dice.random(size) < 0.1, micro[1], micro[2]),
        risks=dice.integers(0, 6, size=size),
        places=tuple(places),
        place_of=dice.choice(len(places), size=size, p=shares / shares.sum()),
    )


def _best(vectors: Vectors, asked: Vectors, mask: NDArray[np.bool_]) -> Vectors:
    """For each question the ten highest scores among the allowed rows, by looking at all."""
    best = np.full((len(asked), NEAREST), -2.0, dtype=np.float32)
    for start in range(0, len(vectors), 50_000):
        block = vectors[start : start + 50_000][mask[start : start + 50_000]]
        together = np.concatenate([best, asked @ block.T], axis=1)
        best = -np.partition(-together, NEAREST - 1, axis=1)[:, :NEAREST]
    return np.sort(best, axis=1)


def _at_size(
    kind: str,
    store: VectorStore,
    rows: Rows,
    within: Within,
    asked: Vectors,
    best: Vectors,
    settings: Settings,
) -> Figures:
    began = perf_counter()
    name = store.keep(store.hold(rows), settings.home)
    build = perf_counter() - began
    gc.collect()
    before, began = _resident(), perf_counter()
    count, dimension = rows.vectors.shape
    index = store.take(name, settings.home, rows=count, dimension=dimension)
    opened = perf_counter() - began
    took, found = _ask(index, within, asked)
    return Figures(
        rows=count,
        index=kind + _looked_into(index),
        build_seconds=build,
        open_seconds=opened,
        p50_ms=percentile(took, 0.5),
        p95_ms=percentile(took, 0.95),
        recall=_recall(rows.vectors, asked, found, best),
        memory_mib=max(0.0, _resident() - before),
        stored_mib=_stored(store, name, settings),
    )


def _looked_into(index: VectorIndex) -> str:
    return f", {index.looked_into} of {index.cells}" if isinstance(index, IvfIndex) else ""


def _ask(index: VectorIndex, within: Within, asked: Vectors) -> tuple[list[float], list[Ids]]:
    """Milliseconds of each question, sorted, and the rows found."""
    took, found = [], []
    for vector in asked[:20]:
        index.search(vector, NEAREST, within)
    for vector in asked:
        began = perf_counter()
        rows, _ = index.search(vector, NEAREST, within)
        took.append((perf_counter() - began) * 1000)
        found.append(rows)
        if not within.mask[rows].all():
            raise FilterBroken(FilterBroken.__doc__)
    return sorted(took), found


class FilterBroken(RuntimeError):
    """A row was found that the audience may not find."""


def _recall(vectors: Vectors, asked: Vectors, found: list[Ids], best: Vectors) -> float:
    """Share of the ten nearest that were found; rows equally near are as good."""
    pairs = zip(asked, found, best[:, 0], strict=True)
    right = [int((vectors[rows] @ vector >= least - 1e-3).sum()) for vector, rows, least in pairs]
    return sum(right) / (NEAREST * len(asked))


def _resident() -> float:
    return float(psutil.Process().memory_info().rss / 2**20)


def _stored(store: VectorStore, name: str, settings: Settings) -> float:
    """MiB of the file, or of the table with its indexes."""
    if store.name == "faiss":
        return Path(settings.home / name).stat().st_size / 2**20
    query = f"SELECT pg_total_relation_size('{SCHEMA}.{name}')"
    with psycopg.connect(plain_url(settings.database_url)) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) / 2**20 if row else 0.0
