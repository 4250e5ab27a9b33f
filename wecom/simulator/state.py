"""The platform's memory: who exists, who follows whom, what was said — and a snapshot of it."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import TypeAdapter

from wecom.simulator.album_state import Album
from wecom.simulator.card_state import CardDeck
from wecom.simulator.channels import AcquisitionLink, ChatKey, ContactWay, TagGroup, Transfer
from wecom.simulator.console import Settings
from wecom.simulator.groups import Group, GroupWelcome, JoinWay
from wecom.simulator.indices import ChatIndex, FollowIndex
from wecom.simulator.moment_state import MomentBoard
from wecom.simulator.robot_state import RobotRoom
from wecom.simulator.rule_state import RuleBook
from wecom.simulator.service_state import ServiceHall

Via = Literal["chat", "group", "mass_send", "welcome", "transfer", "service", "moment"]
LABELS = {
    "link": "链接",
    "image": "图片",
    "file": "文件",
    "video": "视频",
    "voice": "语音",
    "location": "位置",
}


@dataclass(frozen=True)
class Member:
    """An employee of the corp who is in the app's visible range and may talk to customers."""

    userid: str
    name: str
    department: str = ""
    position: str = ""
    mobile: str = ""
    email: str = ""
    activated: bool = True


@dataclass(frozen=True)
class Contact:
    """A customer as the corp knows him: `wm…` is a WeChat user (kind 1), `wo…` of WeCom (2)."""

    external_userid: str
    name: str
    gender: int = 0
    avatar_color: str = "#5b8ff9"
    kind: int = 1
    unionid: str = ""
    corp_name: str = ""


@dataclass
class FollowRelation:
    """A member and a customer are, or once were, friends.

    `half`: the customer added the member, who has not added him back yet. `consent` to archiving
    is None until the customer was asked and answered.
    """

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
    tags: list[str] = field(default_factory=list)
    personal_tags: list[str] = field(default_factory=list)
    oper_userid: str = ""
    half: bool = False
    consent: bool | None = None
    consent_at: datetime | None = None

    @property
    def alive(self) -> bool:
        """Whether the two can still write to each other."""
        return self.deleted_at is None


@dataclass(frozen=True)
class Message:
    """One bubble; `seq` counts from 1 over the corp.

    In a chat between two, `userid` and `external_userid` are the two. In a group only the one who
    spoke is named, and `audience` holds everybody who was in the group then.
    """

    seq: int
    msgid: str
    userid: str
    external_userid: str
    from_customer: bool
    msgtype: str
    body: dict[str, Any]
    via: Via
    at: datetime
    chat_id: str = ""
    audience: list[str] = field(default_factory=list)
    archived: bool = True

    @property
    def text(self) -> str:
        """What a person reads in the bubble."""
        return bubble_text(self.msgtype, self.body)


@dataclass(frozen=True)
class Shown:
    """Something a customer saw outside the chats with members: a service message, a moment."""

    external_userid: str
    userid: str
    msgtype: str
    text: str
    via: Via
    at: datetime


@dataclass
class Target:
    """One customer or group of a mass send; status 0 waiting 1 sent 2 no friend 3 quota used up."""

    userid: str
    external_userid: str = ""
    status: int = 0
    send_time: datetime | None = None
    chat_id: str = ""

    @property
    def receiver(self) -> str:
        """The customer, or the group, whose quota this uses."""
        return self.chat_id or self.external_userid


@dataclass
class MassTask:
    """A mass send; nothing leaves before the member presses send.

    `creator` is the member who made it himself; the corp's tasks have none.
    """

    msgid: str
    created_at: datetime
    text: str
    attachments: list[dict[str, Any]]
    targets: list[Target]
    confirmed: dict[str, datetime] = field(default_factory=dict)
    reminded: list[datetime] = field(default_factory=list)
    cancelled_at: datetime | None = None
    chat_type: Literal["single", "group"] = "single"
    creator: str = ""
    allow_select: bool = False

    @cached_property
    def _parts(self) -> dict[str, list[Target]]:
        parts: dict[str, list[Target]] = {}
        for target in self.targets:
            parts.setdefault(target.userid, []).append(target)
        return parts

    def of(self, userid: str) -> list[Target]:
        """The customers this member is asked to send to."""
        return self._parts.get(userid, [])

    @property
    def members(self) -> list[str]:
        """The members who hold a part of the task, each once, in order."""
        return list(self._parts)


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
    scene: int = 0
    """For what `upload_attachment` took it: 1 moments, 2 product album; 0 for everything else."""


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
    """A sign-in handed to the product through the browser: one use, five minutes.

    `private` when the member agreed to show his sensitive fields (snsapi_privateinfo).
    """

    code: str
    userid: str
    issued_at: datetime
    used: bool = False
    private: bool = False


