"""Moments over the server API: the corp asks, members publish, customers see and react."""

import secrets
from datetime import timedelta
from typing import Any

from wecom.simulator.api_call import ERRORS, Action, ApiError, Call, page_of
from wecom.simulator.attachments import LINK_TITLE_MOMENT, TEXT_BYTES, attached_media, title_within
from wecom.simulator.moment_state import Moment, MomentBoard, Reaction
from wecom.simulator.platform import ImpossibleError, Platform

TEXT_CHARACTERS = 2000
IMAGES = 9
SENDERS = 100_000
LONGEST_SPAN = timedelta(days=30)
JOB_LIFE = timedelta(hours=24)

ERRORS.update(
    {
        41059: "missing moment_id",
        41060: "invalid moment_id",
        41061: "invalid userid of moment",
        41062: "moment is not published by the user",
        41067: "invalid moment type",
        41078: "too many async jobs",
        41079: "moment is dispatching",
        41089: "moment text and attachments are both empty",
        41090: "invalid video format",
    }
)


async def add_moment_task(call: Call) -> dict[str, Any]:
    """Ask members to publish a moment; answers with the job that prepares it."""
    minute_ago = call.now() - timedelta(minutes=1)
    recent = sum(
        m.created_at > minute_ago and not m.personal for m in _board(call).moments.values()
    )
    if recent >= _board(call).tasks_a_minute:
        raise ApiError(41078)
    text, attachments = _content(call)
    moment = _moment(call, text, attachments)
    _board(call).moments[moment.moment_id] = moment
    for userid in moment.audience:
        call.platform.live.announce("moment", userid)
    return {"jobid": moment.jobid}


async def get_moment_task_result(call: Call) -> dict[str, Any]:
    """How far the job is: 1 started 2 under way 3 done, then with the moment's id."""
    jobid = call.query("jobid")
    moment = next((m for m in _board(call).moments.values() if m.jobid == jobid), None)
    if moment is None or call.now() - moment.created_at > JOB_LIFE:
        raise ApiError(40058)
    age = (call.now() - moment.created_at).total_seconds()
    if age < _board(call).processing_seconds:
        return {"status": 1 if age == 0 else 2, "type": "add_moment_task"}
    result: dict[str, Any] = {"errcode": 0, "errmsg": "ok", "moment_id": moment.moment_id}
    if moment.invalid_senders:
        result["invalid_sender_list"] = moment.invalid_senders
    if moment.invalid_tags:
        result["invalid_external_contact_list"] = {"tag_list": moment.invalid_tags}
    return {"status": 3, "type": "add_moment_task", "result": result}


async def cancel_moment_task(call: Call) -> dict[str, Any]:
    """Nobody is asked any more; what is published stays published."""
    moment = _asked(call)
    if moment.personal:
        raise ApiError(41067)
    moment.cancelled_at = moment.cancelled_at or call.now()
    for userid in moment.audience:
        call.platform.live.announce("moment", userid)
    return {}


async def get_moment_list(call: Call) -> dict[str, Any]:
    """The moments of at most thirty days, the corp's (0) and the members' own (1)."""
    start, end = call.body.get("start_time"), call.body.get("end_time")
    if not isinstance(start, int) or not isinstance(end, int) or start > end:
        raise ApiError(41052)
    if end - start > LONGEST_SPAN.total_seconds():
        raise ApiError(41052)
    kind, creator = call.body.get("filter_type", 2), call.text("creator")
    rows = [
        moment
        for moment in _board(call).moments.values()
        if start <= moment.created_at.timestamp() <= end
        and kind in (2, int(moment.personal))
        and creator in ("", moment.creator)
    ]
    page, following = page_of(rows, call.text("cursor"), call.limit(default=20, most=20))
    return {"moment_list": [_listed(moment) for moment in page], "next_cursor": following}


async def get_moment_task(call: Call) -> dict[str, Any]:
    """Which members have published (1) and which have not (0)."""
    moment = _asked(call)
    if moment.personal:
        raise ApiError(41067)
    _check_dispatched(call, moment)
    page, following = page_of(
        list(moment.audience), call.text("cursor"), call.limit(default=500, most=1000)
    )
    rows = [{"userid": u, "publish_status": int(u in moment.published)} for u in page]
    return {"task_list": rows, "next_cursor": following}


async def get_moment_customer_list(call: Call) -> dict[str, Any]:
    """The customers for whom one member's moment is meant."""
    moment, userid = _asked(call), call.text("userid")
    if userid not in moment.audience:
        raise ApiError(41061)
    page, following = page_of(
        moment.audience[userid], call.text("cursor"), call.limit(default=500, most=1000)
    )
    rows = [{"userid": userid, "external_userid": customer} for customer in page]
    return {"customer_list": rows, "next_cursor": following}


