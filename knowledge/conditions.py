"""Who may find which row: the conditions of rows, asked as a mask here or in SQL elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Place = tuple[frozenset[str], frozenset[UUID] | None]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Conditional(Protocol):
    """Something that may be found only then, there and for some.

    From `valid_from` up to but not including `valid_until`; an empty set of channels means
    nowhere, `branches` None means everywhere; `risk` is 0 to 5.
    """

    @property
    def valid_from(self) -> datetime: ...
    @property
    def valid_until(self) -> datetime: ...
    @property
    def channels(self) -> frozenset[str]: ...
    @property
    def branches(self) -> frozenset[UUID] | None: ...
    @property
    def risk(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Audience:
    """For whom we look: the moment, the channel, the RM's branch, the highest suitable risk."""

    now: datetime
    channel: str
    branch: UUID | None
    risk_ceiling: int


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970; a time without a zone is refused, it could mean any hour."""
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return (moment - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of rows, row by row; few places are shared by many rows."""

    opens: NDArray[np.int64]
    closes: NDArray[np.int64]
    risks: NDArray[np.int64]
    places: tuple[Place, ...]
    place_of: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Conditional]) -> "Conditions":
        """The conditions of these rows, in their order."""
        numbers: dict[Place, int] = {}
        place_of = [numbers.setdefault((r.channels, r.branches), len(numbers)) for r in rows]
        return cls(
            opens=np.array([microseconds(row.valid_from) for row in rows], dtype=np.int64),
            closes=np.array([microseconds(row.valid_until) for row in rows], dtype=np.int64),
            risks=np.array([row.risk for row in rows], dtype=np.int64),
            places=tuple(numbers),
            place_of=np.array(place_of, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.opens)

    def allow(self, audience: Audience) -> Mask:
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
class Within:
    """Which rows a search may visit.

    `mask` holds by the row's place: alive and for the audience. An index outside this process asks
    the same of its own columns, by `audience` (None: for anybody), by the rows not `alive`, and by
    `only`, the few rows it is about, where it is about a few.
    """

    mask: Mask
    alive: Mask
    audience: Audience | None = None
    only: NDArray[np.int64] | None = None

    @classmethod
    def every(cls, count: int) -> "Within":
        """All of so many rows."""
        whole = np.ones(count, dtype=bool)
        return cls(whole, whole)

    def count(self) -> int:
        """How many rows that are."""
        return int(self.mask.sum())