@dataclass(frozen=True)
class Credential:
    """An access token or a ticket, the same string until it expires."""

    value: str
    expires_at: datetime


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
    user_tickets: dict[str, LoginCode] = field(default_factory=dict)
    read_marks: dict[str, int] = field(default_factory=dict)
    resigned: dict[str, datetime] = field(default_factory=dict)
    tag_groups: dict[str, TagGroup] = field(default_factory=dict)
    contact_ways: dict[str, ContactWay] = field(default_factory=dict)
    links: dict[str, AcquisitionLink] = field(default_factory=dict)
    chat_keys: dict[str, ChatKey] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)
    join_ways: dict[str, JoinWay] = field(default_factory=dict)
    group_welcomes: dict[str, GroupWelcome] = field(default_factory=dict)
    shown: list[Shown] = field(default_factory=list)
    service: ServiceHall = field(default_factory=ServiceHall)
    cards: CardDeck = field(default_factory=CardDeck)
    moments: MomentBoard = field(default_factory=MomentBoard)
    rules: RuleBook = field(default_factory=RuleBook)
    robot: RobotRoom = field(default_factory=RobotRoom)
    album: Album = field(default_factory=Album)
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
        mine = self._relations(self.follow_index.by_member.get(userid, []))
        return [follow.external_userid for follow in mine]

    def followers_of(self, external_userid: str) -> list[FollowRelation]:
        """The members who follow the customer, oldest relation first."""
        return self._relations(self.follow_index.by_customer.get(external_userid, []))

    def ever_followed(self, *, userid: str = "", external_userid: str = "") -> list[FollowRelation]:
        """The relations of a member or of a customer, the ended ones too."""
        index = self.follow_index
        keys = (
            index.by_member.get(userid, [])
            if userid
            else index.by_customer.get(external_userid, [])
        )
        return [self.follows[key] for key in keys]

    def chat(self, userid: str, external_userid: str) -> list[Message]:
        """Everything the two said to each other, oldest first."""
        return self.chat_index.by_pair.get(pair(userid, external_userid), [])

    def group_chat(self, chat_id: str) -> list[Message]:
        """Everything said in a group, oldest first."""
        return self.chat_index.by_group.get(chat_id, [])

    def last_to_chat(self, external_userid: str) -> str:
        """The follower who talked with the customer last; the newest follower when nobody did."""
        followers = [follow.userid for follow in self.followers_of(external_userid)]
        talked = self.chat_index.talked.get(external_userid, {})
        return max(
            followers,
            key=lambda userid: (talked.get(userid, 0), followers.index(userid)),
            default="",
        )

    @property
    def chat_index(self) -> ChatIndex:
        """The messages by who said them to whom."""
        return self._chat_index.catch_up(self.messages)

    @property
    def follow_index(self) -> FollowIndex:
        """The relations by member and customer."""
        return self._follow_index.catch_up(self.follows)

    @cached_property
    def _chat_index(self) -> ChatIndex:
        return ChatIndex()

    @cached_property
    def _follow_index(self) -> FollowIndex:
        return FollowIndex()

    def _relations(self, keys: list[str]) -> list[FollowRelation]:
        alive = [follow for key in keys if (follow := self.follows[key]).alive]
        return sorted(alive, key=lambda follow: follow.created_at)


def pair(userid: str, external_userid: str) -> str:
    """The key of a member and a customer together."""
    return f"{userid}/{external_userid}"


def bubble_text(msgtype: str, body: dict[str, Any]) -> str:
    """What a person reads of a message: its text, or the name of what was attached."""
    if msgtype == "text":
        return str(body.get("content", ""))
    label = LABELS.get(msgtype, "小程序")
    title = body.get("title") or body.get("filename") or ""
    return f"[{label}] {title}".strip()
