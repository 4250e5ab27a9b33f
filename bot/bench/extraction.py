"""How long reading a file takes and how much memory its child needs, by kind and by pages."""

import io
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import docx
from openpyxl import Workbook
from PIL import Image, ImageDraw
from pptx import Presentation

from content.extract import child_command

PAGES = (1, 10, 100)
LINES_A_PAGE = 20
LINE = "赎回申请在工作日十五点前提交的，按当日受理；十五点以后提交的，顺延到下一个工作日受理。"


@dataclass(frozen=True)
class Read:
    """One file of this many pages."""

    kind: str
    pages: int
    kilobytes: float
    seconds: float
    peak_mib: float
    taken: bool


def measure(repeats: int = 3) -> list[Read]:
    """Each kind at 1, 10 and 100 pages; the median of the repeats."""
    return [
        _read(kind, pages, make(pages), repeats) for kind, make in FILES.items() for pages in PAGES
    ]


def _read(kind: str, pages: int, data: bytes, repeats: int) -> Read:
    found = sorted(_once(kind, data) for _ in range(repeats))
    seconds, peak, taken = found[len(found) // 2]
    return Read(kind, pages, len(data) / 1024, seconds, peak, taken)


def _once(kind: str, data: bytes) -> tuple[float, float, bool]:
    """Seconds, the child's peak in MiB, and whether it took the file."""
    began = perf_counter()
    child = subprocess.run(
        child_command(kind), input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={}, check=False,
    )  # fmt: skip
    took = perf_counter() - began
    if child.returncode != 0:
        return took, 0.0, False
    answer = json.loads(child.stdout)
    return took, answer["peak_kib"] / 1024, "refused" not in answer


def _text(pages: int) -> bytes:
    return "\n\n".join([LINE] * LINES_A_PAGE * pages).encode()


def _html(pages: int) -> bytes:
    return f"<html><body>{f'<p>{LINE}</p>' * LINES_A_PAGE * pages}</body></html>".encode()


def _docx(pages: int) -> bytes:
    document = docx.Document()
    for _ in range(LINES_A_PAGE * pages):
        document.add_paragraph(LINE)
    return _saved(document)


def _pptx(pages: int) -> bytes:
    shown = Presentation()
    for _ in range(pages):
        slide = shown.slides.add_slide(shown.slide_layouts[6])
        box = slide.shapes.add_textbox(0, 0, 8_000_000, 6_000_000)
        box.text_frame.text = "\n".join([LINE] * LINES_A_PAGE)
    return _saved(shown)


def _xlsx(pages: int) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for number in range(LINES_A_PAGE * pages):
        sheet.append([number, LINE])
    return _saved(book)


def _pdf(pages: int) -> bytes:
    """Pages of a composite font whose codes are the characters."""
    shown = " ".join([f"<{LINE.encode('utf-16-be').hex()}> Tj 0 -20 Td"] * LINES_A_PAGE)
    content = f"BT /F1 12 Tf 40 780 Td {shown} ET"
    letters = sorted({letter.encode("utf-16-be").hex() for letter in LINE})
    told = " ".join(f"<{letter}> <{letter}>" for letter in letters)
    codes = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /T def "
        "1 begincodespacerange <0000> <FFFF> endcodespacerange "
        f"{len(letters)} beginbfchar {told} endbfchar endcmap end end"
    )
    kids = " ".join(f"{6 + 2 * number} 0 R" for number in range(pages))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        "<< /Type /Font /Subtype /Type0 /BaseFont /Song /Encoding /Identity-H "
        "/DescendantFonts [4 0 R] /ToUnicode 5 0 R >>",
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Song /DW 1000 "
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        _stream(codes),
    ]
    for number in range(pages):
        objects += [
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {7 + 2 * number} 0 R >>",
            _stream(content),
        ]
    return _assembled(objects)


def _stream(text: str) -> str:
    return f"<< /Length {len(text)} >>\nstream\n{text}\nendstream"


def _assembled(objects: list[str]) -> bytes:
    out, offsets = b"%PDF-1.7\n", []
    for number, text in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{text}\nendobj\n".encode("latin-1")
    size, table = len(objects) + 1, "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    head = f"xref\n0 {size}\n0000000000 65535 f \n{table}"
    return (
        out
        + f"{head}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF".encode()
    )


def _picture(kind: str, megapixels: int) -> bytes:
    """Pictures have no pages: 1, 10 and 30 million pixels, with words where recognition looks."""
    side = int((megapixels * 1_000_000) ** 0.5)
    drawn = Image.new("RGB", (side, side), (236, 244, 252))
    for row in range(10):
        ImageDraw.Draw(drawn).text((side // 10, side * row // 10), "RISK NOTICE 2026", "black",
                                   font_size=side // 20)  # fmt: skip
    out = io.BytesIO()
    drawn.save(out, kind)
    return out.getvalue()


def _saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


MEGAPIXELS = {1: 1, 10: 10, 100: 30}
FILES: dict[str, Callable[[int], bytes]] = {
    "txt": _text,
    "html": _html,
    "docx": _docx,
    "pptx": _pptx,
    "xlsx": _xlsx,
    "pdf": _pdf,
    "png": lambda pages: _picture("PNG", MEGAPIXELS[pages]),
    "jpg": lambda pages: _picture("JPEG", MEGAPIXELS[pages]),
}
