"""One state of the index, never changed: rows in segments, and who may find which of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from knowledge.conditions import Audience, Conditions, Within
from knowledge.encoder import Vectors
from knowledge.grams import Grams, normalise
from knowledge.index import Ids, VectorIndex
from knowledge.lexical import Mask, Postings, Scores, Shelf, bm25
from knowledge.naming import names_in

Document = UUID | str
Role = Literal["title", "passage", "question"]

# Rows looked at closely for their meaning; for their words half as many subjects with all rows of
# theirs. A row of neither is beaten on both.
CANDIDATES = 200
# The vector of a text of up to so many grams (fifteen characters) tells what it is about; that of a
# longer one blurs, so the longer the text, the smaller the share of the cosine.
SHARP = 30
# The cosine's share where nobody taught the table how a document is asked for. Measured: with the
# share of a taught one, a library half taught finds the other half worse than words alone.
UNTAUGHT_SHARE = 0.3
# Material on the product a question names goes first if it fits at least so well as a share of the
# best: who names a product means it, but its brochure does not answer how to change a card.
NAMED_FIT = 1 / 3
# Equal texts in different segments may differ in the last bits of their sums; that is a tie.
ROUND = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One text by which a document can be found, and for whom and when it is.

    It may be found from `valid_from` up to but not including `valid_until`; an empty set of
    channels means nowhere, `branches` None means everywhere; `risk` is 0 to 5. `key` is the owner's
    number for the text; the index does not read it. `products` are the codes and full names of what
    the document is about.
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
    products: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Query:
    """A question as terms, as a vector, and as it was asked, for the names in it."""

    terms: NDArray[np.uint64]
    vector: Vectors
    text: str = ""


@dataclass(frozen=True, slots=True)
class Fusion:
    """One scale for both sides: (1 - share)·bm25/lexical_unit + share·cos.

    The share of the cosine is `dense_weight` for a short text of a document with example questions,
    less for a long one and for a document without.
    """

    dense_weight: float
    lexical_unit: float

    def score(
        self,
        lexical: NDArray[np.floating],
        dense: NDArray[np.floating],
        lengths: NDArray[np.floating],
        asked: Mask,
    ) -> Vectors:
        """The fused scores of rows, from their BM25 scores, cosines and numbers of grams.

        `asked` are the rows of documents with example questions.
        """
        most = np.where(asked, self.dense_weight, min(self.dense_weight, UNTAUGHT_SHARE))
        share = most * SHARP / np.maximum(lengths, SHARP)
        fused: Vectors = (1 - share) * lexical / self.lexical_unit + share * dense
        return fused.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows that came in together: their terms, vectors and conditions.

    `postings` are of subjects, `subject_of` has each row's and `first_of` each subject's first row.
    """

    entries: tuple[Entry, ...]
    lengths: NDArray[np.float32]
    asked: Mask
    subject_of: Ids
    first_of: Ids
    postings: Postings
    dense: VectorIndex
    conditions: Conditions
    rows_of: dict[Document, Ids]
    rows_about: dict[str, Ids]

    @classmethod
    def of(
        cls, entries: Sequence[Entry], found: Grams, dense: VectorIndex, conditions: Conditions
    ) -> "Segment":
        """The segment of these entries, given their terms, vectors and conditions row by row."""
        rows: dict[Document, list[int]] = {}
        about: dict[str, list[int]] = {}
        for row, entry in enumerate(entries):
            rows.setdefault(entry.document, []).append(row)
            for name in entry.products:
                about.setdefault(normalise(name), []).append(row)
        asked = {entry.document for entry in entries if entry.role == "question"}
        subject_of = _subjects(entries)
        _, first_of = np.unique(subject_of, return_index=True)
        subjects = Grams.of(found.keys, subject_of[found.owners], len(first_of))
        return cls(
            entries=tuple(entries),
            lengths=found.lengths.astype(np.float32),
            asked=np.array([entry.document in asked for entry in entries], dtype=bool),
            subject_of=subject_of,
            first_of=first_of,
            postings=Postings.of(subjects),
            dense=dense,
            conditions=conditions,
            rows_of={document: np.array(found) for document, found in rows.items()},
            rows_about={name: np.array(found) for name, found in about.items()},
        )

    def allowed(self, audience: Audience) -> Mask:
        """The rows the audience may find: in date, its channel, its branch, not above its risk."""
        return self.conditions.allow(audience)

    def about(self, names: Iterable[str]) -> Ids:
        """The rows of documents about products of these names."""
        found = [self.rows_about[name] for name in names if name in self.rows_about]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)

    def rows_on(self, subjects: Ids) -> Ids:
        """The rows of these subjects."""
        chosen = np.zeros(len(self.first_of), dtype=bool)
        chosen[subjects] = True
        return np.flatnonzero(chosen[self.subject_of])

    def cosines(self, rows: Ids, vector: Vectors) -> Vectors:
        """How near these rows are; without a vector nothing is near, and no row is looked up."""
        if not vector.any():
            return np.zeros(len(rows), dtype=np.float32)
        near: Vectors = self.dense.vectors(rows) @ vector
        return near

    def fused(
        self, fusion: Fusion, rows: Ids, lexical: NDArray[np.float64], dense: Vectors
    ) -> Vectors:
        """The fused scores of these rows, given their BM25 scores and cosines."""
        return fusion.score(lexical, dense, self.lengths[rows], self.asked[rows])


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document among the results, with its best row; `named` when the question names what it is
    about, so that it comes before nearer ones."""

    segment: int
    row: int
    entry: Entry
    score: float
    lexical: float
    dense: float
    named: bool = False


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

    def is_whole(self, as_published: Callable[[VectorIndex], bool]) -> bool:
        """Whether it is one segment, every row alive, its vectors where they should be."""
        if len(self.segments) != 1:
            return False
        return bool(self.alive[0].all()) and as_published(self.segments[0].dense)

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

    def lexical(self, query: Query, allowed: Sequence[Mask]) -> list[Scores]:
        """BM25 of the subjects of each segment; one with no allowed row has 0."""
        shelves = [
            Shelf(segment.postings, alive[segment.first_of])
            for segment, alive in zip(self.segments, self.alive, strict=True)
        ]
        open_to = [mask[s.first_of] for s, mask in zip(self.segments, allowed, strict=True)]
        return bm25(query.terms, shelves, open_to)

    def rank(
        self,
        query: Query,
        allowed: Sequence[Mask],
        fusion: Fusion,
        k: int,
        audience: Audience | None = None,
    ) -> tuple[list[Ranked], list[Scores]]:
        """The k best documents by their best allowed row, and the BM25 scores they were found with.

        Documents about a product the question names come first, if they fit. Ties are broken by the
        document's name, so that the same contents rank the same everywhere. `allowed` is what the
        audience may find, for vectors that are searched elsewhere.
        """
        lexical = self.lexical(query, allowed)
        within = [
            Within(mask, alive, audience) for mask, alive in zip(allowed, self.alive, strict=True)
        ]
        ranked = self._ranked(query, lexical, within, fusion, k)
        if ranked and (names := self._named(query)):
            own = [_only(w, s.about(names)) for w, s in zip(within, self.segments, strict=True)]
            theirs = self._ranked(query, lexical, own, fusion, k)
            ranked = _named_first(theirs, ranked)[:k]
        return ranked, lexical

    def _named(self, query: Query) -> frozenset[str]:
        """The codes and full names of products that stand in the question."""
        return names_in(query.text, (name for s in self.segments for name in s.rows_about))

    def _ranked(
        self,
        query: Query,
        lexical: Sequence[Scores],
        within: Sequence[Within],
        fusion: Fusion,
        k: int,
    ) -> list[Ranked]:
        best: dict[Document, Ranked] = {}
        for number, (words, among) in enumerate(zip(lexical, within, strict=True)):
            first_of = self.segments[number].first_of
            scores = words if among.only is None else words * among.mask[first_of]
            for found in self._nearest(number, query, scores, among, fusion, k):
                held = best.get(found.entry.document)
                if held is None or _order(found) < _order(held):
                    best[found.entry.document] = found
        return sorted(best.values(), key=_order)[:k]

    def _nearest(
        self,
        number: int,
        query: Query,
        lexical: Scores,
        within: Within,
        fusion: Fusion,
        k: int,
    ) -> Iterable[Ranked]:
        segment, reach = self.segments[number], max(CANDIDATES, 20 * k)
        rows = segment.rows_on(_highest(lexical, reach // 2))
        if query.vector.any():
            near, _ = segment.dense.search(query.vector, reach, within)
            rows = np.union1d(rows, near)
        words = lexical[segment.subject_of[rows]]
        dense = segment.cosines(rows, query.vector)
        fused = np.round(segment.fused(fusion, rows, words, dense), ROUND)
        met: set[Document] = set()
        last = 0.0
        for place in np.argsort(-fused, kind="stable"):
            row, score = int(rows[place]), float(fused[place])
            if len(met) >= k and score < last:
                return
            last = score
            met.add(segment.entries[row].document)
            unit = float(words[place]) / fusion.lexical_unit
            yield Ranked(number, row, segment.entries[row], score, unit, float(dense[place]))

    def best_passage(
        self,
        document: Document,
        query: Query,
        allowed: Sequence[Mask],
        lexical: Sequence[Scores],
        fusion: Fusion,
    ) -> int | None:
        """The position of the document's passage nearest to the question; None without passages."""
        best: tuple[float, int] | None = None
        for segment, mask, words in zip(self.segments, allowed, lexical, strict=True):
            rows = segment.rows_of.get(document)
            if rows is None:
                continue
            rows = rows[mask[rows] & [segment.entries[r].role == "passage" for r in rows]]
            dense = segment.cosines(rows, query.vector)
            fused = segment.fused(fusion, rows, words[segment.subject_of[rows]], dense)
            for row, score in zip(rows, fused, strict=True):
                candidate = (-float(score), segment.entries[row].position)
                best = candidate if best is None else min(best, candidate)
        return best[1] if best else None


