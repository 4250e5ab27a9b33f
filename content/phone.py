"""What a customer sees on the phone, by kind of material."""

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from content.drafts import DraftMaterial
from content.extract import suffix_of
from content.models import Kind, StoredFile
from content.sendable import Sendable, Shape

PICTURE = frozenset({"image/png", "image/jpeg"})
# A step of a SOP, or whatever else comes at its own time: when, and what.
Series = list[tuple[str, "Phone"]]


@dataclass(frozen=True)
class Phone:
    """The chat with what is sent: an attachment, where there is one, and the text beside it."""

    title: str
    paragraphs: list[str]
    shape: str = "text"  # text, image, video, file, link or mini_program
    picture: UUID | None = None
    heading: str = ""  # of the card or file
    note: str = ""  # under the heading
    label: str = ""  # 文件类型, or the name of the mini program


def phone_of(draft: DraftMaterial, file: StoredFile | None) -> Phone:
    """The phone of this draft or version."""
    paragraphs = [part for part in draft.body.split("\n\n") if part.strip()]
    title = draft.title or "素材预览"
    picture = file.id if file is not None and file.media_type in PICTURE else None
    card = draft.told.card
    if draft.kind == Kind.IMAGE:
        return Phone(title, paragraphs, "image", picture)
    if draft.kind == Kind.VIDEO:
        return Phone(title, paragraphs, "video", None, file.name if file else "待上传的视频")
    if draft.kind == Kind.FILE:
        name = file.name if file else "待上传的文件"
        size, suffix = _size(file), suffix_of(name).upper() if file else "文件"
        return Phone(title, paragraphs, "file", None, name, size, suffix)
    if draft.kind == Kind.LINK:
        heading, note = card.title or "链接标题", card.text or _host(card.url)
        return Phone(title, paragraphs, "link", picture, heading, note)
    if draft.kind == Kind.MINI_PROGRAM:
        return Phone(title, paragraphs, "mini_program", picture, card.title or "卡片标题")
    return Phone(title, paragraphs)


def as_sent(title: str, words: str, beside: Sendable | None) -> Phone:
    """The phone of a customer who gets these words, and what goes beside them."""
    paragraphs = [part for part in words.split("\n\n") if part.strip()]
    if beside is None:
        return Phone(title, paragraphs)
    file = beside.file
    picture = file.id if file is not None and file.media_type in PICTURE else None
    if beside.shape is Shape.FILE:
        label = suffix_of(beside.title).upper()
        return Phone(title, paragraphs, "file", None, beside.title, _size(file), label)
    name = "mini_program" if beside.shape is Shape.MINI_PROGRAM else beside.shape.value
    note = beside.note or _host(beside.url)
    return Phone(title, paragraphs, name, picture, beside.title, note)


def _size(file: StoredFile | None) -> str:
    if file is None:
        return ""
    kilobytes = max(1, file.size // 1024)
    return f"{kilobytes} KB" if kilobytes < 1024 else f"{kilobytes / 1024:.1f} MB"


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
