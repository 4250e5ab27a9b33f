"""Control verbs of members and apps: what they write to an app, and what happens to the app."""

import secrets
from typing import Any

from wecom.simulator.control import Action
from wecom.simulator.corp import App
from wecom.simulator.platform import ImpossibleError, Platform

# The fields each kind of message carries, with what is taken when the wish names none.
MESSAGES: dict[str, dict[str, Any]] = {
    "text": {"Content": ""},
    "image": {"PicUrl": "", "MediaId": ""},
    "voice": {"MediaId": "", "Format": "amr"},
    "video": {"MediaId": "", "ThumbMediaId": ""},
    "location": {
        "Location_X": 0.0,
        "Location_Y": 0.0,
        "Scale": 15,
        "Label": "",
        "AppType": "wxwork",
    },
    "link": {"Title": "", "Description": "", "Url": "", "PicUrl": ""},
    "file": {"MediaId": "", "FileName": ""},
}
EVENTS: dict[str, dict[str, Any]] = {
    "subscribe": {},
    "unsubscribe": {},
    "enter_agent": {"EventKey": ""},
    "click": {"EventKey": ""},
    "view": {"EventKey": ""},
    "view_miniprogram": {"EventKey": ""},
    "LOCATION": {"Latitude": 0.0, "Longitude": 0.0, "Precision": 30.0, "AppType": "wxwork"},
}
BATCH_JOB = {"JobId": "", "JobType": "sync_user", "ErrCode": 0, "ErrMsg": "ok"}
APP_STATES = (
    "inactive_alert",
    "close_inactive_agent",
    "reopen_inactive_agent",
    "low_active_alert",
    "low_active",
    "active_restored",
)


async def app_message(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, msgtype?: text, agent_id?, …fields}`: a member writes to the app.

    The fields are the platform's own names; `text` is short for `Content`.
    """
    app, userid = _app(platform, wish), _member(platform, wish["userid"])
    msgtype = wish.get("msgtype", "text")
    given = {"Content": wish["text"]} if "text" in wish else {}
    fields = _filled(MESSAGES[msgtype], {**wish, **given})
    msgid = secrets.randbelow(2**63)
    message = {"FromUserName": userid, "MsgType": msgtype, **fields, "MsgId": msgid}
    platform.line.tell(app, {**message, "AgentID": app.agent_id}, agent_id=str(app.agent_id))
    return {"msgid": str(msgid)}


async def app_event(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{event, userid?, agent_id?, …fields}`: a member does something in the app, a batch job
    ends (`batch_job_result`), or the platform warns of an idle app (`low_active`, …)."""
    app, event = _app(platform, wish), wish["event"]
    fields: dict[str, Any]
    if event == "batch_job_result":
        fields = {"FromUserName": "sys", "BatchJob": _filled(BATCH_JOB, wish)}
    elif event in APP_STATES:
        fields = {"FromUserName": "sys"}
    elif event in EVENTS:
        member = _member(platform, wish["userid"])
        fields = {"FromUserName": member, **_filled(EVENTS[event], wish)}
    else:
        raise ValueError(f"没有这种应用事件：{event}")
    whole = {"MsgType": "event", "Event": event, **fields, "AgentID": app.agent_id}
    platform.line.tell(app, whole, agent_id=str(app.agent_id))
    return {}


def _filled(names: dict[str, Any], wish: dict[str, Any]) -> dict[str, Any]:
    return {name: wish.get(name, usual) for name, usual in names.items()}


def _app(platform: Platform, wish: dict[str, Any]) -> App:
    app = platform.app(wish.get("agent_id", platform.corp.agent_id))
    if app is None:
        raise ImpossibleError("没有这个应用")
    return app


def _member(platform: Platform, userid: str) -> str:
    if userid not in platform.world.members:
        raise ImpossibleError("没有这个成员")
    return userid


CONTROLS: dict[str, Action] = {"app_message": app_message, "app_event": app_event}
