"""One corp on the running platform: who may write to whom, and what everybody then sees."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from wecom.simulator.callbacks import CallbackLine
from wecom.simulator.corp import App, Corp, PlatformClock
from wecom.simulator.faults import Faults
from wecom.simulator.gate import Gate
from wecom.simulator.live import Live
from wecom.simulator.rule_state import BLOCK
from wecom.simulator.state import AppMessage, Message, Shown, Via, World, bubble_text, pair

SHANGHAI = ZoneInfo("Asia/Shanghai")
WELCOME_LIFE = timedelta(seconds=20)

__all__ = ["Corp", "ImpossibleError", "Platform", "new_external_userid"]


class ImpossibleError(Exception):
    """What was asked cannot happen in this world; the words say why."""


class Platform:
    """The world with its clock, its callback line and the pages that watch it."""

    def __init__(
        self,
        *,
        world: World,
        corp: Corp,
        apps: list[App],
        line: CallbackLine,
        live: Live,
        faults: Faults,
        now: PlatformClock,
        sidebar_url: str,
    ) -> None:
        self.world = world
        self.corp = corp
        self.apps = apps
        self.line = line
        self.live = live
        self.faults = faults
        self.gate = Gate()
        self.due: list[Callable[[Platform], None]] = []
        self.now = now
        self.sidebar_url = sidebar_url

    def callers(self) -> list[App]:
        """Everything that has a secret of its own."""
        return [*self.apps, self._archive_app]

    def app(self, agent_id: int | str) -> App | None:
        """The app of this number, or nothing."""
        return next((app for app in self.apps if str(app.agent_id) == str(agent_id)), None)

    def speak(self, sender: str, receiver: str, msgtype: str, body: dict[str, Any]) -> Message:
        """A customer writes to a member or a member to a customer; both must still be friends."""
        from_customer = sender in self.world.contacts
        userid, external_userid = (receiver, sender) if from_customer else (sender, receiver)
        if not self.world.follow(userid, external_userid):
            raise ImpossibleError("双方不是好友，消息无法送达")
        if not from_customer:
            self.check_wording(userid, msgtype, body)
        message = self.put_bubble(userid, external_userid, msgtype, body, "chat", from_customer)
        self.mark_read("customer" if from_customer else "member", userid, external_userid)
        return message

    def check_wording(self, userid: str, msgtype: str, body: dict[str, Any]) -> None:
        """The client stops a member's words that a sensitive-word rule blocks."""
        verdict, word = self.world.rules.verdict(userid, bubble_text(msgtype, body))
        if verdict == BLOCK:
            raise ImpossibleError(f"消息含敏感词“{word}”，已被企业拦截，未发送")

    def put_bubble(
        self,
        userid: str,
        external_userid: str,
        msgtype: str,
        body: dict[str, Any],
        via: Via,
        from_customer: bool = False,
    ) -> Message:
        """Append a bubble to a chat; when it is archived, the archive bell rings."""
        return self.put(
            Message(
                userid=userid,
                external_userid=external_userid,
                from_customer=from_customer,
                msgtype=msgtype,
                body=body,
                via=via,
                archived=self.archives(userid, external_userid),
                **self._stamp(),
            )
        )

    def put_group_bubble(
        self, chat_id: str, speaker: str, msgtype: str, body: dict[str, Any], via: Via
    ) -> Message:
        """Append a bubble to a group, seen by everybody who is in it now."""
        group = self.world.groups[chat_id]
        from_customer = speaker in self.world.contacts
        seats = self.world.settings.archive_seats
        return self.put(
            Message(
                userid="" if from_customer else speaker,
                external_userid=speaker if from_customer else "",
                from_customer=from_customer,
                msgtype=msgtype,
                body=body,
                via=via,
                chat_id=chat_id,
                audience=[userid for userid in group.members if userid != speaker],
                archived=seats is None or any(userid in seats for userid in group.members),
                **self._stamp(),
            )
        )

    def put(self, message: Message) -> Message:
        """Append a finished message and tell whoever watches."""
        self.world.messages.append(message)
        if message.archived:
            self.line.ring_archive()
        self.live.announce("message", message.userid, message.external_userid)
        return message

    def put_bubbles(
        self,
        userid: str,
        receiver: str,
        text: str,
        attachments: list[dict[str, Any]],
        via: Via,
    ) -> None:
        """Text and attachments arrive as several messages, the text first.

        `receiver` is a customer or a group.
        """
        parts: list[tuple[str, dict[str, Any]]] = [("text", {"content": text})] if text else []
        for attachment in attachments:
            kind = str(attachment["msgtype"])
            parts.append((kind, self._as_seen(dict(attachment[kind]))))
        for kind, body in parts:
            if receiver in self.world.groups:
                self.put_group_bubble(receiver, userid, kind, body, via)
            else:
                self.put_bubble(userid, receiver, kind, body, via)

    def _as_seen(self, body: dict[str, Any]) -> dict[str, Any]:
        """A customer sees a file's name, and of a mini program its picture."""
        media = self.world.media.get(str(body.get("media_id") or body.get("pic_media_id") or ""))
        return {**body, "filename": media.filename} if media else body

    def show(self, external_userid: str, userid: str, msgtype: str, text: str, via: Via) -> None:
        """Put something a customer saw outside the chats with members into the ledger."""
        shown = Shown(external_userid, userid, msgtype, text, via, self.now())
        self.world.shown.append(shown)
        self.live.announce("message", userid, external_userid)

    def archives(self, userid: str, external_userid: str) -> bool:
        """Whether what the two say is archived: a paid seat, and consent where it is asked for."""
        settings = self.world.settings
        if settings.archive_seats is not None and userid not in settings.archive_seats:
            return False
        follow = self.world.follows.get(pair(userid, external_userid))
        if follow is None or follow.consent is None:
            return not settings.ask_consent
        return follow.consent

    def mark_read(self, side: str, userid: str, external_userid: str) -> None:
        """This side has the chat open and has seen every bubble in it."""
        key = f"{side}/{pair(userid, external_userid)}"
        chat = self.world.chat(userid, external_userid)
        seen = chat[-1].seq if chat else 0
        if seen > self.world.read_marks.get(key, 0):
            self.world.read_marks[key] = seen
            self.live.announce("read", userid, external_userid)

    def mark_group_read(self, chat_id: str, person: str) -> None:
        """Somebody has the group open and has seen every bubble in it."""
        chat = self.world.group_chat(chat_id)
        self.world.read_marks[f"group/{chat_id}/{person}"] = chat[-1].seq if chat else 0
        self.live.announce("read", person)

    def quota_left(self, receiver: str) -> int:
        """How many more mass messages a customer or group may receive in the corp's period."""
        today = self.now().astimezone(SHANGHAI).date()
        mode = self.world.settings.mass_send_quota
        if mode == "monthly":
            first = today.replace(day=1)
            allowed = ((first + timedelta(days=32)).replace(day=1) - first).days
        elif mode == "weekly":
            first, allowed = today - timedelta(days=today.weekday()), 7
        else:
            first, allowed = today, 1
        days = (at.astimezone(SHANGHAI).date() for at in reversed(self._received.get(receiver, [])))
        received = 0
        for day in days:
            if day < first:
                break
            received += 1
        return allowed - received

    def received_mass_message(self, receiver: str, at: datetime) -> None:
        """Book one mass message against the receiver's quota."""
        self._received.setdefault(receiver, []).append(at)

    def notify_member(self, message: AppMessage) -> None:
        """Put a message on the member's desktop."""
        self.world.app_messages.append(message)
        self.live.announce("app", message.userid)

    def pass_time(self) -> None:
        """Let happen what happens by itself once its time has come."""
        self.line.release_due()
        for happens in self.due:
            happens(self)

    def _stamp(self) -> dict[str, Any]:
        seq = len(self.world.messages) + 1
        msgid = f"{secrets.randbelow(10**18):018d}_{seq}_external"
        return {"seq": seq, "msgid": msgid, "at": self.now()}

    @cached_property
    def _archive_app(self) -> App:
        return self.corp.archive_app()

    @cached_property
    def _received(self) -> dict[str, list[datetime]]:
        received: dict[str, list[datetime]] = {}
        sent = (
            (target.send_time, target.receiver)
            for task in self.world.tasks.values()
            for target in task.targets
            if target.status == 1 and target.send_time is not None
        )
        for at, receiver in sorted(sent):
            received.setdefault(receiver, []).append(at)
        return received


def new_external_userid() -> str:
    """An id in the platform's shape for a customer the corp sees for the first time."""
    return "wm" + secrets.token_urlsafe(22).replace("-", "A").replace("_", "B")
