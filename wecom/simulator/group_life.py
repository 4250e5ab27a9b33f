"""Customer groups as people live them: made, joined, left, renamed, dismissed; with callbacks."""

import secrets
from typing import Any

from wecom.simulator.groups import (
    BY_CODE,
    CUSTOMER,
    INVITED,
    MEMBER,
    Group,
    GroupMember,
    JoinWay,
    new_version,
)
from wecom.simulator.platform import ImpossibleError, Platform

LEFT, REMOVED = 0, 1


def create(
    platform: Platform, owner: str, name: str, members: list[str], customers: list[str]
) -> Group:
    """The owner opens a group with colleagues and customers; only `create` is told."""
    if owner not in platform.world.members:
        raise ImpossibleError("没有这个成员")
    chat_id = "wr" + secrets.token_urlsafe(22).replace("-", "A").replace("_", "B")
    group = Group(chat_id, name, owner, platform.now())
    for userid in dict.fromkeys([owner, *members, *customers]):
        _enter(platform, group, userid, INVITED, owner, "")
    platform.world.groups[chat_id] = group
    _tell(platform, group, "create")
    return group


def find(platform: Platform, chat_id: str) -> Group:
    """The living group, or ImpossibleError."""
    group = platform.world.groups.get(chat_id)
    if group is None or not group.alive:
        raise ImpossibleError("没有这个客户群")
    return group


def join(
    platform: Platform,
    group: Group,
    userids: list[str],
    *,
    scene: int = INVITED,
    invitor: str = "",
    state: str = "",
) -> None:
    """People come in; one event for all of them, and the group's greeting if it has one."""
    new = [userid for userid in userids if userid not in group.members]
    if not new:
        raise ImpossibleError("已经在群里")
    if len(group.members) + len(new) > platform.world.settings.group_size:
        raise ImpossibleError("群成员已达上限")
    _remember(platform, group)
    for userid in new:
        _enter(platform, group, userid, scene, invitor or group.owner, state)
    joined = BY_CODE if scene == BY_CODE else 0
    _membership(platform, group, "add_member", new, JoinScene=joined)
    welcome = platform.world.group_welcomes.get(group.welcome)
    if welcome and any(userid in platform.world.contacts for userid in new):
        names = "、".join(_name(platform, userid) for userid in new)
        text = welcome.text.replace("%NICKNAME%", names)
        attachments = [welcome.attachment] if welcome.attachment else []
        platform.put_bubbles(group.owner, group.chat_id, text, attachments, "welcome")


def scan(platform: Platform, config_id: str, external_userid: str) -> Group:
    """A customer scans a group's code and lands in the first group with room, or a new one."""
    way = platform.world.join_ways.get(config_id)
    if way is None:
        raise ImpossibleError("二维码已失效")
    groups = [platform.world.groups[chat_id] for chat_id in way.chat_ids]
    living = [group for group in groups if group.alive]
    if not living:
        raise ImpossibleError("二维码没有可加入的群")
    if any(external_userid in group.members for group in living):
        raise ImpossibleError("已经在群里")
    size = platform.world.settings.group_size
    roomy = [group for group in living if len(group.members) < size]
    if not roomy and not way.auto_create_room:
        raise ImpossibleError("群成员已达上限")
    group = roomy[0] if roomy else _next_room(platform, way, living[-1])
    join(platform, group, [external_userid], scene=BY_CODE, state=way.state)
    return group


def leave(platform: Platform, group: Group, userids: list[str], *, removed: bool = False) -> None:
    """People go, or are removed by the owner."""
    gone = [userid for userid in userids if userid in group.members]
    if not gone:
        raise ImpossibleError("不在群里")
    _remember(platform, group)
    for userid in gone:
        del group.members[userid]
        if userid in group.admins:
            group.admins.remove(userid)
    _membership(platform, group, "del_member", gone, QuitScene=REMOVED if removed else LEFT)


def change(platform: Platform, group: Group, detail: str, value: str) -> None:
    """Another owner, name or notice: `detail` is change_owner, change_name or change_notice."""
    if detail == "change_owner" and value not in group.members:
        raise ImpossibleError("新群主须在群里")
    _remember(platform, group)
    setattr(group, detail.removeprefix("change_"), value)
    _tell(platform, group, "update", UpdateDetail=detail, JoinScene=0, QuitScene=0, MemChangeCnt=0)


def dismiss(platform: Platform, group: Group) -> None:
    """The owner dismisses the group."""
    group.dismissed_at = platform.now()
    _tell(platform, group, "dismiss")


def facts(group: Group) -> dict[str, Any]:
    """What `groupchat/get` answers about the group, names left out."""
    rows = []
    for one in group.members.values():
        row: dict[str, Any] = {
            "userid": one.userid,
            "type": one.kind,
            "join_time": int(one.joined_at.timestamp()),
            "join_scene": one.join_scene,
            "invitor": {"userid": one.invitor},
            "group_nickname": one.nickname,
        }
        if one.state:
            row["state"] = one.state
        if one.join_scene == BY_CODE:
            del row["invitor"]
        rows.append(row)
    return {
        "chat_id": group.chat_id,
        "name": group.name,
        "owner": group.owner,
        "create_time": int(group.created_at.timestamp()),
        "notice": group.notice,
        "member_list": rows,
        "admin_list": [{"userid": userid} for userid in group.admins],
        "member_version": group.version,
    }


def _enter(
    platform: Platform, group: Group, userid: str, scene: int, invitor: str, state: str
) -> None:
    world = platform.world
    if userid not in world.members and userid not in world.contacts:
        raise ImpossibleError(f"没有这个人：{userid}")
    kind = MEMBER if userid in world.members else CUSTOMER
    came = GroupMember(userid, kind, platform.now(), scene, invitor, "", state)
    group.members[userid] = came


def _next_room(platform: Platform, way: JoinWay, full: Group) -> Group:
    name = f"{way.room_base_name or full.name}{way.room_base_id}"
    way.room_base_id += 1
    group = create(platform, full.owner, name, [], [])
    way.chat_ids = [*way.chat_ids, group.chat_id][-5:]
    return group


def _membership(
    platform: Platform, group: Group, detail: str, changed: list[str], **scene: int
) -> None:
    last, group.version = group.version, new_version()
    fields: dict[str, Any] = {"UpdateDetail": detail, "JoinScene": 0, "QuitScene": 0, **scene}
    fields["MemChangeCnt"] = len(changed)
    if platform.world.settings.group_member_list:
        fields["MemChangeList"] = {"Item": changed}
        fields["LastMemVer"], fields["CurMemVer"] = last, group.version
    _tell(platform, group, "update", **fields)


def _remember(platform: Platform, group: Group) -> None:
    """Keep what readers still see: details follow the event after about two seconds."""
    group.before, group.changed_at = visible_facts(platform, group), platform.now()


def visible_facts(platform: Platform, group: Group) -> dict[str, Any]:
    """What a reader sees now: the state before the last change while it is still settling."""
    lag = platform.world.settings.group_lag_seconds
    if group.before is None or group.changed_at is None:
        return facts(group)
    settling = (platform.now() - group.changed_at).total_seconds() < lag
    return group.before if settling else facts(group)


def _tell(platform: Platform, group: Group, change_type: str, **fields: Any) -> None:
    whole = {"ChatId": group.chat_id, "ChangeType": change_type, **fields}
    platform.line.system_event("change_external_chat", whole, member=group.owner)
    platform.live.announce("group", group.owner)


def _name(platform: Platform, userid: str) -> str:
    contact = platform.world.contacts.get(userid)
    return contact.name if contact else platform.world.members[userid].name
