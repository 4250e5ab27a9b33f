"""Mass-send tasks: created by the corp, sent by members, learnt about by asking."""

import secrets
from datetime import timedelta
from typing import Any

from wecom.simulator.api_call import ApiError, Call, page_of
from wecom.simulator.attachments import checked_content
from wecom.simulator.state import AppMessage, MassTask, Target

CUSTOMERS_A_TASK = 10_000
REMINDS_A_DAY = 3
LONGEST_SPAN = timedelta(days=31)


async def add_msg_template(call: Call) -> dict[str, Any]:
    """Create a task for members to confirm; customers who cannot be reached are listed back."""
    sender = call.text("sender")
    if "sender" in call.body and not sender:
        raise ApiError(40058)
    if call.body.get("chat_type", "single") != "single":
        # This corp has no customer groups, so nobody is left to send to.
        raise ApiError(41048)
    wanted = call.body.get("external_userid") or []
    if not isinstance(wanted, list) or len(wanted) > CUSTOMERS_A_TASK:
        raise ApiError(40058)
    if not wanted and not sender:
        raise ApiError(40058)
    if sender and sender not in call.world.members:
        raise ApiError(40003)
    text, attachments = checked_content(call)
    targets, failed = _targets(call, wanted, sender)
    if not targets:
        raise ApiError(41048)
    task = MassTask("msg" + secrets.token_urlsafe(24), call.now(), text, attachments, targets)
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
    personal_only = call.body.get("filter_type", 2) == 1 or call.body.get("creator")
    found = [
        task
        for task in call.world.tasks.values()
        if start <= task.created_at.timestamp() <= end
        and call.body["chat_type"] == "single"
        and not personal_only
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


def _targets(call: Call, wanted: list[Any], sender: str) -> tuple[list[Target], list[str]]:
    customers = list(dict.fromkeys(str(c) for c in wanted)) or call.world.customers_of(sender)
    targets: list[Target] = []
    failed: list[str] = []
    for customer in customers:
        # Without a fixed sender the member who talked to the customer last gets the task.
        userid = sender or call.world.last_to_chat(customer)
        if userid and call.world.follow(userid, customer):
            targets.append(Target(userid, customer))
        else:
            failed.append(customer)
    return targets, failed


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
        "create_time": int(task.created_at.timestamp()),
        "create_type": 0,
        "text": {"content": task.text},
        "attachments": task.attachments,
    }


def _result(target: Target) -> dict[str, Any]:
    row: dict[str, Any] = {
        "external_userid": target.external_userid,
        "userid": target.userid,
        "status": target.status,
    }
    if target.send_time:
        row["send_time"] = int(target.send_time.timestamp())
    return row


def _reminder(call: Call, task: MassTask, userid: str) -> AppMessage:
    waiting = len(task.of(userid))
    return AppMessage(
        msgid=secrets.token_urlsafe(16),
        userid=userid,
        msgtype="text",
        body={"content": f"管理员提醒你发送群发任务，{waiting} 位客户待发送。"},
        at=call.now(),
        source="mass_send",
    )
