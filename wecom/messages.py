"""What can be sent, and what comes back, in types.

First the outgoing messages: WeCom's limits are checked when one is written down, in bytes of UTF-8,
where a Chinese character counts three. Then the answers: `Answer` reads one JSON object, and what
leaves this package is a frozen record. Names and texts are left out of every repr, so that none of
them reaches a log.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Never

from wecom.errors import UnreadableAnswer

CUSTOMER_TEXT = 4000  # welcome and mass send
MEMBER_TEXT = 2048  # app message
MAX_ATTACHMENTS = 9
MAX_RECEIVERS = 10_000

Payload = dict[str, object]


@dataclass(frozen=True, slots=True)
class Text:
    """A text from the app to a member, at most 2048 bytes."""

    content: str = field(repr=False)

    def __post_init__(self) -> None:
        _within("text", self.content, MEMBER_TEXT)

    def payload(self) -> Payload:
        return {"msgtype": "text", "text": {"content": self.content}}


@dataclass(frozen=True, slots=True)
class TextCard:
    """A card from the app to a member: title, description, and where a tap leads."""

    title: str
    description: str
    url: str

    def __post_init__(self) -> None:
        _within("card title", self.title, 128)
        _within("card description", self.description, 512)
        _within("card url", self.url, 2048)

    def payload(self) -> Payload:
        card = {"title": self.title, "description": self.description, "url": self.url}
        return {"msgtype": "textcard", "textcard": card}


@dataclass(frozen=True, slots=True)
class Link:
    """A link card for customers."""

    title: str
    url: str
    description: str = ""
    picture_url: str = ""

    def __post_init__(self) -> None:
        _within("link title", self.title, 128)
        _within("link url", self.url, 2048)
        _within("link description", self.description, 512, least=0)
        _within("link picture url", self.picture_url, 2048, least=0)

    def payload(self) -> Payload:
        link = {"title": self.title, "url": self.url}
        optional = {"desc": self.description, "picurl": self.picture_url}
        link |= {name: value for name, value in optional.items() if value}
        return {"msgtype": "link", "link": link}


@dataclass(frozen=True, slots=True)
class MiniProgram:
    """A mini program card for customers; its picture is an uploaded image."""

    title: str
    picture_media_id: str
    app_id: str
    page: str

    def __post_init__(self) -> None:
        _within("mini program title", self.title, 64)
        for name in ("picture_media_id", "app_id", "page"):
            _present(f"mini program {name}", getattr(self, name))

    def payload(self) -> Payload:
        card = {
            "title": self.title,
            "pic_media_id": self.picture_media_id,
            "appid": self.app_id,
            "page": self.page,
        }
        return {"msgtype": "miniprogram", "miniprogram": card}


@dataclass(frozen=True, slots=True)
class Image:
    """An uploaded image; media ids die after three days."""

    media_id: str

    def __post_init__(self) -> None:
        _present("image media_id", self.media_id)

    def payload(self) -> Payload:
        return {"msgtype": "image", "image": {"media_id": self.media_id}}


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file; media ids die after three days."""

    media_id: str

    def __post_init__(self) -> None:
        _present("file media_id", self.media_id)

    def payload(self) -> Payload:
        return {"msgtype": "file", "file": {"media_id": self.media_id}}


Attachment = Link | MiniProgram | Image | File


@dataclass(frozen=True, slots=True)
class Welcome:
    """The one message a new customer gets by itself."""

    text: str = field(repr=False)
    attachments: tuple[Attachment, ...] = ()

    def __post_init__(self) -> None:
        _something_to_say(self.text, self.attachments)

    def payload(self) -> Payload:
        return _content(self.text, self.attachments)


