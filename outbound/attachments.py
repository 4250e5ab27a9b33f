"""What goes out beside a text: pictures, films, files, cards; each exactly as approved.

Prepared before the check, so that what is judged and written down is what the customer gets.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from content import links, sendable
from content.files import FileStore
from content.people import Person
from content.sendable import Altered, Sendable, Shape
from outbound import reasons as say
from wecom.attachments import LINK_TITLE, MAX_ATTACHMENTS, MINI_PROGRAM_TITLE
from wecom.media import MEDIA_LIMIT


@dataclass(frozen=True)
class Stock:
    """Where attachments come from: the bank's files, and the address its pages have outside."""

    files: FileStore
    public_url: str
    tracks: bool = True  # whether cards lead through links of their own (outbound/addressing.py)


@dataclass(frozen=True)
class Attached:
    """One attachment of a message; `sha256` is that of its file, empty for one without."""

    version_id: UUID
    shape: Shape
    title: str
    note: str = ""
    url: str = ""
    picture_url: str = ""
    app_id: str = ""
    page: str = ""
    file_id: UUID | None = None
    sha256: str = ""

    def kept(self) -> dict[str, Any]:
        """As it stands in the row of what was said."""
        told = asdict(self)
        told |= {"version_id": str(self.version_id), "shape": self.shape.value}
        told["file_id"] = str(self.file_id) if self.file_id else ""
        return told


@dataclass(frozen=True)
class Unfit:
    """Some of it may not be sent, and why."""

    reasons: tuple[str, ...]


async def prepare(
    session: AsyncSession, stock: Stock, version_ids: Sequence[UUID], by: Person, now: datetime
) -> tuple[Attached, ...] | Unfit:
    """The attachments of these versions in their order, or everything that stands against them."""
    found = await sendable.of_versions(session, version_ids)
    wanted = [found[one] for one in version_ids if one in found]
    if len(wanted) > MAX_ATTACHMENTS:
        return Unfit((say.TOO_MANY.format(most=MAX_ATTACHMENTS),))
    made = [await _one(session, stock, one, by, now) for one in wanted]
    against = [one.reason for one in made if isinstance(one, Altered)]
    if against:
        return Unfit(tuple(dict.fromkeys(against)))
    return tuple(one for one in made if isinstance(one, Attached))


async def _one(
    session: AsyncSession, stock: Stock, it: Sendable, by: Person, now: datetime
) -> Attached | Altered:
    kept = await sendable.as_approved(session, stock.files, it)
    if isinstance(kept, Altered):
        return kept
    if too_large := _too_large(it, len(kept.data)):
        return Altered(too_large)
    ours = ""
    if it.has_page_of_ours:
        link = await links.for_sending(session, it.version.id, by, now)
        if isinstance(link, links.Refused):
            return Altered(link.reason)
        ours = f"{stock.public_url.rstrip('/')}/m/{link.token}"
    return Attached(
        version_id=it.version.id,
        shape=it.shape,
        title=it.title,
        note=it.note,
        url=(it.url or ours) if it.shape is Shape.LINK else "",
        picture_url=f"{ours}/file" if ours and it.file else "",
        app_id=it.app_id,
        page=it.page,
        file_id=it.file.id if it.file else None,
        sha256=kept.sha256,
    )


def _too_large(it: Sendable, size: int) -> str:
    """What the platform would not take of it, in words."""
    titles = {Shape.LINK: LINK_TITLE, Shape.MINI_PROGRAM: MINI_PROGRAM_TITLE}
    most = titles.get(it.shape)
    if most is not None and len(it.title.encode()) > most:
        return say.TITLE_TOO_LONG.format(title=it.version.title, limit=most)
    limits: dict[Shape, int] = {
        Shape.IMAGE: MEDIA_LIMIT["image"],
        Shape.VIDEO: MEDIA_LIMIT["video"],
        Shape.FILE: MEDIA_LIMIT["file"],
        Shape.MINI_PROGRAM: MEDIA_LIMIT["image"],
    }
    limit = limits.get(it.shape)
    if limit is not None and size > limit:
        return say.FILE_TOO_LARGE.format(title=it.version.title, limit=limit >> 20)
    return ""


def in_words(kept: Collection[dict[str, Any]]) -> list[str]:
    """Attachments of a row as staff read them."""
    return [f"{Shape(one['shape']).label}：{one['title']}" for one in kept]
