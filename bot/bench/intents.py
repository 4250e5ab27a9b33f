"""How messages are understood: each labelled example by a reader that learnt only the others."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from knowledge.encoder import BUILTIN, load_encoder
from knowledge.intents import EXAMPLES_FILE, Intent, Reader, read_examples, reader

FOLDS, SEED = 10, 0
ALL = "all"


@dataclass(frozen=True)
class Understood:
    """Intent a colleague gave → intents that were read, with how often."""

    folds: int
    read: dict[str, Counter[str]]

    def right(self, intent: str) -> int:
        """How many of an intent were read as it."""
        return self.read[intent][intent]


def measure(file: Path | None = None) -> Understood:
    """The messages of a file, by the reader as shipped; without one, the examples in ten folds."""
    if file is not None:
        return Understood(1, _read_by(reader(), read_examples(file)))
    dice = np.random.default_rng(SEED)
    everything = [(intent, text) for intent, texts in read_examples().items() for text in texts]
    folds = dice.permutation(len(everything)) % FOLDS
    read: dict[str, Counter[str]] = {intent.value: Counter() for intent in Intent}
    for fold in range(FOLDS):
        asked = _of(everything, folds == fold)
        others = Reader(load_encoder(BUILTIN), _of(everything, folds != fold))
        for intent, found in _read_by(others, asked).items():
            read[intent].update(found)
    return Understood(FOLDS, read)


def _of(rows: list[tuple[Intent, str]], chosen: np.ndarray) -> dict[Intent, list[str]]:
    picked = [row for row, wanted in zip(rows, chosen, strict=True) if wanted]
    return {intent: [text for of, text in picked if of is intent] for intent in Intent}


def _read_by(by: Reader, messages: dict[Intent, list[str]]) -> dict[str, Counter[str]]:
    return {
        intent.value: Counter(by.read(text).intent.value for text in texts)
        for intent, texts in messages.items()
    }


def show(console: Console, found: Understood) -> None:
    """Rows: what it was; columns: what it was read as."""
    names = [intent.value for intent in Intent]
    title = f"Messages of {EXAMPLES_FILE.name}" if found.folds > 1 else "Messages held out"
    table = Table("", "right", *names, title=f"{title}, {found.folds} folds")
    for name in names:
        row = found.read[name]
        counts = [str(row[other] or "") for other in names]
        table.add_row(name, f"{found.right(name)}/{row.total()}", *counts)
    right = sum(map(found.right, names))
    table.add_row(ALL, f"{right}/{sum(row.total() for row in found.read.values())}")
    console.print(table)
