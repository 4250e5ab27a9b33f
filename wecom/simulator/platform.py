"""One corp on the running platform, and everything a person on either side can do in it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from wecom.simulator.callbacks import CallbackLine
from wecom.simulator.faults import Faults
from wecom.simulator.live import Live
from wecom.simulator.state import (
    AppMessage,
    Contact,
    FollowRelation,
    MassTask,
    Message,
    Target,
    Via,
    WelcomeCode,
    World,
    pair,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
WELCOME_LIFE = timedelta(seconds=20)


@dataclass(frozen=True)
class Corp:
    """The bank as the platform knows it, and the secrets of its one self-built app."""

    corp_id: str
    agent_id: int
    secret: str
    token: str
    aes_key: str
    archive_secret: str
    name: str = "示例银行"


class ImpossibleError(Exception):
    """What was asked cannot happen in this world; the words say why."""


class Platform:
    """The world with its clock, its callback line and the pages that watch it."""

    def __init__(
        self,
        *,
        world: World,
        corp: Corp,
        line: CallbackLine,
        live: Live,
        faults: Faults,
        now: Callable[[], datetime],
        sidebar_url: str,
    ) -> None:
        self.world = world
        self.corp = corp
        self.line = line
        self.live = live
        self.faults = faults
        self.now = now
        self.sidebar_url = sidebar_url

    def speak(self, sender: str, receiver: str, msgtype: str, body: dict[str, Any]) -> Message:
        """A customer writes to a member or a member to a customer; both must still be friends."""
        from_customer = sender in self.world.contacts
        userid, external_userid = (receiver, sender) if from_customer else (sender, receiver)
        if not self.world.follow(userid, external_userid):
            raise ImpossibleError("双方不是好友，消息无法送达")
        message = self.put_bubble(userid, external_userid, msgtype, body, "chat", from_customer)
        self.mark_read("customer" if from_customer else "member", userid, external_userid)
        return message

    def put_bubble(
        self,
        userid: str,
        external_userid: str,
        msgtype: str,
        body: dict[str, Any],
        via: Via,
        from_customer: bool = False,
    ) -> Message:
        """Append a bubble to a chat; it is archived, and the archive bell rings."""
        seq = len(self.world.messages) + 1
        message = Message(
            seq=seq,
            msgid=f"{secrets.randbelow(10**18):018d}_{seq}_external",
            userid=userid,
            external_userid=external_userid,
            from_customer=from_customer,
            msgtype=msgtype,
            body=body,
            via=via,
            at=self.now(),
        )
        self.world.messages.append(message)
        self.line.ring_archive()
        self.live.announce("message", userid, external_userid)
        return message

    def mark_read(self, side: str, userid: str, external_userid: str) -> None:
        """This side has the chat open and has seen every bubble in it."""
        key = f"{side}/{pair(userid, external_userid)}"
        seen = max((m.seq for m in self.world.chat(userid, external_userid)), default=0)
        if seen > self.world.read_marks.get(key, 0):
            self.world.read_marks[key] = seen
            self.live.announce("read", userid, external_userid)

    def add_contact(
        self, userid: str, contact: Contact, *, state: str = "", with_welcome: bool = True
    ) -> str:
        """The customer scans the member's code: they are friends now. Returns the welcome code.

        No code is given when the console has its own welcome (`with_welcome=False`).
        """
        if userid not in self.world.members:
            raise ImpossibleError(f"没有这个成员：{userid}")
        if self.world.follow(userid, contact.external_userid):
            raise ImpossibleError("双方已经是好友")
        now = self.now()
        self.world.contacts.setdefault(contact.external_userid, contact)
        self.world.follows[pair(userid, contact.external_userid)] = FollowRelation(
            userid, contact.external_userid, now, state=state
        )
        code = secrets.token_urlsafe(32) if with_welcome else ""
        extra = {"State": state} if state else {}
        if code:
            self.world.welcome_codes[code] = WelcomeCode(code, userid, contact.external_userid, now)
            extra["WelcomeCode"] = code
        self.line.contact_changed("add_external_contact", userid, contact.external_userid, **extra)
        self.live.announce("follow", userid, contact.external_userid)
        return code

    def delete_follow(self, userid: str, external_userid: str, *, by_member: bool = False) -> None:
        """One of the two deletes the other; the chat stays readable, nothing more goes through."""
        follow = self.world.follow(userid, external_userid)
        if not follow:
            raise ImpossibleError("双方不是好友")
        follow.deleted_at = self.now()
        change = "del_external_contact" if by_member else "del_follow_user"
        self.line.contact_changed(change, userid, external_userid)
        self.live.announce("follow", userid, external_userid)

    def edit_remark(self, userid: str, external_userid: str, remark: str) -> None:
        """The member edits the remark in the client (by API the same edit makes no callback)."""
        follow = self.world.follow(userid, external_userid)
        if not follow:
            raise ImpossibleError("双方不是好友")
        follow.remark = remark[:20]
        extra = {"State": follow.state} if follow.state else {}
        self.line.contact_changed("edit_external_contact", userid, external_userid, **extra)
        self.live.announce("follow", userid, external_userid)

    def confirm_task(self, msgid: str, userid: str) -> MassTask:
        """The member presses send: every customer of his part gets it, or a reason why not."""
        task = self.world.tasks.get(msgid)
        if not task or not task.of(userid):
            raise ImpossibleError("没有分配给该成员的群发任务")
        if task.cancelled_at:
            raise ImpossibleError("任务已被企业停止")
        if userid in task.confirmed:
            raise ImpossibleError("该成员已发送过此任务")
        task.confirmed[userid] = self.now()
        for target in task.of(userid):
            self._send_to(task, target)
        self.live.announce("task", userid)
        return task

    def _send_to(self, task: MassTask, target: Target) -> None:
        target.send_time = self.now()
        if not self.world.follow(target.userid, target.external_userid):
            target.status = 2
        elif self.quota_left(target.external_userid) <= 0:
            target.status = 3
        else:
            target.status = 1
            self.put_bubbles(
                target.userid, target.external_userid, task.text, task.attachments, "mass_send"
            )

    def put_bubbles(
        self,
        userid: str,
        external_userid: str,
        text: str,
        attachments: list[dict[str, Any]],
        via: Via,
    ) -> None:
        """Text and attachments arrive as several messages, the text first."""
        if text:
            self.put_bubble(userid, external_userid, "text", {"content": text}, via)
        for attachment in attachments:
            kind = str(attachment["msgtype"])
            self.put_bubble(userid, external_userid, kind, dict(attachment[kind]), via)

    def quota_left(self, external_userid: str) -> int:
        """How many more mass messages the customer may receive in the corp's current period."""
        today = self.now().astimezone(SHANGHAI).date()
        mode = self.world.settings.mass_send_quota
        if mode == "monthly":
            first = today.replace(day=1)
            allowed = ((first + timedelta(days=32)).replace(day=1) - first).days
        elif mode == "weekly":
            first, allowed = today - timedelta(days=today.weekday()), 7
        else:
            first, allowed = today, 1
        received = sum(
            target.external_userid == external_userid
            and target.status == 1
            and target.send_time is not None
            and target.send_time.astimezone(SHANGHAI).date() >= first
            for task in self.world.tasks.values()
            for target in task.targets
        )
        return allowed - received

    def notify_member(self, message: AppMessage) -> None:
        """Put a message on the member's desktop."""
        self.world.app_messages.append(message)
        self.live.announce("app", message.userid)


def new_external_userid() -> str:
    """An id in the platform's shape for a customer the corp sees for the first time."""
    return "wm" + secrets.token_urlsafe(22).replace("-", "A").replace("_", "B")
