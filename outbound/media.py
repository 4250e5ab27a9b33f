"""Files at WeCom: uploaded when they are needed, renewed before they die, known to every process.

A media id lives three days. Whoever needs a file holds the lock of its row; the others wait for
that transaction and find the id. A process that dies lets go of the lock, and the next one uploads.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, cast

import structlog
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.database import Sessions
from content.files import FileMissing, FileStore
from content.models import StoredFile
from content.sendable import UPLOADED, Shape
from outbound.attachments import Attached
from outbound.models import UploadedMedia
from wecom.client import WeComClient
from wecom.errors import WeComError
from wecom.media import EARLY, LIFE, Media

log = structlog.get_logger("outbound")

Kind = Literal["image", "video", "file"]
MediaIds = Mapping[str, str]  # SHA-256 of a file → its media id

# What was sent within its last life is likely to be sent again; the rest may die.
IN_USE = LIFE
AT_ONCE = 20


class NotAsApproved(LookupError):
    """The file is not what was approved; nothing of it was uploaded."""


async def ready(
    session: AsyncSession,
    files: FileStore,
    wecom: WeComClient,
    attached: Collection[Attached],
    now: datetime,
    *,
    pictures: bool = False,
) -> dict[str, str]:
    """Media ids of these attachments, each good for twelve hours more.

    `pictures`: those of mini programs too, which a mass send takes by media id.
    Always in one order, so that two who need the same files never wait for each other.
    """
    shapes = {*UPLOADED, Shape.MINI_PROGRAM} if pictures else UPLOADED
    wanted = {one.sha256: one for one in attached if one.sha256 and one.shape in shapes}
    return {
        sha256: await _ready(session, files, wecom, wanted[sha256], now)
        for sha256 in sorted(wanted)
    }


def kind_of(one: Attached) -> Kind:
    """What its file is uploaded as; that of a card is its picture."""
    return cast(Kind, one.shape.value) if one.shape in UPLOADED else "image"


async def _ready(
    session: AsyncSession, files: FileStore, wecom: WeComClient, one: Attached, now: datetime
) -> str:
    file = await session.get_one(StoredFile, one.file_id)
    row = await _locked(session, one.sha256, kind_of(one), file, now)
    row.used_at = now
    return await _fresh(files, wecom, row, now)


async def _locked(
    session: AsyncSession, sha256: str, kind: Kind, file: StoredFile, now: datetime
) -> UploadedMedia:
    """The row of these bytes under this name, ours until the transaction ends."""
    fields = {"sha256": sha256, "kind": kind, "filename": file.name}
    row = insert(UploadedMedia).values(**fields, file_id=file.id, media_id="", used_at=now)
    await session.execute(row.on_conflict_do_nothing())
    query = select(UploadedMedia).filter_by(**fields).with_for_update()
    fresh = {"populate_existing": True}
    return (await session.execute(query, execution_options=fresh)).scalar_one()


async def _fresh(files: FileStore, wecom: WeComClient, row: UploadedMedia, now: datetime) -> str:
    if row.media_id and row.uploaded_at and now < row.uploaded_at + LIFE - EARLY:
        return row.media_id
    data = await files.read(row.file_id)
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise NotAsApproved(str(row.file_id))
    media = Media(cast(Kind, row.kind), row.filename, data)
    row.media_id = (await wecom.media.fresh(media, now)).media_id
    row.uploaded_at = now
    log.info("media_uploaded", kind=row.kind, file=str(row.file_id), size=len(data))
    return row.media_id


async def forget(session: AsyncSession, media_ids: Collection[str]) -> None:
    """WeCom does not know these any more: they are uploaded again when needed."""
    dead = update(UploadedMedia).where(col(UploadedMedia.media_id).in_(set(media_ids)))
    await session.execute(dead.values(media_id="", uploaded_at=None))


async def renew(sessions: Sessions, files: FileStore, wecom: WeComClient, now: datetime) -> int:
    """Upload again what is in use and dies within half a day; returns how many."""
    renewed = 0
    for sha256, kind, filename in await _dying(sessions, now):
        async with sessions.begin() as session:
            key = (sha256, kind, filename)
            row = await session.get_one(UploadedMedia, key, with_for_update=True)
            try:
                await _fresh(files, wecom, row, now)
                renewed += 1
            except (WeComError, FileMissing, NotAsApproved) as error:
                log.warning("media_not_renewed", file=str(row.file_id), error=type(error).__name__)
    return renewed


async def _dying(sessions: Sessions, now: datetime) -> Sequence[tuple[str, str, str]]:
    query = (
        select(UploadedMedia.sha256, UploadedMedia.kind, UploadedMedia.filename)
        .where(
            col(UploadedMedia.used_at) > now - IN_USE,
            col(UploadedMedia.uploaded_at) <= now - LIFE + EARLY + timedelta(hours=1),
        )
        .order_by(col(UploadedMedia.uploaded_at))
        .limit(AT_ONCE)
    )
    async with sessions() as session:
        return [(row[0], row[1], row[2]) for row in await session.execute(query)]


def ids_of(media: MediaIds, attached: Sequence[Attached]) -> list[str]:
    """The media ids these attachments are sent with."""
    return [media[one.sha256] for one in attached if one.sha256 in media]
