"""Control verbs of customer groups."""

from typing import Any

from wecom.simulator import group_life
from wecom.simulator.control import Action
from wecom.simulator.control_customers import person
from wecom.simulator.groups import BY_CODE, BY_LINK, INVITED
from wecom.simulator.platform import ImpossibleError, Platform

SCENES = {"invite": INVITED, "link": BY_LINK, "code": BY_CODE}


async def create_group(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{owner, name, members?, customers?}`: a member opens a group in the client."""
    members, customers = list(wish.get("members", [])), list(wish.get("customers", []))
    group = group_life.create(platform, wish["owner"], wish["name"], members, customers)
    return {"chat_id": group.chat_id}


async def join_group(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id, userids, scene?: invite|link|code, invitor?, state?}`: people come in."""
    group_life.join(
        platform,
        group_life.find(platform, wish["chat_id"]),
        list(wish["userids"]),
        scene=SCENES[wish.get("scene", "invite")],
        invitor=wish.get("invitor", ""),
        state=wish.get("state", ""),
    )
    return {}


async def scan_group(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{config_id, name | external_userid}`: a customer scans a group's code."""
    contact = person(platform, wish)
    platform.world.contacts.setdefault(contact.external_userid, contact)
    group = group_life.scan(platform, wish["config_id"], contact.external_userid)
    return {"chat_id": group.chat_id, "external_userid": contact.external_userid}


async def leave_group(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id, userids, removed?: true}`: people go, or are removed."""
    group = group_life.find(platform, wish["chat_id"])
    removed = bool(wish.get("removed"))
    group_life.leave(platform, group, list(wish["userids"]), removed=removed)
    return {}


async def change_group(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id, name?, notice?, owner?}`: changed in the client, an event for each."""
    group = group_life.find(platform, wish["chat_id"])
    for field in ("name", "notice", "owner"):
        if field in wish:
            group_life.change(platform, group, f"change_{field}", str(wish[field]))
    return {}


async def dismiss_group(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id}`: the owner dismisses the group."""
    group_life.dismiss(platform, group_life.find(platform, wish["chat_id"]))
    return {}


async def group_welcome(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id, template_id}`: the owner switches a greeting on (an empty id: off)."""
    group = group_life.find(platform, wish["chat_id"])
    wanted = wish["template_id"]
    if wanted and wanted not in platform.world.group_welcomes:
        raise ImpossibleError("没有这个入群欢迎语")
    group.welcome = wanted
    platform.live.announce("group", group.owner)
    return {}


CONTROLS: dict[str, Action] = {
    "create_group": create_group,
    "join_group": join_group,
    "scan_group": scan_group,
    "leave_group": leave_group,
    "change_group": change_group,
    "dismiss_group": dismiss_group,
    "group_welcome": group_welcome,
}
