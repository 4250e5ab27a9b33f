"""Covers 封面: a file of a material, small, for the grid; made once by the child that may not harm.

A picture is shrunk, of a PDF the first page is drawn. What cannot be drawn has a cover of words.
"""

import base64
from uuid import UUID, uuid5

from content import extract
from content.extract import Refused, suffix_of
from content.files import FileMissing, FileStore
from content.models import StoredFile

COVERED = frozenset({"image/png", "image/jpeg", "application/pdf"})
# Of the grid's 160 × 120, twice as fine.
SIZE = (320, 240)
NAMESPACE = UUID("6d7c2b0e-54a4-5f0e-9a53-0c6a7f1c2d11")


def cover_id(file_id: UUID) -> UUID:
    """Under which the cover of this file is kept; the same file, the same cover."""
    return uuid5(NAMESPACE, str(file_id))


async def cover_of(files: FileStore, stored: StoredFile) -> bytes:
    """The cover as PNG, made at the first asking; empty where this file cannot be drawn."""
    kept = cover_id(stored.id)
    try:
        return await files.read(kept)
    except FileMissing:
        drawn = await _drawn(await files.read(stored.id), suffix_of(stored.name))
        await files.put(kept, drawn)
        return drawn


async def _drawn(data: bytes, suffix: str) -> bytes:
    made = await extract.cover(data, suffix, SIZE)
    return b"" if isinstance(made, Refused) else base64.b64decode(made)
