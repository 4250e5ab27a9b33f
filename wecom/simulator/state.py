"""The platform's memory: who exists, who follows whom, what was said — and a snapshot of it."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import TypeAdapter

Via = Literal["chat", "mass_send", "welcome"]
Quota = Literal["monthly", "weekly", "daily"]


@dataclass(frozen=True)
class Member:
    """An employee of the corp who is in the app's visible range and may talk to customers."""

    userid: str
    name: str
    department: str = ""
    position: str = ""


@dataclass(frozen=True)
class Contact:
    """A WeChat user, as the corp knows him: the id is the corp's own (`wm…`)."""

    external_userid: str
    name: str
    gender: int = 0
    avatar_color: str = "#5b8ff9"


@dataclass
class FollowRelation:
    """A member and a customer are, or once were, friends."""

    userid: str
    external_userid: str
    created_at: datetime
    state: str = ""
    remark: str = ""
    description: str = ""
    remark_company: str = ""
    remark_mobiles: list[str] = field(default_factory=list)
    add_way: int = 1
    deleted_at: datetime | None = None

    @property
    def alive(self) -> bool:
        """Whether the two can still write to each other."""
        return self.deleted_at is None


@dataclass(frozen=True)
class Message:
    """One bubble in one chat between a member and a customer; `seq` counts from 1 over the corp."""

    seq: int
    msgid: str
    userid: str
    external_userid: str
    from_customer: bool
    msgtype: str
    body: dict[str, Any]
    via: Via
    at: datetime

    @property
    def text(self) -> str:
        """What a person reads in the bubble."""
        return bubble_text(self.msgtype, self.body)


@dataclass
class Target:
    """One customer of one mass-send task; status 0 waiting 1 sent 2 no friend 3 quota used up."""

    userid: str
    external_userid: str
    status: int = 0
    send_time: datetime | None = None


@dataclass
class MassTask:
    """A mass send the corp created; nothing leaves before the member presses send."""

    msgid: str
    created_at: datetime
    text: str
    attachments: list[dict[str, Any]]
    targets: list[Target]
    confirmed: dict[str, datetime] = field(default_factory=dict)
    reminded: list[datetime] = field(default_factory=list)
    cancelled_at: datetime | None = None

    def of(self, userid: str) -> list[Target]:
        """The customers this member is asked to send to."""
        return [target for target in self.targets if target.userid == userid]

    @property
    def members(self) -> list[str]:
        """The members who hold a part of the task, each once, in order."""
        return list(dict.fromkeys(target.userid for target in self.targets))


@dataclass
class AppMessage:
    """A message the app (or the mass-send helper) put on a member's desktop."""

    msgid: str
    userid: str
    msgtype: str
    body: dict[str, Any]
    at: datetime
    source: Literal["app", "mass_send"] = "app"
    read: bool = False


@dataclass(frozen=True)
class Media:
    """An uploaded file; a temporary one lives three days."""

    media_id: str
    kind: str
    filename: str
    content_type: str
    created_at: datetime
    content_base64: str
    permanent: bool = False


@dataclass
class WelcomeCode:
    """The right to greet one new customer once within twenty seconds."""

    code: str
    userid: str
    external_userid: str
    issued_at: datetime
    used: bool = False


@dataclass
class LoginCode:
    """A sign-in handed to the product through the browser: one use, five minutes."""

    code: str
    userid: str
    issued_at: datetime
    used: bool = False


@dataclass(frozen=True)
class Credential:
    """An access token or a ticket, the same string until it expires."""

    value: str
    expires_at: datetime


@dataclass
class Settings:
    """What the corp's administrator chose in the console."""

    mass_send_quota: Quota = "monthly"
    dispatch_seconds: float = 0.0


@dataclass
class World:
    """Everything the platform remembers about one corp."""

    members: dict[str, Member] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    follows: dict[str, FollowRelation] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    tasks: dict[str, MassTask] = field(default_factory=dict)
    app_messages: list[AppMessage] = field(default_factory=list)
    media: dict[str, Media] = field(default_factory=dict)
    welcome_codes: dict[str, WelcomeCode] = field(default_factory=dict)
    login_codes: dict[str, LoginCode] = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)
    read_marks: dict[str, int] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The world as it was last saved; an empty one when nothing was."""
        if not path.exists():
            return cls()
        return TypeAdapter(cls).validate_json(path.read_bytes())

    def save(self, path: Path) -> None:
        """Write the snapshot so that a reader sees the old one or the new one, never a half."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".new")
        with draft.open("wb") as file:
            file.write(TypeAdapter(World).dump_json(self))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def seed(
        self,
        members: list[Member],
        contacts: list[Contact],
        follows: list[FollowRelation],
    ) -> Self:
        """Add people and relations the world does not know yet; what it knows stays as it is."""
        for member in members:
            self.members.setdefault(member.userid, member)
        for contact in contacts:
            self.contacts.setdefault(contact.external_userid, contact)
        for follow in follows:
            if follow.userid not in self.members or follow.external_userid not in self.contacts:
                raise ValueError(
                    f"follow of unknown people: {follow.userid}, {follow.external_userid}"
                )
            self.follows.setdefault(pair(follow.userid, follow.external_userid), follow)
        return self

    def follow(self, userid: str, external_userid: str) -> FollowRelation | None:
        """The living relation of the two, or nothing."""
        relation = self.follows.get(pair(userid, external_userid))
        return relation if relation and relation.alive else None

    def customers_of(self, userid: str) -> list[str]:
        """The member's customers, oldest relation first."""
        mine = [f for f in self.follows.values() if f.userid == userid and f.alive]
        return [f.external_userid for f in sorted(mine, key=lambda f: f.created_at)]

    def followers_of(self, external_userid: str) -> list[FollowRelation]:
        """The members who follow the customer, oldest relation first."""
        theirs = [f for f in self.follows.values() if f.external_userid == external_userid]
        return sorted((f for f in theirs if f.alive), key=lambda f: f.created_at)

    def chat(self, userid: str, external_userid: str) -> list[Message]:
        """Everything the two said to each other, oldest first."""
        return [
            message
            for message in self.messages
            if message.userid == userid and message.external_userid == external_userid
        ]

    def last_to_chat(self, external_userid: str) -> str:
        """The follower who talked with the customer last; the newest follower when nobody did."""
        followers = [follow.userid for follow in self.followers_of(external_userid)]
        for message in reversed(self.messages):
            if message.external_userid == external_userid and message.userid in followers:
                return message.userid
        return followers[-1] if followers else ""


def pair(userid: str, external_userid: str) -> str:
    """The key of a member and a customer together."""
    return f"{userid}/{external_userid}"


def bubble_text(msgtype: str, body: dict[str, Any]) -> str:
    """What a person reads of a message: its text, or the name of what was attached."""
    if msgtype == "text":
        return str(body.get("content", ""))
    label = {"link": "链接", "image": "图片", "file": "文件", "video": "视频"}.get(
        msgtype, "小程序"
    )
    title = body.get("title") or body.get("filename") or ""
    return f"[{label}] {title}".strip()
