"""Finding by the words used: BM25 over characters, pairs of characters and classes of synonyms."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowledge.grams import Grams, grams, normalise

SYNONYMS_FILE = Path(__file__).with_name("synonyms.txt")
# Measured on short Chinese questions about short and long texts in one index. The usual 1.2 and
# 0.75 over the plain length loses the long ones, so the length counts by its logarithm; rare terms
# weigh more than their logarithm; a term said twice in a question asks for little more than once.
K1, B, RARITY_POWER, REPEATS = 0.8, 0.8, 1.25, 1.0
# Above every gram key, so that a class of synonyms is a term of its own.
SYNONYM_KEY = 1 << 62

Mask = NDArray[np.bool_]
Scores = NDArray[np.float64]


class Synonyms:
    """Classes of words that ask for the same thing."""

    def __init__(self, classes: Sequence[Sequence[str]]) -> None:
        self._class_of = {normalise(word): n for n, words in enumerate(classes) for word in words}
        longest_first = sorted(self._class_of, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @classmethod
    def builtin(cls) -> "Synonyms":
        """The reviewed list shipped with the product."""
        return _builtin()

    @classmethod
    def read(cls, path: Path) -> "Synonyms":
        """One class a line, words apart by spaces, `#` for remarks; no word in two classes."""
        lines = path.read_text(encoding="utf-8").splitlines()
        classes = [line.split() for line in lines if line.strip() and not line.startswith("#")]
        words = [normalise(word) for line in classes for word in line]
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"{path.name} has in two classes: {' '.join(twice)}")
        return cls(classes)

    def keys(self, text: str) -> list[int]:
        """The classes met in the text, each once; the longest word wins where words overlap."""
        met = {self._class_of[word] for word in self._pattern.findall(normalise(text))}
        return [SYNONYM_KEY + number for number in sorted(met)]


@cache
def _builtin() -> Synonyms:
    return Synonyms.read(SYNONYMS_FILE)


def terms(texts: Sequence[str], synonyms: Synonyms) -> Grams:
    """What each text can be found by: its grams and its classes of synonyms."""
    plain = grams(texts)
    extra = [synonyms.keys(text) for text in texts]
    flat = np.array([key for keys in extra for key in keys], dtype=np.uint64)
    theirs = np.repeat(np.arange(len(texts)), [len(keys) for keys in extra])
    owners = np.concatenate([plain.owners, theirs])
    return Grams.of(np.concatenate([plain.keys, flat]), owners, len(texts))


@dataclass(frozen=True, slots=True)
class Postings:
    """Which rows hold a term and how often: term t owns rows[starts[t]:starts[t+1]]."""

    terms: NDArray[np.uint64]
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    counts: NDArray[np.float32]
    lengths: NDArray[np.float32]

    @classmethod
    def of(cls, found: Grams) -> "Postings":
        """The postings of texts given as terms; row i is text i."""
        owners = found.owners.astype(np.int32)
        order = np.lexsort((owners, found.keys))
        keys, rows = found.keys[order], owners[order]
        fresh = np.ones(len(keys), dtype=bool)
        fresh[1:] = (keys[1:] != keys[:-1]) | (rows[1:] != rows[:-1])
        first = np.flatnonzero(fresh)
        counts = np.diff(np.append(first, len(keys))).astype(np.float32)
        unique, starts = np.unique(keys[first], return_index=True)
        starts = np.append(starts, len(first)).astype(np.int64)
        return cls(unique, starts, rows[first], counts, found.lengths.astype(np.float32))

    def spans(self, wanted: NDArray[np.uint64]) -> list[tuple[int, int]]:
        """Where the postings of each wanted term begin and end; a term no row holds has none."""
        if not len(self.terms):
            return [(0, 0)] * len(wanted)
        places = np.minimum(np.searchsorted(self.terms, wanted), len(self.terms) - 1)
        ends = np.where(self.terms[places] == wanted, self.starts[places + 1], self.starts[places])
        return list(zip(self.starts[places].tolist(), ends.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Shelf:
    """Postings, and which of their rows still count."""

    postings: Postings
    alive: Mask


def bm25(
    query: NDArray[np.uint64], shelves: Sequence[Shelf], allowed: Sequence[Mask]
) -> list[Scores]:
    """The BM25 score of every row of each shelf; a row not allowed is never scored and has 0.

    How rare a term is and how long a row usually is: counted over the living rows of all shelves.
    """
    wanted, repeats = np.unique(query, return_counts=True)
    rows_alive = sum(int(shelf.alive.sum()) for shelf in shelves)
    if not rows_alive or not len(wanted):
        return [np.zeros(len(shelf.alive)) for shelf in shelves]
    usual = sum(float(s.postings.lengths @ s.alive) for s in shelves) / rows_alive
    found = [shelf.postings.spans(wanted) for shelf in shelves]
    holding = np.zeros(len(wanted))
    for shelf, spans in zip(shelves, found, strict=True):
        holding += _living(shelf, spans)
    rarity = np.log1p((rows_alive - holding + 0.5) / (holding + 0.5)) ** RARITY_POWER
    weights = rarity * (K1 + 1) * repeats * (REPEATS + 1) / (repeats + REPEATS)
    return [
        _scores(shelf.postings, spans, weights, mask, max(usual, 1))
        for shelf, spans, mask in zip(shelves, found, allowed, strict=True)
    ]


def _living(shelf: Shelf, spans: Sequence[tuple[int, int]]) -> Scores:
    """How many living rows hold each term; where every row lives, nobody looks at them."""
    if shelf.alive.all():
        return np.array([end - begin for begin, end in spans], dtype=np.float64)
    rows = shelf.postings.rows
    return np.array([np.count_nonzero(shelf.alive[rows[b:e]]) for b, e in spans], dtype=np.float64)


def _scores(
    postings: Postings,
    spans: Sequence[tuple[int, int]],
    weights: Scores,
    allowed: Mask,
    usual: float,
) -> Scores:
    """All postings of the question in one sum; what is not allowed weighs nothing."""
    rows = np.concatenate([postings.rows[begin:end] for begin, end in spans])
    counts = np.concatenate([postings.counts[begin:end] for begin, end in spans])
    weight = np.repeat(weights.astype(np.float32), [end - begin for begin, end in spans])
    damping = np.where(allowed, _damping(postings.lengths, usual), np.float32(np.inf))
    added = weight * counts / (counts + damping[rows])
    return np.bincount(rows, added, minlength=len(allowed)).astype(np.float64, copy=False)


def _damping(lengths: NDArray[np.float32], usual: float) -> NDArray[np.float32]:
    """How much a row's length takes off: worked out once for each length there is."""
    every = np.arange(lengths.max(initial=0) + 1, dtype=np.float32)
    by_length = (K1 * (1 - B + B * np.log2(1 + every / usual))).astype(np.float32)
    damping: NDArray[np.float32] = by_length[lengths.astype(np.int64)]
    return damping
