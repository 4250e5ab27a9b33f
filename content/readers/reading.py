"""Which reader reads which kind, and the answer the parent gets."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from content.readers.limits import FEWEST_CHARACTERS, MOST_CHARACTERS, Refusal


class Piece(NamedTuple):
    """A paragraph, where it stands, and why a reader of the file would not see it, if so."""

    text: str
    place: str
    hidden: str = ""


Pieces = Iterator[Piece]


def answer_for(kind: str, data: bytes, options: dict[str, Any]) -> dict[str, Any]:
    """What the child says of these bytes; each reader is loaded only when it is needed."""
    from content.readers import polyglots

    if kind.startswith("cover:"):
        from content.readers import covers

        return covers.answer(kind.partition(":")[2], data, **options)
    polyglots.check(kind, data)
    if kind in ("png", "jpg"):
        from content.readers import pictures

        return pictures.answer(kind, data)
    if kind.startswith("mark:"):
        from content.readers import pictures

        return pictures.marked(kind.partition(":")[2], data, **options)
    if kind == "zip":
        from content.readers import archives

        return archives.answer(data)
    if kind == "mp4":
        from content.readers import films

        return films.answer(data)
    if kind.startswith("rows:"):
        from content.readers import tables

        return {"rows": tables.rows(kind.partition(":")[2], data)}
    return of_pieces(_reader(kind)(data))


def _reader(kind: str) -> Callable[[bytes], Pieces]:
    from content.readers import pdf, sheets, slides, texts, web, word

    return {
        "txt": texts.read_text,
        "md": texts.read_markdown,
        "html": web.read_html,
        "docx": word.read_docx,
        "pptx": slides.read_pptx,
        "xlsx": sheets.read_xlsx,
        "pdf": pdf.read_pdf,
    }[kind]


def of_pieces(pieces: Iterable[Piece], fewest: int = FEWEST_CHARACTERS) -> dict[str, Any]:
    """Tidied paragraphs, and apart from them what is hidden; refuses none and too many."""
    paragraphs, hidden, seen, total = [], [], 0, 0
    for piece in pieces:
        text = tidy(piece.text)
        if not text:
            continue
        total += len(text)
        if total > MOST_CHARACTERS:
            raise Refusal("too_long")
        if piece.hidden:
            hidden.append([text, piece.place, piece.hidden])
        else:
            seen += len(text)
            paragraphs.append([text, piece.place])
    if seen < fewest:
        raise Refusal("no_text")
    return {"paragraphs": paragraphs, "hidden": hidden}


def tidy(text: str) -> str:
    """One space for many, no NUL, and no half of a character pair, which nothing could store."""
    whole = text.replace("\x00", "").encode("utf-8", "ignore").decode()
    return re.sub(r"[ \t\u3000\xa0]+", " ", whole).strip()
