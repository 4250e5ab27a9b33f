"""How well a question finds its document: words, the built-in encoder, both, and what is taught.

A collection is a folder with `corpus.jsonl` (id, text), `queries.jsonl` (id, suite, text) and
`qrels.tsv` (query-id, corpus-id, score), as BEIR writes them. Without one, the customers' questions
about the demo library are asked.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log2
from pathlib import Path
from random import Random
from typing import Any

from bot.bench import silence
from knowledge import retrieve
from knowledge.conditions import Conditions, Within
from knowledge.encoder import BUILTIN, Encoder, load_encoder
from knowledge.index import FlatIndex
from knowledge.lexical import Synonyms, terms
from knowledge.snapshot import Fusion, Query, Segment, Snapshot

DEEP = 10
# So many labelled queries of a document become its example questions; the others are asked.
TAUGHT = (1, 3, 5)
WORDS_ALONE = Fusion(0.0, 1.0)
# Rows of the nearest texts looked at, until ten different documents are among them.
NEAR = 200


@dataclass(frozen=True)
class Asked:
    """A question, and the documents any of which answers it."""

    suite: str
    text: str
    right: frozenset[str]


@dataclass(frozen=True)
class Collection:
    """Texts of documents, and questions about them."""

    corpus: list[retrieve.Row]
    asked: list[Asked]


@dataclass(frozen=True)
class Ranked:
    """How a group of questions fared: shares among the first 1, 5, 10, and how early."""

    questions: int
    r1: float
    r5: float
    r10: float
    mrr: float
    ndcg: float


@dataclass(frozen=True)
class Retrieval:
    """Method → suite → figures, and what is known about silence with so many example questions."""

    documents: int
    methods: dict[str, dict[str, Ranked]]
    quiet: dict[int, silence.Silence]


def measure(
    folder: Path, each: int = 0, documents: int = 0, encoder: Encoder | None = None
) -> Retrieval:
    """Every method on the collection in the folder, with at most `each` questions of a suite.

    With `documents` on so many of them at random; those that can be taught are among them.
    """
    encoder = encoder or load_encoder(BUILTIN)
    found = _fewer(read(folder), documents)
    asked = _some(found.asked, each)
    methods = {
        "BM25 alone": _figures(asked, _words_alone(found.corpus, asked, encoder)),
        "built-in alone": _figures(asked, _encoder_alone(found.corpus, asked, encoder)),
        "hybrid": _figures(asked, _hybrid(found.corpus, asked, [], encoder)),
    }
    teachable = _teachable(found.asked)
    quiet = {}
    for count in (0, *TAUGHT) if teachable else ():
        phrasings, rest = lesson(teachable, count)
        if count:
            name = f"hybrid, {count} phrasings learnt"
            methods[name] = _figures(rest, _hybrid(found.corpus, rest, phrasings, encoder))
        small = [row for row in found.corpus if row["id"] in teachable]
        quiet[count] = silence.measure(small, phrasings, _pairs(rest), encoder)
    return Retrieval(len({row["id"] for row in found.corpus}), methods, quiet)


def read(folder: Path) -> Collection:
    """The collection in the folder; a query without a label is left out."""
    right: dict[str, set[str]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, score = line.split("\t")
        if int(score) > 0:
            right.setdefault(query, set()).add(document)
    asked = [
        Asked(row["suite"], row["text"], frozenset(right[row["id"]]))
        for row in rows(folder / "queries.jsonl")
        if row["id"] in right
    ]
    return Collection(list(rows(folder / "corpus.jsonl")), asked)


def rows(file: Path) -> Iterable[dict[str, Any]]:
    """The rows of a JSON-lines file."""
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def lesson(
    teachable: Mapping[str, Sequence[Asked]], count: int
) -> tuple[list[retrieve.Row], list[Asked]]:
    """The first `count` questions of each document as its phrasings, and the rest to be asked."""
    phrasings: list[retrieve.Row] = [
        {"id": document, "text": question.text}
        for document, questions in teachable.items()
        for question in questions[:count]
    ]
    return phrasings, [q for questions in teachable.values() for q in questions[count:]]


def _teachable(asked: Sequence[Asked]) -> dict[str, list[Asked]]:
    """Documents with more questions of their own than are ever taught, and these questions."""
    own: dict[str, list[Asked]] = {}
    for question in asked:
        if len(question.right) == 1:
            own.setdefault(min(question.right), []).append(question)
    return {document: found for document, found in own.items() if len(found) > TAUGHT[-1]}


def _fewer(found: Collection, documents: int) -> Collection:
    """So many documents at random, and the questions they answer; everything for 0."""
    ids = list(dict.fromkeys(str(row["id"]) for row in found.corpus))
    if not 0 < documents < len(ids):
        return found
    taught = _teachable(found.asked).keys()
    others = [name for name in ids if name not in taught]
    kept = {*taught, *Random(1).sample(others, max(0, documents - len(taught)))}
    return Collection(
        [row for row in found.corpus if row["id"] in kept],
        [replace(one, right=one.right & kept) for one in found.asked if one.right & kept],
    )


def _pairs(asked: Sequence[Asked]) -> list[tuple[str, str]]:
    return [(question.text, min(question.right)) for question in asked]


def _some(asked: Sequence[Asked], each: int) -> list[Asked]:
    """At most `each` questions of a suite, spread evenly; all of them for 0."""
    many = Counter(question.suite for question in asked)
    steps = {suite: max(1, -(-count // each)) if each else 1 for suite, count in many.items()}
    met: Counter[str] = Counter()
    kept = []
    for question in asked:
        if met[question.suite] % steps[question.suite] == 0:
            kept.append(question)
        met[question.suite] += 1
    return kept


def _words_alone(
    corpus: Sequence[retrieve.Row], asked: Sequence[Asked], encoder: Encoder
) -> list[list[str]]:
    """What BM25 finds without the vectors and without classes of synonyms."""
    plain = Synonyms([])
    segment = _segment(corpus, plain, encoder)
    shelf = Snapshot((segment,), (segment.allowed(retrieve.ANYONE),))
    blind = encoder.encode([""])[0]
    names = []
    for question in asked:
        query = Query(terms([question.text], plain).keys, blind)
        ranked, _ = shelf.rank(query, shelf.alive, WORDS_ALONE, DEEP)
        names.append([str(found.entry.document) for found in ranked])
    return names


def _encoder_alone(
    corpus: Sequence[retrieve.Row], asked: Sequence[Asked], encoder: Encoder
) -> list[list[str]]:
    """The documents of the nearest vectors."""
    segment = _segment(corpus, Synonyms([]), encoder)
    everything = Within.every(len(segment.entries))
    names = []
    for vector in encoder.encode([question.text for question in asked]):
        near, _ = segment.dense.search(vector, NEAR, everything)
        found = dict.fromkeys(str(segment.entries[row].document) for row in near)
        names.append(list(found)[:DEEP])
    return names


def _segment(corpus: Sequence[retrieve.Row], synonyms: Synonyms, encoder: Encoder) -> Segment:
    entries = retrieve.entries(corpus, [])
    texts = [entry.text for entry in entries]
    dense = FlatIndex.of(encoder.encode(texts))
    return Segment.of(entries, terms(texts, synonyms), dense, Conditions.of(entries))


def _hybrid(
    corpus: Sequence[retrieve.Row],
    asked: Sequence[Asked],
    phrasings: Sequence[retrieve.Row],
    encoder: Encoder,
) -> list[list[str]]:
    queries = [{"id": "", "text": question.text} for question in asked]
    answers = retrieve.run(corpus, queries, phrasings, DEEP, encoder)
    return [[str(hit["id"]) for hit in answer["hits"]] for answer in answers]


def _figures(asked: Sequence[Asked], found: Sequence[Sequence[str]]) -> dict[str, Ranked]:
    """Suite by suite, and `MACRO`: the mean of the suites."""
    pairs = list(zip(asked, found, strict=True))
    suites = dict.fromkeys(question.suite for question in asked)
    figures = {s: ranked([(q.right, f) for q, f in pairs if q.suite == s]) for s in suites}
    return figures | {"MACRO": _mean(list(figures.values()))}


def ranked(pairs: Sequence[tuple[frozenset[str], Sequence[str]]]) -> Ranked:
    """The figures of questions, each with its right documents and those found, best first."""
    places = [_places(right, found) for right, found in pairs]
    firsts = [place[0] if place else DEEP for place in places]
    ideal = [sum(1 / log2(n + 2) for n in range(min(len(right), DEEP))) for right, _ in pairs]
    gains = [sum(1 / log2(place + 2) for place in hits) for hits in places]
    return Ranked(
        questions=len(pairs),
        r1=sum(first < 1 for first in firsts) / len(pairs),
        r5=sum(first < 5 for first in firsts) / len(pairs),
        r10=sum(first < DEEP for first in firsts) / len(pairs),
        mrr=sum(1 / (first + 1) for first in firsts if first < DEEP) / len(pairs),
        ndcg=sum(gain / best for gain, best in zip(gains, ideal, strict=True)) / len(pairs),
    )


def _places(right: frozenset[str], found: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(found[:DEEP]) if name in right]


def _mean(figures: Sequence[Ranked]) -> Ranked:
    count = len(figures)
    return Ranked(
        questions=sum(figure.questions for figure in figures),
        r1=sum(figure.r1 for figure in figures) / count,
        r5=sum(figure.r5 for figure in figures) / count,
        r10=sum(figure.r10 for figure in figures) / count,
        mrr=sum(figure.mrr for figure in figures) / count,
        ndcg=sum(figure.ndcg for figure in figures) / count,
    )
