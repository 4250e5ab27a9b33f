"""The wording check on sentences nothing was learnt from: what it catches, what it stops, how fast.

Category by category with 95 % intervals (Wilson 1927), then the same sentences in disguise: a
violation must stay one, and politeness must make no violation of a harmless sentence.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from time import perf_counter

from bot.bench.machine import percentile
from compliance.guard import checked
from compliance.lookalikes import TRADITIONAL
from compliance.training.sentences import (
    HELD_OUT,
    HELD_OUT_SECOND,
    Sentence,
    read_sentences,
)
from compliance.verdict import Role
from compliance.wording import CRITICAL

LENGTH, TIMES = 300, 400
Z = 1.959964  # of 95 %
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_OLD_FORMS = str.maketrans({new: old for old, new in TRADITIONAL.items()})
# What must still be seen as a violation, and what must stay harmless.
DISGUISES: dict[str, Callable[[str], str]] = {
    "dots between characters": "·".join,
    "zero-width between characters": "\u200b".join,
    "emoji after each second character": lambda text: "🌟".join(
        text[at : at + 2] for at in range(0, len(text), 2)
    ),
    "full-width letters and digits": lambda text: text.translate(_WIDE),
    "traditional characters": lambda text: text.translate(_OLD_FORMS),
    "我绝不会说：…": "我绝不会说：{}".format,
}
COURTESIES: dict[str, Callable[[str], str]] = {
    "您好，…": "您好，{}".format,
    "早上好！…": "早上好！{}".format,
    "…祝您生活愉快。": "{}祝您生活愉快。".format,
    "…有问题随时联系我。": "{}有问题随时联系我。".format,
}


@dataclass(frozen=True)
class Rate:
    """So many of so many, with the interval in which the true share lies, 95 times in 100."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        return self.hits / self.of if self.of else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval."""
        if not self.of:
            return 0.0, 1.0
        square = Z * Z
        middle = (self.hits + square / 2) / (self.of + square)
        spread = sqrt(self.hits * (self.of - self.hits) / self.of + square / 4)
        half = Z * spread / (self.of + square)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Scored:
    """How one group of sentences was judged."""

    name: str
    caught: Rate
    stopped: Rate

    @property
    def precision(self) -> Rate:
        """Of those judged to violate, how many do."""
        return Rate(self.caught.hits, self.caught.hits + self.stopped.hits)


@dataclass(frozen=True)
class Checker:
    """Everything measured; milliseconds are for texts of 300 characters on one core."""

    name: str
    sentences: int
    groups: list[Scored]
    named: Rate
    survived: dict[str, Rate]
    stayed: dict[str, Rate]
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class HeldOut:
    """Both sets of sentences held out, each by itself."""

    sets: list[Checker]


def measure() -> HeldOut:
    """The check on either set of sentences held out."""
    folders = (HELD_OUT, HELD_OUT_SECOND)
    return HeldOut([of(read_sentences(folder), folder.name) for folder in folders])


def of(rows: Sequence[Sentence], name: str, times: int = TIMES) -> Checker:
    """The check on these sentences."""
    judged = [(row, _stops(row.text)) for row in rows]
    caught = [row.text for row, stopped in judged if row.violates and stopped]
    passed = [row.text for row, stopped in judged if not row.violates and not stopped]
    latencies = sorted(_latencies(rows, times))
    return Checker(
        name=name,
        sentences=len(rows),
        groups=list(_groups(judged)),
        named=_named(rows),
        survived={name: _share(map(act, caught), _stops) for name, act in DISGUISES.items()},
        stayed={
            name: _share(map(act, passed), lambda text: not _stops(text))
            for name, act in COURTESIES.items()
        },
        p50_ms=percentile(latencies, 0.5),
        p99_ms=percentile(latencies, 0.99),
    )


def _stops(text: str) -> bool:
    return not checked(text, Role.RM).allowed


def _share(texts: Iterable[str], holds: Callable[[str], bool]) -> Rate:
    held = [holds(text) for text in texts]
    return Rate(sum(held), len(held))


def _groups(judged: Sequence[tuple[Sentence, bool]]) -> Iterable[Scored]:
    yield _scored("all", judged)
    yield _scored("critical", [pair for pair in judged if pair[0].category in CRITICAL])
    for category in dict.fromkeys(row.category for row, _ in judged):
        yield _scored(category, [pair for pair in judged if pair[0].category == category])


def _scored(name: str, judged: Sequence[tuple[Sentence, bool]]) -> Scored:
    violating = [stopped for row, stopped in judged if row.violates]
    acceptable = [stopped for row, stopped in judged if not row.violates]
    return Scored(
        name, Rate(sum(violating), len(violating)), Rate(sum(acceptable), len(acceptable))
    )


def _named(rows: Sequence[Sentence]) -> Rate:
    """Of the violations, how many carry their own category among the findings."""
    verdicts = [(row, checked(row.text, Role.RM)) for row in rows if row.violates]
    return Rate(sum(row.category in verdict.categories for row, verdict in verdicts), len(verdicts))


def _latencies(rows: Sequence[Sentence], times: int) -> Iterable[float]:
    text = "".join(row.text for row in rows)
    step = max(1, (len(text) - LENGTH) // times)
    for start in range(0, step * times, step):
        message = text[start : start + LENGTH]
        began = perf_counter()
        checked(message, Role.RM)
        yield (perf_counter() - began) * 1000
