"""The learnt half of the check: how likely a sentence breaks a rule, which one, and where.

A logistic regression over hashed grams, learnt from sentences the project wrote
(`compliance/training/`), kept in small whole numbers. What it saw is why: each gram's share of the
sum belongs to the characters it stands on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from compliance.grams import BUCKETS, FAMILIES, FAMILY_BUCKETS, Floats, Grams, Places, grams

WEIGHTS_FILE = Path(__file__).with_name("classifier.npz")
# Categories are told apart in a smaller table: whether comes before which.
CATEGORY_BUCKETS = 2**15
# How long the values of each family are: close, apart, denied.
_LENGTHS = np.array([1.0, 1.0, 0.5])


class WeightsDamaged(ValueError):
    """The shipped weights of the wording check are damaged; install the package again."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the classifier makes of a sentence.

    `probability` that it breaks a rule, the likeliest `category` if it does, and the stretch
    `start`–`end` of the sentence that speaks most for it.
    """

    probability: float
    category: str
    start: int
    end: int


class Classifier:
    """Weights of grams for the question whether, and one column a category for which."""

    def __init__(
        self,
        idf: Floats,
        weights: Floats,
        bias: float,
        categories: Sequence[str],
        category_weights: Floats,
        category_bias: Floats,
    ) -> None:
        """`idf` and `weights` have a number a bucket, `category_weights` a row of numbers each."""
        if idf.shape != (BUCKETS,) or weights.shape != idf.shape:
            raise ValueError(f"needs {BUCKETS} numbers each, got {idf.shape}, {weights.shape}")
        if category_weights.shape != (CATEGORY_BUCKETS, len(categories)):
            raise ValueError(f"{len(categories)} categories do not fit {category_weights.shape}")
        self.idf, self.weights, self.bias = idf, weights, bias
        self.categories = tuple(categories)
        self.category_weights, self.category_bias = category_weights, category_bias

    @classmethod
    def read(cls, path: Path) -> Self:
        """The weights in a file; WeightsDamaged when it is not what training wrote."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                return cls(
                    idf=_widened(kept["idf"], kept["idf_step"]),
                    weights=_widened(kept["weights"], kept["weights_step"]),
                    bias=float(kept["bias"]),
                    categories=[str(name) for name in kept["categories"]],
                    category_weights=_widened(kept["by_category"], kept["by_category_step"]),
                    category_bias=kept["category_bias"].astype(np.float32),
                )
        except (OSError, KeyError, ValueError) as error:
            raise WeightsDamaged(WeightsDamaged.__doc__) from error

    def judge(self, sentence: str) -> Judgement:
        """The judgement on one sentence of normalised text."""
        found = grams(sentence)
        rows, values = weighed(found, self.idf)
        shares = values * self.weights[rows]
        probability = 1 / (1 + float(np.exp(-(shares.sum() + self.bias))))
        start, end = _heaviest(_by_character(found, rows, shares, len(sentence)))
        return Judgement(probability, self._category(rows, values), start, end)

    def _category(self, rows: Places, values: Floats) -> str:
        rows, values = closest(rows, values)
        scores = values @ self.category_weights[rows % CATEGORY_BUCKETS] + self.category_bias
        return self.categories[int(scores.argmax())]


def weighed(found: Grams, idf: Floats) -> tuple[Places, Floats]:
    """The buckets of a text, each once and in order, and their values.

    The value of a gram that stands there n times is (1 + ln n) × idf; then each family is brought
    to its length.
    """
    rows, counts = np.unique(found.bucket, return_counts=True)
    values = (1 + np.log(counts)) * idf[rows]
    family = rows // FAMILY_BUCKETS
    lengths = np.sqrt(np.bincount(family, values * values, FAMILIES))
    scale = _LENGTHS / np.where(lengths > 0, lengths, 1.0)
    return rows, (values * scale[family]).astype(np.float32)


def closest(rows: Places, values: Floats) -> tuple[Places, Floats]:
    """Only the close family: which category it is shows in the words themselves."""
    count = int(np.searchsorted(rows, FAMILY_BUCKETS))
    return rows[:count], values[:count]


def _by_character(found: Grams, rows: Places, shares: Floats, length: int) -> Floats:
    """What each character adds to the sum: a gram's share, spread over the places it stands on."""
    rank = np.searchsorted(rows, found.bucket)
    # A gram that stands twice has one share; half of it lies on its first place, half on its last.
    half = shares[rank] / np.bincount(rank)[rank] / 2
    first, last = found.at, found.at + found.reach - 1
    places = np.clip(np.concatenate([first, last]), 0, length - 1)
    spread: Floats = np.bincount(places, np.concatenate([half, half]), length).astype(np.float32)
    return spread


def _heaviest(weights: Floats) -> tuple[int, int]:
    """The stretch with the largest sum (Kadane); all of it where nothing adds anything."""
    best, best_span, running, start = 0.0, (0, len(weights)), 0.0, 0
    for at, weight in enumerate(weights.tolist()):
        if running <= 0:
            running, start = 0.0, at
        running += weight
        if running > best:
            best, best_span = running, (start, at + 1)
    return best_span


def _widened(kept: NDArray[np.int8], step: NDArray[np.float32]) -> Floats:
    return kept.astype(np.float32) * np.float32(step)


@cache
def builtin() -> Classifier:
    """The weights shipped with the product."""
    return Classifier.read(WEIGHTS_FILE)
