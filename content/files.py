"""Uploaded files: bytes under a random name, read back by id only."""

import asyncio
import hashlib
import os
import re
import unicodedata
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

from aiohttp import web
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import day_bounds, local_day
from content.extract import MEDIA_TYPES, Extracted, Refused, suffix_of, text_of
from content.models import StoredFile

# S-08: more than this in a day is a script, not an editor.
FILES_PER_DAY = 200


class FileStore(Protocol):
    """Keeps bytes under an id; what is put is never changed."""

    async def put(self, file_id: UUID, data: bytes) -> None:
        """Keep these bytes durably before returning."""

    async def read(self, file_id: UUID) -> bytes:
        """The bytes as put; raises `FileMissing`."""


class FileMissing(LookupError):
    """The bytes of this file are not in the store; restore them from the backup of SIYU_HOME."""


FILES: web.AppKey[FileStore] = web.AppKey("FILES")


class LocalFileStore:
    """Files in a folder of this machine, or of a network share that all nodes mount."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def put(self, file_id: UUID, data: bytes) -> None:
        """Write beside, flush to disk, then rename: a reader sees all of it or nothing."""
        await asyncio.to_thread(self._write, self._path(file_id), data)

    async def read(self, file_id: UUID) -> bytes:
        """The bytes as put."""
        try:
            return await asyncio.to_thread(self._path(file_id).read_bytes)
        except FileNotFoundError as missing:
            raise FileMissing(f"{FileMissing.__doc__} ({file_id})") from missing

    def _path(self, file_id: UUID) -> Path:
        return self.root / file_id.hex[:2] / file_id.hex

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{uuid4().hex}")
        try:
            with beside.open("xb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


async def receive(
    session: AsyncSession, files: FileStore, name: str, data: bytes, *, by: UUID, now: datetime
) -> tuple[StoredFile, Extracted] | Refused:
    """Keep an uploaded file whose text could be read, or say why not and what to do."""
    if await _received_today(session, by, now) >= FILES_PER_DAY:
        return Refused(f"今天已上传 {FILES_PER_DAY} 个文件，请明天再传。")
    text = await text_of(data, name)
    if isinstance(text, Refused):
        return text
    stored = StoredFile(
        name=plain_name(name),
        media_type=MEDIA_TYPES[suffix_of(name)],
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        uploaded_by=by,
        uploaded_at=now,
    )
    await files.put(stored.id, data)
    session.add(stored)
    await session.flush()
    return stored, text


async def _received_today(session: AsyncSession, by: UUID, now: datetime) -> int:
    start, _ = day_bounds(local_day(now))
    mine = select(func.count()).where(
        StoredFile.uploaded_by == by,
        col(StoredFile.uploaded_at) >= start,
        col(StoredFile.uploaded_at) < start + timedelta(days=1),
    )
    return (await session.execute(mine)).scalar_one()


def plain_name(name: str) -> str:
    """A name fit to show: no folders, no control or direction marks, 120 characters at most."""
    last = re.split(r"[/\\]", name)[-1]
    shown = "".join(c for c in last if not unicodedata.category(c).startswith("C")).strip(". ")
    stem, dot, suffix = shown.rpartition(".")
    return f"{stem[:110]}{dot}{suffix[:9]}" if stem else (shown[:120] or "未命名")
