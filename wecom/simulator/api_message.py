"""App messages to members; they never reach a customer."""

import json
import secrets
from datetime import timedelta
from typing import Any

from wecom.simulator.api_call import ApiError, Call
from wecom.simulator.state import AppMessage

RECEIVERS = 1000
PER_MINUTE = 30
PER_HOUR = 1000
DUPLICATE_SECONDS = 1800
KINDS = ("text", "markdown", "textcard", "news", "image", "voice", "video", "file", "template_card")
BYTES = {
    "text": {},
    "markdown": {"content": 2048},
    "textcard": {"title": 128, "description": 512},
}


async def message_send(call: Call) -> dict[str, Any]:
    """Send to members; unknown ones come back lower-cased, floods are dropped without a word."""
    if str(call.body.get("agentid", "")) != str(call.platform.corp.agent_id):
        raise ApiError(40056)
    msgtype, body = _content(call)
    known, unknown = _receivers(call)
    if not known:
        raise ApiError(81013)
    msgid = secrets.token_urlsafe(48)
    for userid in known:
        if not _flooded(call, userid) and not _repeated(call, userid, msgtype, body):
            call.platform.notify_member(AppMessage(msgid, userid, msgtype, body, call.now()))
    answer: dict[str, Any] = {"msgid": msgid}
    if unknown:
        answer["invaliduser"] = "|".join(userid.lower() for userid in unknown)
    if msgtype == "template_card":
        answer["response_code"] = secrets.token_urlsafe(32)
    return answer


def _content(call: Call) -> tuple[str, dict[str, Any]]:
    msgtype = call.text("msgtype")
    body = call.body.get(msgtype)
    if msgtype not in KINDS or not isinstance(body, dict):
        raise ApiError(40058)
    for name, most in BYTES.get(msgtype, {}).items():
        if len(str(body.get(name, "")).encode()) > most:
            raise ApiError(45002)
    if msgtype == "text":
        # A text above 2048 bytes is cut, not refused.
        cut = str(body.get("content", "")).encode()[:2048].decode(errors="ignore")
        body = {**body, "content": cut}
    return msgtype, body


def _receivers(call: Call) -> tuple[list[str], list[str]]:
    touser = call.text("touser")
    if touser == "@all":
        return list(call.world.members), []
    wanted = list(dict.fromkeys(userid for userid in touser.split("|") if userid))
    if len(wanted) > RECEIVERS:
        raise ApiError(40058)
    # The platform compares user ids without regard to case.
    members = {userid.lower(): userid for userid in call.world.members}
    known = [members[userid.lower()] for userid in wanted if userid.lower() in members]
    return known, [userid for userid in wanted if userid.lower() not in members]


def _flooded(call: Call, userid: str) -> bool:
    mine = [m.at for m in call.world.app_messages if m.userid == userid and m.source == "app"]
    minute, hour = call.now() - timedelta(minutes=1), call.now() - timedelta(hours=1)
    return (
        sum(at > minute for at in mine) >= PER_MINUTE or sum(at > hour for at in mine) >= PER_HOUR
    )


def _repeated(call: Call, userid: str, msgtype: str, body: dict[str, Any]) -> bool:
    if not call.body.get("enable_duplicate_check"):
        return False
    seconds = int(call.body.get("duplicate_check_interval", DUPLICATE_SECONDS))
    since = call.now() - timedelta(seconds=seconds)
    same = json.dumps(body, sort_keys=True)
    return any(
        m.userid == userid
        and m.msgtype == msgtype
        and m.at > since
        and json.dumps(m.body, sort_keys=True) == same
        for m in call.world.app_messages
    )
