"""The conversation archive as a sidecar on the bank's side of the native library hands it out."""

import hmac
from itertools import islice
from typing import Any

from aiohttp import web

from wecom.simulator.api_call import PLATFORM, ApiError, error_answer
from wecom.simulator.state import Message

MOST = 1000


async def messages(request: web.Request) -> web.StreamResponse:
    """Archived messages after `seq`, oldest first, at most `limit` (1..1000)."""
    platform = request.app[PLATFORM]
    presented = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(presented.encode(), platform.corp.archive_secret.encode()):
        return web.json_response(error_answer(request, ApiError(40001)))
    try:
        seq, limit = int(request.query.get("seq", "0")), int(request.query.get("limit", "100"))
    except ValueError:
        return web.json_response(error_answer(request, ApiError(40058)))
    if seq < 0 or not 1 <= limit <= MOST:
        return web.json_response(error_answer(request, ApiError(301058)))
    everything = platform.world.messages
    # Positions are counted from 1, so the first message after `seq` stands at index `seq`.
    later = (everything[index] for index in range(seq, len(everything)))
    rows = [_archived(message) for message in islice((m for m in later if m.archived), limit)]
    return web.json_response({"errcode": 0, "errmsg": "ok", "chatdata": rows})


def _archived(message: Message) -> dict[str, Any]:
    sender, receiver = message.userid, message.external_userid
    if message.from_customer:
        sender, receiver = receiver, sender
    receivers = message.audience if message.chat_id else [receiver]
    return {
        "seq": message.seq,
        "msgid": message.msgid,
        "message": {
            "msgid": message.msgid,
            "action": "send",
            "from": sender,
            "tolist": receivers,
            "roomid": message.chat_id,
            "msgtime": int(message.at.timestamp() * 1000),
            "msgtype": message.msgtype,
            message.msgtype: _content(message),
        },
    }


def _content(message: Message) -> dict[str, Any]:
    body = message.body
    if message.msgtype == "link":
        return {
            "title": body.get("title", ""),
            "description": body.get("desc", ""),
            "link_url": body.get("url", ""),
            "image_url": body.get("picurl", ""),
        }
    if message.msgtype in ("image", "file", "video"):
        return {"sdkfileid": body.get("media_id") or body.get("pic_url", "")}
    return body
