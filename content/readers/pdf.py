"""PDF: sentences page by page; letters drawn to be unseen are told apart."""

import io
from collections.abc import Iterator
from typing import Any

from content.readers.limits import Refusal
from content.readers.reading import Piece, Pieces

DEEPEST = 30
TINY_POINTS = 4.0
MOST_PAGES = 1_000
ACTIVE = {
    "/JavaScript", "/Launch", "/RichMedia", "/EmbeddedFile", "/ImportData", "/XFA", "/SubmitForm",
    "/GoToE", "/GoToR", "/Rendition", "/Movie", "/Sound", "/3D", "/FileAttachment", "/Screen",
}  # fmt: skip
FORBIDDEN_KEYS = {"/JS", "/JavaScript", "/XFA", "/EmbeddedFiles", "/AF"}
SHOWS = {b"Tj", b"TJ", b"'", b'"'}
UNSEEN_MODES = {3, 7}
PAINTS = {b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*", b"sh", b"Do", b"INLINE IMAGE"}


def read_pdf(data: bytes) -> Pieces:
    """Sentences of each page, joined over line ends."""
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted:
        raise Refusal("encrypted")
    if len(reader.pages) > MOST_PAGES:
        raise Refusal("too_long")
    _check_objects(reader)
    for number, page in enumerate(reader.pages, 1):
        place = f"第 {number} 页"
        unseen = _unseen(page, reader)
        for paragraph in joined(_text(page, reader, unseen, seen=True)):
            yield Piece(paragraph, place)
        for why in dict.fromkeys(unseen.values()):
            only = {index: each for index, each in unseen.items() if each == why}
            for paragraph in joined(_text(page, reader, only, seen=False)):
                yield Piece(paragraph, place, why)


def _check_objects(reader: Any) -> None:
    """No object of the file may act when it is opened."""
    numbers = {number for table in reader.xref.values() for number in table}
    for number in sorted(numbers | set(reader.xref_objStm)):
        if _acts(reader.get_object(number)):
            raise Refusal("active")


def _acts(found: Any, depth: int = 0) -> bool:
    """Whether this object, or one written inside it, is a script, a launch or an attachment."""
    if isinstance(found, list) and depth < DEEPEST:
        return any(_acts(part, depth + 1) for part in found)
    if not isinstance(found, dict):
        return False
    words = {str(found.raw_get(word)) for word in ("/S", "/Type", "/Subtype") if word in found}  # type: ignore[attr-defined]
    if words & ACTIVE or found.keys() & FORBIDDEN_KEYS or _reaches_out(found):
        return True
    inside = [found.raw_get(key) for key in found]  # type: ignore[attr-defined]
    return depth < DEEPEST and any(_acts(part, depth + 1) for part in inside)


def _reaches_out(found: Any) -> bool:
    """Whether a link leads anywhere but to the web, by mail or by telephone."""
    address = found.get("/URI")
    if not isinstance(address, str | bytes):
        return False
    told = address.decode("latin-1") if isinstance(address, bytes) else address
    return not told.strip().lower().startswith(("https:", "http:", "mailto:", "tel:", "www.", "#"))


def _operations(page: Any, reader: Any) -> Any:
    from pypdf.generic import ContentStream

    contents = page.get_contents()
    return None if contents is None else ContentStream(contents, reader, "bytes")


def _unseen(page: Any, reader: Any) -> dict[int, str]:
    """Which operations of the page draw letters that nobody sees, and why."""
    stream = _operations(page, reader)
    if stream is None:
        return {}
    pen, kept, unseen = _Pen(), [], {}
    for index, (operands, operator) in enumerate(stream.operations):
        if operator == b"q":
            kept.append(pen.copy())
        elif operator == b"Q" and kept:
            painted = pen.painted
            pen = kept.pop()
            pen.painted = painted
        elif operator in SHOWS:
            if why := pen.why():
                unseen[index] = why
        else:
            pen.moved(operator, operands)
    return unseen


class _Pen:
    """What decides whether letters are seen: mode, size, colour, and what lies below them."""

    def __init__(self) -> None:
        self.mode, self.size, self.scale, self.zoom = 0, 12.0, 1.0, 1.0
        self.white = self.painted = False

    def copy(self) -> "_Pen":
        made = _Pen()
        made.__dict__.update(self.__dict__)
        return made

    def moved(self, operator: bytes, operands: Any) -> None:
        """Follow one operator."""
        if operator == b"Tr":
            self.mode = int(operands[0])
        elif operator == b"Tf":
            self.size = float(operands[1])
        elif operator == b"Tm":
            self.scale = max(abs(float(operands[1])), abs(float(operands[3])))
        elif operator == b"BT":
            self.scale = 1.0
        elif operator == b"cm":
            self.zoom *= max(abs(float(operands[1])), abs(float(operands[3])))
        elif operator in (b"g", b"rg", b"sc", b"scn"):
            numbers = [float(each) for each in operands if isinstance(each, int | float)]
            self.white = bool(numbers) and len(numbers) != 4 and min(numbers) >= 0.96
        elif operator == b"k":
            self.white = max(float(each) for each in operands) <= 0.04
        elif operator in PAINTS and not self.white:
            self.painted = True

    def why(self) -> str:
        """Why letters drawn now are not seen; empty where they are."""
        if self.mode in UNSEEN_MODES:
            return "不显示的文字"
        if abs(self.size * self.scale * self.zoom) < TINY_POINTS:
            return "极小的文字"
        return "白色文字" if self.white and not self.painted else ""


def _text(page: Any, reader: Any, unseen: dict[int, str], *, seen: bool) -> list[str]:
    """Lines of the page without the unseen operations, or of these alone."""
    if not unseen:
        return page.extract_text().splitlines() if seen else []
    from pypdf.generic import NameObject

    stream = _operations(page, reader)
    stream.operations = [
        operation
        for index, operation in enumerate(stream.operations)
        if operation[1] not in SHOWS or (index in unseen) != seen
    ]
    before = page["/Contents"]
    page[NameObject("/Contents")] = stream
    lines: list[str] = page.extract_text().splitlines()
    page[NameObject("/Contents")] = before
    return lines


def joined(lines: list[str]) -> Iterator[str]:
    """Lines put together until a sentence ends or a blank line comes."""
    held = ""
    for line in [*lines, ""]:
        text = line.strip()
        glue = " " if held[-1:].isascii() and held and text[:1].isascii() else ""
        held = f"{held}{glue}{text}" if text else held
        if held and (not text or text[-1] in "。！？；：.!?;:"):
            yield held
            held = ""