async def get_moment_send_result(call: Call) -> dict[str, Any]:
    """The customers who can see the moment, after the member published it."""
    moment, userid = _published(call)
    page, following = page_of(
        moment.audience[userid], call.text("cursor"), call.limit(default=3000, most=5000)
    )
    rows = [{"external_userid": customer} for customer in page]
    return {"customer_list": rows, "next_cursor": following}


async def get_moment_comments(call: Call) -> dict[str, Any]:
    """Comments and likes below one member's moment; the words of a comment stay on the platform."""
    moment, userid = _published(call)
    below = moment.reactions.get(userid, [])
    return {
        "comment_list": [_reacted(r) for r in below if r.text],
        "like_list": [_reacted(r) for r in below if not r.text],
    }


async def publish_moment(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{moment_id, userid}`: the member publishes what the corp asked for."""
    moment = _known(platform, wish["moment_id"])
    userid = str(wish["userid"])
    if userid not in moment.audience or moment.personal:
        raise ImpossibleError("没有分配给该成员的朋友圈任务")
    if moment.cancelled_at:
        raise ImpossibleError("任务已被企业停止")
    if userid in moment.published:
        raise ImpossibleError("该成员已发表")
    show(platform, moment, userid)
    return {"seen_by": len(moment.audience[userid])}


async def own_moment(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, text}`: the member publishes something of his own to all his customers."""
    userid = str(wish["userid"])
    if userid not in platform.world.members:
        raise ImpossibleError("没有这个成员")
    audience = {userid: platform.world.customers_of(userid)}
    ids = _new_ids()
    moment = Moment(*ids, platform.now(), str(wish["text"]), [], audience, creator=userid)
    platform.world.moments.moments[moment.moment_id] = moment
    show(platform, moment, userid)
    return {"moment_id": moment.moment_id}


async def react_to_moment(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{moment_id, userid, external_userid | by, text?}`: a like, or a comment with words.

    `userid` is whose moment it is; a customer reacts, or the colleague named in `by`.
    """
    moment, userid = _known(platform, wish["moment_id"]), str(wish["userid"])
    customer, colleague = str(wish.get("external_userid", "")), str(wish.get("by", ""))
    if userid not in moment.published:
        raise ImpossibleError("该成员还没有发表这条朋友圈")
    if customer not in moment.audience[userid] and colleague not in platform.world.members:
        raise ImpossibleError("这位客户看不到这条朋友圈")
    below = moment.reactions.setdefault(userid, [])
    reaction = Reaction(customer, colleague, platform.now(), str(wish.get("text", "")))
    liked = any((r.external_userid, r.userid, r.text) == (customer, colleague, "") for r in below)
    if not reaction.text and liked:
        raise ImpossibleError("已经点过赞")
    below.append(reaction)
    platform.live.announce("moment", userid, customer)
    return {}


async def moment_settings(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{processing_seconds?, tasks_a_minute?}`: how slow the platform is with moments."""
    board = platform.world.moments
    board.processing_seconds = float(wish.get("processing_seconds", board.processing_seconds))
    board.tasks_a_minute = int(wish.get("tasks_a_minute", board.tasks_a_minute))
    platform.live.dirty.set()
    return {}


def show(platform: Platform, moment: Moment, userid: str) -> None:
    """The moment stands in the member's stream; his customers of the audience see it there."""
    moment.published[userid] = platform.now()
    for customer in moment.audience[userid]:
        if platform.world.follow(userid, customer):
            platform.show(customer, userid, "moment", moment.title(), "moment")
    platform.live.announce("moment", userid)


def _board(call: Call) -> MomentBoard:
    return call.world.moments


def _new_ids() -> tuple[str, str]:
    return "mom" + secrets.token_urlsafe(24), secrets.token_urlsafe(32)


def _content(call: Call) -> tuple[str, list[dict[str, Any]]]:
    text = call.body.get("text") or {}
    content = text.get("content", "") if isinstance(text, dict) else ""
    attachments = call.body.get("attachments") or []
    if not isinstance(content, str) or not isinstance(attachments, list):
        raise ApiError(40058)
    if not content and not attachments:
        raise ApiError(41089)
    if len(content) > TEXT_CHARACTERS or len(content.encode()) > TEXT_BYTES:
        raise ApiError(45002)
    kinds = [a.get("msgtype") if isinstance(a, dict) else None for a in attachments]
    if kinds and (kinds[0] not in ("image", "video", "link") or len(set(kinds)) > 1):
        raise ApiError(41065)
    if len(kinds) > (IMAGES if kinds and kinds[0] == "image" else 1):
        raise ApiError(41064)
    for attachment in attachments:
        _check_attachment(call, attachment)
    return content, attachments


def _check_attachment(call: Call, attachment: dict[str, Any]) -> None:
    kind = str(attachment["msgtype"])
    body = attachment.get(kind)
    if not isinstance(body, dict):
        raise ApiError(41065)
    if kind == "link":
        if not body.get("url"):
            raise ApiError(40058)
        title_within(body, LINK_TITLE_MOMENT)
        kind = "image"
    # Only a file uploaded for moments will do.
    attached_media(call, str(body.get("media_id", "")), kind, scene=1)


def _moment(call: Call, text: str, attachments: list[dict[str, Any]]) -> Moment:
    visible = call.body.get("visible_range") or {}
    senders = visible.get("sender_list") or {}
    wanted = [str(userid) for userid in senders.get("user_list") or []]
    parties = senders.get("department_list") or []
    tags = (visible.get("external_contact_list") or {}).get("tag_list") or []
    if len(wanted) > SENDERS:
        raise ApiError(40058)
    members = [u for u in call.world.members if call.app.sees(u)]
    everybody = not (wanted or parties) or 1 in parties
    chosen = members if everybody else [u for u in wanted if u in members]
    known_tags = _corp_tags(call)
    moment_id, jobid = _new_ids()
    moment = Moment(moment_id, jobid, call.now(), text, attachments, {}, visible)
    moment.invalid_tags = [tag for tag in tags if tag not in known_tags]
    lost = [userid for userid in wanted if userid not in members]
    strange = [party for party in parties if party != 1]
    named = {"user_list": lost, "department_list": strange}
    moment.invalid_senders = {name: rows for name, rows in named.items() if rows}
    moment.audience = {userid: _seers(call, userid, tags) for userid in chosen}
    if tags:
        moment.audience = {u: seers for u, seers in moment.audience.items() if seers}
    return moment


def _seers(call: Call, userid: str, tags: list[str]) -> list[str]:
    customers = call.world.customers_of(userid)
    if not tags:
        return customers
    follows = {c: call.world.follow(userid, c) for c in customers}
    return [c for c, follow in follows.items() if follow and set(tags) & set(follow.tags)]


def _corp_tags(call: Call) -> set[str]:
    return {tag_id for group in call.world.tag_groups.values() for tag_id in group.tags}


def _asked(call: Call) -> Moment:
    moment_id = call.text("moment_id")
    if not moment_id:
        raise ApiError(41059)
    moment = _board(call).moments.get(moment_id)
    if moment is None:
        raise ApiError(41060)
    return moment


def _published(call: Call) -> tuple[Moment, str]:
    moment, userid = _asked(call), call.text("userid")
    if userid not in moment.audience:
        raise ApiError(41061)
    if userid not in moment.published:
        raise ApiError(41062)
    return moment, userid


def _known(platform: Platform, moment_id: str) -> Moment:
    moment = platform.world.moments.moments.get(moment_id)
    if moment is None:
        raise ImpossibleError("没有这条朋友圈")
    return moment


def _check_dispatched(call: Call, moment: Moment) -> None:
    age = (call.now() - moment.created_at).total_seconds()
    if age < _board(call).processing_seconds:
        raise ApiError(41079)


def _listed(moment: Moment) -> dict[str, Any]:
    row: dict[str, Any] = {
        "moment_id": moment.moment_id,
        "create_time": int(moment.created_at.timestamp()),
        "create_type": int(moment.personal),
        "visible_type": 0 if moment.visible.get("external_contact_list") else 1,
        "text": {"content": moment.text},
    }
    if moment.creator:
        row["creator"] = moment.creator
    for attachment in moment.attachments:
        kind = str(attachment["msgtype"])
        body = {k: v for k, v in attachment[kind].items() if k in ("media_id", "title", "url")}
        if kind == "image":
            row.setdefault("image", []).append(body)
        else:
            row[kind] = body
    return row


def _reacted(reaction: Reaction) -> dict[str, Any]:
    who = (
        {"external_userid": reaction.external_userid}
        if reaction.external_userid
        else {"userid": reaction.userid}
    )
    return {**who, "create_time": int(reaction.at.timestamp())}


GETS: dict[str, Action] = {"externalcontact/get_moment_task_result": get_moment_task_result}
POSTS: dict[str, Action] = {
    "externalcontact/add_moment_task": add_moment_task,
    "externalcontact/cancel_moment_task": cancel_moment_task,
    "externalcontact/get_moment_list": get_moment_list,
    "externalcontact/get_moment_task": get_moment_task,
    "externalcontact/get_moment_customer_list": get_moment_customer_list,
    "externalcontact/get_moment_send_result": get_moment_send_result,
    "externalcontact/get_moment_comments": get_moment_comments,
}
CONTROLS = {
    "publish_moment": publish_moment,
    "own_moment": own_moment,
    "react_to_moment": react_to_moment,
    "moment_settings": moment_settings,
}
