"""Files that are two things at once: one for the check, another for whoever opens them."""

import io
import zipfile

from content.readers.limits import Refusal

PACKED = frozenset({"docx", "pptx", "xlsx", "zip", "rows:xlsx"})
PICTURES = frozenset({"png", "jpg"})
MARKUP = (b"<script", b"<html", b"<!doctype html", b"<svg", b"<?php", b"javascript:")
# Where readers of PDF still look for its first line.
PDF_HEAD = 1024


def check(kind: str, data: bytes) -> None:
    """Refuse bytes that another program would take for something else."""
    if kind in PACKED:
        _check_packed(data)
    elif zipfile.is_zipfile(io.BytesIO(data)):
        raise Refusal("polyglot")
    if kind != "pdf" and b"%PDF-" in data[:PDF_HEAD] and not kind.startswith("rows:"):
        raise Refusal("polyglot")
    if kind == "pdf":
        _check_pdf(data)
    if kind in PICTURES and any(mark in data.lower() for mark in MARKUP):
        raise Refusal("polyglot")


def _check_packed(data: bytes) -> None:
    """The package begins at the first byte and ends with the last."""
    ends = data.rfind(b"PK\x05\x06")
    if ends < 0 or len(data) < ends + 22:
        raise Refusal("broken")
    comment = int.from_bytes(data[ends + 20 : ends + 22], "little")
    if ends + 22 + comment != len(data) or comment > 256:
        raise Refusal("polyglot")
    first = min(
        (entry.header_offset for entry in zipfile.ZipFile(io.BytesIO(data)).infolist()), default=0
    )
    if first:
        raise Refusal("polyglot")


def _check_pdf(data: bytes) -> None:
    """Nothing of another kind before the first object or after the last."""
    head = data[:PDF_HEAD].lower()
    tail = data[data.rfind(b"%%EOF") + 5 :] if b"%%EOF" in data else b""
    rest = tail.strip(b"\r\n \t\x00")
    # Some producers add a line of their own behind the end; a program is no such line.
    if any(mark in head for mark in MARKUP) or len(rest) > 64 or not rest.isascii():
        raise Refusal("polyglot")
