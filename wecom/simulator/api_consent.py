"""Who has an archive seat, and which customers have agreed to be archived (会话内容存档)."""

from datetime import datetime
from typing import Any

from wecom.simulator.api_call import Action, ApiError, Call

PAIRS = 100
AGREE, DISAGREE = "Agree", "Disagree"


async def get_permit_user_list(call: Call) -> dict[str, Any]:
    """The members with an archive seat; `type` is the edition (1, 2 or 3), all when absent."""
    if "type" in call.body and call.number("type") not in (1, 2, 3):
        raise ApiError(40058)
    seats = call.world.settings.archive_seats
    return {"ids": list(call.world.members) if seats is None else seats}


async def check_single_agree(call: Call) -> dict[str, Any]:
    """Whether each customer agreed towards each member; the field is spelt `exteranalopenid`."""
    asked = call.body.get("info")
    if not isinstance(asked, list) or not 1 <= len(asked) <= PAIRS:
        raise ApiError(40058)
    rows = []
    for one in asked:
        if not isinstance(one, dict) or not {"userid", "exteranalopenid"} <= one.keys():
            raise ApiError(40058)
        people = str(one["userid"]), str(one["exteranalopenid"])
        rows.append(_status(call, *people))
    return {"agreeinfo": rows}


async def check_room_agree(call: Call) -> dict[str, Any]:
    """Whether each customer in the group agreed (towards its owner)."""
    group = call.world.groups.get(call.text("roomid"))
    if group is None:
        raise ApiError(301059)
    rows = [_status(call, group.owner, customer) for customer in group.customers]
    return {"agreeinfo": [{k: v for k, v in row.items() if k != "userid"} for row in rows]}


def _status(call: Call, userid: str, external_userid: str) -> dict[str, Any]:
    follow = call.world.follow(userid, external_userid)
    agreed = call.platform.archives(userid, external_userid)
    changed: datetime | None = None
    if follow is not None:
        changed = follow.consent_at or follow.created_at
        agreed = follow.consent if follow.consent is not None else agreed
    return {
        "status_change_time": int(changed.timestamp()) if changed else 0,
        "userid": userid,
        "exteranalopenid": external_userid,
        "agree_status": AGREE if agreed else DISAGREE,
    }


POSTS: dict[str, Action] = {
    "msgaudit/get_permit_user_list": get_permit_user_list,
    "msgaudit/check_single_agree": check_single_agree,
    "msgaudit/check_room_agree": check_room_agree,
}