@dataclass(frozen=True, slots=True)
class MassSend:
    """A message for some of a member's customers, which the member is then asked to send.

    The receivers are always named: WeCom takes an empty list for *all* customers of the sender.
    """

    sender: str
    external_userids: tuple[str, ...]
    text: str = field(repr=False)
    attachments: tuple[Attachment, ...] = ()

    def __post_init__(self) -> None:
        _present("mass send sender", self.sender)
        if not 1 <= len(self.external_userids) <= MAX_RECEIVERS:
            raise ValueError(
                f"mass send takes 1 to {MAX_RECEIVERS} customers, got {len(self.external_userids)}"
            )
        _something_to_say(self.text, self.attachments)

    def payload(self) -> Payload:
        return {
            "chat_type": "single",
            "sender": self.sender,
            "external_userid": list(self.external_userids),
            **_content(self.text, self.attachments),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """One JSON object of an answer; a field of another type than documented is UnreadableAnswer."""

    call: str
    fields: Mapping[str, object] = field(repr=False)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._value(name, default)
        return value if isinstance(value, str) else self._unreadable(name)

    def number(self, name: str, default: int | None = None) -> int:
        value = self._value(name, default)
        return value if isinstance(value, int) else self._unreadable(name)

    def moment(self, name: str) -> datetime:
        """The Unix second in a field, as aware UTC."""
        try:
            return datetime.fromtimestamp(self.number(name), UTC)
        except (OverflowError, ValueError, OSError):
            self._unreadable(name)

    def moment_or_none(self, name: str) -> datetime | None:
        """As `moment`; None where WeCom leaves the field out or sets 0."""
        return self.moment(name) if self.number(name, 0) else None

    def texts(self, name: str) -> list[str]:
        return [v if isinstance(v, str) else self._unreadable(name) for v in self._list(name)]

    def part(self, name: str) -> "Answer":
        value = self.fields.get(name)
        return Answer(self.call, value) if isinstance(value, dict) else self._unreadable(name)

    def parts(self, name: str) -> list["Answer"]:
        return [
            Answer(self.call, v) if isinstance(v, dict) else self._unreadable(name)
            for v in self._list(name)
        ]

    def _value(self, name: str, default: object) -> object:
        # WeCom writes what is missing as null or not at all.
        value = self.fields.get(name)
        return default if value is None else value

    def _list(self, name: str) -> list[object]:
        value = self.fields.get(name) or []
        return value if isinstance(value, list) else self._unreadable(name)

    def _unreadable(self, name: str) -> Never:
        raise UnreadableAnswer(call=self.call, reason=f"field {name}")


class SendStatus(enum.StrEnum):
    """What became of a mass send for one customer."""

    UNSENT = "unsent"
    SENT = "sent"
    NOT_FRIEND = "not_friend"
    QUOTA_USED = "quota_used"


@dataclass(frozen=True, slots=True)
class MassSendCreated:
    """The task was created; `failed` are the customers who cannot receive it."""

    msgid: str
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MassSendRecord:
    """A mass send as WeCom lists it; `creator` is empty for those created by an app."""

    msgid: str
    created_at: datetime
    text: str = field(repr=False)
    creator: str


@dataclass(frozen=True, slots=True)
class MassSendTask:
    """One member's part of a mass send; confirmed says nothing about delivery."""

    userid: str
    confirmed: bool
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class MassSendResult:
    """What one customer received: the only truth about delivery."""

    external_userid: str
    userid: str
    status: SendStatus
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag a member put on a customer; personal tags have no id."""

    id: str
    name: str
    group: str


@dataclass(frozen=True, slots=True)
class Follow:
    """A member who serves a customer: since when, how they met (`add_way`, `state`), and tags."""

    userid: str
    remark: str = field(repr=False)
    added_at: datetime
    state: str
    add_way: int
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Contact:
    """A customer and every member in the app's range who serves them.

    `gender` is 0 unknown, 1 male, 2 female.
    """

    external_userid: str
    name: str = field(repr=False)
    gender: int
    avatar: str = field(repr=False)
    follows: tuple[Follow, ...]


def contact_of(pages: Sequence[Answer]) -> Contact:
    """Read a customer from the pages of `externalcontact/get`."""
    person = pages[0].part("external_contact")
    return Contact(
        external_userid=person.text("external_userid"),
        name=person.text("name", ""),
        gender=person.number("gender", 0),
        avatar=person.text("avatar", ""),
        follows=tuple(_follow_of(row) for page in pages for row in page.parts("follow_user")),
    )


def _follow_of(row: Answer) -> Follow:
    return Follow(
        userid=row.text("userid"),
        remark=row.text("remark", ""),
        added_at=row.moment("createtime"),
        state=row.text("state", ""),
        add_way=row.number("add_way", 0),
        tags=tuple(
            Tag(tag.text("tag_id", ""), tag.text("tag_name"), tag.text("group_name", ""))
            for tag in row.parts("tags")
        ),
    )


def record_of(row: Answer) -> MassSendRecord:
    """Read one row of `get_groupmsg_list_v2`."""
    text = row.part("text").text("content", "") if row.fields.get("text") else ""
    return MassSendRecord(
        msgid=row.text("msgid"),
        created_at=row.moment("create_time"),
        text=text,
        creator=row.text("creator", ""),
    )


def task_of(row: Answer) -> MassSendTask:
    """Read one row of `get_groupmsg_task`; status 2 is confirmed."""
    confirmed = row.number("status") == 2
    return MassSendTask(row.text("userid"), confirmed, row.moment_or_none("send_time"))


def result_of(row: Answer) -> MassSendResult:
    """Read one row of `get_groupmsg_send_result`."""
    status = _SEND_STATUS.get(row.number("status"))
    if status is None:
        raise UnreadableAnswer(call=row.call, reason="field status")
    return MassSendResult(
        external_userid=row.text("external_userid"),
        userid=row.text("userid", ""),
        status=status,
        sent_at=row.moment_or_none("send_time"),
    )


_SEND_STATUS = dict(enumerate(SendStatus))  # 0 to 3, in the order WeCom numbers them


def _content(text: str, attachments: tuple[Attachment, ...]) -> Payload:
    content: Payload = {}
    if text:
        content["text"] = {"content": text}
    if attachments:
        content["attachments"] = [attachment.payload() for attachment in attachments]
    return content


def _something_to_say(text: str, attachments: tuple[Attachment, ...]) -> None:
    if not text and not attachments:
        raise ValueError("a message needs a text or an attachment")
    _within("text", text, CUSTOMER_TEXT, least=0)
    if len(attachments) > MAX_ATTACHMENTS:
        raise ValueError(f"at most {MAX_ATTACHMENTS} attachments, got {len(attachments)}")


def _within(name: str, value: str, limit: int, *, least: int = 1) -> None:
    size = len(value.encode())
    if not least <= size <= limit:
        raise ValueError(f"{name} takes {least} to {limit} bytes, got {size}")


def _present(name: str, value: str) -> None:
    if not value:
        raise ValueError(f"{name} is empty")
