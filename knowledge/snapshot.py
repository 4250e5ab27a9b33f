"""One state of the index, never changed: rows in segments, and who may find which of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from knowledge.encoder import Vectors
from knowledge.grams import Grams
from knowledge.index import FaissIndex, VectorIndex
from knowledge.lexical import Mask, Postings, Shelf, bm25

Document = UUID | str
Role = Literal["title", "passage", "question"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Rows looked at closely from each side; a row outside both is beaten on words and on meaning.
CANDIDATES = 200
# The vector of a text of up to so many grams (fifteen characters) tells what it is about; that of a
# longer one blurs, so the longer the text, the smaller the share of the cosine.
SHARP = 30
# Equal texts in different segments may differ in the last bits of their sums; that is a tie.
ROUND = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One text by which a document can be found, and for whom and when it is.

    It may be found from `valid_from` up to but not including `valid_until`; an empty set of
    channels means nowhere, `branches` None means everywhere; `risk` is 0 to 5. `key` is the owner's
    number for the text; the index does not read it.
    """

    key: int
    document: Document
    role: Role
    position: int
    text: str
    valid_from: datetime
    valid_until: datetime
    channels: frozenset[str]
    branches: frozenset[UUID] | None
    risk: int


@dataclass(frozen=True, slots=True)
class Audience:
    """For whom we look: the moment, the channel, the RM's branch, the highest suitable risk."""

    now: datetime
    channel: str
    branch: UUID | None
    risk_ceiling: int


@dataclass(frozen=True, slots=True)
class Query:
    """A question as terms and as a vector."""

    terms: NDArray[np.uint64]
    vector: Vectors


