"""Members send: the part of a corp's task they confirm, and mass sends of their own."""

import secrets
from collections.abc import Collection

from wecom.simulator.platform import ImpossibleError, Platform
from wecom.simulator.state import MassTask, Target


def confirm(platform: Platform, msgid: str, userid: str, skip: Collection[str] = ()) -> MassTask:
    """The member presses send: every customer of his part gets it, or a reason why not."""
    task = platform.world.tasks.get(msgid)
    if not task or not task.of(userid):
        raise ImpossibleError("没有分配给该成员的群发任务")
    if task.cancelled_at:
        raise ImpossibleError("任务已被企业停止")
    if userid in task.confirmed:
        raise ImpossibleError("该成员已发送过此任务")
    if skip and not task.allow_select:
        raise ImpossibleError("此任务不允许成员选择客户")
    task.confirmed[userid] = platform.now()
    for target in task.of(userid):
        if target.external_userid not in skip:
            _send_to(platform, task, target)
    platform.live.announce("task", userid)
    return task


def own(platform: Platform, userid: str, customers: list[str], text: str) -> MassTask:
    """The member mass-sends by himself; nothing waits, and the customers' quota is used."""
    targets = [Target(userid, customer) for customer in customers]
    msgid = "msg" + secrets.token_urlsafe(24)
    task = MassTask(msgid, platform.now(), text, [], targets, creator=userid)
    platform.world.tasks[msgid] = task
    return confirm(platform, msgid, userid)


def _send_to(platform: Platform, task: MassTask, target: Target) -> None:
    target.send_time = platform.now()
    if not _reachable(platform, target):
        target.status = 2
    elif platform.quota_left(target.receiver) <= 0:
        target.status = 3
    else:
        target.status = 1
        platform.received_mass_message(target.receiver, target.send_time)
        content = task.text, task.attachments
        platform.put_bubbles(target.userid, target.receiver, *content, "mass_send")


def _reachable(platform: Platform, target: Target) -> bool:
    if not target.chat_id:
        return platform.world.follow(target.userid, target.external_userid) is not None
    group = platform.world.groups[target.chat_id]
    return group.alive and target.userid in group.members
