"""What a scenario found: how much was tried, what was done to it, and what did not hold."""

import logging
from collections import Counter
from dataclasses import dataclass, field

import structlog

MOST_WORDS = 20


@dataclass
class Found:
    """The figures of one scenario; `lost` and `doubled` must be 0 and `broken` empty.

    `runs` counts seeds, kills, restarts or days; `figures` are what else was measured, in words.
    """

    name: str
    seed: int
    runs: int = 0
    events: int = 0
    lost: int = 0
    doubled: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    figures: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    failures: int = 0

    @property
    def holds(self) -> bool:
        """Whether everything that must hold held."""
        return not (self.lost or self.doubled or self.failures)

    def check(self, holds: bool, otherwise: str) -> None:
        """Note in words what does not hold; the first of them are kept, all are counted."""
        if holds:
            return
        self.failures += 1
        if len(self.broken) < MOST_WORDS:
            self.broken.append(otherwise)


def share_of(whole: int, share: float, least: int = 1) -> int:
    """That share of the full count, and never less than `least`."""
    return max(least, round(whole * share))


def hushed() -> None:
    """Nothing is logged: failures are what is meant to happen here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
