"""Customer groups by API: listed, read, counted, given to another owner. Never made or written."""

from datetime import datetime, timedelta
from typing import Any

from wecom.simulator import group_life
from wecom.simulator.api_call import Action, ApiError, Call, page_of
from wecom.simulator.groups import CUSTOMER, Group
from wecom.simulator.platform import SHANGHAI

OWNERS, MOST_VISIBLE = 100, 1000
TRANSFERS, WITHIN = 2, timedelta(days=90)
LONGEST_SPAN, OLDEST = timedelta(days=30), timedelta(days=180)


async def list_groups(call: Call) -> dict[str, Any]:
    """The groups of the owners asked for; those of owners out of range are silently missing."""
    status = call.number("status_filter")
    owners = _owners(call)
    if owners is None and len(call.visible_members()) > MOST_VISIBLE:
        raise ApiError(81017)
    limit = call.body.get("limit")
    if not isinstance(limit, int) or not 1 <= limit <= 1000:
        raise ApiError(40058)
    found = [
        {"chat_id": group.chat_id, "status": group.status}
        for group in call.world.groups.values()
        if group.alive and _in_range(call, group, owners) and status in (0, group.status)
    ]
    page, following = page_of(found, call.text("cursor"), limit)
    answer: dict[str, Any] = {"group_chat_list": page}
    return {**answer, "next_cursor": following} if following else answer


async def get_group(call: Call) -> dict[str, Any]:
    """A group with its members; for two seconds after a change still what was before it."""
    group = call.world.groups.get(call.text("chat_id"))
    if group is None or not group.alive:
        raise ApiError(40050)
    if not call.app.sees(group.owner):
        raise ApiError(60011)
    facts = group_life.visible_facts(call.platform, group)
    if not call.body.get("need_name"):
        return {"group_chat": facts}
    rows = [{**row, **_person(call, row["userid"])} for row in facts["member_list"]]
    return {"group_chat": {**facts, "member_list": rows}}


async def statistic(call: Call) -> dict[str, Any]:
    """Figures of a period by owner."""
    begin, end = _period(call)
    owners = _owners(call)
    if owners is None:
        raise ApiError(40058)
    items = [
        {"owner": owner, "data": _figures(call, [owner], begin, end)}
        for owner in owners
        if call.sees(owner)
    ]
    offset = call.number("offset")
    page = items[offset : offset + call.limit(default=500, most=1000)]
    return {"total": len(items), "next_offset": offset + len(page), "items": page}


async def statistic_by_day(call: Call) -> dict[str, Any]:
    """The figures of all asked owners together, day by day."""
    begin, end = _period(call)
    owners = [owner for owner in _owners(call) or call.visible_members() if call.sees(owner)]
    items = []
    while begin < end:
        following = begin + timedelta(days=1)
        row = _figures(call, owners, begin, following)
        items.append({"stat_time": int(begin.timestamp()), "data": row})
        begin = following
    return {"items": items}


async def transfer(call: Call) -> dict[str, Any]:
    """Give the groups of owners who have left to somebody else (90500 while they are here)."""
    return _transfer(call, resigned=True)


async def onjob_transfer(call: Call) -> dict[str, Any]:
    """Give groups to another owner in service; twice in 90 days, no more."""
    return _transfer(call, resigned=False)


async def opengid_to_chatid(call: Call) -> dict[str, Any]:
    """The chat id behind the id a mini program sees (here the two are spelt alike)."""
    wanted = call.text("opengid")
    if wanted not in call.world.groups:
        raise ApiError(40058)
    return {"chat_id": wanted}


def _owners(call: Call) -> list[str] | None:
    wanted = call.body.get("owner_filter")
    if wanted is None:
        return None
    listed = wanted.get("userid_list") if isinstance(wanted, dict) else None
    if not isinstance(listed, list) or not 1 <= len(listed) <= OWNERS:
        raise ApiError(40058)
    return [str(userid) for userid in listed]


