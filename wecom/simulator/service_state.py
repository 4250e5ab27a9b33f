"""What the platform remembers about 微信客服: accounts, sessions, and everything said in them."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

UNHANDLED, ASSISTANT, QUEUED, HUMAN, CLOSED = range(5)
SESSION_LIFE = timedelta(hours=48)

CUSTOMER, SYSTEM, SERVICER = 3, 4, 5
# Messages sent through the API have no origin number: sync_msg never returns them.
PRODUCT = 0

CodeKind = Literal["welcome", "queue", "serve", "close"]


@dataclass
class ServiceAccount:
    """A 客服账号: the name customers see, who serves it, and its links."""

    open_kfid: str
    name: str
    avatar_media_id: str = ""
    servicers: dict[str, bool] = field(default_factory=dict)
    """Member → whether he is receiving customers now."""
    scenes: dict[str, str] = field(default_factory=dict)
    """The opaque word in a link's address → the scene the link was made for."""
    authorised: bool = True
    console_welcome: bool = False


@dataclass
class ServiceSession:
    """One customer at one account: who handles him, and what may still be sent to him."""

    open_kfid: str
    external_userid: str
    state: int = CLOSED
    servicer: str = ""
    wrote_at: datetime | None = None
    welcomed_at: datetime | None = None
    sent_in_window: int = 0
    scene: str = ""
    scene_param: str = ""
    rejects: bool = False

    def state_at(self, now: datetime) -> int:
        """The state now: a session nobody ended ends by itself 48 h after the last word."""
        if self.wrote_at is not None and now - self.wrote_at > SESSION_LIFE:
            return CLOSED
        return self.state


@dataclass
class ServiceItem:
    """One message or event of the service chat, in the order of the corp; `seq` counts from 1."""

    seq: int
    msgid: str
    open_kfid: str
    external_userid: str
    origin: int
    msgtype: str
    body: dict[str, Any]
    at: datetime
    servicer: str = ""
    delivered: bool = True
    recalled: bool = False

    @property
    def text(self) -> str:
        """What a person reads in the bubble."""
        return service_text(self.msgtype, self.body)


@dataclass
class EventCode:
    """The right to answer one event with one message; only while the session is in `state`."""

    code: str
    kind: CodeKind
    open_kfid: str
    external_userid: str
    state: int
    issued_at: datetime
    used: bool = False


@dataclass
class PullToken:
    """The token of one callback; it frees a pull of the strict rate limit for ten minutes."""

    token: str
    open_kfid: str
    issued_at: datetime


@dataclass
class ServiceHall:
    """All of 微信客服, with what a test makes go wrong in it."""

    accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    sessions: dict[str, ServiceSession] = field(default_factory=dict)
    items: list[ServiceItem] = field(default_factory=list)
    codes: dict[str, EventCode] = field(default_factory=dict)
    tokens: dict[str, PullToken] = field(default_factory=dict)
    untokened_pulls: list[datetime] = field(default_factory=list)
    untokened_a_minute: int = 10
    first_state: int = UNHANDLED
    """Where a customer's first message puts the session: 0 unhandled, 1 assistant, 2 queue."""
    empty_pages: int = 0
    """So many pulls to come answer an empty page with has_more=1."""
    failing: list[int] = field(default_factory=list)
    """The fail_type of the next sends: accepted, and never delivered."""

    def session(self, open_kfid: str, external_userid: str) -> ServiceSession:
        """The customer's session at the account, begun when there was none."""
        key = f"{open_kfid}/{external_userid}"
        return self.sessions.setdefault(key, ServiceSession(open_kfid, external_userid))

    def chat(self, open_kfid: str, external_userid: str) -> list[ServiceItem]:
        """Everything of one customer at one account, oldest first."""
        return self._index.catch_up(self.items).chats.get(f"{open_kfid}/{external_userid}", [])

    def item(self, msgid: str, open_kfid: str = "") -> ServiceItem | None:
        """The message or event of this id, in any account unless one is named."""
        found = self._index.catch_up(self.items).by_msgid.get(msgid, [])
        return next((i for i in found if open_kfid in ("", i.open_kfid)), None)

    @cached_property
    def _index(self) -> "_ItemIndex":
        return _ItemIndex()


class _ItemIndex:
    """The items by chat and by id, kept up as the list grows."""

    def __init__(self) -> None:
        self._seen = 0
        self.chats: defaultdict[str, list[ServiceItem]] = defaultdict(list)
        self.by_msgid: defaultdict[str, list[ServiceItem]] = defaultdict(list)

    def catch_up(self, items: list[ServiceItem]) -> "_ItemIndex":
        """Take in what was appended since the last look."""
        for item in items[self._seen :]:
            self.chats[f"{item.open_kfid}/{item.external_userid}"].append(item)
            self.by_msgid[item.msgid].append(item)
        self._seen = len(items)
        return self


def service_text(msgtype: str, body: dict[str, Any]) -> str:
    """What a person reads of a service message: its text, or a name for what it is."""
    if msgtype == "text":
        return str(body.get("content", ""))
    if msgtype == "msgmenu":
        return str(body.get("head_content") or "请选择")
    labels = {
        "image": "图片", "voice": "语音", "video": "视频", "file": "文件", "link": "链接",
        "location": "位置", "miniprogram": "小程序", "business_card": "名片",
        "channels_shop_product": "视频号商品", "merged_msg": "聊天记录", "note": "笔记",
        "ca_link": "获客助手链接", "meeting": "会议", "schedule": "日程",
    }  # fmt: skip
    title = body.get("title") or body.get("name") or body.get("filename") or ""
    return f"[{labels.get(msgtype, '消息')}] {title}".strip()
