"""A text cut into passages 段落: long enough to mean something alone, short enough to quote."""

import re
from collections.abc import Sequence

from content.extract import Paragraph

SHORTEST = 40
LONGEST = 400
SENTENCE_END = re.compile(r"(?<=[。！？；!?;\n])")


def split(paragraphs: Sequence[Paragraph]) -> list[Paragraph]:
    """Passages of 40–400 characters in reading order; a text shorter than 40 is one passage."""
    pieces = [piece for paragraph in paragraphs for piece in _cut(paragraph)]
    merged: list[Paragraph] = []
    for piece in pieces:
        if merged and _belongs(merged[-1], piece):
            merged[-1] = _joined(merged[-1], piece)
        else:
            merged.append(piece)
    return merged


def _belongs(before: Paragraph, piece: Paragraph) -> bool:
    short = len(before.text) < SHORTEST or len(piece.text) < SHORTEST
    return short and len(before.text) + len(piece.text) + 1 <= LONGEST


def _joined(before: Paragraph, piece: Paragraph) -> Paragraph:
    return Paragraph(f"{before.text}\n{piece.text}", before.place or piece.place)


def _cut(paragraph: Paragraph) -> list[Paragraph]:
    """Cut at sentence ends; a sentence longer than a passage is cut where it must be."""
    held, cut = "", []
    for sentence in SENTENCE_END.split(paragraph.text):
        for start in range(0, len(sentence), LONGEST):
            part = sentence[start : start + LONGEST]
            if len(held) + len(part) > LONGEST:
                cut.append(held)
                held = ""
            held += part
    return [Paragraph(text.strip(), paragraph.place) for text in [*cut, held] if text.strip()]


def of_body(body: str, source: Sequence[Paragraph] = ()) -> list[Paragraph]:
    """Paragraphs of a typed body; those taken from the file keep their place in it."""
    places = {_plain(paragraph.text): paragraph.place for paragraph in source}
    blocks = [block.strip() for block in re.split(r"\n\s*\n", body) if block.strip()]
    return [Paragraph(block, places.get(_plain(block), "")) for block in blocks]


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", text)
