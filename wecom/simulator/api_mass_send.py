"""Mass-send tasks: created by the corp, sent by members, learnt about by asking."""

import secrets
from datetime import timedelta
from typing import Any

from wecom.simulator.api_call import Action, ApiError, Call, page_of
from wecom.simulator.attachments import checked_content
from wecom.simulator.state import AppMessage, MassTask, Target

CUSTOMERS_A_TASK = 10_000
GROUPS_A_TASK = 2000
TAGS_A_GROUP = 100
REMINDS_A_DAY = 3
CORPORATE, PERSONAL, BOTH = 0, 1, 2
LONGEST_SPAN = timedelta(days=31)


async def add_msg_template(call: Call) -> dict[str, Any]:
    """Create a task for members to confirm; who cannot be reached is listed back."""
    sender = call.text("sender")
    chat_type = call.body.get("chat_type", "single")
    if ("sender" in call.body and not sender) or chat_type not in ("single", "group"):
        raise ApiError(40058)
    if sender and sender not in call.world.members:
        raise ApiError(40003)
    if sender:
        call.member(sender)
    text, attachments = checked_content(call)
    targets, failed = (_groups if chat_type == "group" else _customers)(call, sender)
    if not targets:
        raise ApiError(41048)
    task = MassTask(
        "msg" + secrets.token_urlsafe(24),
        call.now(),
        text,
        attachments,
        targets,
        chat_type=chat_type,
        allow_select=chat_type == "single" and bool(call.body.get("allow_select", False)),
    )
    call.world.tasks[task.msgid] = task
    for userid in task.members:
        call.platform.live.announce("task", userid)
    return {"fail_list": failed, "msgid": task.msgid}


async def get_groupmsg_list_v2(call: Call) -> dict[str, Any]:
    """The tasks of a period of at most a month; tasks made by API name no creator."""
    start, end = call.body.get("start_time"), call.body.get("end_time")
    if call.body.get("chat_type") not in ("single", "group"):
        raise ApiError(40058)
    if not isinstance(start, int) or not isinstance(end, int) or not start <= end:
        raise ApiError(41052)
    if end - start > LONGEST_SPAN.total_seconds():
        raise ApiError(41052)
    limit = call.limit(default=50, most=100)
    kind, creator = call.number("filter_type", BOTH), call.text("creator")
    found = [
        task
        for task in call.world.tasks.values()
        if start <= task.created_at.timestamp() <= end
        and task.chat_type == call.body["chat_type"]
        and kind in (BOTH, PERSONAL if task.creator else CORPORATE)
        and creator in ("", task.creator)
    ]
    for task in found:
        _check_dispatched(call, task)
    page, following = page_of(found, call.text("cursor"), limit)
    return {"group_msg_list": [_listed(task) for task in page], "next_cursor": following}


async def get_groupmsg_task(call: Call) -> dict[str, Any]:
    """Which members have pressed send (2) and which have not (0)."""
    task = _task(call)
    _check_dispatched(call, task)
    if task.cancelled_at:
        raise ApiError(41093)
    limit = call.limit(default=500, most=1000)
    page, following = page_of(task.members, call.text("cursor"), limit)
    rows: list[dict[str, Any]] = []
    for userid in page:
        confirmed = task.confirmed.get(userid)
        row: dict[str, Any] = {"userid": userid, "status": 2 if confirmed else 0}
        if confirmed:
            row["send_time"] = int(confirmed.timestamp())
        rows.append(row)
    return {"task_list": rows, "next_cursor": following}


async def get_groupmsg_send_result(call: Call) -> dict[str, Any]:
    """What became of each customer of one member: 0 waiting 1 sent 2 not a friend 3 quota."""
    task = _task(call)
    _check_dispatched(call, task)
    userid = call.text("userid")
    if userid not in task.members:
        raise ApiError(40003)
    limit = call.limit(default=500, most=1000)
    page, following = page_of(task.of(userid), call.text("cursor"), limit)
    return {"send_list": [_result(target) for target in page], "next_cursor": following}


async def remind_groupmsg_send(call: Call) -> dict[str, Any]:
    """Remind the members who have not sent yet; three times in 24 hours, no more."""
    task = _task(call)
    if task.cancelled_at:
        raise ApiError(41093)
    day_ago = call.now() - timedelta(hours=24)
    if sum(at > day_ago for at in task.reminded) >= REMINDS_A_DAY:
        raise ApiError(41094)
    task.reminded.append(call.now())
    for userid in task.members:
        if userid not in task.confirmed:
            call.platform.notify_member(_reminder(call, task, userid))
    return {}


