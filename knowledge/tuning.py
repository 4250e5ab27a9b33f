"""`siyu tune`: an encoder taught a bank's own phrasings, and whether that made searches better.

One phrasing of each material is held back. An index over the others, which learns as the product's
does, is asked for it with the encoder as it was and as it was written; the second is kept only if
its searches are no worse.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from knowledge import retrieve
from knowledge.contrastive import Schedule, fit
from knowledge.encoder import Encoder, StaticEncoder, open_encoder
from knowledge.grams import normalise
from knowledge.sentence_training import train_model
from knowledge.training.intents import read_intents
from knowledge.training.train import write_table
from knowledge.tuning_card import Figures, Tuned, card_beside, written

# One phrasing is held back, two make a pair to learn from.
LEAST_PHRASINGS = 3
# Fewer questions than this do not tell a better encoder from a worse one.
LEAST_MATERIALS = 20
DEEP = 10
# The table learns a bank's phrasings among the sentences it was made from: without these it forgets
# them (measured on the demo's phrasings held back: MRR of searches 52 instead of 59).
TABLE = Schedule(steps=400)
# A pair of every material ten times over, at the rate usual for fine-tuning such models.
MODEL = Schedule(batch=32, scale=20.0, rate=2e-5)
ROUNDS = 10

Phrasing = tuple[str, str]
Told = Callable[[int, int], None]


class TooFewPhrasings(ValueError):
    """Too few phrasings to tune with."""

    def __init__(self, enough: int) -> None:
        super().__init__(
            f"tuning needs {LEAST_MATERIALS} materials with {LEAST_PHRASINGS} different phrasings"
            f" each (one is held back, two make a pair); {enough} have as many"
        )


@dataclass(frozen=True, slots=True)
class Order:
    """What is wished: `base` as SIYU_ENCODER names encoders, 0 steps or rate for the usual ones.

    `source` names the file of phrasings; empty: the library.
    """

    base: str
    out: Path
    source: str = ""
    seed: int = 20
    steps: int = 0
    rate: float = 0.0
    anyway: bool = False


@dataclass(frozen=True, slots=True)
class Lesson:
    """Material → phrasings to learn from, and (material, phrasing) held back to be asked.

    `unclear` phrasings stand under two materials and are left out.
    """

    taught: dict[str, list[str]]
    asked: list[Phrasing]
    unclear: int

    @property
    def meanings(self) -> list[list[str]]:
        """Of the materials that can give a pair."""
        return [wordings for wordings in self.taught.values() if len(wordings) > 1]

    @property
    def rows(self) -> list[Phrasing]:
        """Every phrasing to learn from, with its material."""
        return [(material, text) for material, texts in self.taught.items() for text in texts]


def tune(order: Order, phrasings: Iterable[Phrasing], today: date, told: Told) -> Tuned:
    """Teach the base the phrasings and write it with its card; the same seed, the same encoder.

    Nothing is written, and `refusal` says why, when searches got worse. FileExistsError for an
    `out` that is there, TooFewPhrasings; `told` hears the steps done and how many there are.
    """
    if order.out.exists() or card_beside(order.out).exists():
        raise FileExistsError(f"{order.out} is there already: an encoder in use is never replaced")
    known = lesson(phrasings, order.seed)
    base = open_encoder(order.base)
    schedule = _schedule(order, base, known)
    before = _places(base, known)
    draft = order.out.with_name(f".{os.getpid()}.{order.out.name}")
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        _teach(base, known, schedule, draft, lambda step: told(step, schedule.steps))
        after = _places(open_encoder(str(draft)), known)
        tuned = _outcome(order, known, schedule, base, before, after)
        return tuned if tuned.refusal else written(tuned, draft, order.out, today)
    finally:
        _remove(draft)


def lesson(phrasings: Iterable[Phrasing], seed: int) -> Lesson:
    """What to learn from and what to hold back, drawn by the seed; TooFewPhrasings."""
    of: dict[str, dict[str, str]] = {}
    owners: dict[str, set[str]] = {}
    for material, text in phrasings:
        if plain := normalise(text):
            of.setdefault(material, {}).setdefault(plain, text.strip())
            owners.setdefault(plain, set()).add(material)
    unclear = {plain for plain, materials in owners.items() if len(materials) > 1}
    dice = np.random.default_rng(seed)
    taught, asked = {}, []
    for material in sorted(of):
        texts = [text for plain, text in sorted(of[material].items()) if plain not in unclear]
        if len(texts) >= LEAST_PHRASINGS:
            asked.append((material, texts.pop(int(dice.integers(len(texts))))))
        taught[material] = texts
    if len(asked) < LEAST_MATERIALS:
        raise TooFewPhrasings(len(asked))
    return Lesson(taught, asked, len(unclear))


def _schedule(order: Order, base: Encoder, known: Lesson) -> Schedule:
    usual = TABLE
    if not isinstance(base, StaticEncoder):
        usual = replace(MODEL, steps=-(-ROUNDS * len(known.meanings) // MODEL.batch))
    steps, rate = order.steps or usual.steps, order.rate or usual.rate
    return replace(usual, steps=steps, rate=rate, seed=order.seed)


def _teach(
    base: Encoder, known: Lesson, schedule: Schedule, draft: Path, stepped: Callable[[int], None]
) -> None:
    if isinstance(base, StaticEncoder):
        meanings = [*known.meanings, *reminders(known)]
        write_table(fit(base, meanings, schedule, stepped), draft)
    else:
        train_model(base, known.meanings, schedule, draft, stepped)


def reminders(known: Lesson) -> list[list[str]]:
    """The sentences the table was made from, without those that are phrasings of this bank too."""
    theirs = {normalise(text) for _, text in [*known.rows, *known.asked]}
    intents = read_intents().values()
    return [[text for text in texts if normalise(text) not in theirs] for texts in intents]


@dataclass(frozen=True, slots=True)
class Places:
    """At which place each phrasing held back found its material, 0 where it did not."""

    alone: list[int]
    search: list[int]


def _places(encoder: Encoder, known: Lesson) -> Places:
    corpus = [{"id": name, "text": text, "role": "question"} for name, text in known.rows]
    asked = [{"id": name, "text": text} for name, text in known.asked]
    answers = retrieve.run(corpus, asked, [], DEEP, encoder)
    search = [_place(answer["id"], [hit["id"] for hit in answer["hits"]]) for answer in answers]
    return Places(_alone(encoder, known), search)


def _alone(encoder: Encoder, known: Lesson) -> list[int]:
    """By the nearest vector, without words and without what an index learns."""
    materials = [material for material, _ in known.rows]
    vectors = encoder.encode([text for _, text in known.rows])
    asked = encoder.encode([text for _, text in known.asked])
    places = []
    for (wanted, _), vector in zip(known.asked, asked, strict=True):
        nearest = np.argsort(-(vectors @ vector), kind="stable")
        places.append(_place(wanted, list(dict.fromkeys(materials[row] for row in nearest))))
    return places


def _place(wanted: str, found: Sequence[str]) -> int:
    return found.index(wanted) + 1 if wanted in found[:DEEP] else 0


def _outcome(
    order: Order, known: Lesson, schedule: Schedule, base: Encoder, before: Places, after: Places
) -> Tuned:
    pairs = [
        (was or DEEP + 1, now or DEEP + 1)
        for was, now in zip(before.search, after.search, strict=True)
    ]
    tuned = Tuned(
        base=base.name,
        source=order.source or "the library: example questions of live material",
        materials=len(known.taught),
        taught=len(known.rows),
        held_back=len(known.asked),
        unclear=known.unclear,
        seed=schedule.seed,
        steps=schedule.steps,
        rate=schedule.rate,
        search_before=Figures.of(before.search),
        search_after=Figures.of(after.search),
        alone_before=Figures.of(before.alone),
        alone_after=Figures.of(after.alone),
        better=sum(now < was for was, now in pairs),
        worse=sum(now > was for was, now in pairs),
    )
    return tuned if order.anyway else tuned.unless_worse()


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft)
    draft.unlink(missing_ok=True)
