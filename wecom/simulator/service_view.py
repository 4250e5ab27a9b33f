"""微信客服 as the page shows it: the customer's phone, the servicer's desktop; plain values."""

from typing import Any

from wecom.simulator.api_service import ANSWERS_A_WINDOW, WINDOW
from wecom.simulator.platform import Platform
from wecom.simulator.service_desk import hall
from wecom.simulator.service_state import (
    CUSTOMER,
    PRODUCT,
    SERVICER,
    ServiceItem,
    ServiceSession,
)

ITEMS = 200
STATES = ("未处理", "智能助手接待", "待接入池", "人工接待", "已结束")
SIDES = {CUSTOMER: "customer", SERVICER: "servicer", PRODUCT: "product"}
FAILURES = {
    0: "未知原因",
    1: "客服账号已删除",
    2: "应用已关闭",
    4: "会话超过 48 小时",
    5: "会话已关闭",
    6: "超过 5 条限制",
    8: "主体未验证",
    10: "客户拒收",
}


def service_view(
    platform: Platform, *, customer: str, account: str, servicer: str, opened: str
) -> dict[str, Any]:
    """Everything on the page: the phone of `customer` at `account`, the desktop of `servicer`.

    `opened` is the session on the desktop, `open_kfid/external_userid`; empty: none.
    """
    place, world = hall(platform), platform.world
    serving = {a.open_kfid for a in place.accounts.values() if servicer in a.servicers}
    sessions = sorted(place.sessions.values(), key=lambda s: _last(platform, s)[1], reverse=True)
    return {
        "customers": [
            {"id": c.external_userid, "name": c.name, "color": c.avatar_color}
            for c in world.contacts.values()
        ],
        "servicers": [
            {"id": userid, "name": world.members[userid].name}
            for userid in dict.fromkeys(u for a in place.accounts.values() for u in a.servicers)
        ],
        "accounts": [
            {
                "id": a.open_kfid,
                "name": a.name,
                "scenes": [{"word": word, "scene": scene} for word, scene in a.scenes.items()],
                "servicers": [
                    {"id": u, "name": world.members[u].name, "receiving": on}
                    for u, on in a.servicers.items()
                ],
            }
            for a in place.accounts.values()
        ],
        "threads": [_row(platform, s) for s in sessions if s.external_userid == customer],
        "phone": _chat(platform, f"{account}/{customer}", for_customer=True),
        "sessions": [_row(platform, s) for s in sessions if s.open_kfid in serving],
        "chat": _chat(platform, opened, for_customer=False),
    }


def _row(platform: Platform, session: ServiceSession) -> dict[str, Any]:
    contact = platform.world.contacts[session.external_userid]
    account = hall(platform).accounts.get(session.open_kfid)
    text, at = _last(platform, session)
    state = session.state_at(platform.now())
    servicer = platform.world.members.get(session.servicer)
    return {
        "key": f"{session.open_kfid}/{session.external_userid}",
        "account": session.open_kfid,
        "account_name": account.name if account else "已删除的客服账号",
        "customer": contact.external_userid,
        "name": contact.name,
        "color": contact.avatar_color,
        "state": state,
        "state_name": STATES[state],
        "servicer": session.servicer if state == 3 else "",
        "servicer_name": servicer.name if servicer and state == 3 else "",
        "text": text,
        "at": at,
    }


def _last(platform: Platform, session: ServiceSession) -> tuple[str, str]:
    chat = hall(platform).chat(session.open_kfid, session.external_userid)
    said = [item for item in chat if item.msgtype != "event" and item.delivered]
    text = ("撤回了一条消息" if said[-1].recalled else said[-1].text) if said else ""
    return text, chat[-1].at.isoformat() if chat else ""


def _chat(platform: Platform, key: str, *, for_customer: bool) -> dict[str, Any] | None:
    session = hall(platform).sessions.get(key)
    if session is None or session.open_kfid not in hall(platform).accounts:
        return None
    items = hall(platform).chat(session.open_kfid, session.external_userid)
    if for_customer:
        items = [item for item in items if item.delivered and item.msgtype != "event"]
    return {
        **_row(platform, session),
        "scene": session.scene,
        "scene_param": session.scene_param,
        "rejects": session.rejects,
        "answers_left": ANSWERS_A_WINDOW - session.sent_in_window,
        "until": (session.wrote_at + WINDOW).isoformat() if session.wrote_at else None,
        "items": [_item(platform, item) for item in items[-ITEMS:]],
    }


def _item(platform: Platform, item: ServiceItem) -> dict[str, Any]:
    servicer = platform.world.members.get(item.servicer)
    return {
        "msgid": item.msgid,
        "side": SIDES.get(item.origin, "event"),
        "msgtype": item.msgtype,
        "body": item.body,
        "text": event_words(platform, item) if item.msgtype == "event" else item.text,
        "name": servicer.name if servicer else "",
        "delivered": item.delivered,
        "recalled": item.recalled,
        "at": item.at.isoformat(),
    }


def event_words(platform: Platform, item: ServiceItem) -> str:
    """What happened, as a person at the desktop would say it."""
    event, members = item.body, platform.world.members

    def name(field: str) -> str:
        member = members.get(str(event.get(field, "")))
        return member.name if member else "接待人员"

    kind = event.get("event_type")
    if kind == "enter_session":
        source = f"，来源 {event['scene']}" if event.get("scene") else ""
        return f"客户进入会话{source}"
    if kind == "session_status_change":
        changes = {
            1: f"{name('new_servicer_userid')}接入会话",
            2: f"{name('old_servicer_userid')}将会话转接给{name('new_servicer_userid')}",
            3: f"{name('old_servicer_userid')}结束了会话",
            4: f"{name('new_servicer_userid')}重新接入会话",
        }
        return changes.get(int(event["change_type"]), "会话状态变更")
    if kind == "msg_send_fail":
        return f"一条消息未送达：{FAILURES.get(int(event['fail_type']), '其他原因')}"
    if kind == "reject_customer_msg_switch_change":
        return "客户已拒收消息" if event.get("reject_switch") else "客户恢复接收消息"
    if kind == "servicer_recall_msg":
        return "接待人员撤回了一条消息"
    return "客户撤回了一条消息" if kind == "user_recall_msg" else str(kind)
