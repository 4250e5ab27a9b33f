"""What the play page shows: the customer's phone and the member's desktop, as plain values."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any

from wecom.simulator.card_view import card_view
from wecom.simulator.group_view import codes, group_chat, group_rows
from wecom.simulator.moment_view import moment_stream, moment_tasks
from wecom.simulator.platform import Platform
from wecom.simulator.robot_view import robot_view
from wecom.simulator.state import AppMessage, FollowRelation, MassTask, Message, World, pair

BUBBLES = 200
NOTICES = 60
# The badge says 99+ from here on.
MANY_UNREAD = 100


def play_view(
    platform: Platform, *, customer: str, peer: str, member: str, opened: str
) -> dict[str, Any]:
    """Everything on the page: the phone of `customer` with the chat to `peer` open, and the
    desktop of `member` with the chat to `opened` open (either may be empty: none open)."""
    world = platform.world
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
        "threads": _newest_first([*_threads(world, customer), *group_rows(world, customer)]),
        "phone_chat": group_chat(world, peer, customer)
        if peer in world.groups
        else _chat(world, peer, customer),
        "conversations": _newest_first(
            [*_conversations(world, member), *group_rows(world, member)]
        ),
        "desk_chat": group_chat(world, opened, member)
        if opened in world.groups
        else _chat(world, member, opened),
        "codes": codes(platform),
        "asks_consent": world.settings.ask_consent,
        "tasks": [_task(world, task, member) for task in _newest(world, member)],
        "notices": [
            _notice(platform, m) for m in reversed(world.app_messages) if m.userid == member
        ][:NOTICES],
        "moments": moment_tasks(platform, member),
        "stream": moment_stream(platform, customer),
        "robot": robot_view(platform, member),
    }


def _newest_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["at"]), reverse=True)


def _threads(world: World, customer: str) -> list[dict[str, Any]]:
    rows = []
    for follow in world.ever_followed(external_userid=customer):
        member = world.members[follow.userid]
        rows.append({"id": member.userid, "name": member.name, **_row(world, follow, "customer")})
    return rows


def _conversations(world: World, userid: str) -> list[dict[str, Any]]:
    rows = []
    for follow in world.ever_followed(userid=userid):
        contact = world.contacts[follow.external_userid]
        rows.append(
            {
                "id": contact.external_userid,
                "name": contact.name,
                "color": contact.avatar_color,
                "remark": follow.remark,
                **_row(world, follow, "member"),
            }
        )
    return rows


def _row(world: World, follow: FollowRelation, side: str) -> dict[str, Any]:
    key = pair(follow.userid, follow.external_userid)
    chat = world.chat(follow.userid, follow.external_userid)
    seen = world.read_marks.get(f"{side}/{key}", 0)
    mine = side == "customer"
    last = chat[-1] if chat else None
    return {
        "text": last.text if last else "",
        "at": _iso(max(last.at, follow.created_at) if last else follow.created_at),
        "unread": _unread(chat, seen, mine),
        "alive": follow.alive,
    }


def _unread(chat: list[Message], seen: int, from_customer: bool) -> int:
    count = 0
    for message in reversed(chat):
        if message.seq <= seen or count >= MANY_UNREAD:
            break
        count += message.from_customer != from_customer
    return count


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
        "consent": follow.consent,
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
    mine = (t for t in reversed(world.tasks.values()) if t.of(userid) and not t.creator)
    return islice(mine, NOTICES)


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
        "unit": "个客户群" if task.chat_type == "group" else "位客户",
        "customers": [
            world.groups[t.chat_id].name if t.chat_id else world.contacts[t.external_userid].name
            for t in targets
        ],
        "confirmed_at": _iso(confirmed) if confirmed else None,
        "cancelled": task.cancelled_at is not None,
        "reminded": len(task.reminded),
        "sent": sum(t.status == 1 for t in targets),
        "not_friend": sum(t.status == 2 for t in targets),
        "over_quota": sum(t.status == 3 for t in targets),
    }


def _notice(platform: Platform, message: AppMessage) -> dict[str, Any]:
    card = card_view(platform, message)
    body = message.body
    title, text = body.get("title", ""), body.get("content") or body.get("description", "")
    url = body.get("url", "")
    if message.msgtype == "news" and body.get("articles"):
        first = body["articles"][0]
        title, text, url = first.get("title", ""), first.get("description", ""), first.get("url")
    if card:
        title, text, url = card["title"], card["desc"] or card["text"], card["url"]
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
        "card": card,
    }


def _iso(at: datetime) -> str:
    return at.isoformat()
