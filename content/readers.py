"""The child process that opens an uploaded file; run by `extract.py`, imports nothing of ours.

Bytes on standard input, the kind as argument; JSON on standard output:
`{"paragraphs": [[text, place], …]}` or `{"refused": word}`.
"""

import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

CPU_SECONDS = 20
MEMORY_BYTES = 512 * 1024 * 1024
MOST_ENTRIES = 2_000
MOST_UNPACKED = 200 * 1024 * 1024
MOST_RATIO = 100
# Small entries compress absurdly well without harm; the ratio counts from here.
RATIO_COUNTS_FROM = 1024 * 1024
MOST_CHARACTERS = 200_000
FEWEST_CHARACTERS = 10
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
DEEPEST = 30
ACTIVE_PDF = {"/JavaScript", "/Launch", "/RichMedia", "/EmbeddedFile", "/ImportData", "/XFA"}

Paragraphs = Iterator[tuple[str, str]]


class Refusal(Exception):
    """The file is not taken; the word says why."""


def main(kind: str) -> None:
    """Read standard input under limits and answer on standard output."""
    limit_self()
    data = sys.stdin.buffer.read()
    answer: dict[str, Any]
    try:
        answer = {"paragraphs": list(within_limits(READ[kind](data)))}
    except Refusal as refusal:
        answer = {"refused": str(refusal)}
    except MemoryError:
        answer = {"refused": "stopped"}
    except Exception:
        # The parsers raise whatever the bytes provoke; to the caller all of it means: broken.
        answer = {"refused": "broken"}
    sys.stdout.write(json.dumps(answer, ensure_ascii=False))


def limit_self() -> None:
    """CPU, memory, no files written, no sockets."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(no_way_out)


def no_way_out(event: str, _: tuple[Any, ...]) -> None:
    """Refuse sockets and further processes."""
    if event.startswith(("socket.connect", "socket.bind", "subprocess.", "os.system", "os.exec")):
        raise PermissionError(event)


def within_limits(paragraphs: Paragraphs) -> Paragraphs:
    """The same paragraphs, tidied; refuses none and too many."""
    total = 0
    for text, place in paragraphs:
        tidy = re.sub(r"[ \t\u3000\xa0]+", " ", text.replace("\x00", "")).strip()
        if not tidy:
            continue
        total += len(tidy)
        if total > MOST_CHARACTERS:
            raise Refusal("too_long")
        yield tidy, place
    if total < FEWEST_CHARACTERS:
        raise Refusal("no_text")


def read_text(data: bytes) -> Paragraphs:
    """Paragraphs between blank lines; UTF-8 first, then the encoding of Chinese Windows."""
    text = _decoded(data)
    if "\x00" in text:
        raise Refusal("broken")
    blocks = [b for b in re.split(r"\r?\n[ \t]*\r?\n", text) if b.strip()]
    for number, block in enumerate(blocks, 1):
        yield block.replace("\r\n", "\n"), f"第 {number} 段"


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Refusal("encoding")


def read_markdown(data: bytes) -> Paragraphs:
    """As text, without the marks of headings, emphasis and links."""
    for block, place in read_text(data):
        plain = re.sub(r"^\s{0,3}(#{1,6}|>|[-*+]|\d+\.)\s+", "", block, flags=re.MULTILINE)
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", plain)
        yield re.sub(r"(\*\*|__|`)", "", plain), place


def read_docx(data: bytes) -> Paragraphs:
    """Paragraphs and table rows in the order of the page."""
    check_package(data)
    import docx
    from docx.table import Table

    number = 0
    for block in docx.Document(io.BytesIO(data)).iter_inner_content():
        texts = _rows(block) if isinstance(block, Table) else [block.text]
        for text in texts:
            if text.strip():
                number += 1
                yield text, f"第 {number} 段"


def _rows(table: Any) -> Iterator[str]:
    for row in table.rows:
        cells = [cell.text.strip() for cell in row.cells]
        # A merged cell is told once for each column it spans.
        yield " ｜ ".join(t for i, t in enumerate(cells) if t and (i == 0 or t != cells[i - 1]))


def check_package(data: bytes) -> None:
    """Refuse bombs, passwords, macros and active content from the table of contents alone."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        entries = package.infolist()
        _check_entries(entries, len(data))
        types = package.read("[Content_Types].xml").decode("utf-8", "replace")
        if "macroEnabled" in types or "vbaProject" in types:
            raise Refusal("macros")
        if WORD not in types:
            raise Refusal("broken")
        for entry in entries:
            if entry.filename.endswith(".rels"):
                _check_relations(package.read(entry).decode("utf-8", "replace"))


def _check_entries(entries: list[zipfile.ZipInfo], packed: int) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_ENTRIES or unpacked > MOST_UNPACKED:
        raise Refusal("bomb")
    if unpacked > RATIO_COUNTS_FROM and unpacked > MOST_RATIO * packed:
        raise Refusal("bomb")
    for entry in entries:
        _check_entry(entry)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename.lower()
    if entry.flag_bits & 0x1:
        raise Refusal("encrypted")
    large = entry.file_size > RATIO_COUNTS_FROM
    if large and entry.file_size > MOST_RATIO * max(1, entry.compress_size):
        raise Refusal("bomb")
    if "vbaproject" in name or "vbadata" in name:
        raise Refusal("macros")
    linked = (entry.external_attr >> 16) & 0o170000 == 0o120000
    if linked or name.startswith("/") or ".." in name.split("/") or "\\" in entry.orig_filename:
        raise Refusal("active")
    if "/embeddings/" in name or "/activex/" in name or name.endswith((".bin", ".exe", ".zip")):
        raise Refusal("active")


def _check_relations(text: str) -> None:
    for relation in re.findall(r"<Relationship\b[^>]*>", text):
        external = "External" in relation
        if external and not re.search(r"/relationships/hyperlink[\"']", relation):
            raise Refusal("active")


def read_pdf(data: bytes) -> Paragraphs:
    """Sentences of each page, joined over line ends."""
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted:
        raise Refusal("encrypted")
    _check_objects(reader)
    for number, page in enumerate(reader.pages, 1):
        for paragraph in joined(page.extract_text().splitlines()):
            yield paragraph, f"第 {number} 页"


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
    if words & ACTIVE_PDF or found.keys() & {"/JS", "/JavaScript", "/XFA", "/EmbeddedFiles"}:
        return True
    inside = [found.raw_get(key) for key in found]  # type: ignore[attr-defined]
    return depth < DEEPEST and any(_acts(part, depth + 1) for part in inside)


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


READ = {"txt": read_text, "md": read_markdown, "docx": read_docx, "pdf": read_pdf}


if __name__ == "__main__":
    main(sys.argv[1])
