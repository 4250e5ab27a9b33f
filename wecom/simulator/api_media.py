"""Uploaded files: three days for a media id, for ever for a picture's address."""

import base64
import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from aiohttp import BodyPartReader, web

from wecom.simulator.api_call import ERRORS, PLATFORM, ApiError, Call, endpoint
from wecom.simulator.attachments import live_media
from wecom.simulator.measures import film_seconds, is_film, is_picture, pixels
from wecom.simulator.platform import SHANGHAI
from wecom.simulator.state import Media

LARGEST = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "file": 20 << 20}
SMALLEST = 5
MOMENTS, ALBUM = 1, 2
ATTACHED = {MOMENTS: ("image", "video"), ALBUM: ("image",)}
MOST_PIXELS = 1_555_200
LONGEST_FILM = timedelta(seconds=30)
PICTURES_A_DAY, PICTURES_A_MONTH = 1000, 3000

ERRORS.update(
    {
        40005: "invalid file type",
        41072: "invalid attachment scene",
        41080: "attachment size out of limit",
        41081: "attachment resolution out of limit",
        41082: "attachment duration out of limit",
        41090: "invalid video format",
    }
)


async def media_upload(call: Call) -> dict[str, Any]:
    """Store a temporary file; `created_at` comes back as a string and `errmsg` empty."""
    kind = call.query("type")
    if kind not in LARGEST:
        raise ApiError(40004)
    media = _stored(call, kind, await _part(call, kind))
    created = str(int(media.created_at.timestamp()))
    return {"errmsg": "", "type": kind, "media_id": media.media_id, "created_at": created}


async def media_uploadimg(call: Call) -> dict[str, Any]:
    """Store a picture for good and answer with its address; 1000 a day, 3000 a month."""
    _check_picture_quota(call)
    media = _stored(call, "image", await _part(call, "image"), permanent=True)
    path = call.request.app.router["picture"].url_for(name=media.media_id)
    return {"url": str(call.request.url.origin().join(path))}


async def upload_attachment(call: Call) -> dict[str, Any]:
    """Store a file for moments (1) or the product album (2); three days, and only for that."""
    kind, scene = call.query("media_type"), call.query("attachment_type")
    if kind not in LARGEST:
        raise ApiError(40004)
    if not scene.isdecimal() or kind not in ATTACHED.get(int(scene), ()):
        raise ApiError(41072)
    part = await _part(call, kind, too_large=41080)
    _check_attached(kind, part[2])
    media = _stored(call, kind, part, scene=int(scene))
    created = int(media.created_at.timestamp())
    return {"type": kind, "media_id": media.media_id, "created_at": created}


async def media_get(request: web.Request) -> web.StreamResponse:
    """The bytes of a temporary file, or the error as JSON."""
    found: list[Media] = []

    async def look_up(call: Call) -> dict[str, Any]:
        found.append(live_media(call, call.query("media_id")))
        return {}

    answer = await endpoint(look_up)(request)
    if not found:
        return answer
    name = found[0].filename.replace('"', "")
    return web.Response(
        body=base64.b64decode(found[0].content_base64),
        content_type=found[0].content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def picture(request: web.Request) -> web.Response:
    """A stored picture, for whoever has its address."""
    media = request.app[PLATFORM].world.media.get(request.match_info["name"])
    if media is None or media.kind != "image":
        raise web.HTTPNotFound
    return web.Response(
        body=base64.b64decode(media.content_base64), content_type=media.content_type
    )


async def sent_file(request: web.Request) -> web.Response:
    """A file as it stands in a chat it was sent into, long after its media id has died."""
    world, media_id = request.app[PLATFORM].world, request.match_info["name"]
    media = world.media.get(media_id)
    in_chats = (message.body for message in world.messages)
    if media is None or not any(
        media_id in (body.get("media_id"), body.get("pic_media_id")) for body in in_chats
    ):
        raise web.HTTPNotFound
    return web.Response(
        body=base64.b64decode(media.content_base64),
        content_type=media.content_type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(media.filename)}"},
    )


Part = tuple[str, str, bytes]


async def _part(call: Call, kind: str, *, too_large: int = 45001) -> Part:
    """Filename, content type and bytes of the one field `media`."""
    if not call.request.content_type.startswith("multipart/"):
        raise ApiError(44001)
    part = await (await call.request.multipart()).next()
    if not isinstance(part, BodyPartReader) or part.name != "media":
        raise ApiError(44001)
    content = bytes(await part.read(decode=False))
    if len(content) <= SMALLEST:
        raise ApiError(40006)
    if len(content) > LARGEST[kind]:
        raise ApiError(too_large)
    content_type = part.headers.get("Content-Type", "application/octet-stream").split(";")[0]
    return part.filename or "media", content_type, content


def _stored(call: Call, kind: str, part: Part, *, permanent: bool = False, scene: int = 0) -> Media:
    filename, content_type, content = part
    media = Media(
        media_id=secrets.token_urlsafe(48),
        kind=kind,
        filename=filename,
        content_type=content_type,
        created_at=call.now(),
        content_base64=base64.b64encode(content).decode(),
        permanent=permanent,
        scene=scene,
    )
    call.world.media[media.media_id] = media
    call.platform.live.dirty.set()
    return media


def _check_attached(kind: str, content: bytes) -> None:
    if kind == "image":
        if not is_picture(content):
            raise ApiError(40005)
        if pixels(content) > MOST_PIXELS:
            raise ApiError(41081)
        return
    if not is_film(content):
        raise ApiError(41090)
    if film_seconds(content) > LONGEST_FILM.total_seconds():
        raise ApiError(41082)


def _check_picture_quota(call: Call) -> None:
    today = call.now().astimezone(SHANGHAI).date()
    days = [
        media.created_at.astimezone(SHANGHAI).date()
        for media in call.world.media.values()
        if media.permanent
    ]
    if sum(day == today for day in days) >= PICTURES_A_DAY:
        raise ApiError(45009)
    if sum(day.replace(day=1) == today.replace(day=1) for day in days) >= PICTURES_A_MONTH:
        raise ApiError(45009)
