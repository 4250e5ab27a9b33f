"""What a text is made of for searching: its characters and its pairs of neighbouring characters."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOT_A_WORD = re.compile(r"[\W_]+")
SEPARATOR = ord(" ")
TEXT_END = ord("\n")


def normalise(text: str) -> str:
    """The text in half width and lower case, with everything that is no letter or digit a space."""
    return NOT_A_WORD.sub(" ", unicodedata.normalize("NFKC", text).lower()).strip()


@dataclass(frozen=True, slots=True)
class Grams:
    """Gram keys of several texts in a row: text i owns keys[offsets[i]:offsets[i+1]]."""

    keys: NDArray[np.uint64]
    offsets: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many grams each text has."""
        return np.diff(self.offsets)

    @classmethod
    def of(cls, keys: NDArray[np.uint64], owners: NDArray[np.int64], texts: int) -> "Grams":
        """Keys in any order, each with the number of its text."""
        offsets = np.zeros(texts + 1, dtype=np.int64)
        np.cumsum(np.bincount(owners, minlength=texts), out=offsets[1:])
        return cls(keys[np.argsort(owners, kind="stable")], offsets)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The number of the text of each key."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def grams(texts: Sequence[str]) -> Grams:
    """Every character and every pair of neighbours of each text, repeats kept, as exact keys.

    A pair never spans a space or punctuation: 赎回。到账 has no 回到.
    """
    joined = "\n".join(normalise(text) for text in texts) + "\n"
    points = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    ends = points == TEXT_END
    owner = np.cumsum(ends) - ends
    solid = ~ends & (points != SEPARATOR)
    paired = solid[:-1] & solid[1:]
    pairs = (points[:-1] << np.uint64(32)) | points[1:]
    keys = np.concatenate([points[solid], pairs[paired]])
    owners = np.concatenate([owner[solid], owner[:-1][paired]])
    return Grams.of(keys, owners, len(texts))
