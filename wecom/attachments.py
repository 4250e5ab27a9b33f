"""What a message to customers can carry besides its text.

An uploaded file is known by a media id, which dies after three days. One that also carries its
`source` is uploaded again when WeCom says the id is dead.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from wecom.limits import present, within

CUSTOMER_TEXT = 4000  # welcome and mass send
MAX_ATTACHMENTS = 9
# Bytes of what stands on a card.
LINK_TITLE, LINK_DESCRIPTION, MINI_PROGRAM_TITLE = 128, 512, 64

Payload = dict[str, object]
MediaKind = Literal["image", "voice", "video", "file"]


@dataclass(frozen=True, slots=True)
class Source:
    """The file behind a media id."""

    filename: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Link:
    """A link card for customers."""

    title: str
    url: str
    description: str = ""
    picture_url: str = ""

    def __post_init__(self) -> None:
        within("link title", self.title, LINK_TITLE)
        within("link url", self.url, 2048)
        within("link description", self.description, LINK_DESCRIPTION, least=0)
        within("link picture url", self.picture_url, 2048, least=0)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        link = {"title": self.title, "url": self.url}
        optional = {"desc": self.description, "picurl": self.picture_url}
        link |= {name: value for name, value in optional.items() if value}
        return {"msgtype": "link", "link": link}


@dataclass(frozen=True, slots=True)
class MiniProgram:
    """A mini program card for customers; its picture is an uploaded image."""

    title: str
    picture_media_id: str
    app_id: str
    page: str

    def __post_init__(self) -> None:
        within("mini program title", self.title, MINI_PROGRAM_TITLE)
        for name in ("picture_media_id", "app_id", "page"):
            present(f"mini program {name}", getattr(self, name))

    def payload(self) -> Payload:
        """As WeCom takes it."""
        card = {
            "title": self.title,
            "pic_media_id": self.picture_media_id,
            "appid": self.app_id,
            "page": self.page,
        }
        return {"msgtype": "miniprogram", "miniprogram": card}


@dataclass(frozen=True, slots=True)
class Image:
    """An uploaded image; media ids die after three days."""

    media_id: str
    source: Source | None = None

    def __post_init__(self) -> None:
        present("image media_id", self.media_id)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return {"msgtype": "image", "image": {"media_id": self.media_id}}


@dataclass(frozen=True, slots=True)
class Video:
    """An uploaded video; media ids die after three days."""

    media_id: str
    source: Source | None = None

    def __post_init__(self) -> None:
        present("video media_id", self.media_id)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return {"msgtype": "video", "video": {"media_id": self.media_id}}


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file; media ids die after three days."""

    media_id: str
    source: Source | None = None

    def __post_init__(self) -> None:
        present("file media_id", self.media_id)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return {"msgtype": "file", "file": {"media_id": self.media_id}}


Attachment = Link | MiniProgram | Image | Video | File


def kind_of(attachment: Image | Video | File) -> MediaKind:
    """The kind the file behind it is uploaded as."""
    if isinstance(attachment, Image):
        return "image"
    return "video" if isinstance(attachment, Video) else "file"


def with_media(attachment: Image | Video | File, media_id: str) -> Image | Video | File:
    """The same attachment under another media id."""
    return replace(attachment, media_id=media_id)


def content(text: str, attachments: tuple[Attachment, ...]) -> Payload:
    """The fields of a text with attachments; what is empty is left out."""
    fields: Payload = {}
    if text:
        fields["text"] = {"content": text}
    if attachments:
        fields["attachments"] = [attachment.payload() for attachment in attachments]
    return fields


def something_to_say(
    text: str, attachments: tuple[Attachment, ...], limit: int = CUSTOMER_TEXT
) -> None:
    """Hold a message for customers to WeCom's limits."""
    if not text and not attachments:
        raise ValueError("a message needs a text or an attachment")
    within("text", text, limit, least=0)
    if len(attachments) > MAX_ATTACHMENTS:
        raise ValueError(f"at most {MAX_ATTACHMENTS} attachments, got {len(attachments)}")
