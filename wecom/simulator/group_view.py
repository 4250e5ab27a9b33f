"""Customer groups and codes as the play page shows them, as plain values."""

from itertools import islice
from typing import Any

from wecom.simulator.groups import Group
from wecom.simulator.platform import Platform
from wecom.simulator.state import Message, World

BUBBLES = 200
CODES = 30
MANY_UNREAD = 100


def group_rows(world: World, person: str) -> list[dict[str, Any]]:
    """The groups somebody is in, with their last words."""
    rows = []
    for group in world.groups.values():
        if person not in group.members:
            continue
        chat = world.group_chat(group.chat_id)
        seen = world.read_marks.get(f"group/{group.chat_id}/{person}", 0)
        last = chat[-1] if chat else None
        rows.append(
            {
                "kind": "group",
                "id": group.chat_id,
                "name": group.name,
                "color": "#5f86a8",
                "remark": "",
                "text": f"{_speaker(world, last)[1]}：{last.text}" if last else "",
                "at": (last.at if last else group.created_at).isoformat(),
                "unread": _unread(chat, seen, person),
                "alive": group.alive,
            }
        )
    return rows


def group_chat(world: World, chat_id: str, person: str) -> dict[str, Any] | None:
    """A group as one of its members has it open; nothing for anybody else."""
    group = world.groups.get(chat_id)
    if group is None or person not in group.members:
        return None
    return {
        "kind": "group",
        "chat_id": chat_id,
        "viewer": person,
        "name": group.name,
        "owner": group.owner,
        "notice": group.notice,
        "members": [_member(world, userid) for userid in group.members],
        "since": group.created_at.isoformat(),
        "alive": group.alive,
        "bubbles": [_bubble(world, m, person) for m in _heard(world, group, person)],
    }


def codes(platform: Platform) -> list[dict[str, str]]:
    """The codes and links made by API, newest first: what a customer can scan or tap."""
    world = platform.world
    ways = [
        {
            "verb": "scan",
            "field": "config_id",
            "id": way.config_id,
            "title": way.remark or "联系我二维码",
            "note": "、".join(world.members[userid].name for userid in way.users[:3]),
            "state": way.state,
        }
        for way in islice(reversed(world.contact_ways.values()), CODES)
    ]
    joins = [
        {
            "verb": "scan_group",
            "field": "config_id",
            "id": way.config_id,
            "title": way.remark or "群二维码",
            "note": "、".join(world.groups[chat_id].name for chat_id in way.chat_ids),
            "state": way.state,
        }
        for way in islice(reversed(world.join_ways.values()), CODES)
    ]
    links = [
        {
            "verb": "tap_link",
            "field": "link_id",
            "id": link.link_id,
            "title": link.name,
            "note": "获客链接 "
            + "、".join(world.members[userid].name for userid in link.users[:3]),
            "state": "",
        }
        for link in islice(reversed(world.links.values()), CODES)
        if link.deleted_at is None
    ]
    return [*ways, *joins, *links]


def _heard(world: World, group: Group, person: str) -> list[Message]:
    newest = world.group_chat(group.chat_id)[-BUBBLES:]
    return [m for m in newest if person in m.audience or person == _speaker(world, m)[0]]


def _unread(chat: list[Message], seen: int, person: str) -> int:
    count = 0
    for message in reversed(chat):
        if message.seq <= seen or count >= MANY_UNREAD:
            break
        count += person in message.audience
    return count


def _bubble(world: World, message: Message, viewer: str) -> dict[str, Any]:
    speaker, name, color = _speaker(world, message)
    return {
        "seq": message.seq,
        "speaker": name,
        "color": color,
        "mine": speaker == viewer,
        "msgtype": message.msgtype,
        "body": message.body,
        "text": message.text,
        "via": message.via,
        "at": message.at.isoformat(),
    }


def _member(world: World, userid: str) -> dict[str, str]:
    contact = world.contacts.get(userid)
    if contact is not None:
        return {
            "id": userid,
            "name": contact.name,
            "color": contact.avatar_color,
            "kind": "customer",
        }
    return {"id": userid, "name": world.members[userid].name, "color": "", "kind": "member"}


def _speaker(world: World, message: Message) -> tuple[str, str, str]:
    row = _member(world, message.external_userid or message.userid)
    return row["id"], row["name"], row["color"]
