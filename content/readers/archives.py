"""A package of many files with a list of what each is; the list is read here, the files later."""

import io
import re
import unicodedata
import zipfile
from typing import Any

from content.readers import tables
from content.readers.limits import Refusal
from content.readers.packages import check_entries

MOST_FILES = 200
LARGEST_FILE = 20 * 1024 * 1024
NESTED = (".zip", ".rar", ".7z", ".gz", ".tar", ".tgz", ".bz2", ".xz", ".jar", ".cab", ".iso")
LISTS = re.compile(r"(?:^|/)(?:清单|manifest|list)\.(csv|xlsx)$", re.IGNORECASE)
# What operating systems add by themselves.
LITTER = re.compile(
    r"(?:^|/)(?:__macosx/|\.ds_store$|thumbs\.db$|desktop\.ini$|\._)", re.IGNORECASE
)
RESERVED = re.compile(r"^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)


def answer(data: bytes) -> dict[str, Any]:
    """The files by name and number, and the rows of the list."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        entries = package.infolist()
        check_entries(entries, len(data))
        files, rows = [], None
        for number, entry in enumerate(entries):
            name = _name(entry)
            if entry.is_dir() or LITTER.search(name):
                continue
            _check(name, entry)
            if found := LISTS.search(name):
                if rows is not None:
                    raise Refusal("lists")
                rows = tables.rows(found[1].lower(), package.read(entry))
            else:
                files.append({"number": number, "name": name, "size": entry.file_size})
    if rows is None:
        raise Refusal("no_list")
    if len(files) > MOST_FILES:
        raise Refusal("many")
    return {"files": files, "rows": rows}


def _name(entry: zipfile.ZipInfo) -> str:
    """The name as meant: packages made on Chinese Windows write it in GBK and do not say so."""
    if entry.flag_bits & 0x800:
        return unicodedata.normalize("NFC", entry.filename)
    raw = entry.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return unicodedata.normalize("NFC", raw.decode(encoding))
        except UnicodeDecodeError:
            continue
    return entry.filename


def _check(name: str, entry: zipfile.ZipInfo) -> None:
    if name.lower().endswith(NESTED):
        raise Refusal("nested")
    if entry.file_size > LARGEST_FILE:
        raise Refusal("bomb")
    odd = any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs") for c in name)
    parts = name.split("/")
    if odd or ":" in name or any(RESERVED.match(part) for part in parts):
        raise Refusal("paths")
    if any(part != part.rstrip(". ") or part in ("", ".", "..") for part in parts):
        raise Refusal("paths")
