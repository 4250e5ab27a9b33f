"""Teaching a gram table that several wordings mean one thing; numpy only.

Pairs of wordings of one meaning are drawn, at most one pair of a meaning in a batch; each wording
has to find its partner among all partners of the batch (symmetric softmax over scaled cosines), and
among texts of other meanings of which there is one wording only. A share of the grams is left out
of each wording, so that no single one is relied upon, and the rate falls in a straight line to a
fiftieth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.encoder import StaticEncoder, Vectors, buckets, unit
from knowledge.grams import grams

DECAY, DECAY_SQUARES, TINY = 0.9, 0.999, 1e-8
SLOWEST = 0.02


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how hard to train; the defaults are those measured best."""

    steps: int = 250
    batch: int = 256
    scale: float = 10.0
    rate: float = 0.005
    dropped: float = 0.25
    seed: int = 20


def fit(
    encoder: StaticEncoder,
    meanings: Sequence[Sequence[str]],
    schedule: Schedule,
    stepped: Callable[[int], None] = lambda _: None,
) -> StaticEncoder:
    """The encoder after training on meanings, each a list of wordings; same seed, same table.

    `stepped` hears the number of each step that is done. A meaning with one usable wording is what
    the others are told from; without two that have more nothing changes.
    """
    texts = _Wordings.of(meanings, len(encoder.table))
    if len(texts.meanings) < 2:
        return encoder
    trained = _train(encoder.table[texts.rows], texts, schedule, stepped)
    return encoder.with_rows(texts.rows, trained)


@dataclass(frozen=True, slots=True)
class _Wordings:
    """The wordings as positions in the table rows that they touch."""

    rows: NDArray[np.int64]
    positions: list[NDArray[np.int64]]
    meanings: list[NDArray[np.int64]]
    alone: NDArray[np.int64]

    @classmethod
    def of(cls, meanings: Sequence[Sequence[str]], size: int) -> "_Wordings":
        found = grams([text for wordings in meanings for text in wordings])
        rows, local = np.unique(buckets(found.keys, size), return_inverse=True)
        positions = np.split(local, found.offsets[1:-1])
        groups, start = [], 0
        for wordings in meanings:
            numbers = np.arange(start, start + len(wordings))
            groups.append(numbers[found.lengths[numbers] > 0])
            start += len(wordings)
        alone = [group for group in groups if len(group) == 1]
        several = [group for group in groups if len(group) > 1]
        return cls(rows, positions, several, np.array(alone, dtype=np.int64).ravel())


def _train(
    table: Vectors, texts: _Wordings, schedule: Schedule, stepped: Callable[[int], None]
) -> Vectors:
    dice = np.random.default_rng(schedule.seed)
    table = table.copy()
    mean, squares = np.zeros_like(table), np.zeros_like(table)
    for step in range(1, schedule.steps + 1):
        pairs = _draw(texts.meanings, schedule.batch, dice)
        others = dice.permutation(texts.alone)[: schedule.batch // 2]
        numbers = np.concatenate([*pairs, others])
        drawn = [_thinned(texts.positions[n], schedule.dropped, dice) for n in numbers]
        rows, slope = _slope(table, drawn, len(pairs[0]), schedule.scale)
        mean[rows] = DECAY * mean[rows] + (1 - DECAY) * slope
        squares[rows] = DECAY_SQUARES * squares[rows] + (1 - DECAY_SQUARES) * slope**2
        rate = schedule.rate * max(SLOWEST, 1 - step / schedule.steps)
        rate *= float(np.sqrt(1 - DECAY_SQUARES**step) / (1 - DECAY**step))
        table[rows] -= np.float32(rate) * mean[rows] / (np.sqrt(squares[rows]) + np.float32(TINY))
        stepped(step)
    return table


def _thinned(
    text: NDArray[np.int64], dropped: float, dice: np.random.Generator
) -> NDArray[np.int64]:
    """The text without a share of its grams; never without all of them."""
    kept = text[dice.random(len(text)) >= dropped]
    return kept if len(kept) else text


def _draw(
    meanings: list[NDArray[np.int64]], batch: int, dice: np.random.Generator
) -> NDArray[np.int64]:
    """First wordings of the chosen meanings, then their partners in the same order."""
    chosen = dice.permutation(len(meanings))[:batch]
    pairs = [dice.choice(meanings[number], 2, replace=False) for number in chosen]
    return np.array(pairs).T


def _slope(
    table: Vectors, texts: list[NDArray[np.int64]], pairs: int, scale: float
) -> tuple[NDArray[np.int64], Vectors]:
    """The table rows that the texts use, and the gradient of the loss at each.

    The texts are the firsts of the pairs, their partners, and the others.
    """
    lengths = np.array([len(text) for text in texts])
    flat = np.concatenate(texts)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    sums = np.add.reduceat(table[flat], starts, axis=0)
    units = unit(sums)
    left, right = units[:pairs], units[pairs:]
    errors = _errors(np.float32(scale) * (left @ right.T)) * np.float32(scale)
    pulls = np.concatenate([errors @ right, errors.T @ left])
    pulls -= np.sum(pulls * units, axis=1, keepdims=True) * units
    pulls /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), TINY)
    return _spread(pulls, flat, np.repeat(np.arange(len(texts)), lengths))


def _errors(logits: Vectors) -> Vectors:
    """Probability given to each pair minus what it should be, both directions averaged.

    Columns beyond the partners are others, which look for nobody.
    """
    pairs = len(logits)
    errors: Vectors = np.exp(logits - logits.max(axis=1, keepdims=True))
    errors /= errors.sum(axis=1, keepdims=True)
    among = logits[:, :pairs]
    columns = np.exp(among - among.max(axis=0, keepdims=True))
    errors[:, :pairs] += columns / columns.sum(axis=0, keepdims=True)
    errors /= 2
    errors[:, :pairs] -= np.eye(pairs, dtype=np.float32)
    return errors / np.float32(pairs)


def _spread(
    pulls: Vectors, flat: NDArray[np.int64], owners: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Vectors]:
    """Each row that a text uses, with the pulls of all texts that use it added up."""
    order = np.argsort(flat, kind="stable")
    touched, starts = np.unique(flat[order], return_index=True)
    return touched, np.add.reduceat(pulls[owners[order]], starts, axis=0)
