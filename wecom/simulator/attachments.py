"""What may be in a welcome or a mass send: a text and up to nine attachments."""

from datetime import datetime, timedelta
from typing import Any

from wecom.simulator.api_call import ApiError, Call
from wecom.simulator.state import Media, World

MEDIA_LIFE = timedelta(days=3)
TEXT_BYTES = 4000
ATTACHMENTS = 9
LINK_BYTES = {"title": 128, "picurl": 2048, "desc": 512, "url": 2048}
LINK_TITLE_MOMENT = 64


def checked_content(call: Call) -> tuple[str, list[dict[str, Any]]]:
    """The text and attachments of a call, after every check the platform makes on them."""
    text = call.body.get("text", {})
    content = text.get("content", "") if isinstance(text, dict) else ""
    attachments = call.body.get("attachments", [])
    if not isinstance(content, str) or not isinstance(attachments, list):
        raise ApiError(40058)
    if not content and not attachments:
        raise ApiError(40063)
    if len(content.encode()) > TEXT_BYTES:
        raise ApiError(45002)
    if len(attachments) > ATTACHMENTS:
        raise ApiError(41064)
    for attachment in attachments:
        _check_attachment(call, attachment)
    return content, attachments


def live_media(call: Call, media_id: str) -> Media:
    """An uploaded file that has not died yet; 40007 otherwise."""
    media = call.world.media.get(media_id)
    if media is None or not alive(media, call.now()):
        raise ApiError(40007)
    return media


def alive(media: Media, now: datetime) -> bool:
    """Whether it can still be sent; what was sent stays in the chat for ever."""
    return media.permanent or now - media.created_at <= MEDIA_LIFE


def attached_media(call: Call, media_id: str, kind: str, *, scene: int) -> Media:
    """A file uploaded by `upload_attachment` for this scene; 41072 for one of another scene."""
    media = live_media(call, media_id)
    if media.scene != scene or media.kind != kind:
        raise ApiError(41072)
    return media


def title_within(link: dict[str, Any], most: int) -> None:
    """45002 for a link title of more than `most` bytes."""
    if len(str(link.get("title", "")).encode()) > most:
        raise ApiError(45002)


def permanent_picture(world: World, pic_url: str) -> bool:
    """Whether the picture was stored by `uploadimg`, the only kind a `pic_url` may name."""
    name = pic_url.rsplit("/", 1)[-1]
    media = world.media.get(name)
    return media is not None and media.permanent


def _check_attachment(call: Call, attachment: Any) -> None:
    kind = attachment.get("msgtype") if isinstance(attachment, dict) else None
    if kind not in ("image", "link", "miniprogram", "video", "file"):
        raise ApiError(41065)
    content = attachment.get(kind)
    if not isinstance(content, dict):
        raise ApiError(41065)
    if kind == "link":
        _check_link(content)
    elif kind == "miniprogram":
        if not all(content.get(name) for name in ("title", "appid", "page", "pic_media_id")):
            raise ApiError(40058)
        live_media(call, str(content["pic_media_id"]))
    elif content.get("media_id"):
        live_media(call, str(content["media_id"]))
    elif kind != "image" or not permanent_picture(call.world, str(content.get("pic_url", ""))):
        raise ApiError(40007)


def _check_link(link: dict[str, Any]) -> None:
    if not link.get("title") or not link.get("url"):
        raise ApiError(40058)
    for name, most in LINK_BYTES.items():
        if len(str(link.get(name, "")).encode()) > most:
            raise ApiError(45002)
