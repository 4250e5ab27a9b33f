"""The hands of a person or a test in 微信客服: as the customer, as a servicer, as the platform."""

from typing import Any

from wecom.simulator import service_desk
from wecom.simulator.platform import Platform, new_external_userid
from wecom.simulator.service_desk import hall
from wecom.simulator.state import Contact


async def service_account(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{name, open_kfid?, servicers?, console_welcome?}`: an account made in the console."""
    account = service_desk.found_account(
        platform,
        str(wish["name"]),
        open_kfid=str(wish.get("open_kfid", "")),
        servicers=[str(userid) for userid in wish.get("servicers", [])],
        console_welcome=bool(wish.get("console_welcome")),
    )
    return {"open_kfid": account.open_kfid}


async def service_enter(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{url | open_kfid, scene?, scene_param?, external_userid? | name?}`: a customer opens it."""
    if wish.get("url"):
        open_kfid, scene, parameter = service_desk.scene_of_link(platform, str(wish["url"]))
    else:
        open_kfid, scene = str(wish["open_kfid"]), str(wish.get("scene", ""))
        parameter = str(wish.get("scene_param", ""))
    external_userid = str(wish.get("external_userid") or new_external_userid())
    stranger = Contact(external_userid, str(wish.get("name") or "微信用户"))
    # Whoever writes to 微信客服 gets an id of the corp, friend of a member or not.
    platform.world.contacts.setdefault(external_userid, stranger)
    code = service_desk.enter(platform, open_kfid, external_userid, scene, parameter)
    return {"open_kfid": open_kfid, "external_userid": external_userid, "welcome_code": code}


async def service_write(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{open_kfid, external_userid, text, menu_id? | msgtype, body}`: the customer writes."""
    msgtype, body = str(wish.get("msgtype", "text")), dict(wish.get("body") or {})
    if msgtype == "text":
        body = {"content": str(wish["text"])}
        if wish.get("menu_id"):
            body["menu_id"] = str(wish["menu_id"])
    said = service_desk.write(platform, wish["open_kfid"], wish["external_userid"], msgtype, body)
    return {"msgid": said.msgid, "seq": said.seq}


async def service_recall(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{msgid}`: whoever sent it takes it back."""
    service_desk.recall(platform, wish["msgid"])
    return {}


async def service_accept(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{open_kfid, external_userid, servicer}`: a servicer takes the customer from the queue."""
    code = service_desk.accept(
        platform, wish["open_kfid"], wish["external_userid"], wish["servicer"]
    )
    return {"msg_code": code}


async def service_hand_over(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{open_kfid, external_userid, servicer}`: the servicer passes him to this colleague."""
    service_desk.hand_over(platform, wish["open_kfid"], wish["external_userid"], wish["servicer"])
    return {}


async def service_end(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{open_kfid, external_userid}`: the servicer ends the session."""
    return {"msg_code": service_desk.end(platform, wish["open_kfid"], wish["external_userid"])}


async def service_answer(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{open_kfid, external_userid, servicer, text}`: the servicer answers by hand."""
    said = service_desk.answer(
        platform, wish["open_kfid"], wish["external_userid"], wish["servicer"], str(wish["text"])
    )
    return {"msgid": said.msgid, "seq": said.seq}


async def service_receiving(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{open_kfid, servicer, receiving}`: a servicer starts or stops receiving customers."""
    service_desk.set_receiving(
        platform, wish["open_kfid"], wish["servicer"], bool(wish["receiving"])
    )
    return {}


async def service_reject(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{open_kfid, external_userid, rejects}`: the customer refuses the account's messages."""
    service_desk.reject(platform, wish["open_kfid"], wish["external_userid"], bool(wish["rejects"]))
    return {}


async def service_authorise(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{add?: [open_kfid], remove?: [open_kfid]}`: which accounts the app may act for."""
    service_desk.authorise(platform, list(wish.get("add", [])), list(wish.get("remove", [])))
    return {}


async def service_settings(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{empty_pages?, failing?: [fail_type], untokened_a_minute?, first_state?: 0|1|2}`."""
    place = hall(platform)
    place.empty_pages = int(wish.get("empty_pages", place.empty_pages))
    place.failing = [int(kind) for kind in wish.get("failing", place.failing)]
    place.untokened_a_minute = int(wish.get("untokened_a_minute", place.untokened_a_minute))
    first = int(wish.get("first_state", place.first_state))
    if first not in (0, 1, 2):
        raise ValueError("first_state 只能是 0、1 或 2")
    place.first_state = first
    platform.live.dirty.set()
    return {}


CONTROLS = {
    "service_account": service_account,
    "service_enter": service_enter,
    "service_write": service_write,
    "service_recall": service_recall,
    "service_accept": service_accept,
    "service_hand_over": service_hand_over,
    "service_end": service_end,
    "service_answer": service_answer,
    "service_receiving": service_receiving,
    "service_reject": service_reject,
    "service_authorise": service_authorise,
    "service_settings": service_settings,
}
