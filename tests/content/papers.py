"""Real files for tests, made here: Word documents, PDFs with Chinese text, and their evil twins."""

import io
import random
import zipfile
from collections.abc import Sequence

import docx
import pptx
from openpyxl import Workbook
from PIL import Image, ImageDraw
from pypdf import PdfWriter

FIRST = "赎回申请在工作日十五点前提交的，按当日受理；十五点以后提交的，顺延到下一个工作日受理。"
SECOND = "赎回确认以后，资金一般在下一个工作日到账，节假日顺延，具体时间以产品说明书的约定为准。"


def a_docx(
    paragraphs: Sequence[str] = (FIRST, SECOND), table: Sequence[Sequence[str]] = ()
) -> bytes:
    """A Word document with these paragraphs and, after them, a table."""
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if table:
        drawn = document.add_table(rows=len(table), cols=len(table[0]))
        for row, texts in zip(drawn.rows, table, strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def a_docx_with(name: str, data: bytes, instead: bool = False) -> bytes:
    """The same document with one more part, or with a part replaced."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(a_docx())) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            if not (instead and entry.filename == name):
                target.writestr(entry.filename, source.read(entry))
        target.writestr(name, data)
    return out.getvalue()


def a_docx_of_many_parts(count: int) -> bytes:
    """The same document with that many empty parts."""
    out = io.BytesIO(a_docx())
    with zipfile.ZipFile(out, "a") as package:
        for number in range(count):
            package.writestr(f"word/media/{number}.txt", b"")
    return out.getvalue()


def a_docm() -> bytes:
    """A document with macros under an innocent name."""
    return a_docx_with("word/vbaProject.bin", b"\xd0\xcf\x11\xe0macro")


def a_docx_with_remote_template() -> bytes:
    """A document that fetches its template from outside when it is opened."""
    relation = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
        'relationships/attachedTemplate" Target="http://example.com/t.dotm" TargetMode="External"/>'
        "</Relationships>"
    )
    return a_docx_with("word/_rels/settings.xml.rels", relation.encode())


def a_pdf(
    pages: Sequence[Sequence[str]] = ((FIRST,), (SECOND,)), catalog: str = "", content: str = ""
) -> bytes:
    """A PDF of these lines a page, in a composite font whose codes are the characters."""
    to_unicode = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /T def "
        "1 begincodespacerange <0000> <FFFF> endcodespacerange "
        "1 beginbfrange <0000> <FFFF> <0000> endbfrange endcmap end end"
    )
    kids = " ".join(f"{6 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type0 /BaseFont /Song /Encoding /Identity-H "
        "/DescendantFonts [4 0 R] /ToUnicode 5 0 R >>",
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Song /DW 1000 "
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        _stream(to_unicode),
    ]
    for number, lines in enumerate(pages):
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {7 + 2 * number} 0 R >>"
        )
        objects.append(_stream(content or _shown(lines)))
    return _assembled(objects)


def _shown(lines: Sequence[str]) -> str:
    told = (f"<{line.encode('utf-16-be').hex()}> Tj 0 -20 Td" for line in lines)
    return f"BT /F1 12 Tf 40 780 Td {' '.join(told)} ET"


def _stream(text: str) -> str:
    return f"<< /Length {len(text)} >>\nstream\n{text}\nendstream"


def _assembled(objects: Sequence[str]) -> bytes:
    return assembled([text.encode("latin-1") for text in objects])


def assembled(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects, the first of them its catalog."""
    out, offsets = b"%PDF-1.7\n", []
    for number, text in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + text + b"\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    )
    return out + trailer.encode()


def an_encrypted_pdf() -> bytes:
    """The same PDF behind a password."""
    writer = PdfWriter(io.BytesIO(a_pdf()))
    writer.encrypt("secret", algorithm="AES-256")
    return _written(writer)


def a_scanned_pdf() -> bytes:
    """Two pages without any text."""
    writer = PdfWriter()
    writer.add_blank_page(595, 842)
    writer.add_blank_page(595, 842)
    return _written(writer)


def a_pdf_with_script() -> bytes:
    """A PDF that runs a script when it is opened."""
    return a_pdf(catalog="/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>")


def a_pdf_with_attachment() -> bytes:
    """A PDF that carries a program."""
    writer = PdfWriter(io.BytesIO(a_pdf()))
    writer.add_attachment("setup.exe", b"MZ\x90\x00")
    return _written(writer)


def _written(writer: PdfWriter) -> bytes:
    out = io.BytesIO()
    writer.write(out)
    writer.close()
    return out.getvalue()


def a_pptx(slides: Sequence[Sequence[str]] = ((FIRST,), (SECOND,))) -> bytes:
    """A presentation with these lines a slide."""
    shown = pptx.Presentation()
    for lines in slides:
        slide = shown.slides.add_slide(shown.slide_layouts[6])
        for number, line in enumerate(lines):
            box = slide.shapes.add_textbox(100_000, 100_000 + 900_000 * number, 8_000_000, 800_000)
            box.text_frame.text = line
    return _saved(shown)


def a_xlsx(rows: Sequence[Sequence[object]] = (("项目", "说明"), ("赎回", FIRST))) -> bytes:
    """A workbook with one sheet of these rows."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "说明"
    for row in rows:
        sheet.append(list(row))
    return _saved(book)


def _saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


def a_picture(kind: str = "png", size: tuple[int, int] = (400, 300), **options: object) -> bytes:
    """A picture with something drawn on it."""
    drawn = Image.new("RGB", size, (236, 244, 252))
    ImageDraw.Draw(drawn).ellipse((20, 20, 120, 120), fill=(0, 130, 239))
    out = io.BytesIO()
    drawn.save(out, {"png": "PNG", "jpg": "JPEG"}[kind], **options)
    return out.getvalue()


def a_film() -> bytes:
    """The boxes of a film without any pictures."""
    first = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
    return first + b"\x00\x00\x00\x10moov" + bytes(8) + b"\x00\x00\x00\x10mdat" + bytes(8)


def a_zip(files: dict[str, bytes]) -> bytes:
    """A package of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in files.items():
            package.writestr(name, data)
    return out.getvalue()


def with_parts(source: bytes, parts: dict[str, bytes]) -> bytes:
    """The package with these parts added or replaced."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(source)) as before,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for entry in before.infolist():
            if entry.filename not in parts:
                after.writestr(entry.filename, before.read(entry))
        for name, data in parts.items():
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, zipfile.ZIP_DEFLATED
            after.writestr(info, data)
    return out.getvalue()


def with_link(source: bytes) -> bytes:
    """The package with a symbolic link out of it."""
    out = io.BytesIO(source)
    with zipfile.ZipFile(out, "a") as package:
        link = zipfile.ZipInfo("link.xml")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        package.writestr(link, b"/etc/passwd")
    return out.getvalue()


def with_double(source: bytes, name: str) -> bytes:
    """The package with a second part of this name, which some readers take and others do not."""
    held = with_parts(source, {"z" * len(name.encode()): b"<other/>"})
    return held.replace(b"z" * len(name.encode()), name.encode())


def locked(source: bytes) -> bytes:
    """The package with the mark of a password on its first part."""
    at = source.index(b"PK\x01\x02")
    return source[: at + 8] + bytes([source[at + 8] | 1]) + source[at + 9 :]


def laughs() -> bytes:
    """Ten entities, each ten of the one before."""
    told = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    return f"<!DOCTYPE l [<!ENTITY l0 'ha'>{told}]><l>&l9;</l>".encode()


def noise(size: int) -> bytes:
    """Bytes that do not compress, the same ones each time."""
    return random.Random(7).randbytes(size)


def a_pdf_drawn(lines: Sequence[tuple[str, str]]) -> bytes:
    """A PDF of one page; before each line stand these drawing operators."""
    told = "".join(
        f"{before} <{line.encode('utf-16-be').hex()}> Tj 0 -20 Td " for before, line in lines
    )
    return a_pdf(((),), content=f"BT /F1 12 Tf 40 780 Td {told} ET")
