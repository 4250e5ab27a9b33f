"""Whether the confidence of a search knows when to be silent: small talk, and what is not there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from random import Random

import numpy as np

from knowledge import retrieve
from knowledge.encoder import Encoder

# Lines that nothing was learnt from and no threshold was set with.
SMALL_TALK = Path(__file__).with_name("small_talk.txt")
PRECISE = 0.95
HALVINGS = 4


@dataclass(frozen=True)
class Silence:
    """Areas under the curve against small talk and against finance questions without an answer.

    `coverage` is the share of answerable questions that can be answered by the first hit alone
    while 95 in 100 such answers are right; `coverage_mixed` the same when as many questions without
    an answer come along.
    """

    small_talk: float
    near_domain: float
    coverage: float
    coverage_mixed: float


@dataclass(frozen=True)
class Sure:
    """How sure a search was of its first hit, and whether that was right."""

    confidence: float
    right: bool


def measure(
    corpus: Sequence[retrieve.Row],
    phrasings: Sequence[retrieve.Row],
    asked: Sequence[tuple[str, str]],
    encoder: Encoder,
) -> Silence:
    """Questions with their document, half of the documents taken away, and small talk.

    The mean of several draws: one alone says little, as a handful of questions decides how far
    down the order 95 in 100 are right.
    """
    documents = list(dict.fromkeys(str(row["id"]) for row in corpus))
    drawn = [_drawn(kept, corpus, phrasings, asked, encoder) for kept in _halves(documents)]
    means = np.mean([astuple(each) for each in drawn], axis=0)
    return Silence(*map(float, means))


def _halves(documents: list[str]) -> Iterator[set[str]]:
    """Both halves of the documents, split at random again and again."""
    for seed in range(HALVINGS):
        shuffled = Random(seed).sample(documents, len(documents))
        yield from (set(shuffled[::2]), set(shuffled[1::2]))


def _drawn(
    kept: set[str],
    corpus: Sequence[retrieve.Row],
    phrasings: Sequence[retrieve.Row],
    asked: Sequence[tuple[str, str]],
    encoder: Encoder,
) -> Silence:
    here = [pair for pair in asked if pair[1] in kept]
    gone = [(text, "") for text, document in asked if document not in kept]
    talk = [(text, "") for text in spoken()]
    sure = ask(
        [row for row in corpus if row["id"] in kept],
        [row for row in phrasings if row["id"] in kept],
        [*here, *gone, *talk],
        encoder,
    )
    answerable, absent = sure[: len(here)], sure[len(here) : len(here) + len(gone)]
    return Silence(
        small_talk=area(answerable, sure[len(here) + len(gone) :]),
        near_domain=area(answerable, absent),
        coverage=coverage(answerable, len(here)),
        coverage_mixed=coverage([*answerable, *absent], len(here)),
    )


def spoken() -> list[str]:
    """Small talk, a line each."""
    return SMALL_TALK.read_text(encoding="utf-8").splitlines()


def ask(
    corpus: Sequence[retrieve.Row],
    phrasings: Sequence[retrieve.Row],
    asked: Sequence[tuple[str, str]],
    encoder: Encoder,
) -> list[Sure]:
    """How sure the product is of its first hit for each question with its right document."""
    queries = [{"id": document, "text": text} for text, document in asked]
    answers = retrieve.run(corpus, queries, phrasings, 1, encoder)
    return [
        Sure(answer["confidence"], [hit["id"] for hit in answer["hits"]] == [answer["id"]])
        for answer in answers
    ]


def area(wanted: Sequence[Sure], unwanted: Sequence[Sure]) -> float:
    """How often a question that has an answer is trusted more than one that has none."""
    high = np.array([sure.confidence for sure in wanted])
    low = np.sort([sure.confidence for sure in unwanted])
    below = np.searchsorted(low, high, "left")
    ties = np.searchsorted(low, high, "right") - below
    return float((below + ties / 2).sum() / (len(high) * len(low)))


def coverage(sure: Iterable[Sure], answerable: int) -> float:
    """The largest share answered in order of confidence of which 95 in 100 are right."""
    order = sorted(sure, key=lambda each: -each.confidence)
    right = np.cumsum([each.right for each in order])
    good = np.flatnonzero(right / np.arange(1, len(order) + 1) >= PRECISE)
    return float(right[good[-1]] / answerable) if len(good) else 0.0
