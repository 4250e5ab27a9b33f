"""The uploaded file behind a draft: read again from its stored bytes, labelled where AI made it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from content import files as stored_files
from content.extract import Extracted, Refused, suffix_of, text_of
from content.files import FileStore
from content.house import House
from content.models import StoredFile


@dataclass(frozen=True)
class Upload:
    """A stored file with its bytes and what it says."""

    stored: StoredFile
    data: bytes
    text: Extracted

    @property
    def suffix(self) -> str:
        return suffix_of(self.stored.name)

    @property
    def made_by_ai(self) -> bool:
        """Whether the picture itself says so."""
        return self.text.picture is not None and bool(self.text.picture.label)


async def of_draft(
    session: AsyncSession, files: FileStore, file_id: UUID | None, owners: Sequence[UUID]
) -> Upload | str | None:
    """The file, nothing where there is none, or why it cannot be used."""
    if file_id is None:
        return None
    stored = await session.get(StoredFile, file_id)
    if stored is None or stored.uploaded_by not in owners:
        return "没有找到上传的文件：请重新上传。"
    return await _read(files, stored)


async def _read(files: FileStore, stored: StoredFile) -> Upload | str:
    data = await files.read(stored.id)
    text = await text_of(data, stored.name)
    return text.reason if isinstance(text, Refused) else Upload(stored, data, text)


async def labelled(
    session: AsyncSession, files: FileStore, upload: Upload, house: House, now: datetime
) -> Upload | str:
    """The same file saying that AI made it; only pictures can."""
    picture = upload.text.picture
    if picture is None:
        return upload
    made = await stored_files.labelled(session, files, upload.stored, picture, house, now)
    if isinstance(made, Refused):
        return made.reason
    if made.id == upload.stored.id:
        return upload
    # What stands in it was read already; the mark itself is no text of the author.
    return Upload(made, await files.read(made.id), upload.text)
