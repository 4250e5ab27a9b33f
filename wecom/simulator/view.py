"""What the play page shows: the customer's phone and the member's desktop, as plain values."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from wecom.simulator.platform import Platform
from wecom.simulator.state import AppMessage, FollowRelation, MassTask, Message, World, pair

BUBBLES = 200
NOTICES = 60

Chats = dict[str, list[Message]]


def play_view(
    platform: Platform, *, customer: str, peer: str, member: str, opened: str
) -> dict[str, Any]:
    """Everything on the page: the phone of `customer` with the chat to `peer` open, and the
    desktop of `member` with the chat to `opened` open (either may be empty: none open)."""
    world = platform.world
    chats = _chats(world)
    return {
        "customers": [
            {"id": c.external_userid, "name": c.name, "color": c.avatar_color}
            for c in world.contacts.values()
        ],
        "members": [
            {
                "id": m.userid,
                "name": m.name,
                "department": m.department or platform.corp.name,
                "position": m.position,
                "friend": world.follow(m.userid, customer) is not None,
            }
            for m in world.members.values()
        ],
        "threads": _threads(world, chats, customer),
        "phone_chat": _chat(world, peer, customer),
        "conversations": _conversations(world, chats, member),
        "desk_chat": _chat(world, member, opened),
        "tasks": [_task(world, task, member) for task in _newest(world, member)],
        "notices": [_notice(m) for m in reversed(world.app_messages) if m.userid == member][
            :NOTICES
        ],
    }


def _chats(world: World) -> Chats:
    chats: Chats = {}
    for message in world.messages:
        chats.setdefault(pair(message.userid, message.external_userid), []).append(message)
    return chats


def _threads(world: World, chats: Chats, customer: str) -> list[dict[str, Any]]:
    rows = []
    for follow in world.follows.values():
        if follow.external_userid != customer:
            continue
        member = world.members[follow.userid]
        rows.append(
            {"id": member.userid, "name": member.name, **_row(world, chats, follow, "customer")}
        )
    return sorted(rows, key=lambda row: str(row["at"]), reverse=True)


def _conversations(world: World, chats: Chats, userid: str) -> list[dict[str, Any]]:
    rows = []
    for follow in world.follows.values():
        if follow.userid != userid:
            continue
        contact = world.contacts[follow.external_userid]
        rows.append(
            {
                "id": contact.external_userid,
                "name": contact.name,
                "color": contact.avatar_color,
                "remark": follow.remark,
                **_row(world, chats, follow, "member"),
            }
        )
    return sorted(rows, key=lambda row: str(row["at"]), reverse=True)


def _row(world: World, chats: Chats, follow: FollowRelation, side: str) -> dict[str, Any]:
    key = pair(follow.userid, follow.external_userid)
    chat = chats.get(key, [])
    seen = world.read_marks.get(f"{side}/{key}", 0)
    mine = side == "customer"
    last = chat[-1] if chat else None
    return {
        "text": last.text if last else "",
        "at": _iso(max(last.at, follow.created_at) if last else follow.created_at),
        "unread": sum(m.seq > seen and m.from_customer != mine for m in chat),
        "alive": follow.alive,
    }


def _chat(world: World, userid: str, external_userid: str) -> dict[str, Any] | None:
    follow = world.follows.get(pair(userid, external_userid))
    if follow is None:
        return None
    contact, member = world.contacts[external_userid], world.members[userid]
    return {
        "userid": userid,
        "member": member.name,
        "external_userid": external_userid,
        "customer": contact.name,
        "color": contact.avatar_color,
        "remark": follow.remark,
        "state": follow.state,
        "since": _iso(follow.created_at),
        "alive": follow.alive,
        "bubbles": [_bubble(m) for m in world.chat(userid, external_userid)[-BUBBLES:]],
    }


def _bubble(message: Message) -> dict[str, Any]:
    return {
        "seq": message.seq,
        "from_customer": message.from_customer,
        "msgtype": message.msgtype,
        "body": message.body,
        "text": message.text,
        "via": message.via,
        "at": _iso(message.at),
    }


def _newest(world: World, userid: str) -> Iterable[MassTask]:
    return (task for task in reversed(world.tasks.values()) if task.of(userid))


def _task(world: World, task: MassTask, userid: str) -> dict[str, Any]:
    targets = task.of(userid)
    confirmed = task.confirmed.get(userid)
    return {
        "id": task.msgid,
        "at": _iso(task.created_at),
        "text": task.text,
        "attachments": [
            {"msgtype": a["msgtype"], "title": a[a["msgtype"]].get("title", "")}
            for a in task.attachments
        ],
        "customers": [world.contacts[t.external_userid].name for t in targets],
        "confirmed_at": _iso(confirmed) if confirmed else None,
        "cancelled": task.cancelled_at is not None,
        "reminded": len(task.reminded),
        "sent": sum(t.status == 1 for t in targets),
        "not_friend": sum(t.status == 2 for t in targets),
        "over_quota": sum(t.status == 3 for t in targets),
    }


def _notice(message: AppMessage) -> dict[str, Any]:
    body = message.body
    title, text = body.get("title", ""), body.get("content") or body.get("description", "")
    url = body.get("url", "")
    details: list[dict[str, str]] = []
    if message.msgtype == "news" and body.get("articles"):
        first = body["articles"][0]
        title, text, url = first.get("title", ""), first.get("description", ""), first.get("url")
    if message.msgtype == "template_card":
        heading = body.get("main_title") or {}
        title, text = heading.get("title", ""), heading.get("desc") or body.get("sub_title_text")
        url = (body.get("card_action") or {}).get("url", "")
        details = [
            {"name": str(row.get("keyname", "")), "value": str(row.get("value", ""))}
            for row in body.get("horizontal_content_list", [])
        ]
    return {
        "id": message.msgid,
        "source": message.source,
        "msgtype": message.msgtype,
        "at": _iso(message.at),
        "read": message.read,
        "title": title,
        "text": text or "",
        "url": url or "",
        "button": body.get("btntxt") or "查看详情",
        "details": details,
    }


def _iso(at: datetime) -> str:
    return at.isoformat()
