"""`siyu retrieve`: the product's own index over rows of text, for measuring."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from knowledge.encoder import Encoder
from knowledge.hybrid import Audience, Entry, HybridIndex
from knowledge.snapshot import Document, Role

Row = Mapping[str, Any]

# Rows of text have no dates, no channel and no risk: everyone may find them at any time.
ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
ANYWHERE = "any"
ANYONE = Audience(datetime(2000, 1, 1, tzinfo=UTC), ANYWHERE, None, 5)


def run(
    corpus: Iterable[Row],
    queries: Iterable[Row],
    phrasings: Iterable[Row],
    k: int,
    encoder: Encoder,
) -> Iterator[dict[str, Any]]:
    """One answer a query, in order: its id, up to k hits with scores, the confidence and the tier.

    Corpus and query rows have `id` and `text`; corpus rows of one id are texts of one document, and
    `role` tells a title from a passage; a phrasing has the `id` of the document it asks for.
    KeyError for a phrasing of a document that is not in the corpus.
    """
    return ask(build(corpus, phrasings, encoder), queries, k)


def ask(index: HybridIndex, queries: Iterable[Row], k: int) -> Iterator[dict[str, Any]]:
    """The answers of that index, as `run` gives them."""
    for query in queries:
        found = index.search(query["text"], ANYONE, k)
        yield {
            "id": query["id"],
            "hits": [{"id": hit.document, "score": hit.score} for hit in found.hits],
            "confidence": found.confidence,
            "tier": found.tier,
        }


def build(corpus: Iterable[Row], phrasings: Iterable[Row], encoder: Encoder) -> HybridIndex:
    """The index over the corpus with its phrasings as example questions, fitted to them."""
    documents: dict[Document, list[Entry]] = {}
    for entry in entries(corpus, phrasings):
        documents.setdefault(entry.document, []).append(entry)
    index = HybridIndex(encoder)
    index.replace_documents(documents)
    index.fit()
    return index


def entries(corpus: Iterable[Row], phrasings: Iterable[Row]) -> list[Entry]:
    """The rows as the index takes them; KeyError for a phrasing of an unknown document."""
    found: list[Entry] = []
    positions: dict[str, Counter[Role]] = {}
    for row in corpus:
        count = positions.setdefault(str(row["id"]), Counter())
        role: Role = row.get("role", "passage")
        found.append(_entry(row, role, count[role]))
        count[role] += 1
    for row in phrasings:
        count = positions[str(row["id"])]
        found.append(_entry(row, "question", count["question"]))
        count["question"] += 1
    return found


def _entry(row: Row, role: Role, position: int) -> Entry:
    return Entry(
        key=0,
        document=str(row["id"]),
        role=role,
        position=position,
        text=row["text"],
        valid_from=ALWAYS[0],
        valid_until=ALWAYS[1],
        channels=frozenset({ANYWHERE}),
        branches=None,
        risk=0,
    )
