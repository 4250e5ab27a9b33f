"""What customers ask, written before anyone read the demo library, asked of the demo library."""

from dataclasses import dataclass
from pathlib import Path

from bot.bench.retrieval import Ranked, ranked, rows
from bot.bench.silence import Sure, area
from bot.demo.library import materials_on_file
from content import passages
from knowledge import retrieve
from knowledge.calibration import Tier
from knowledge.encoder import BUILTIN, Encoder, load_encoder

QUESTIONS = Path(__file__).with_name("questions.jsonl")
DEEP = 10


@dataclass(frozen=True)
class Offered:
    """Of the questions that came to a tier: how many have an answer, and how many got it first."""

    questions: int
    answerable: int
    right: int


@dataclass(frozen=True)
class Questions:
    """The answerable questions, every tier, and how well confidence tells the others apart."""

    materials: int
    found: Ranked
    tiers: dict[Tier, Offered]
    absent: float


def measure(encoder: Encoder | None = None) -> Questions:
    """The demo library with its example questions, learnt, and every question asked of it."""
    corpus, phrasings = library()
    asked = list(rows(QUESTIONS))
    queries = [{"id": "", "text": row["text"]} for row in asked]
    answers = list(retrieve.run(corpus, queries, phrasings, DEEP, encoder or load_encoder(BUILTIN)))
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
    )


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
