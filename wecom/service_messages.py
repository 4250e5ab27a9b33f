"""What is said in 微信客服: what we send, and what a pull brings back."""

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from wecom.answer import Answer
from wecom.attachments import Payload
from wecom.errors import UnreadableAnswer
from wecom.limits import present, some, within

TEXT_LIMIT: Final = 2048
MENU_ITEMS: Final = 10
UNREADABLE: Final = "unreadable"


class ServiceState(enum.IntEnum):
    """Who answers a customer now, in WeCom's numbers."""

    NEW = 0
    ROBOT = 1
    WAITING = 2
    SERVICER = 3
    ENDED = 4


class Origin(enum.IntEnum):
    """Who a pulled message comes from, in WeCom's numbers."""

    OTHER = 0
    CUSTOMER = 3
    SYSTEM = 4
    SERVICER = 5


@dataclass(frozen=True, slots=True)
class ServiceText:
    """A text for a customer, at most 2048 bytes."""

    content: str = field(repr=False)

    def __post_init__(self) -> None:
        within("service text", self.content, TEXT_LIMIT)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return {"msgtype": "text", "text": {"content": self.content}}


@dataclass(frozen=True, slots=True)
class Choice:
    """A line of a menu the customer taps; the tap comes back as a text with this id."""

    id: str
    content: str

    def __post_init__(self) -> None:
        within("menu choice id", self.id, 128)
        within("menu choice", self.content, 128)


@dataclass(frozen=True, slots=True)
class MenuLink:
    """A line of a menu that opens a page."""

    url: str
    content: str

    def __post_init__(self) -> None:
        within("menu link url", self.url, 2048)
        within("menu link", self.content, 1024)


@dataclass(frozen=True, slots=True)
class Menu:
    """A menu for a customer: a head, up to ten lines, a tail."""

    items: tuple[Choice | MenuLink, ...]
    head: str = field(default="", repr=False)
    tail: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        some("menu lines", self.items, MENU_ITEMS)
        within("menu head", self.head, 1024, least=0)
        within("menu tail", self.tail, 1024, least=0)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        menu: Payload = {"list": [_line(item) for item in self.items]}
        if self.head:
            menu["head_content"] = self.head
        if self.tail:
            menu["tail_content"] = self.tail
        return {"msgtype": "msgmenu", "msgmenu": menu}


@dataclass(frozen=True, slots=True)
class ServiceLink:
    """A page for a customer; its picture is an uploaded image."""

    title: str
    url: str
    thumb_media_id: str
    description: str = ""

    def __post_init__(self) -> None:
        within("service link title", self.title, 128)
        within("service link url", self.url, 2048)
        within("service link description", self.description, 512, least=0)
        present("service link thumb_media_id", self.thumb_media_id)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        link = {
            "title": self.title,
            "desc": self.description,
            "url": self.url,
            "thumb_media_id": self.thumb_media_id,
        }
        return {"msgtype": "link", "link": link}


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """An uploaded image, voice, video or file for a customer."""

    kind: str
    media_id: str

    def __post_init__(self) -> None:
        if self.kind not in ("image", "voice", "video", "file"):
            raise ValueError(f"a service file is image, voice, video or file, got {self.kind}")
        present("service file media_id", self.media_id)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return {"msgtype": self.kind, self.kind: {"media_id": self.media_id}}


ServiceContent = ServiceText | Menu | ServiceLink | ServiceFile


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """What happened in a conversation, as WeCom names it.

    `kind` is enter_session, msg_send_fail, servicer_status_change, session_status_change,
    user_recall_msg, servicer_recall_msg or a newer one. `welcome_code` and `msg_code` each allow
    one answer by `send_on_event`; `change` is 1 taken, 2 passed on, 3 ended, 4 taken again.
    """

    kind: str
    open_kfid: str
    external_userid: str
    scene: str = ""
    scene_param: str = ""
    welcome_code: str = field(default="", repr=False)
    msg_code: str = field(default="", repr=False)
    failed_msgid: str = ""
    failure: int = 0
    change: int = 0
    old_servicer: str = ""
    new_servicer: str = ""
    servicer: str = ""
    servicer_status: int = 0
    recalled_msgid: str = ""


@dataclass(frozen=True, slots=True)
class ServiceMessage:
    """One pulled message; `text` and `menu_id` only of a text, `media_id` only of a file.

    `menu_id` is the choice the customer tapped in a menu. An event has `event` and may have no
    customer.
    """

    msgid: str
    open_kfid: str
    external_userid: str
    sent_at: datetime
    origin: Origin
    kind: str
    servicer: str = ""
    text: str = field(default="", repr=False)
    menu_id: str = ""
    media_id: str = ""
    event: ServiceEvent | None = None


def message_of(row: Answer) -> ServiceMessage:
    """Read one row of `kf/sync_msg`; one that is not as documented is of the kind unreadable."""
    msgid = row.text("msgid")
    try:
        return _as_documented(row)
    except UnreadableAnswer:
        # One odd message must not hide all that come after it.
        never = datetime.fromtimestamp(0, UTC)
        return ServiceMessage(msgid, "", "", never, Origin.OTHER, UNREADABLE)


def _as_documented(row: Answer) -> ServiceMessage:
    kind = row.text("msgtype")
    text = row.part("text") if kind == "text" else None
    media = row.part(kind) if kind in ("image", "voice", "video", "file") else None
    event = _event_of(row.part("event")) if kind == "event" else None
    return ServiceMessage(
        msgid=row.text("msgid"),
        # An event names them inside alone.
        open_kfid=row.text("open_kfid", event.open_kfid if event else ""),
        external_userid=row.text("external_userid", event.external_userid if event else ""),
        sent_at=row.moment("send_time"),
        origin=_origin_of(row.number("origin", 0)),
        kind=kind,
        servicer=row.text("servicer_userid", ""),
        text=text.text("content", "") if text else "",
        menu_id=text.text("menu_id", "") if text else "",
        media_id=media.text("media_id", "") if media else "",
        event=event,
    )


def _origin_of(number: int) -> Origin:
    try:
        return Origin(number)
    except ValueError:
        return Origin.OTHER


def _event_of(row: Answer) -> ServiceEvent:
    return ServiceEvent(
        kind=row.text("event_type"),
        open_kfid=row.text("open_kfid", ""),
        external_userid=row.text("external_userid", ""),
        scene=row.text("scene", ""),
        scene_param=row.text("scene_param", ""),
        welcome_code=row.text("welcome_code", ""),
        msg_code=row.text("msg_code", ""),
        failed_msgid=row.text("fail_msgid", ""),
        failure=row.number("fail_type", 0),
        change=row.number("change_type", 0),
        old_servicer=row.text("old_servicer_userid", ""),
        new_servicer=row.text("new_servicer_userid", ""),
        servicer=row.text("servicer_userid", ""),
        servicer_status=row.number("status", 0),
        recalled_msgid=row.text("recall_msgid", ""),
    )


def _line(item: Choice | MenuLink) -> Payload:
    if isinstance(item, Choice):
        return {"type": "click", "click": {"id": item.id, "content": item.content}}
    return {"type": "view", "view": {"url": item.url, "content": item.content}}
