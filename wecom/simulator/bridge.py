"""The server half of the JS bridge: is the page's signature right, and what the client may do."""

import hashlib
import hmac
from typing import Any

from aiohttp import web

from wecom.simulator.api_call import PLATFORM
from wecom.simulator.api_token import current_credential
from wecom.simulator.attachments import alive
from wecom.simulator.login import MEMBER_COOKIE
from wecom.simulator.platform import ImpossibleError, Platform

SIGNED_CALLS = ("config", "agentConfig")
MESSAGE_TYPES = ("text", "image", "file", "video", "news", "miniprogram")


async def sign(request: web.Request) -> web.Response:
    """Check a `config` or `agentConfig` call; answers its `errMsg`."""
    platform = request.app[PLATFORM]
    asked = await request.json()
    name = str(asked.get("api", ""))
    if name not in SIGNED_CALLS:
        raise web.HTTPBadRequest(text="unknown api")
    verdict = _verdict(platform, name, asked.get("params", {}), str(asked.get("url", "")))
    return _answer(request, {"errMsg": f"{name}:{verdict}"})


async def send_chat_message(request: web.Request) -> web.Response:
    """Send into the open chat as the member at this desktop; answers its `err_msg`."""
    platform = request.app[PLATFORM]
    asked = await request.json()
    userid = str(asked.get("member") or request.cookies.get(MEMBER_COOKIE, ""))
    customer = str(asked.get("customer", ""))
    if userid not in platform.world.members or not _known(platform, customer):
        verdict = "fail without context of external contact"
    else:
        verdict = _send(platform, userid, customer, asked.get("params", {}))
    return _answer(request, {"err_msg": f"sendChatMessage:{verdict}"})


async def preflight(request: web.Request) -> web.Response:
    """Let a sidebar page of another origin use the bridge."""
    return _answer(request, {})


def signature(ticket: str, noncestr: str, timestamp: str, url: str) -> str:
    """The JS-SDK signature over the page's address without its fragment."""
    plain = f"jsapi_ticket={ticket}&noncestr={noncestr}&timestamp={timestamp}&url={url}"
    return hashlib.sha1(plain.encode(), usedforsecurity=False).hexdigest()


def _verdict(platform: Platform, name: str, params: dict[str, Any], url: str) -> str:
    if params.get("corpid" if name == "agentConfig" else "appId") != platform.corp.corp_id:
        return "fail invalid corpid"
    app = platform.app(params.get("agentid", ""))
    if name == "agentConfig" and app is None:
        return "fail invalid agentid"
    ticket = app.ticket_key if name == "agentConfig" and app else "jsapi_ticket"
    expected = signature(
        current_credential(platform, ticket).value,
        str(params.get("nonceStr", "")),
        str(params.get("timestamp", "")),
        url.split("#", 1)[0],
    )
    given = str(params.get("signature", ""))
    return "ok" if hmac.compare_digest(expected, given) else "fail invalid signature"


def _known(platform: Platform, receiver: str) -> bool:
    return receiver in platform.world.contacts or receiver in platform.world.groups


def _send(platform: Platform, userid: str, customer: str, params: dict[str, Any]) -> str:
    msgtype = str(params.get("msgtype", ""))
    content = params.get(msgtype)
    if msgtype not in MESSAGE_TYPES or not isinstance(content, dict):
        return "fail invalid msgtype"
    body = _bubble(platform, msgtype, content)
    if body is None:
        return "fail invalid content"
    kind = "link" if msgtype == "news" else msgtype
    group = platform.world.groups.get(customer)
    if group is not None:
        if not group.alive or userid not in group.members:
            return "fail without context of external contact"
        platform.put_group_bubble(customer, userid, kind, body, "group")
        return "ok"
    try:
        platform.speak(userid, customer, kind, body)
    except ImpossibleError:
        return "fail not external contact"
    return "ok"


def _bubble(platform: Platform, msgtype: str, content: dict[str, Any]) -> dict[str, Any] | None:
    if msgtype == "text":
        text = str(content.get("content", "")).strip()
        return {"content": text} if text else None
    if msgtype == "news":
        names = {"title": "title", "desc": "desc", "url": "link", "picurl": "imgUrl"}
        body = {name: str(content.get(key, "")) for name, key in names.items()}
        return body if body["title"] and body["url"] else None
    if msgtype == "miniprogram":
        body = {name: str(content.get(name, "")) for name in ("appid", "title", "page")}
        body["picurl"] = str(content.get("imgUrl", ""))
        whole = all(body.values()) and body["page"].partition("?")[0].endswith(".html")
        return body if whole else None
    return _uploaded(platform, msgtype, str(content.get("mediaid", "")))


def _uploaded(platform: Platform, kind: str, media_id: str) -> dict[str, Any] | None:
    """A file of that kind that has not died; the chat keeps what it shows."""
    media = platform.world.media.get(media_id)
    if media is None or media.kind != kind or not alive(media, platform.now()):
        return None
    return {"media_id": media.media_id, "filename": media.filename}


def _answer(request: web.Request, body: dict[str, Any]) -> web.Response:
    origin = request.headers.get("Origin", "*")
    headers = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Headers": "Content-Type",
        "Vary": "Origin",
    }
    return web.json_response(body, headers=headers)
