"""Control verbs of members and customers: talk, add, edit, delete, agree, hand over, leave."""

import dataclasses
import secrets
from typing import Any

from wecom.simulator import acquisition, mass_sending, relations
from wecom.simulator.channels import WAITING, Transfer
from wecom.simulator.control import Action
from wecom.simulator.platform import ImpossibleError, Platform, new_external_userid
from wecom.simulator.state import Contact

AVATAR_COLORS = ("#5b8ff9", "#4d9e8f", "#c58c4a", "#8a6fc0", "#c0657a", "#5f86a8")


async def message(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{from, to, text}` or `{from, to, msgtype, body}`: somebody says something.

    `to` is a customer, a member or a group.
    """
    msgtype = wish.get("msgtype", "text")
    body = {"content": wish["text"]} if msgtype == "text" else dict(wish["body"])
    if wish["to"] in platform.world.groups:
        group = platform.world.groups[wish["to"]]
        if not group.alive or wish["from"] not in group.members:
            raise ImpossibleError("不在群里，无法发言")
        if wish["from"] in platform.world.members:
            platform.check_wording(wish["from"], msgtype, body)
        said = platform.put_group_bubble(group.chat_id, wish["from"], msgtype, body, "group")
    else:
        said = platform.speak(wish["from"], wish["to"], msgtype, body)
        acquisition.heard(platform, said)
    # A rule that only warns lets the words through; the client tells the member.
    warned = "" if said.from_customer else platform.world.rules.verdict(wish["from"], said.text)[1]
    return {"msgid": said.msgid, "seq": said.seq, **({"warning": warned} if warned else {})}


async def add_contact(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """New friends, or half of it: the customer adds the member.

    `{userid, name, external_userid?, state?, gender?, add_way?, half?, welcome_code?: false,
    unionid?, wecom?: true, corp_name?}`; called again for a half-added customer it completes it.
    """
    contact = person(platform, wish)
    code = relations.befriend(
        platform,
        wish["userid"],
        contact,
        state=wish.get("state", ""),
        add_way=int(wish.get("add_way", 1)),
        half=bool(wish.get("half")),
        with_welcome=wish.get("welcome_code", True),
    )
    return {"external_userid": contact.external_userid, "welcome_code": code}


async def scan(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{config_id, name | external_userid, half?}`: a customer scans a code somebody made."""
    contact = person(platform, wish)
    half = bool(wish.get("half"))
    userid, code = acquisition.scan(platform, wish["config_id"], contact, half=half)
    return {
        "userid": userid,
        "external_userid": contact.external_userid,
        "welcome_code": code,
    }


async def tap_link(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{link_id, name | external_userid, channel?, accept?: false}`: a customer taps a link."""
    contact = person(platform, wish)
    channel, accept = wish.get("channel", ""), wish.get("accept", True)
    userid, code = acquisition.tap(platform, wish["link_id"], contact, channel, accept=accept)
    return {
        "userid": userid,
        "external_userid": contact.external_userid,
        "welcome_code": code,
    }


async def acquisition_event(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{change_type, …fields}`: any `customer_acquisition` event, with the given fields."""
    change = wish["change_type"]
    if change not in acquisition.EVENTS:
        raise ValueError(f"没有这种获客助手事件：{change}")
    fields = {name: str(value) for name, value in wish.items() if name != "change_type"}
    acquisition.tell(platform, change, **fields)
    return {}


async def delete_follow(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid, by?: "member"}`: the customer (or the member) ends it."""
    by_member = wish.get("by") == "member"
    relations.part(platform, wish["userid"], wish["external_userid"], by_member=by_member)
    return {}


async def edit_remark(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid, remark?, description?, mobiles?}`: edited in the client.

    Phone numbers alone make no callback.
    """
    follow = relations.friends(platform, wish["userid"], wish["external_userid"])
    follow.remark_mobiles = [str(mobile) for mobile in wish.get("mobiles", follow.remark_mobiles)]
    if "remark" in wish or "description" in wish:
        follow.remark = str(wish.get("remark", follow.remark))[:20]
        follow.description = str(wish.get("description", follow.description))[:150]
        relations.edited(platform, follow)
    platform.live.announce("follow", follow.userid, follow.external_userid)
    return {}


async def tag_customer(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid, add?: [tag_id], remove?: [tag_id]}`: tagged in the client."""
    follow = relations.friends(platform, wish["userid"], wish["external_userid"])
    known = {tag for group in platform.world.tag_groups.values() for tag in group.tags}
    if unknown := set(wish.get("add", [])) - known:
        raise ImpossibleError(f"没有这些企业标签：{'、'.join(sorted(unknown))}")
    kept = [tag for tag in follow.tags if tag not in wish.get("remove", [])]
    follow.tags = list(dict.fromkeys([*kept, *wish.get("add", [])]))
    relations.edited(platform, follow)
    return {}


async def agree_archive(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid, agree?: false}`: the customer answers the archiving question."""
    agrees = wish.get("agree", True)
    people = wish["userid"], wish["external_userid"]
    return {"welcome_code": relations.agree(platform, *people, agrees=agrees)}


async def resign(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid}`: the member leaves the bank."""
    relations.resign(platform, wish["userid"])
    return {}


async def finish_transfer(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{external_userid, reason?}`: a waiting handover happens now, or fails for a reason.

    Reasons: `customer_refused`, `customer_limit_exceed`.
    """
    transfer = _waiting(platform, wish["external_userid"])
    if reason := wish.get("reason"):
        if reason not in relations.REFUSALS:
            raise ValueError(f"没有这种失败原因：{reason}")
        relations.fail(platform, transfer, reason)
    else:
        relations.complete(platform, transfer)
    return {"transfer_status": transfer.status}


def person(platform: Platform, wish: dict[str, Any]) -> Contact:
    """The customer a wish names: the known one, else a new one."""
    new = f"wo{secrets.token_hex(15)}" if wish.get("wecom") else new_external_userid()
    external_userid = wish.get("external_userid") or new
    known = platform.world.contacts.get(external_userid)
    color = AVATAR_COLORS[len(platform.world.contacts) % len(AVATAR_COLORS)]
    return known or Contact(
        external_userid,
        wish.get("name") or "微信用户",
        int(wish.get("gender", 0)),
        color,
        kind=2 if external_userid.startswith("wo") else 1,
        unionid=wish.get("unionid", ""),
        corp_name=wish.get("corp_name", ""),
    )


def _waiting(platform: Platform, external_userid: str) -> Transfer:
    for transfer in platform.world.transfers:
        if transfer.external_userid == external_userid and transfer.status == WAITING:
            return transfer
    raise ImpossibleError("没有等待中的接替")


async def confirm_task(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{msgid, userid, skip?: [external_userid]}`: the member presses send on a mass-send task.

    With `allow_select` he may leave customers out.
    """
    task = mass_sending.confirm(platform, wish["msgid"], wish["userid"], wish.get("skip", []))
    return {"send_list": [dataclasses.asdict(t) for t in task.of(wish["userid"])]}


async def own_mass_send(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userids, text}`: a mass send the member makes himself; it uses quota."""
    people = wish["userid"], list(wish["external_userids"])
    return {"msgid": mass_sending.own(platform, *people, wish["text"]).msgid}


DUE = (relations.complete_due_transfers,)
CONTROLS: dict[str, Action] = {
    "message": message,
    "add_contact": add_contact,
    "scan": scan,
    "tap_link": tap_link,
    "acquisition_event": acquisition_event,
    "delete_follow": delete_follow,
    "edit_remark": edit_remark,
    "tag_customer": tag_customer,
    "agree_archive": agree_archive,
    "resign": resign,
    "finish_transfer": finish_transfer,
    "confirm_task": confirm_task,
    "own_mass_send": own_mass_send,
}
