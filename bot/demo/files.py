"""Materials of the demo bank that are more than words, and their files as they lie beside them.

`python -m tests.drawing` draws the files anew.
"""

from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from bot.demo.rows import ident, row
from content.extract import MEDIA_TYPES, suffix_of
from content.files import FileStore
from content.models import StoredFile

FOLDER = Path(__file__).with_name("attachments")


def listed() -> list[dict[str, Any]]:
    """What is sent beside a text, as written, by code."""
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / "list.yaml").read_text("utf-8"))
    return sorted(found, key=lambda raw: str(raw["code"]))


def file_id(code: str) -> UUID:
    """Of the file of the material with this code."""
    return ident("file", code)


def data_of(raw: dict[str, Any]) -> bytes | None:
    """The bytes of its file; None for one without."""
    return (FOLDER / raw["file"]).read_bytes() if "file" in raw else None


def stored(raw: dict[str, Any], data: bytes, by: UUID, at: datetime) -> StoredFile:
    """Its file as uploaded by the author."""
    return row(
        StoredFile,
        id=file_id(raw["code"]),
        name=raw["named"],
        media_type=MEDIA_TYPES[suffix_of(raw["named"])],
        size=len(data),
        sha256=sha256(data).hexdigest(),
        uploaded_by=by,
        uploaded_at=at,
    )


async def keep_all(files: FileStore) -> None:
    """Put the bytes of every file where the product reads them."""
    for raw in listed():
        if (data := data_of(raw)) is not None:
            await files.put(file_id(raw["code"]), data)
