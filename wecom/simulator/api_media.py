"""Uploaded files: three days for a media id, for ever for a picture's address."""

import base64
import secrets
from typing import Any

from aiohttp import BodyPartReader, web

from wecom.simulator.api_call import PLATFORM, ApiError, Call, endpoint
from wecom.simulator.attachments import live_media
from wecom.simulator.state import Media

LARGEST = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "file": 20 << 20}
SMALLEST = 5


async def media_upload(call: Call) -> dict[str, Any]:
    """Store a temporary file; `created_at` comes back as a string and `errmsg` empty."""
    kind = call.query("type")
    if kind not in LARGEST:
        raise ApiError(40004)
    media = await _stored(call, kind, permanent=False)
    created = str(int(media.created_at.timestamp()))
    return {"errmsg": "", "type": kind, "media_id": media.media_id, "created_at": created}


async def media_uploadimg(call: Call) -> dict[str, Any]:
    """Store a picture for good and answer with its address."""
    media = await _stored(call, "image", permanent=True)
    path = call.request.app.router["picture"].url_for(name=media.media_id)
    return {"url": str(call.request.url.origin().join(path))}


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


async def _stored(call: Call, kind: str, *, permanent: bool) -> Media:
    if not call.request.content_type.startswith("multipart/"):
        raise ApiError(44001)
    part = await (await call.request.multipart()).next()
    if not isinstance(part, BodyPartReader) or part.name != "media":
        raise ApiError(44001)
    content = bytes(await part.read(decode=False))
    if len(content) <= SMALLEST:
        raise ApiError(40006)
    if len(content) > LARGEST[kind]:
        raise ApiError(45001)
    media = Media(
        media_id=secrets.token_urlsafe(48),
        kind=kind,
        filename=part.filename or "media",
        content_type=part.headers.get("Content-Type", "application/octet-stream").split(";")[0],
        created_at=call.now(),
        content_base64=base64.b64encode(content).decode(),
        permanent=permanent,
    )
    call.world.media[media.media_id] = media
    call.platform.live.dirty.set()
    return media
