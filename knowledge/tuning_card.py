"""What came of a tuning, and the card that lies beside the encoder and says so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Self

from knowledge.encoder import TABLE_SUFFIX

CARD = """# An encoder tuned on a bank's own phrasings

Made by `siyu tune` on {today}. Use it with `SIYU_ENCODER={path}`.

| | |
|---|---|
| base | {base} |
| phrasings from | {source} |
| materials | {materials:,} |
| phrasings learnt from | {taught:,} |
| phrasings held back, one a material | {held_back:,} |
| left out, because two materials have them | {unclear:,} |
| seed, steps, rate | {seed}, {steps:,}, {rate:g} |

Phrasings held back, asked of an index over the others, in %:

| | R@1 | R@5 | MRR |
|---|---|---|---|
| search before | {search_before} |
| **search after** | {search_after} |
| encoder alone before | {alone_before} |
| encoder alone after | {alone_after} |

*Search* is words and vectors together, after the index has learnt the phrasings as it does whenever
the library changes. In it {better:,} of the phrasings held back found their material earlier than
before and {worse:,} later. What was held back was not learnt from.

The base's own card and licence hold for this encoder too. It knows how this library is asked; where
the library changes, tune again and compare with `siyu judge`.
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of questions whose material came first and among five, and the mean of 1/place."""

    r1: float
    r5: float
    mrr: float

    @classmethod
    def of(cls, places: Sequence[int]) -> Self:
        """From places counted from 1; 0 is not found."""
        count = len(places)
        return cls(
            r1=sum(place == 1 for place in places) / count,
            r5=sum(1 <= place <= 5 for place in places) / count,
            mrr=sum(1 / place for place in places if place) / count,
        )

    def percent(self, between: str) -> str:
        """The three in %, with one decimal."""
        return between.join(f"{100 * share:.1f}" for share in (self.r1, self.r5, self.mrr))


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was learnt from, how, and what it did; `refusal` says why nothing was written."""

    base: str
    source: str
    materials: int
    taught: int
    held_back: int
    unclear: int
    seed: int
    steps: int
    rate: float
    search_before: Figures
    search_after: Figures
    alone_before: Figures
    alone_after: Figures
    better: int
    worse: int
    out: str = ""
    card: str = ""
    refusal: str = ""

    def unless_worse(self) -> Self:
        """The same, refused where searches find what was held back later than before."""
        was, now = self.search_before, self.search_after
        if now.mrr >= was.mrr:
            return self
        return replace(
            self,
            refusal=f"not written: searches got worse on the {self.held_back:,} phrasings held back"
            f" (MRR {100 * was.mrr:.1f} → {100 * now.mrr:.1f}); --anyway writes it all the same",
        )

    def lines(self) -> list[str]:
        """For a terminal."""
        told = [
            f"{self.materials:,} materials: {self.taught:,} phrasings learnt,"
            f" {self.held_back:,} held back, {self.unclear:,} left out as unclear",
            f"{'% of those held back':<22}{'R@1':>7}{'R@5':>7}{'MRR':>7}",
        ]
        for name, figures in self._rows():
            told.append(
                f"{name:<22}" + "".join(f"{part:>7}" for part in figures.percent(" ").split())
            )
        told.append(f"search found {self.better:,} earlier and {self.worse:,} later than before")
        if self.out:
            told.append(f"wrote {self.out}, card {self.card}; SIYU_ENCODER={self.out} loads it")
        return told

    def _rows(self) -> list[tuple[str, Figures]]:
        return [
            ("search before", self.search_before),
            ("search after", self.search_after),
            ("encoder alone before", self.alone_before),
            ("encoder alone after", self.alone_after),
        ]


def card_beside(out: Path) -> Path:
    """Where the card of an encoder lies: in the model's folder, beside a table."""
    return out.with_suffix(".md") if out.suffix == TABLE_SUFFIX else out / "README.md"


def written(tuned: Tuned, draft: Path, out: Path, today: date) -> Tuned:
    """Put the draft in its place, with its card."""
    card = card_beside(out)
    draft.replace(out)
    facts = {name: getattr(tuned, name) for name in tuned.__slots__}
    shown = {n: f.percent(" | ") for n, f in facts.items() if isinstance(f, Figures)}
    card.write_text(CARD.format(**facts | shown, today=today, path=out), encoding="utf-8")
    return replace(tuned, out=str(out), card=str(card))
