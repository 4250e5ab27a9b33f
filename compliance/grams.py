"""What the classifier sees of a text, in three families.

Close: characters, pairs, triples, and pairs with a gap of one or two. Apart: which character comes
before which, up to thirteen places on, for a promise bends around other words. Denied: characters
and pairs from a negation to the end of its clause, for there the same words say the opposite.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int64]
Codes = NDArray[np.uint64]

FAMILIES = 3
FAMILY_BUCKETS = 2**19
BUCKETS = FAMILIES * FAMILY_BUCKETS
_CLOSE, _APART, _DENIED = range(FAMILIES)
# (which characters after the first belong to the gram, what tells this kind from the others)
_KINDS = (((), 1), ((1,), 2), ((1, 2), 3), ((2,), 4), ((3,), 5))
_APART_KIND, _FURTHEST = 6, 13
_DENIED_KINDS = (((), 7), ((1,), 8))
_NEGATIONS = frozenset("不没无未别勿莫非禁严否防拒")
_CLAUSE_ENDS = frozenset(",。!?;:、\n")
_EDGE = "\x02"
_BITS_OF_A_CHARACTER = 21


@dataclass(frozen=True, slots=True)
class Grams:
    """Every gram of a text, and `at` which character it begins.

    `bucket` is the row of a table, each family having its own stretch of rows; `reach` how many
    characters the gram spans. Grams that touch the edge of the text stand at its first or last
    character.
    """

    bucket: Places
    at: Places
    reach: Places


_Found = tuple[Places, Places, int]


def grams(text: str) -> Grams:
    """All grams of a text, its two edges being characters too."""
    found = [*_close(_codes(f"{_EDGE}{text}{_EDGE}")), *_apart(_codes(text)), *_denied(text)]
    return Grams(
        np.concatenate([buckets for buckets, _, _ in found]),
        np.concatenate([places for _, places, _ in found]),
        np.concatenate([np.full(len(places), reach) for _, places, reach in found]),
    )


def _close(codes: Codes) -> Iterator[_Found]:
    for offsets, kind in _KINDS:
        buckets = _buckets(codes, offsets, kind, _CLOSE)
        yield buckets, np.arange(len(buckets)) - 1, _reach(offsets)


def _apart(codes: Codes) -> Iterator[_Found]:
    for distance in range(1, _FURTHEST + 1):
        buckets = _buckets(codes, (distance,), _APART_KIND, _APART)
        yield buckets, np.arange(len(buckets)), distance + 1


def _denied(text: str) -> Iterator[_Found]:
    codes, under = _codes(text), np.array(list(_under_negation(text)), dtype=bool)
    for offsets, kind in _DENIED_KINDS:
        buckets = _buckets(codes, offsets, kind, _DENIED)
        last = _reach(offsets) - 1
        places = np.flatnonzero(under[: len(buckets)] & under[last : last + len(buckets)])
        yield buckets[places], places, last + 1


def _under_negation(text: str) -> Iterator[bool]:
    under = False
    for char in text:
        under = char not in _CLAUSE_ENDS and (under or char in _NEGATIONS)
        yield under


def _codes(text: str) -> Codes:
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return points.astype(np.uint64)


def _reach(offsets: tuple[int, ...]) -> int:
    return 1 + (offsets[-1] if offsets else 0)


def _buckets(codes: Codes, offsets: tuple[int, ...], kind: int, family: int) -> Places:
    """The characters in 21 bits each, mixed as splitmix64 does in its last steps."""
    count = max(0, len(codes) + 1 - _reach(offsets))
    key = codes[:count].copy()
    for place, offset in enumerate(offsets, start=1):
        key |= codes[offset : offset + count] << np.uint64(place * _BITS_OF_A_CHARACTER)
    key ^= np.uint64(kind * 0x9E3779B97F4A7C15 % 2**64)
    key ^= key >> np.uint64(30)
    key *= np.uint64(0xBF58476D1CE4E5B9)
    key ^= key >> np.uint64(27)
    key *= np.uint64(0x94D049BB133111EB)
    key ^= key >> np.uint64(31)
    mixed: Places = (key % np.uint64(FAMILY_BUCKETS)).astype(np.int64)
    return mixed + family * FAMILY_BUCKETS
