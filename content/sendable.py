"""What a version is sent as beside its words, and whether its bytes are still those approved."""

import enum
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from content import materials, particulars
from content.files import FileMissing, FileStore
from content.models import Kind, Material, StoredFile, Version

CHANGED = "素材《{title}》的文件与审批时不一致，不能发送；请联系系统管理员"
LOST = "素材《{title}》的文件暂时读取不到，不能发送；请联系系统管理员"
NO_FILE = "素材《{title}》没有可发送的文件"


class Shape(enum.StrEnum):
    """What stands in the chat beside a text, in the platform's words."""

    IMAGE = "image"
    VIDEO = "video"
    FILE = "file"
    LINK = "link"
    MINI_PROGRAM = "miniprogram"

    @property
    def label(self) -> str:
        return {
            "image": "图片",
            "video": "视频",
            "file": "文件",
            "link": "链接卡片",
            "miniprogram": "小程序卡片",
        }[self]


SHAPES = {
    Kind.IMAGE: Shape.IMAGE,
    Kind.VIDEO: Shape.VIDEO,
    Kind.FILE: Shape.FILE,
    Kind.LINK: Shape.LINK,
    # An article is long: the customer gets its beginning and a card that opens the whole.
    Kind.ARTICLE: Shape.LINK,
    Kind.MINI_PROGRAM: Shape.MINI_PROGRAM,
}
UPLOADED = frozenset({Shape.IMAGE, Shape.VIDEO, Shape.FILE})
OPENING = 100


@dataclass(frozen=True)
class Sendable:
    """The attachment a version becomes; an empty `url` means our own page of it."""

    version: Version
    shape: Shape
    title: str
    note: str = ""
    url: str = ""
    app_id: str = ""
    page: str = ""
    file: StoredFile | None = None

    @property
    def has_page_of_ours(self) -> bool:
        """Whether it needs a public address of ours: to open, or for its picture."""
        needs_picture = self.file is not None and self.shape not in UPLOADED
        return needs_picture or (self.shape is Shape.LINK and not self.url)


@dataclass(frozen=True)
class Altered:
    """It may not be sent: its bytes are not, or not surely, those that were approved."""

    reason: str


@dataclass(frozen=True)
class Bytes:
    """The file of a version, as approved; both empty for one without a file."""

    data: bytes = field(default=b"", repr=False)
    sha256: str = ""


async def of_versions(session: AsyncSession, version_ids: Iterable[UUID]) -> dict[UUID, Sendable]:
    """What these versions are sent as; those that are only words are left out."""
    wanted = set(version_ids)
    if not wanted:
        return {}
    rows = (
        select(Version, Material, StoredFile)
        .join(Material, col(Material.id) == col(Version.material_id))
        .outerjoin(StoredFile, col(StoredFile.id) == col(Version.file_id))
        .where(col(Version.id).in_(wanted))
    )
    made = [_sendable(*row) for row in await session.execute(rows)]
    return {one.version.id: one for one in made if one is not None}


def _sendable(version: Version, material: Material, file: StoredFile | None) -> Sendable | None:
    shape = SHAPES.get(material.kind)
    if shape is None:
        return None
    card = particulars.of_version(material, version).card
    if material.kind is Kind.ARTICLE:
        return Sendable(version, shape, version.title, _opening(version.body))
    if shape is Shape.LINK:
        return Sendable(version, shape, card.title, card.text, url=card.url, file=file)
    if shape is Shape.MINI_PROGRAM:
        return Sendable(version, shape, card.title, app_id=card.app_id, page=card.page, file=file)
    return Sendable(version, shape, file.name if file else version.title, file=file)


def _opening(body: str) -> str:
    plain = " ".join(body.split())
    return plain if len(plain) <= OPENING else f"{plain[:OPENING]}…"


def words_of(version: Version, kind: Kind) -> str:
    """The text that is sent: all of it, but for an article, whose card leads to the whole."""
    if kind is Kind.ARTICLE:
        return version.body.split("\n\n")[0].strip()
    return version.body


async def as_approved(
    session: AsyncSession, files: FileStore, sendable: Sendable
) -> Bytes | Altered:
    """The bytes of its file, if version and file still have the hash that was approved."""
    version, data = sendable.version, None
    if sendable.file is None and sendable.shape in (*UPLOADED, Shape.MINI_PROGRAM):
        return Altered(NO_FILE.format(title=version.title))
    try:
        if version.file_id is not None:
            data = await files.read(version.file_id)
    except FileMissing:
        return Altered(LOST.format(title=version.title))
    if await materials.fingerprint_with(session, version, data) != version.sha256:
        return Altered(CHANGED.format(title=version.title))
    return Bytes(data, hashlib.sha256(data).hexdigest()) if data is not None else Bytes()
