"""How sure a search is: learnt from the library's own example questions, each held out in turn."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from knowledge.snapshot import (
    UNTAUGHT_SHARE,
    Document,
    Entry,
    Fusion,
    Query,
    Ranked,
    Snapshot,
)

Tier = Literal["answer", "candidates", "none"]
Evidence = tuple[float, float, float]

# Measured: an untaught table helps best with a third of the say, a taught one with two thirds.
WEIGHT_UNTAUGHT, WEIGHT_TAUGHT = UNTAUGHT_SHARE, 0.7
# BM25 counts as 1 where four in five held-out questions have their best row; with a higher unit
# documents without example questions, found by words first, are found worse.
UNIT_QUANTILE = 0.8
# Fewer held-out questions than this say nothing about where a threshold should lie.
ENOUGH_PROBES = 20
MOST_PROBES = 300
# How often an unanswerable finance question and small talk come for each answerable question.
ABSENT_SHARE, TALK_SHARE = 0.4, 0.2
# An answer may be offered alone when nine in ten such answers were right.
RIGHT_ENOUGH = 0.9
# Candidates are shown unless that would show something for nothing: 95 in 100 good lists are kept.
KEPT_LISTS = 0.95
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Calibration:
    """A library's fusion, and the curve from evidence to the chance that the first hit is right."""

    fusion: Fusion
    slopes: tuple[float, float, float]
    offset: float
    answer_from: float
    candidates_from: float

    def confidence(self, evidence: Evidence | None) -> float:
        """The chance from 0 to 1 that the first hit answers; 0 without a hit."""
        if evidence is None:
            return 0.0
        height = self.offset + sum(s * e for s, e in zip(self.slopes, evidence, strict=True))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, height))))

    def tier(self, confidence: float) -> Tier:
        """What to do at this confidence."""
        if confidence >= self.answer_from:
            return "answer"
        return "candidates" if confidence >= self.candidates_from else "none"


@dataclass(frozen=True, slots=True)
class Probe:
    """An example question asked of the library without it."""

    document: Document
    query: Query


def untaught(rows: int) -> Calibration:
    """What holds for a library without enough example questions.

    The unit of BM25 grows with the logarithm of the library (measured: 13 times, from 150 rows to
    10,000). The curve was learnt on the training intents: a table taught one half of them, the
    other half as library with one or two wordings each.
    """
    fusion = Fusion(WEIGHT_UNTAUGHT, max(1.0, 13 * math.log1p(rows)))
    return Calibration(fusion, (0.8, 2.8, 4.3), -3.4, 0.8, 0.08)


def evidence(ranked: Sequence[Ranked]) -> Evidence | None:
    """What tells a right first hit from a wrong one: score, lead over the second, cosine."""
    if not ranked:
        return None
    first = ranked[0]
    lead = first.score - ranked[1].score if len(ranked) > 1 else first.score
    # What the question names comes first even before nearer texts; that is no lead.
    return first.score, max(0.0, lead), first.dense


def held_out(entries: Iterable[Entry]) -> list[Entry]:
    """The last example question of each document that can be found without it, at most 300.

    Of documents with one question every second gives it up: without any, nothing would be taught.
    """
    texts: dict[Document, list[Entry]] = {}
    for entry in entries:
        texts.setdefault(entry.document, []).append(entry)
    several: list[Entry] = []
    only: list[Entry] = []
    for document in sorted(texts, key=str):
        questions = [entry for entry in texts[document] if entry.role == "question"]
        if questions and len(texts[document]) > 1:
            last = max(questions, key=lambda entry: (entry.position, entry.text))
            (several if len(questions) > 1 else only).append(last)
    chosen = [*several, *only[::2]]
    step = max(1, math.ceil(len(chosen) / MOST_PROBES))
    return chosen[::step]


def calibrate(
    snapshot: Snapshot, probes: Sequence[Probe], talk: Sequence[Query], dense_weight: float
) -> Calibration:
    """The calibration of a library, from probes whose own rows it does not hold, and small talk."""
    allowed = list(snapshot.alive)
    tops = [max(scores.max() for scores in snapshot.lexical(p.query, allowed)) for p in probes]
    fusion = Fusion(dense_weight, max(1.0, float(np.quantile(tops, UNIT_QUANTILE))))
    facts, right, weights, listed = [], [], [], []
    for probe in probes:
        ranked, _ = snapshot.rank(probe.query, allowed, fusion, SHOWN)
        names = [found.entry.document for found in ranked]
        without = snapshot.without([probe.document])
        absent, _ = without.rank(probe.query, list(without.alive), fusion, 2)
        facts += [evidence(ranked), evidence(absent)]
        right += [names[:1] == [probe.document], False]
        listed += [probe.document in names, False]
        weights += [1.0, ABSENT_SHARE]
    for query in talk:
        facts.append(evidence(snapshot.rank(query, allowed, fusion, 2)[0]))
        right.append(False)
        listed.append(False)
        weights.append(TALK_SHARE * len(probes) / len(talk))
    known = np.array([fact or (0.0, 0.0, 0.0) for fact in facts])
    return _curve(fusion, known, np.array(right), np.array(listed), np.array(weights))


def _curve(
    fusion: Fusion,
    facts: NDArray[np.float64],
    right: NDArray[np.bool_],
    listed: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> Calibration:
    offset, *slopes = _logistic(facts, right, weights)
    curve = Calibration(fusion, (slopes[0], slopes[1], slopes[2]), offset, 1.0, 0.0)
    sure = np.array([curve.confidence((f[0], f[1], f[2])) for f in facts])
    order = np.argsort(-sure, kind="stable")
    precision = np.cumsum((right * weights)[order]) / np.cumsum(weights[order])
    good = np.flatnonzero(precision >= RIGHT_ENOUGH)
    answer_from = float(sure[order][good[-1]]) if len(good) else 1.0
    lists = sure[listed]
    candidates_from = float(np.quantile(lists, 1 - KEPT_LISTS)) if len(lists) else answer_from
    return Calibration(
        fusion, curve.slopes, offset, max(answer_from, 0.5), min(candidates_from, answer_from)
    )


def _logistic(
    facts: NDArray[np.float64], right: NDArray[np.bool_], weights: NDArray[np.float64]
) -> list[float]:
    """Offset and slopes of a weighted logistic curve, by Newton's steps with a small ridge."""
    columns = np.column_stack([np.ones(len(facts)), facts])
    ridge = np.diag([0.01, 0.1, 0.1, 0.1])
    curve = np.zeros(columns.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-np.clip(columns @ curve, -30, 30)))
        slope = columns.T @ (weights * (right - chance)) - ridge @ curve
        bend = (columns * (weights * chance * (1 - chance))[:, None]).T @ columns + ridge
        curve = curve + np.linalg.solve(bend, slope)
    return [float(value) for value in curve]
