"""The best materials of many customers: a matrix product in blocks, the filter inside. Pure.

Customers come in portions, so that memory does not grow with their number. Within a portion a
block of rows is multiplied with all materials, what a group of customers may not see is put to
minus infinity, and the best of every row are taken.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

# Scores of so many customers are held at once: 128 × 10,000 materials are 5 MB, as a cache holds.
AT_ONCE = 128
# The best k of a row lie in the k strips with the highest maxima; a maximum costs far less than
# sorting.
STRIP = 32
# The same customer may be scored in a block of another shape: sums differ in their last bits.
ROUND = 5
NEVER = np.float32(-np.inf)
NOBODY = -1

# A material shown to more than this share of the customers so far steps back, the further the
# more; it never goes away, so that nobody is left without anything.
FAIR_SHARE, CROWDING = 0.2, 0.5


@dataclass(frozen=True, slots=True)
class Spots:
    """Single pairs that score otherwise, minus infinity for never; a pair stands here once."""

    rows: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # rising
    columns: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    values: Vectors = field(default_factory=lambda: np.zeros(0, dtype=np.float32))

    def between(self, start: int, end: int) -> "Spots":
        """Those of the rows from start up to but not including end, counted from start."""
        first, last = np.searchsorted(self.rows, [start, end])
        return Spots(
            self.rows[first:last] - start, self.columns[first:last], self.values[first:last]
        )


@dataclass(frozen=True, slots=True)
class Portion:
    """Customers that are matched together: a need each, and what their group may not see."""

    needs: Vectors  # customers × dimension
    groups: NDArray[np.int32]  # the row of `shut` for each customer
    shut: Vectors  # groups × materials: 0, or minus infinity
    spots: Spots = field(default_factory=Spots)


@dataclass(frozen=True, slots=True)
class Best:
    """For each customer up to k materials, best first; NOBODY where there are no more."""

    columns: Rows
    scores: Vectors


class Crowd:
    """How often each material was shown in this run, and to how many customers."""

    def __init__(self, shown: NDArray[np.int64], served: int = 0) -> None:
        """Goes on from what was counted before."""
        self.shown, self.served = shown, served

    def steps_back(self) -> Vectors:
        """What each material loses for being everywhere."""
        share = self.shown / max(self.served, 1)
        return (-CROWDING * np.clip(share - FAIR_SHARE, 0, None)).astype(np.float32)

    def note(self, columns: Rows) -> None:
        """These were shown, a row a customer."""
        found = columns[columns != NOBODY]
        self.shown += np.bincount(found, minlength=len(self.shown))
        self.served += len(columns)


class Materials:
    """Material vectors made ready: a last column for the crowd, rows up to whole strips."""

    def __init__(self, vectors: Vectors) -> None:
        """A row a material."""
        self.count, dimension = vectors.shape
        self.width = -(-self.count // STRIP) * STRIP
        self._turned = np.zeros((dimension + 1, self.width), dtype=np.float32)
        self._turned[:-1, : self.count] = vectors.T
        self._scores = np.empty((AT_ONCE, self.width), dtype=np.float32)

    def scored(self, needs: Vectors, steps_back: Vectors) -> Vectors:
        """Scores of up to AT_ONCE customers; the same memory is used again by the next call."""
        self._turned[-1, : self.count] = steps_back
        self._turned[-1, self.count :] = NEVER
        whole = np.ones((len(needs), needs.shape[1] + 1), dtype=np.float32)
        whole[:, :-1] = needs
        return np.matmul(whole, self._turned, out=self._scores[: len(needs)])


def blocks(
    portions: Iterable[Portion], materials: Materials, crowd: Crowd, k: int
) -> Iterator[Best]:
    """The k best of every customer, portion by portion, in their order."""
    for portion in portions:
        starts = range(0, len(portion.needs), AT_ONCE)
        found = [_block(portion, start, materials, crowd, k) for start in starts]
        nothing = np.zeros((0, k), dtype=np.int64)
        yield Best(
            np.concatenate([nothing, *(best.columns for best in found)]),
            np.concatenate([nothing.astype(np.float32), *(best.scores for best in found)]),
        )


def _block(portion: Portion, start: int, materials: Materials, crowd: Crowd, k: int) -> Best:
    end = min(start + AT_ONCE, len(portion.needs))
    scores = materials.scored(portion.needs[start:end], crowd.steps_back())
    for first, last, group in _runs(portion.groups[start:end]):
        scores[first:last, : materials.count] += portion.shut[group]
    spots = portion.spots.between(start, end)
    scores[spots.rows, spots.columns] += spots.values
    best = top(scores, k)
    crowd.note(best.columns)
    return best


def _runs(groups: NDArray[np.int32]) -> Iterator[tuple[int, int, int]]:
    """Neighbours of one group together: first row, row after the last, group."""
    edges = np.flatnonzero(np.diff(groups)) + 1
    for first, last in zip([0, *edges], [*edges, len(groups)], strict=True):
        yield int(first), int(last), int(groups[first])


def top(scores: Vectors, k: int) -> Best:
    """The k highest of each row, ties by column; minus infinity is never among them."""
    rows, columns, values = _likely(scores, k)
    values = np.round(values, ROUND)
    order = np.lexsort((columns, -values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = places < k
    best = Best(np.full((len(scores), k), NOBODY), np.full((len(scores), k), NEVER))
    best.columns[rows[kept], places[kept]] = columns[kept]
    best.scores[rows[kept], places[kept]] = values[kept]
    return best


def _likely(scores: Vectors, k: int) -> tuple[Rows, Rows, Vectors]:
    """Pairs of row and column, and their scores, among which the k highest of each row are.

    The k highest maxima of strips are k scores, so that nothing below the least of them is needed;
    what rounding makes equal to it is.
    """
    strips = scores.shape[1] // STRIP
    parts = scores.reshape(len(scores), STRIP, strips)
    highest = parts.max(axis=1)
    least = np.full(len(scores), NEVER)
    if strips >= k:
        least = np.partition(highest, -k, axis=1)[:, -k] - np.float32(10.0**-ROUND)
    rows, found = np.nonzero((highest >= least[:, None]) & (highest > NEVER))
    values = parts[rows, :, found]
    which, within = np.nonzero((values >= least[rows, None]) & (values > NEVER))
    return rows[which], found[which] + strips * within, values[which, within]
