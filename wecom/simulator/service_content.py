"""What the product may say to a customer in 微信客服, checked as the platform checks it."""

from typing import Any

from wecom.simulator.api_call import ERRORS, ApiError, Call
from wecom.simulator.attachments import live_media
from wecom.simulator.service_state import CodeKind

TEXT_BYTES = 2048
MENU_ROWS = 10
NAMED = {
    "link": ("title", "url", "thumb_media_id"),
    "miniprogram": ("appid", "thumb_media_id", "pagepath"),
    "msgmenu": (),
    "location": ("latitude", "longitude"),
    "ca_link": ("link_url",),
}
MEDIA = ("image", "voice", "video", "file")

ERRORS.update(
    {
        95000: "invalid open_kfid",
        95001: "kf message count out of limit",
        95002: "kf message time out of limit",
        95004: "open_kfid not exist",
        95006: "invalid kf account name",
        95007: "invalid msgtoken",
        95008: "menu item count out of limit",
        95009: "invalid menu item type",
        95014: "user is not a servicer",
        95016: "service state transition not allowed",
        95018: "send msg not allowed in current session state",
        95019: "servicer is not receiving",
        48007: "kf account not authorized",
    }
)


def content(call: Call) -> tuple[str, dict[str, Any]]:
    """The kind and body of a message to a customer, after every check the platform makes."""
    msgtype = call.text("msgtype")
    body = call.body.get(msgtype)
    if msgtype not in ("text", *MEDIA, *NAMED) or not isinstance(body, dict):
        raise ApiError(40058)
    if msgtype == "text":
        _check_text(body)
    elif msgtype in MEDIA:
        media = live_media(call, str(body.get("media_id", "")))
        body = {"media_id": media.media_id, "filename": media.filename}
    else:
        if not all(body.get(name) for name in NAMED[msgtype]):
            raise ApiError(40058)
        if "thumb_media_id" in NAMED[msgtype]:
            live_media(call, str(body["thumb_media_id"]))
    if msgtype == "msgmenu":
        _check_menu(body)
    return msgtype, body


def event_content(call: Call, kind: CodeKind) -> tuple[str, dict[str, Any]]:
    """As `content`; a welcome and a last word may be menus, the words in between only texts."""
    allowed = ("text", "msgmenu") if kind in ("welcome", "close") else ("text",)
    if call.text("msgtype") not in allowed:
        raise ApiError(40058)
    return content(call)


def _check_text(body: dict[str, Any]) -> None:
    content = body.get("content")
    if not isinstance(content, str) or not content:
        raise ApiError(40058)
    if len(content.encode()) > TEXT_BYTES:
        raise ApiError(45002)


def _check_menu(body: dict[str, Any]) -> None:
    rows = body.get("list", [])
    if not isinstance(rows, list) or not (rows or body.get("head_content")):
        raise ApiError(40058)
    if len(rows) > MENU_ROWS:
        raise ApiError(95008)
    for row in rows:
        kind = row.get("type") if isinstance(row, dict) else None
        if kind not in ("click", "view", "miniprogram", "text"):
            raise ApiError(95009)
        if not isinstance(row.get(kind), dict) or not row[kind].get("content", row[kind].get("id")):
            raise ApiError(40058)
