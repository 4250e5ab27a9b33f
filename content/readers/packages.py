"""Packages (zip): refused from their table of contents, before anything is unpacked."""

import io
import re
import zipfile
from collections.abc import Sequence

from content.readers.limits import (
    MOST_ENTRIES,
    MOST_RATIO,
    MOST_UNPACKED,
    RATIO_COUNTS_FROM,
    Refusal,
)

OFFICE = "application/vnd.openxmlformats-officedocument."
MAIN = {
    "docx": f"{OFFICE}wordprocessingml.document.main+xml",
    "pptx": f"{OFFICE}presentationml.presentation.main+xml",
    "xlsx": f"{OFFICE}spreadsheetml.sheet.main+xml",
}
# Printer settings are the one binary part that office programs write and nobody runs.
HARMLESS_BINARY = re.compile(r"/printersettings/printersettings\d*\.bin$")
RUNS = (".bin", ".exe", ".dll", ".js", ".vbs", ".bat", ".cmd", ".ps1", ".scr", ".jar", ".zip")
DDE = re.compile(rb"\bDDE(?:AUTO)?\b|<ddeLink\b|<(?:\w+:)?oleLink\b")
FIELDS = re.compile(rb"<w:(?:instrText|fldSimple)\b[^>]*>[^<]*|w:instr=\"[^\"]*\"")
INCLUDES = re.compile(
    rb"\b(?:INCLUDETEXT|INCLUDEPICTURE|DATABASE|IMPORT|AUTOTEXT)\b", re.IGNORECASE
)
ENTITY = re.compile(rb"<!(?:DOCTYPE|ENTITY)")


def check_office(kind: str, data: bytes) -> None:
    """Refuse bombs, passwords, macros and active content of an office document."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        entries = package.infolist()
        check_entries(entries, len(data))
        for entry in entries:
            _check_part(entry.filename.lower())
        types = package.read("[Content_Types].xml").decode("utf-8", "replace")
        if "macroEnabled" in types or "vbaProject" in types:
            raise Refusal("macros")
        if MAIN[kind] not in types:
            raise Refusal("broken")
        for entry in entries:
            name = entry.filename.lower()
            if name.endswith(".rels"):
                _check_relations(package.read(entry).decode("utf-8", "replace"))
            elif name.endswith(".xml"):
                _check_xml(package.read(entry), name)


def check_entries(entries: Sequence[zipfile.ZipInfo], packed: int) -> None:
    """Not too many, not too large, none twice, none that leaves its folder."""
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_ENTRIES or unpacked > MOST_UNPACKED:
        raise Refusal("bomb")
    if unpacked > RATIO_COUNTS_FROM and unpacked > MOST_RATIO * packed:
        raise Refusal("bomb")
    names = [entry.filename.lower() for entry in entries]
    if len(set(names)) < len(names):
        raise Refusal("polyglot")
    for entry in entries:
        _check_entry(entry)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename.lower()
    if entry.flag_bits & 0x1:
        raise Refusal("encrypted")
    large = entry.file_size > RATIO_COUNTS_FROM
    if large and entry.file_size > MOST_RATIO * max(1, entry.compress_size):
        raise Refusal("bomb")
    kind = (entry.external_attr >> 16) & 0o170000
    if kind not in (0, 0o100000, 0o040000):
        raise Refusal("paths")
    out = name.startswith("/") or ".." in re.split(r"[/\\]", name) or re.match(r"[a-z]:", name)
    if out or "\\" in entry.orig_filename or "\x00" in entry.orig_filename:
        raise Refusal("paths")


def _check_part(name: str) -> None:
    if "vbaproject" in name or "vbadata" in name or "/macrosheets/" in name:
        raise Refusal("macros")
    if any(f"/{part}/" in f"/{name}" for part in ("embeddings", "activex", "externallinks")):
        raise Refusal("active")
    if name.endswith(RUNS) and not HARMLESS_BINARY.search(name):
        raise Refusal("active")


def _check_relations(text: str) -> None:
    for relation in re.findall(r"<(?:\w+:)?Relationship\b[^>]*>", text):
        external = "External" in relation
        if external and not re.search(r"/relationships/hyperlink[\"']", relation):
            raise Refusal("active")
        if external and re.search(r"Target\s*=\s*[\"']\s*(?!https?:|mailto:|tel:|#)", relation):
            raise Refusal("active")
    if re.search(r"/relationships/(?:oleObject|package|control|attachedTemplate)\b", text):
        raise Refusal("active")


def _check_xml(xml: bytes, name: str) -> None:
    if ENTITY.search(xml):
        raise Refusal("active")
    fields = b"".join(FIELDS.findall(xml)) if name.startswith("word/") else xml
    if DDE.search(fields) or (name.startswith("word/") and INCLUDES.search(fields)):
        raise Refusal("active")
    if name.startswith("ppt/") and re.search(rb"action=\"ppaction://(?:program|macro)", xml):
        raise Refusal("active")
