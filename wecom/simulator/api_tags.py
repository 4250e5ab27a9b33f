"""Corp tags by API (no callbacks), and the console's hand that makes them (with callbacks)."""

from typing import Any

from wecom.simulator import tagging
from wecom.simulator.api_call import Action, ApiError, Call
from wecom.simulator.channels import TagGroup
from wecom.simulator.control import Action as Verb
from wecom.simulator.platform import ImpossibleError, Platform

NAME = 30


async def get_corp_tag_list(call: Call) -> dict[str, Any]:
    """All tags, or those asked for; with both lists given the groups count."""
    wanted_tags = call.texts("tag_id", most=1000)
    wanted_groups = call.texts("group_id", most=1000)
    groups = list(call.world.tag_groups.values())
    if wanted_groups:
        return {"tag_group": [_row(g, None) for g in groups if g.group_id in wanted_groups]}
    if wanted_tags:
        found = [_row(group, wanted_tags) for group in groups if set(wanted_tags) & set(group.tags)]
        return {"tag_group": found}
    return {"tag_group": [_row(group, None) for group in groups]}


async def add_corp_tag(call: Call) -> dict[str, Any]:
    """New tags in a known or new group; 40071 when the group already has one of the name."""
    rows = call.body.get("tag")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ApiError(40063)
    names = [str(row.get("name", "")) for row in rows]
    if not all(0 < len(name) <= NAME for name in names):
        raise ApiError(40058)
    group = _group_for(call)
    if {tag.name for tag in group.tags.values()} & set(names) or len(set(names)) < len(names):
        raise ApiError(40071)
    held = sum(len(other.tags) for other in call.world.tag_groups.values())
    if held + len(names) > call.world.settings.corp_tags:
        raise ApiError(40126)
    orders = [int(row.get("order", 0)) for row in rows]
    made = tagging.add_tags(call.platform, group, names, orders)
    return {"tag_group": _row(group, [tag.tag_id for tag in made])}


async def edit_corp_tag(call: Call) -> dict[str, Any]:
    """Another name or order for a tag or a group."""
    group, tag = _found(call, call.text("id"))
    name = call.text("name")
    siblings = group.tags.values() if tag else call.world.tag_groups.values()
    if name and any(other.name == name and other is not (tag or group) for other in siblings):
        raise ApiError(40071)
    thing = tag or group
    thing.name = name or thing.name
    thing.order = call.number("order", thing.order)
    return {}


async def del_corp_tag(call: Call) -> dict[str, Any]:
    """Delete tags and whole groups."""
    wanted = [*call.texts("tag_id", most=1000), *call.texts("group_id", most=1000)]
    if not wanted:
        raise ApiError(40063)
    for one in wanted:
        _found(call, one)
    for one in wanted:
        tagging.remove(call.platform, one)
    return {}


async def create_tag(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{group, names: […]}`: made in the console; an event for a new group and for each tag."""
    known = tagging.group_named(platform, wish["group"])
    group = known or TagGroup(tagging.new_id(), wish["group"], platform.now())
    made = tagging.add_tags(platform, group, wish["names"])
    if known is None:
        tagging.tell(platform, "create", group.group_id, "tag_group")
    for tag in made:
        tagging.tell(platform, "create", tag.tag_id, "tag")
    return {"group_id": group.group_id, "tags": {tag.name: tag.tag_id for tag in made}}


async def rename_tag(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{id, name}`: a tag or group gets another name in the console."""
    group, tag = tagging.find(platform, wish["id"])
    (tag or group).name = str(wish["name"])[:NAME]
    tagging.tell(platform, "update", wish["id"], "tag" if tag else "tag_group")
    return {}


async def delete_tag(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{id}`: a tag or group is deleted in the console."""
    group, tag = tagging.find(platform, wish["id"])
    emptied = tagging.remove(platform, wish["id"])
    tagging.tell(platform, "delete", wish["id"], "tag" if tag else "tag_group")
    if tag and emptied:
        tagging.tell(platform, "delete", group.group_id, "tag_group")
    return {}


async def shuffle_tags(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{id}`: the tags of a group are put into another order; the event names no type."""
    group, _ = tagging.find(platform, wish["id"])
    for order, tag in enumerate(reversed(group.tags.values())):
        tag.order = order
    tagging.tell(platform, "shuffle", group.group_id)
    return {}


def _group_for(call: Call) -> TagGroup:
    group_id, name = call.text("group_id"), call.text("group_name")
    if group_id:
        if group_id not in call.world.tag_groups:
            raise ApiError(40068)
        return call.world.tag_groups[group_id]
    if not 0 < len(name) <= NAME:
        raise ApiError(40058)
    known = tagging.group_named(call.platform, name)
    return known or TagGroup(tagging.new_id(), name, call.now(), call.number("order"))


def _found(call: Call, wanted: str) -> Any:
    try:
        return tagging.find(call.platform, wanted)
    except ImpossibleError:
        raise ApiError(40068) from None


def _row(group: TagGroup, only: list[str] | None) -> dict[str, Any]:
    tags = [tag for tag in group.tags.values() if only is None or tag.tag_id in only]
    return {
        "group_id": group.group_id,
        "group_name": group.name,
        "create_time": int(group.created_at.timestamp()),
        "order": group.order,
        "deleted": False,
        "tag": [
            {
                "id": tag.tag_id,
                "name": tag.name,
                "create_time": int(tag.created_at.timestamp()),
                "order": tag.order,
                "deleted": False,
            }
            for tag in sorted(tags, key=lambda tag: -tag.order)
        ],
    }


POSTS: dict[str, Action] = {
    "externalcontact/get_corp_tag_list": get_corp_tag_list,
    "externalcontact/add_corp_tag": add_corp_tag,
    "externalcontact/edit_corp_tag": edit_corp_tag,
    "externalcontact/del_corp_tag": del_corp_tag,
}
CONTROLS: dict[str, Verb] = {
    "create_tag": create_tag,
    "rename_tag": rename_tag,
    "delete_tag": delete_tag,
    "shuffle_tags": shuffle_tags,
}