def _subjects(entries: Sequence[Entry]) -> Ids:
    """The number of each row's subject: how a document is asked for is one, a passage is its own.

    Words are counted over all wordings of a subject together, as one text: what customers call a
    thing is spread over the example questions. Rows of one subject are found by the same people.
    """
    numbers: dict[object, int] = {}
    return np.array(
        [
            numbers.setdefault(_subject(row, entry), len(numbers))
            for row, entry in enumerate(entries)
        ],
        dtype=np.int64,
    )


def _subject(row: int, entry: Entry) -> object:
    if entry.role == "passage":
        return row
    conditions = (entry.valid_from, entry.valid_until, entry.channels, entry.branches, entry.risk)
    return entry.document, conditions


def _highest(scores: Scores, count: int) -> Ids:
    """Where the `count` highest scores stand that are above zero, and all that equal the last."""
    above = scores[scores > 0]
    if len(above) <= count:
        return np.flatnonzero(scores)
    return np.flatnonzero(scores >= np.partition(above, -count)[-count])


def _only(within: Within, rows: Ids) -> Within:
    """The same, of these rows alone."""
    mask = np.zeros_like(within.mask)
    mask[rows] = within.mask[rows]
    return replace(within, mask=mask, only=rows)


def _named_first(theirs: Iterable[Ranked], ranked: Sequence[Ranked]) -> list[Ranked]:
    """What is about the named product and fits a third as well as the best, then all others."""
    least = NAMED_FIT * ranked[0].score
    named = {r.entry.document: replace(r, named=True) for r in theirs if r.score >= least}
    return [*named.values(), *(r for r in ranked if r.entry.document not in named)]


def _order(found: Ranked) -> tuple[float, str, int]:
    return (-found.score, str(found.entry.document), found.row)
