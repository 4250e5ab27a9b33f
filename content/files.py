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
from content import aigc, extract
from content.extract import MEDIA_TYPES, Extracted, Picture, Refused, suffix_of, text_of
from content.house import House
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
    """Keep an uploaded file that could be read, or say why not and what to do.

    Of a picture the clean copy is kept: what its camera wrote into it goes no further (S-07).
    """
    if await _received_today(session, by, now) >= FILES_PER_DAY:
        return Refused(f"今天已上传 {FILES_PER_DAY} 个文件，请明天再传。")
    if wrong := wrong_name(name):
        return Refused(wrong)
    text = await text_of(data, name)
    if isinstance(text, Refused):
        return text
    kept = text.picture.data if text.picture else data
    return await _keep(session, files, name, kept, by, now), text


def wrong_name(name: str) -> str:
    """Why a file of this name is not taken: it would say one thing and be another (S-09)."""
    # Where direction marks are gone from the name as shown, what it claimed may have been a lie.
    last = re.split(r"[/\\]", name.rstrip("\x00"))[-1]
    stem = last.rpartition(".")[0].lower()
    if re.search(
        r"\.(?:exe|scr|bat|cmd|com|js|vbs|ps1|msi|hta|lnk|jar|app|sh|php|jsp|aspx?)$", stem
    ):
        return "文件名带有两个扩展名，像是程序：请改成普通文件名（例如 赎回说明.docx）后重新上传。"
    return ""


async def _keep(
    session: AsyncSession, files: FileStore, name: str, data: bytes, by: UUID, now: datetime
) -> StoredFile:
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
    return stored


async def labelled(
    session: AsyncSession,
    files: FileStore,
    stored: StoredFile,
    picture: Picture,
    house: House,
    now: datetime,
) -> StoredFile | Refused:
    """A copy of the picture that says it was made by AI, in its data and to the eye (C-40).

    One that we have labelled already is itself.
    """
    if aigc.is_ours(picture.label, house):
        return stored
    label = aigc.label_for(house, stored.id, picture.label)
    made = await extract.marked(picture.data, suffix_of(stored.name), label, visible=True)
    if isinstance(made, Refused):
        return made
    copy = await _keep(session, files, stored.name, made, stored.uploaded_by, now)
    copy.made_of = stored.id
    return copy


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
