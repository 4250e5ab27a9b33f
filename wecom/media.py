"""Files at WeCom: uploaded for three days, fetched, and uploaded again before they die."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeVar

from wecom.attachments import Attachment, File, Image, MediaKind, Video, kind_of, with_media
from wecom.calls import Calls
from wecom.errors import MediaExpired

MEDIA_LIMIT: Final = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "file": 20 << 20}
PICTURE_LIMIT: Final = 2 << 20
LIFE: Final = timedelta(days=3)
# A task prepared in the evening is still sendable the next day.
EARLY: Final = timedelta(hours=12)

T = TypeVar("T")
AttachmentKind = Literal["image", "video", "file"]


@dataclass(frozen=True, slots=True)
class Media:
    """A file at WeCom together with its bytes, so that it can be uploaded again."""

    kind: MediaKind
    filename: str
    data: bytes = field(repr=False)
    media_id: str = ""
    uploaded_at: datetime | None = None


class MediaStore:
    """Uploads and fetches files."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def upload(self, kind: MediaKind, filename: str, data: bytes) -> str:
        """Upload a file and return its media id, good for three days in all apps of the company."""
        _acceptable(kind, filename, data, MEDIA_LIMIT[kind])
        answer = await self._calls.upload("media/upload", filename, data, {"type": kind})
        return answer.text("media_id")

    async def upload_image(self, filename: str, data: bytes) -> str:
        """Upload a picture for good and return its address; a thousand a day, 3000 a month."""
        _acceptable("picture", filename, data, PICTURE_LIMIT)
        answer = await self._calls.upload("media/uploadimg", filename, data)
        return answer.text("url")

    async def upload_attachment(
        self, kind: AttachmentKind, filename: str, data: bytes, *, album: bool = False
    ) -> str:
        """Upload a file for a moment (or the album) and return its media id, good for three days.

        Those of `upload` are refused there with 41072.
        """
        _acceptable(kind, filename, data, MEDIA_LIMIT[kind])
        query = {"media_type": kind, "attachment_type": "2" if album else "1"}
        answer = await self._calls.upload("media/upload_attachment", filename, data, query)
        return answer.text("media_id")

    async def get(self, media_id: str) -> bytes:
        """Return the file; MediaExpired when its three days are over."""
        return await self._calls.download("media/get", {"media_id": media_id})

    async def fresh(self, media: Media, now: datetime) -> Media:
        """Return the media with an id that lives at least twelve hours more."""
        if media.media_id and media.uploaded_at and now < media.uploaded_at + LIFE - EARLY:
            return media
        media_id = await self.upload(media.kind, media.filename, media.data)
        return replace(media, media_id=media_id, uploaded_at=now)

    async def with_usable(
        self,
        attachments: tuple[Attachment, ...],
        act: Callable[[tuple[Attachment, ...]], Awaitable[T]],
    ) -> T:
        """Act with the attachments; if a media id died, upload those with a source, act once more.

        WeCom refuses a dead media id before anything happens, so acting again is safe.
        """
        try:
            return await act(attachments)
        except MediaExpired:
            if not any(_has_source(one) for one in attachments):
                raise
        return await act(tuple([await self._uploaded(one) for one in attachments]))

    async def _uploaded(self, attachment: Attachment) -> Attachment:
        if not isinstance(attachment, Image | Video | File) or attachment.source is None:
            return attachment
        source = attachment.source
        media_id = await self.upload(kind_of(attachment), source.filename, source.data)
        return with_media(attachment, media_id)


def _has_source(attachment: Attachment) -> bool:
    return isinstance(attachment, Image | Video | File) and attachment.source is not None


def _acceptable(kind: str, filename: str, data: bytes, limit: int) -> None:
    if not 5 < len(data) <= limit:
        raise ValueError(f"{kind} takes 6 to {limit} bytes, got {len(data)}")
    if not filename.isprintable() or not filename:
        raise ValueError("the file name is empty or holds control characters")
