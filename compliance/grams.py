"""What the classifier sees of a text: its characters, pairs and triples, and pairs with a gap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

BUCKETS = 2**18
# (which characters after the first belong to the gram, what tells this kind from the others)
_KINDS = (((), 1), ((1,), 2), ((1, 2), 3), ((2,), 4), ((3,), 5))
_EDGE = "\x02"
_BITS_OF_A_CHARACTER = 21


@dataclass(frozen=True, slots=True)
class Grams:
    """Every gram of a text in the order of `at`, where its first character stands.

    `bucket` is the row of a table, `reach` how many characters the gram spans. Grams that touch
    the edge of the text stand at its first or last character.
    """

    bucket: Places
    at: Places
    reach: Places


def grams(text: str) -> Grams:
    """All grams of a text, its two edges being characters too."""
    points = np.frombuffer(
        f"{_EDGE}{text}{_EDGE}".encode("utf-32-le", "surrogatepass"), dtype=np.uint32
    )
    codes = points.astype(np.uint64)
    buckets, places, reaches = [], [], []
    for offsets, kind in _KINDS:
        reach = offsets[-1] if offsets else 0
        count = len(codes) - reach
        if count <= 0:
            continue
        buckets.append(_bucket(codes, offsets, kind, count))
        places.append(np.arange(count) - 1)
        reaches.append(np.full(count, reach + 1))
    return Grams(np.concatenate(buckets), np.concatenate(places), np.concatenate(reaches))


def _bucket(codes: NDArray[np.uint64], offsets: tuple[int, ...], kind: int, count: int) -> Places:
    """The characters in 21 bits each, mixed as splitmix64 does in its last steps."""
    key = codes[:count].copy()
    for place, offset in enumerate(offsets, start=1):
        key |= codes[offset : offset + count] << np.uint64(place * _BITS_OF_A_CHARACTER)
    key ^= np.uint64(kind * 0x9E3779B97F4A7C15 % 2**64)
    key ^= key >> np.uint64(30)
    key *= np.uint64(0xBF58476D1CE4E5B9)
    key ^= key >> np.uint64(27)
    key *= np.uint64(0x94D049BB133111EB)
    key ^= key >> np.uint64(31)
    mixed: Places = (key % np.uint64(BUCKETS)).astype(np.int64)
    return mixed
