"""Word documents: paragraphs, tables, notes, and runs that a reader does not see."""

import io
from collections.abc import Iterator
from typing import Any

from content.readers.packages import check_office
from content.readers.reading import Piece, Pieces

TINY_POINTS = 4.0
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def read_docx(data: bytes) -> Pieces:
    """Paragraphs and table rows in the order of the page; then headers, footers and comments."""
    check_office("docx", data)
    import docx
    from docx.table import Table

    document, number = docx.Document(io.BytesIO(data)), 0
    for block in document.iter_inner_content():
        lines = _rows(block) if isinstance(block, Table) else _lines(block)
        place = ""
        for text, why in lines:
            if text.strip() and not why:
                number += 1
                place = f"第 {number} 段"
            if text.strip():
                yield Piece(text, place or f"第 {number + 1} 段", why)
    yield from _around(document)


def _lines(paragraph: Any) -> Iterator[tuple[str, str]]:
    """The paragraph as seen, and each hidden run."""
    hidden = [(run, why) for run in paragraph.runs if run.text.strip() and (why := _why(run))]
    if not hidden:
        yield paragraph.text, ""
        return
    unseen = {id(run._r) for run, _ in hidden}
    yield "".join(run.text for run in paragraph.runs if id(run._r) not in unseen), ""
    yield "".join(run.text for run, _ in hidden), hidden[0][1]


def _why(run: Any) -> str:
    """Why nobody would see this run; shading behind white letters makes them visible."""
    font = run.font
    if font.hidden:
        return "隐藏文字"
    if font.size is not None and font.size.pt < TINY_POINTS:
        return "极小的文字"
    colour = font.color.rgb if font.color is not None and font.color.type is not None else None
    if colour is not None and min(colour) >= 0xF5 and not _shaded(run._r):
        return "白色文字"
    return ""


def _shaded(element: Any) -> bool:
    """Whether the run, its paragraph, cell or table has a colour behind it."""
    if element.find(f".//{W}highlight") is not None:
        return True
    around = [element, *element.iterancestors()]
    names = [f"{W}{name}" for name in ("rPr", "pPr", "tcPr", "tblPr")]
    marks = [each.find(f"{name}/{W}shd") for each in around for name in names]
    return any(
        m is not None and m.get(f"{W}fill", "auto").lower() not in ("auto", "ffffff") for m in marks
    )


def _rows(table: Any) -> Iterator[tuple[str, str]]:
    for row in table.rows:
        cells, hidden = [], []
        for cell in row.cells:
            told = [line for paragraph in cell.paragraphs for line in _lines(paragraph)]
            cells.append("\n".join(text for text, why in told if not why).strip())
            hidden += [line for line in told if line[1]]
        # A merged cell is told once for each column it spans.
        yield " ｜ ".join(t for i, t in enumerate(cells) if t and (i == 0 or t != cells[i - 1])), ""
        yield from dict.fromkeys(hidden)


def _around(document: Any) -> Pieces:
    """Headers and footers are seen; comments travel with the file unseen."""
    told: set[str] = set()
    for section in document.sections:
        for part, place in ((section.header, "页眉"), (section.footer, "页脚")):
            for paragraph in [] if part.is_linked_to_previous else part.paragraphs:
                for text, why in _lines(paragraph):
                    if text.strip() and text not in told:
                        told.add(text)
                        yield Piece(text, place, why)
    for comment in getattr(document, "comments", []):
        yield Piece(comment.text, "批注", "批注")
