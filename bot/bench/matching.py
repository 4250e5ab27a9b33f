"""Customers × materials: the product's own blocks beside the bare matrix product, slice by slice.

Needs, materials and groups are drawn by a seed; the filter is the product's own (`Shelf.allowed`).
Both sides take the same needs in the same blocks, one slice after the other in turns, so that
whatever else the machine does falls on both. Needs are drawn once and used again and again: what
is measured is matching, and memory stays what it is however many customers there are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from time import perf_counter, process_time
from uuid import UUID

import numpy as np
import psutil
from threadpoolctl import threadpool_limits

from content.models import Kind, Use
from knowledge import blocks
from knowledge.blocks import Crowd, Materials, Portion, Spots, Vectors
from knowledge.encoder import unit
from knowledge.fitting import Age, Piece, Shelf, Standing
from knowledge.needs import traits_of

SEED = 20261130
MEANING = 256
PORTION = 4096
PORTIONS = 4  # drawn once, used in turns
SPOTS = 3
GOAL = 1.5


@dataclass(frozen=True)
class Plan:
    """How many customers, how many materials, how many are kept, in how many slices."""

    customers: int = 100_000
    materials: int = 10_000
    kept: int = 10
    slices: int = 10
    branches: int = 40


@dataclass(frozen=True)
class Matching:
    """Seconds of both sides by the clock and by CPU, memory at first and at most, forbidden pairs.

    On a busy machine the clock measures the others too; the CPU ratio is of this process alone.
    """

    plan: Plan
    bare_seconds: float
    seconds: float
    bare_cpu_seconds: float
    cpu_seconds: float
    first_mib: float
    peak_mib: float
    forbidden: int

    @property
    def ratio(self) -> float:
        """Ours ÷ bare, by the clock."""
        return self.seconds / self.bare_seconds

    @property
    def cpu_ratio(self) -> float:
        """Ours ÷ bare, by CPU."""
        return self.cpu_seconds / self.bare_cpu_seconds

    @property
    def per_second(self) -> float:
        """Customers a second."""
        return self.plan.customers / self.seconds


def measure(plan: Plan, tell: Callable[[str], None] = lambda _: None) -> Matching:
    """Match everybody, and multiply the same once more without anything else."""
    with threadpool_limits(1):  # as every process of the product is held
        return _measured(_World(plan), plan, tell)


def _measured(world: "_World", plan: Plan, tell: Callable[[str], None]) -> Matching:
    process, bares, ours = psutil.Process(), _Spent(), _Spent()
    memory, forbidden = [], 0
    for number, count in enumerate(_slices(plan)):
        bares.on(partial(world.bare, count))
        ours.on(partial(world.matched, count))
        memory.append(process.memory_info().rss / 2**20)
        forbidden += world.forbidden
        done = f"{number + 1}/{plan.slices}: {count:,} customers each"
        tell(f"{done}, so far {bares.seconds:.1f} s and {ours.seconds:.1f} s")
    return Matching(
        plan=plan,
        bare_seconds=bares.seconds,
        seconds=ours.seconds,
        bare_cpu_seconds=bares.cpu,
        cpu_seconds=ours.cpu,
        first_mib=memory[0],
        peak_mib=max(memory),
        forbidden=forbidden,
    )


def _slices(plan: Plan) -> list[int]:
    edges = [plan.customers * number // plan.slices for number in range(plan.slices + 1)]
    return [after - before for before, after in pairwise(edges)]


@dataclass
class _Spent:
    """Seconds by the clock and by CPU, of all threads of this process."""

    seconds: float = 0.0
    cpu: float = 0.0

    def on(self, work: Callable[[], None]) -> None:
        """Do it and count it."""
        began, used = perf_counter(), process_time()
        work()
        self.seconds += perf_counter() - began
        self.cpu += process_time() - used


class _World:
    """Needs, materials and groups of one size."""

    def __init__(self, plan: Plan) -> None:
        self._rng, self._plan = np.random.default_rng(SEED), plan
        branches = [UUID(int=number) for number in range(plan.branches)]
        pieces = [self._piece(number, branches) for number in range(plan.materials)]
        shelf = Shelf(pieces)
        self._standings = [
            Standing(branch, ceiling, Age.ADULT, consents, frozenset())
            for branch in branches
            for ceiling in range(6)
            for consents in (True, False)
        ]
        allowed = np.array([shelf.allowed(standing) for standing in self._standings])
        self._shut = np.where(allowed, np.float32(0), blocks.NEVER)
        traits = np.array([traits_of(piece) for piece in pieces], dtype=np.float32)
        vectors = np.hstack([self._units(plan.materials), traits])
        self._materials = Materials(vectors)
        self._crowd = Crowd(np.zeros(plan.materials, dtype=np.int64))
        self._portions = [self._portion(traits.shape[1]) for _ in range(PORTIONS)]
        self._turned = np.ascontiguousarray(vectors.T)
        self._out = np.empty((blocks.AT_ONCE, plan.materials), dtype=np.float32)
        self.forbidden = 0

    def bare(self, count: int) -> None:
        """Nothing but the product, in the same blocks, into memory that is there."""
        for portion in self._first(count):
            for start in range(0, len(portion.needs), blocks.AT_ONCE):
                needs = portion.needs[start : start + blocks.AT_ONCE]
                np.matmul(needs, self._turned, out=self._out[: len(needs)])

    def matched(self, count: int) -> None:
        """As a run does it."""
        portions = list(self._first(count))
        found = blocks.blocks(portions, self._materials, self._crowd, self._plan.kept)
        self.forbidden = 0
        for portion, best in zip(portions, found, strict=True):
            chosen = best.columns[:, : self._plan.kept]
            closed = self._shut[portion.groups[:, None], chosen]
            self.forbidden += int(np.count_nonzero(closed[chosen != blocks.NOBODY]))

    def _first(self, count: int) -> Iterator[Portion]:
        for number, start in enumerate(range(0, count, PORTION)):
            portion, most = self._portions[number % PORTIONS], min(PORTION, count - start)
            spots = portion.spots.between(0, most)
            yield Portion(portion.needs[:most], portion.groups[:most], self._shut, spots)

    def _units(self, count: int) -> Vectors:
        return unit(self._rng.standard_normal((count, MEANING), dtype=np.float32))

    def _piece(self, number: int, branches: list[UUID]) -> Piece:
        rng, key = self._rng, UUID(int=number)
        some = frozenset(branches[place] for place in rng.integers(0, len(branches), 8))
        return Piece(
            version_id=key, material_id=key, code=f"M{number}", title="", kind=Kind.FAQ,
            use=list(Use)[rng.integers(4)], risk=int(rng.integers(0, 6)),
            branches=some if rng.random() < 0.3 else None, personas=frozenset(),
            marketing=bool(rng.random() < 0.4), products=frozenset(),
            trust=int(rng.integers(1, 4)), expertise=int(rng.integers(1, 4)),
        )  # fmt: skip

    def _portion(self, traits: int) -> Portion:
        leanings = self._rng.uniform(-0.1, 0.1, (PORTION, traits)).astype(np.float32)
        groups = np.sort(self._rng.integers(0, len(self._standings), PORTION)).astype(np.int32)
        columns = self._rng.integers(0, self._plan.materials // SPOTS, (PORTION, SPOTS))
        columns += np.arange(SPOTS) * (self._plan.materials // SPOTS)
        values = self._rng.choice(
            np.array([-np.inf, 0.05, -0.08], dtype=np.float32), PORTION * SPOTS
        )
        rows = np.repeat(np.arange(PORTION), SPOTS)
        spots = Spots(rows, columns.ravel(), values)
        return Portion(np.hstack([self._units(PORTION), leanings]), groups, self._shut, spots)