def _in_range(call: Call, group: Group, owners: list[str] | None) -> bool:
    known = group.owner in call.world.members and call.app.sees(group.owner)
    return known and (owners is None or group.owner in owners)


def _person(call: Call, userid: str) -> dict[str, str]:
    contact = call.world.contacts.get(userid)
    if contact is None:
        return {"name": call.world.members[userid].name}
    return {"name": contact.name, **({"unionid": contact.unionid} if contact.unionid else {})}


def _period(call: Call) -> tuple[datetime, datetime]:
    begin = _day(call.number("day_begin_time"))
    last = call.number("day_end_time")
    end = (_day(last) if last else begin) + timedelta(days=1)
    if not begin < end <= begin + LONGEST_SPAN + timedelta(days=1):
        raise ApiError(40058)
    if begin < call.now() - OLDEST:
        raise ApiError(40058)
    return begin, end


def _day(timestamp: int) -> datetime:
    at = datetime.fromtimestamp(timestamp, SHANGHAI)
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _figures(call: Call, owners: list[str], begin: datetime, end: datetime) -> dict[str, int]:
    groups = [
        group
        for group in call.world.groups.values()
        if group.owner in owners and group.alive and group.created_at < end
    ]
    members = [m for group in groups for m in group.members.values() if m.joined_at < end]
    said = [
        message
        for group in groups
        for message in call.world.group_chat(group.chat_id)
        if begin <= message.at < end
    ]
    speakers = {(m.chat_id, m.userid or m.external_userid) for m in said}
    return {
        "new_chat_cnt": sum(begin <= group.created_at for group in groups),
        "chat_total": len(groups),
        "chat_has_msg": len({message.chat_id for message in said}),
        "new_member_cnt": sum(m.joined_at >= begin and m.kind == CUSTOMER for m in members),
        "member_total": len(members),
        "member_has_msg": len(speakers),
        "msg_total": len(said),
    }


def _transfer(call: Call, *, resigned: bool) -> dict[str, Any]:
    chat_ids = call.texts("chat_id_list", most=100)
    new_owner = call.text("new_owner")
    if not chat_ids or not new_owner:
        raise ApiError(40058)
    call.member(new_owner)
    failed = []
    for chat_id in chat_ids:
        if code := _refusal(call, chat_id, new_owner, resigned):
            text = "transfer failed"
            failed.append({"chat_id": chat_id, "errcode": code, "errmsg": text})
        else:
            _give(call, call.world.groups[chat_id], new_owner, resigned)
    return {"failed_chat_list": failed}


def _refusal(call: Call, chat_id: str, new_owner: str, resigned: bool) -> int:
    group = call.world.groups.get(chat_id)
    if group is None or not group.alive:
        return 90501
    gone = group.owner in call.world.resigned
    if resigned and not gone:
        return 90508 if group.status == 3 else 90500
    if not resigned and gone:
        return 90502
    if group.owner == new_owner:
        return 90504
    recent = [at for at in group.transferred if at > call.now() - WITHIN]
    return 90509 if not resigned and len(recent) >= TRANSFERS else 0


def _give(call: Call, group: Group, new_owner: str, resigned: bool) -> None:
    if new_owner not in group.members:
        group_life.join(call.platform, group, [new_owner])
    group.transferred.append(call.now())
    group.status = 3 if resigned else 0
    group_life.change(call.platform, group, "change_owner", new_owner)


POSTS: dict[str, Action] = {
    "externalcontact/groupchat/list": list_groups,
    "externalcontact/groupchat/get": get_group,
    "externalcontact/groupchat/statistic": statistic,
    "externalcontact/groupchat/statistic_group_by_day": statistic_by_day,
    "externalcontact/groupchat/transfer": transfer,
    "externalcontact/groupchat/onjob_transfer": onjob_transfer,
    "externalcontact/opengid_to_chatid": opengid_to_chatid,
}