@dataclass(frozen=True, slots=True)
class Fusion:
    """One scale for both sides: (1 - share)·bm25/lexical_unit + share·cos.

    The share of the cosine is `dense_weight` for a short text and less for a long one.
    """

    dense_weight: float
    lexical_unit: float

    def score(
        self,
        lexical: NDArray[np.floating],
        dense: NDArray[np.floating],
        lengths: NDArray[np.floating],
    ) -> Vectors:
        """The fused scores of rows, from their BM25 scores, cosines and numbers of grams."""
        share = self.dense_weight * SHARP / np.maximum(lengths, SHARP)
        fused: Vectors = (1 - share) * lexical / self.lexical_unit + share * dense
        return fused.astype(np.float32)


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970; a time without a zone is refused, it could mean any hour."""
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return (moment - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows that came in together: their terms, vectors and conditions."""

    entries: tuple[Entry, ...]
    postings: Postings
    dense: VectorIndex
    opens: NDArray[np.int64]
    closes: NDArray[np.int64]
    risks: NDArray[np.int64]
    places: list[tuple[frozenset[str], frozenset[UUID] | None]]
    place_of: NDArray[np.int64]
    rows_of: dict[Document, NDArray[np.int64]]

    @classmethod
    def of(cls, entries: Sequence[Entry], found: Grams, vectors: Vectors) -> "Segment":
        """The segment of these entries, given their terms and vectors row by row."""
        dense = FaissIndex(vectors.shape[1])
        dense.add(np.arange(len(entries)), vectors)
        places = dict.fromkeys((e.channels, e.branches) for e in entries)
        numbers = {place: number for number, place in enumerate(places)}
        rows: dict[Document, list[int]] = {}
        for row, entry in enumerate(entries):
            rows.setdefault(entry.document, []).append(row)
        return cls(
            entries=tuple(entries),
            postings=Postings.of(found),
            dense=dense,
            opens=np.array([microseconds(e.valid_from) for e in entries], dtype=np.int64),
            closes=np.array([microseconds(e.valid_until) for e in entries], dtype=np.int64),
            risks=np.array([e.risk for e in entries], dtype=np.int64),
            places=list(numbers),
            place_of=np.array([numbers[e.channels, e.branches] for e in entries], dtype=np.int64),
            rows_of={document: np.array(found) for document, found in rows.items()},
        )

    def allowed(self, audience: Audience) -> Mask:
        """The rows the audience may find: in date, its channel, its branch, not above its risk."""
        now = microseconds(audience.now)
        here = np.array(
            [
                audience.channel in channels and (branches is None or audience.branch in branches)
                for channels, branches in self.places
            ],
            dtype=bool,
        )
        fresh = (self.opens <= now) & (now < self.closes)
        mask: Mask = fresh & (self.risks <= audience.risk_ceiling) & here[self.place_of]
        return mask


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document among the results, with its best row."""

    segment: int
    row: int
    entry: Entry
    score: float
    lexical: float
    dense: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Segments and which of their rows still live."""

    segments: tuple[Segment, ...] = ()
    alive: tuple[Mask, ...] = ()

    def __len__(self) -> int:
        return sum(int(mask.sum()) for mask in self.alive)

    def entries(self) -> Iterable[Entry]:
        """All living entries, segment by segment."""
        for segment, alive in zip(self.segments, self.alive, strict=True):
            for row in np.flatnonzero(alive):
                yield segment.entries[row]

    def vectors(self, dimension: int) -> Vectors:
        """The vectors of all living rows, in the order of `entries`."""
        parts = [
            segment.dense.vectors(np.flatnonzero(alive))
            for segment, alive in zip(self.segments, self.alive, strict=True)
        ]
        return np.concatenate([np.zeros((0, dimension), dtype=np.float32), *parts])

    def without(self, documents: Iterable[Document]) -> "Snapshot":
        """The same without these documents; what shares no row with them is shared, not copied."""
        masks = list(self.alive)
        for document in documents:
            for number, segment in enumerate(self.segments):
                if document in segment.rows_of:
                    if masks[number] is self.alive[number]:
                        masks[number] = masks[number].copy()
                    masks[number][segment.rows_of[document]] = False
        return Snapshot(self.segments, tuple(masks))

    def allowed(self, audience: Audience) -> list[Mask]:
        """For each segment the living rows that the audience may find."""
        return [
            segment.allowed(audience) & alive
            for segment, alive in zip(self.segments, self.alive, strict=True)
        ]

    def lexical(self, query: Query, allowed: Sequence[Mask]) -> list[NDArray[np.float64]]:
        """BM25 of the allowed rows of each segment."""
        shelves = [
            Shelf(segment.postings, alive)
            for segment, alive in zip(self.segments, self.alive, strict=True)
        ]
        return bm25(query.terms, shelves, allowed)

    def rank(
        self, query: Query, allowed: Sequence[Mask], fusion: Fusion, k: int
    ) -> tuple[list[Ranked], list[NDArray[np.float64]]]:
        """The k best documents by their best allowed row, and the BM25 scores they were found with.

        Ties are broken by the document's name, so that the same contents rank the same everywhere.
        """
        lexical = self.lexical(query, allowed)
        best: dict[Document, Ranked] = {}
        for number, mask in enumerate(allowed):
            for found in self._nearest(number, query, lexical[number], mask, fusion, k):
                held = best.get(found.entry.document)
                if held is None or _order(found) < _order(held):
                    best[found.entry.document] = found
        return sorted(best.values(), key=_order)[:k], lexical

    def _nearest(
        self,
        number: int,
        query: Query,
        lexical: NDArray[np.float64],
        mask: Mask,
        fusion: Fusion,
        k: int,
    ) -> Iterable[Ranked]:
        segment, reach = self.segments[number], max(CANDIDATES, 20 * k)
        rows = _highest(lexical, reach)
        if query.vector.any():
            near, _ = segment.dense.search(query.vector, reach, mask)
            rows = np.union1d(rows, near)
        dense = segment.dense.vectors(rows) @ query.vector
        fused = np.round(fusion.score(lexical[rows], dense, segment.postings.lengths[rows]), ROUND)
        met: set[Document] = set()
        last = 0.0
        for place in np.argsort(-fused, kind="stable"):
            row, score = int(rows[place]), float(fused[place])
            if len(met) >= k and score < last:
                return
            last = score
            met.add(segment.entries[row].document)
            unit = float(lexical[row]) / fusion.lexical_unit
            yield Ranked(number, row, segment.entries[row], score, unit, float(dense[place]))

    def best_passage(
        self,
        document: Document,
        query: Query,
        allowed: Sequence[Mask],
        lexical: Sequence[NDArray[np.float64]],
        fusion: Fusion,
    ) -> int | None:
        """The position of the document's passage nearest to the question; None without passages."""
        best: tuple[float, int] | None = None
        for segment, mask, words in zip(self.segments, allowed, lexical, strict=True):
            rows = segment.rows_of.get(document)
            if rows is None:
                continue
            rows = rows[mask[rows] & [segment.entries[r].role == "passage" for r in rows]]
            dense = segment.dense.vectors(rows) @ query.vector
            fused = fusion.score(words[rows], dense, segment.postings.lengths[rows])
            for row, score in zip(rows, fused, strict=True):
                candidate = (-float(score), segment.entries[row].position)
                best = candidate if best is None else min(best, candidate)
        return best[1] if best else None


def _highest(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The rows with the highest scores above zero, in no order."""
    rows = np.flatnonzero(scores)
    if len(rows) > count:
        rows = rows[np.argpartition(-scores[rows], count)[:count]]
    return rows


def _order(found: Ranked) -> tuple[float, str, int]:
    return (-found.score, str(found.entry.document), found.row)
