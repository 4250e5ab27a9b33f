"""What members did with customers day by day (联系客户统计), counted from the world itself."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from wecom.simulator.api_call import Action, ApiError, Call
from wecom.simulator.platform import SHANGHAI
from wecom.simulator.state import Message, World

MEMBERS = 100
LONGEST_SPAN = timedelta(days=30)
KEPT = timedelta(days=180)
ROOT_PARTY = 1


async def get_user_behavior_data(call: Call) -> dict[str, Any]:
    """One row a day, the members asked for summed; at most thirty days of the last 180."""
    userids = _members(call)
    first, last = _days(call)
    rows = []
    while first <= last:
        rows.append(_row(call.world, userids, first))
        first += timedelta(days=1)
    return {"behavior_data": rows}


def _members(call: Call) -> list[str]:
    userids = call.texts("userid", most=MEMBERS)
    parties = call.body.get("partyid") or []
    if not isinstance(parties, list) or len(parties) > MEMBERS or not (userids or parties):
        raise ApiError(40058)
    if ROOT_PARTY in parties:
        userids = call.visible_members()
    return [call.member(userid) for userid in userids]


def _days(call: Call) -> tuple[date, date]:
    start, end = call.number("start_time"), call.number("end_time")
    if not start or end < start or end - start > LONGEST_SPAN.total_seconds():
        raise ApiError(41052)
    if call.now().timestamp() - start > KEPT.total_seconds():
        raise ApiError(41052)
    return _day(datetime.fromtimestamp(start, UTC)), _day(datetime.fromtimestamp(end, UTC))


def _row(world: World, userids: list[str], day: date) -> dict[str, Any]:
    follows = [f for f in world.follows.values() if f.userid in userids]
    begun = [f for f in follows if _day(f.created_at) == day]
    ended = [f for f in follows if f.deleted_at is not None and _day(f.deleted_at) == day]
    chats = list(_chats(world, userids, day))
    said = [m for chat in chats for m in chat if not m.from_customer]
    row: dict[str, Any] = {
        "stat_time": int(datetime.combine(day, time(), SHANGHAI).timestamp()),
        "new_apply_cnt": sum(f.oper_userid == f.userid for f in begun),
        "new_contact_cnt": len(begun),
        "chat_cnt": sum(any(not m.from_customer for m in chat) for chat in chats),
        "message_cnt": len(said),
        "negative_feedback_cnt": len(ended),
    }
    return row | _answered(chats)


def _answered(chats: list[list[Message]]) -> dict[str, Any]:
    """How many chats a customer began were answered and how fast; nothing when none was begun."""
    begun = [chat for chat in chats if chat[0].from_customer]
    if not begun:
        return {}
    waits = [
        (answer.at - chat[0].at).total_seconds()
        for chat in begun
        if (answer := next((m for m in chat if not m.from_customer), None))
    ]
    row: dict[str, Any] = {"reply_percentage": round(100 * len(waits) / len(begun), 2)}
    if waits:
        row["avg_reply_time"] = round(sum(waits) / len(waits) / 60)
    return row


def _chats(world: World, userids: list[str], day: date) -> Iterable[list[Message]]:
    for userid in userids:
        for follow in world.ever_followed(userid=userid):
            chat = [
                message
                for message in world.chat(userid, follow.external_userid)
                if message.via == "chat" and _day(message.at) == day
            ]
            if chat:
                yield chat


def _day(at: datetime) -> date:
    return at.astimezone(SHANGHAI).date()


POSTS: dict[str, Action] = {"externalcontact/get_user_behavior_data": get_user_behavior_data}
