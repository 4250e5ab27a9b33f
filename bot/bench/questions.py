"""What customers ask, written before anyone read the demo library, asked of the demo library."""

from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

from bot.bench.retrieval import Ranked, ranked, rows
from bot.bench.silence import Sure, area
from bot.demo.library import materials_on_file
from content import passages
from knowledge import retrieve
from knowledge.calibration import Tier
from knowledge.cases import SOURCES
from knowledge.encoder import BUILTIN, Encoder, load_encoder
from knowledge.hybrid import HybridIndex
from knowledge.parts import parts_of

QUESTIONS = Path(__file__).with_name("questions.jsonl")
DEEP = 10
PAIRS = 200


@dataclass(frozen=True)
class Offered:
    """Of the questions that came to a tier: how many have an answer, and how many got it first."""

    questions: int
    answerable: int
    right: int


@dataclass(frozen=True)
class Pairs:
    """Messages of two questions each: how many were read as two, and whose answers came first.

    `whole` is how many had both answers among the first three of one search for the message.
    """

    messages: int
    apart: int
    both: int
    one: int
    whole: int


@dataclass(frozen=True)
class Questions:
    """The answerable questions, every tier, and how well confidence tells the others apart."""

    materials: int
    found: Ranked
    tiers: dict[Tier, Offered]
    absent: float
    pairs: Pairs


def measure(encoder: Encoder | None = None) -> Questions:
    """The demo library with its example questions, learnt, and every question asked of it."""
    corpus, phrasings = library()
    index = retrieve.build(corpus, phrasings, encoder or load_encoder(BUILTIN))
    asked = list(rows(QUESTIONS))
    queries = [{"id": "", "text": row["text"]} for row in asked]
    answers = list(retrieve.ask(index, queries, DEEP))
    names = [[str(hit["id"]) for hit in answer["hits"]] for answer in answers]
    rights = [frozenset(row["materials"]) for row in asked]
    sure = [Sure(answer["confidence"], False) for answer in answers]
    return Questions(
        materials=len({row["id"] for row in corpus}),
        found=ranked([pair for pair in zip(rights, names, strict=True) if pair[0]]),
        tiers=_tiers([answer["tier"] for answer in answers], rights, names),
        absent=area(
            [each for each, right in zip(sure, rights, strict=True) if right],
            [each for each, right in zip(sure, rights, strict=True) if not right],
        ),
        pairs=_in_pairs(index, [row for row in asked if row["materials"]]),
    )


def _in_pairs(index: HybridIndex, asked: list[dict[str, Any]]) -> Pairs:
    """Two questions about different things in one message, at random."""
    dice, told = Random(1), Counter[str]()
    while told["messages"] < PAIRS:
        two = dice.sample(asked, 2)
        if set(two[0]["materials"]).isdisjoint(two[1]["materials"]):
            told.update(_in_pair(index, two))
    return Pairs(**{field.name: told[field.name] for field in fields(Pairs)})


def _in_pair(index: HybridIndex, two: list[dict[str, Any]]) -> dict[str, int]:
    message = "".join(f"{row['text']}？" for row in two)
    parts, rights = parts_of(message, (), ()), [set(row["materials"]) for row in two]
    firsts = [_first(index, part, 1) for part in parts] if len(parts) == len(two) else []
    right = sum(bool(found & wanted) for found, wanted in zip(firsts, rights, strict=False))
    among = _first(index, message, SOURCES)
    return {
        "messages": 1,
        "apart": bool(firsts),
        "both": right == len(two),
        "one": right == 1,
        "whole": all(among & wanted for wanted in rights),
    }


def _first(index: HybridIndex, text: str, count: int) -> set[str]:
    """The first documents, where any is offered at all."""
    found = index.search(text, retrieve.ANYONE, count)
    return {str(hit.document) for hit in found.hits} if found.tier != "none" else set()


def library() -> tuple[list[retrieve.Row], list[retrieve.Row]]:
    """Titles and passages of the demo library, and its example questions."""
    corpus: list[retrieve.Row] = []
    phrasings: list[retrieve.Row] = []
    for material in materials_on_file():
        code = material["code"]
        corpus.append({"id": code, "role": "title", "text": material["title"]})
        cut = passages.split(passages.of_body(material["body"]))
        corpus += [{"id": code, "text": passage.text} for passage in cut]
        phrasings += [{"id": code, "text": question} for question in material["questions"]]
    return corpus, phrasings


def _tiers(
    tiers: list[Tier], rights: list[frozenset[str]], names: list[list[str]]
) -> dict[Tier, Offered]:
    told: dict[Tier, Offered] = {}
    of: list[Tier] = ["answer", "candidates", "none"]
    for tier in of:
        here = [(r, n) for t, r, n in zip(tiers, rights, names, strict=True) if t == tier]
        first = sum(bool(right & set(found[:1])) for right, found in here)
        told[tier] = Offered(len(here), sum(bool(right) for right, _ in here), first)
    return told