async def cancel_groupmsg_send(call: Call) -> dict[str, Any]:
    """Stop what is unsent; what customers already have stays with them."""
    task = _task(call)
    if task.cancelled_at:
        raise ApiError(41093)
    task.cancelled_at = call.now()
    for userid in task.members:
        call.platform.live.announce("task", userid)
    return {}


def _customers(call: Call, sender: str) -> tuple[list[Target], list[str]]:
    wanted = call.texts("external_userid", most=CUSTOMERS_A_TASK)
    tags = _tag_filter(call)
    if not wanted and not sender and not tags:
        raise ApiError(40058)
    targets: list[Target] = []
    failed: list[str] = []
    for customer in wanted or _everybody(call, sender):
        # Without a fixed sender the member who talked to the customer last gets the task.
        userid = sender or call.world.last_to_chat(customer)
        follow = call.world.follow(userid, customer)
        if follow is None or not call.sees(userid):
            failed.append(customer)
        elif all(set(follow.tags) & group for group in tags):
            targets.append(Target(userid, customer))
    return targets, failed


def _everybody(call: Call, sender: str) -> list[str]:
    members = [sender] if sender else call.visible_members()
    return list(dict.fromkeys(c for userid in members for c in call.world.customers_of(userid)))


def _tag_filter(call: Call) -> list[set[str]]:
    """One of the tags of every group must be on the customer."""
    asked = call.body.get("tag_filter") or {}
    groups = asked.get("group_list", []) if isinstance(asked, dict) else None
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise ApiError(40058)
    tags = [{str(tag) for tag in group.get("tag_list", [])} for group in groups]
    if any(not 0 < len(group) <= TAGS_A_GROUP for group in tags):
        raise ApiError(40058)
    return tags


def _groups(call: Call, sender: str) -> tuple[list[Target], list[str]]:
    wanted = call.texts("chat_id_list", most=GROUPS_A_TASK)
    if not sender:
        raise ApiError(40058)
    owned = {
        group.chat_id
        for group in call.world.groups.values()
        if group.alive and group.owner == sender
    }
    chosen = wanted or sorted(owned)
    targets = [Target(sender, chat_id=chat_id) for chat_id in chosen if chat_id in owned]
    return targets, [chat_id for chat_id in chosen if chat_id not in owned]


def _task(call: Call) -> MassTask:
    task = call.world.tasks.get(call.text("msgid"))
    if task is None:
        raise ApiError(41046)
    return task


def _check_dispatched(call: Call, task: MassTask) -> None:
    age = (call.now() - task.created_at).total_seconds()
    if age < call.world.settings.dispatch_seconds:
        raise ApiError(41063)


def _listed(task: MassTask) -> dict[str, Any]:
    return {
        "msgid": task.msgid,
        **({"creator": task.creator} if task.creator else {}),
        "create_time": int(task.created_at.timestamp()),
        "create_type": 1 if task.creator else 0,
        "text": {"content": task.text},
        "attachments": task.attachments,
    }


def _result(target: Target) -> dict[str, Any]:
    receiver = "chat_id" if target.chat_id else "external_userid"
    row: dict[str, Any] = {
        receiver: target.receiver,
        "userid": target.userid,
        "status": target.status,
    }
    if target.send_time:
        row["send_time"] = int(target.send_time.timestamp())
    return row


def _reminder(call: Call, task: MassTask, userid: str) -> AppMessage:
    waiting = len(task.of(userid))
    receivers = "个客户群" if task.chat_type == "group" else "位客户"
    return AppMessage(
        msgid=secrets.token_urlsafe(16),
        userid=userid,
        msgtype="text",
        body={"content": f"管理员提醒你发送群发任务，{waiting} {receivers}待发送。"},
        at=call.now(),
        source="mass_send",
    )


POSTS: dict[str, Action] = {
    "externalcontact/add_msg_template": add_msg_template,
    "externalcontact/get_groupmsg_list_v2": get_groupmsg_list_v2,
    "externalcontact/get_groupmsg_task": get_groupmsg_task,
    "externalcontact/get_groupmsg_send_result": get_groupmsg_send_result,
    "externalcontact/remind_groupmsg_send": remind_groupmsg_send,
    "externalcontact/cancel_groupmsg_send": cancel_groupmsg_send,
}
