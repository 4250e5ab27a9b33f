"""What WeCom tells us: the decrypted XML of a callback as a frozen event.

    Event
    ├── TextMessage         a member wrote to the app
    ├── ContactChanged      customer and member: added, edited, lost, agreed to archiving
    ├── GroupChanged        a customer group was created, changed or dismissed
    ├── TagChanged          a company tag or tag group
    ├── ArchiveBell         new conversations can be pulled from the archive
    ├── ServiceBell         new 微信客服 messages can be pulled
    ├── CardPressed         a member pressed a button of a template card
    ├── AppEntered · AppSubscribed
    └── UnknownEvent        anything else, kept as it came

A callback is a hint. It may come twice, late, out of order or never; whoever handles it must be
able to do so again, and a regular pull makes up for the lost ones.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypedDict, TypeVar
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

MAX_PLAINTEXT = 256 * 1024


class UnreadableEvent(ValueError):
    """The plaintext is not an XML message with a receiver and a time, or says something twice."""


class ContactChange(enum.StrEnum):
    """What happened between a customer and a member."""

    ADDED = "add_external_contact"
    EDITED = "edit_external_contact"
    HALF_ADDED = "add_half_external_contact"
    DELETED_BY_MEMBER = "del_external_contact"
    DELETED_BY_CUSTOMER = "del_follow_user"
    TRANSFER_FAILED = "transfer_fail"
    ARCHIVE_AGREED = "msg_audit_approved"


class GroupChange(enum.StrEnum):
    """What happened to a customer group."""

    CREATED = "create"
    UPDATED = "update"
    DISMISSED = "dismiss"


class TagChange(enum.StrEnum):
    """What happened to a company tag."""

    CREATED = "create"
    UPDATED = "update"
    DELETED = "delete"
    SHUFFLED = "shuffle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something WeCom told us.

    `kind` is WeCom's own word: the message type, or the event name followed by `.` and its change
    type. Events with the same `order_key` (a customer or a group) are handled one after another; it
    is empty where order does not matter.
    """

    corp_id: str
    created_at: datetime
    kind: str
    order_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMessage(Event):
    """A member wrote to the app; customers never can."""

    userid: str
    agent_id: str
    message_id: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactChanged(Event):
    """The relation between a customer and a member changed.

    `state` is the channel the customer came by. `welcome_code` lives 20 seconds and works once;
    empty when no welcome may be sent. `source` and `fail_reason` are WeCom's words for a deletion
    caused by inheritance and for a failed handover.
    """

    change: ContactChange
    userid: str
    external_userid: str
    state: str
    welcome_code: str = field(repr=False)
    source: str
    fail_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChanged(Event):
    """A customer group changed; wait about two seconds before reading its details.

    `detail` says what an update was (`add_member`, `del_member`, `change_owner`, `change_name`,
    `change_notice`). Scenes and counts may be present for details they do not belong to: branch on
    `detail` alone. `version` equals the `member_version` of the group once this change is in it.
    """

    change: GroupChange
    chat_id: str
    detail: str
    members: tuple[str, ...]
    member_count: int | None
    join_scene: int | None
    quit_scene: int | None
    previous_version: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TagChanged(Event):
    """A company tag or tag group changed; a shuffle names no `tag_type`."""

    change: TagChange
    tag_id: str
    tag_type: str
    strategy_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveBell(Event):
    """The conversation archive has something new; rings once in 15 seconds at most."""

    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceBell(Event):
    """A 微信客服 account has something new; `token` helps the pull for ten minutes."""

    open_kfid: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Selection:
    """The options a member chose for one question of a card."""

    question_key: str
    option_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPressed(Event):
    """A member pressed a card's button; `response_code` updates the card once, within 72 hours."""

    userid: str
    agent_id: str
    button: str
    task_id: str
    card_type: str
    response_code: str = field(repr=False)
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppEntered(Event):
    """A member opened the app's chat."""

    userid: str
    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSubscribed(Event):
    """A member was given the app."""

    userid: str
    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(Event):
    """Something this version does not know, with its whole text; its order is still kept."""

    raw: str = field(repr=False)


C = TypeVar("C", bound=enum.StrEnum)


class _Envelope(TypedDict):
    corp_id: str
    created_at: datetime
    kind: str
    order_key: str


def parse(plaintext: str | bytes) -> Event:
    """Read a decrypted callback; what is unknown, or lacks what it must say, is an UnknownEvent.

    UnreadableEvent if it is not even a message with a receiver and a time.
    """
    text = plaintext.decode("utf-8", "replace") if isinstance(plaintext, bytes) else plaintext
    xml = _root(text)
    envelope = _envelope(xml)
    reader = _READERS.get(_word(xml))
    event = reader(xml, envelope) if reader else None
    return event or UnknownEvent(**envelope, raw=text)


def _root(text: str) -> Element:
    if len(text) > MAX_PLAINTEXT:
        raise UnreadableEvent("longer than any event WeCom sends")
    try:
        xml: Element = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as unreadable:
        raise UnreadableEvent("not plain XML") from unreadable
    names = [child.tag for child in xml]
    if len(set(names)) != len(names):
        raise UnreadableEvent("an element appears twice")
    return xml


def _envelope(xml: Element) -> _Envelope:
    corp_id, second = _text(xml, "ToUserName"), _number(xml, "CreateTime")
    if not corp_id or second is None:
        raise UnreadableEvent("receiver or time is missing")
    try:
        created_at = datetime.fromtimestamp(second, UTC)
    except (OverflowError, ValueError, OSError) as impossible:
        raise UnreadableEvent("the time is out of range") from impossible
    return {
        "corp_id": corp_id,
        "created_at": created_at,
        "kind": ".".join(filter(None, (_word(xml), _text(xml, "ChangeType")))),
        "order_key": _text(xml, "ExternalUserID") or _text(xml, "ChatId"),
    }


def _word(xml: Element) -> str:
    kind = _text(xml, "MsgType")
    return _text(xml, "Event") if kind == "event" else kind


def _text(xml: Element, path: str) -> str:
    return xml.findtext(path) or ""


def _number(xml: Element, path: str) -> int | None:
    text = _text(xml, path).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _change(xml: Element, words: type[C]) -> C | None:
    try:
        return words(_text(xml, "ChangeType"))
    except ValueError:
        return None


def _text_message(xml: Element, envelope: _Envelope) -> TextMessage | None:
    if not _text(xml, "FromUserName") or not _text(xml, "MsgId"):
        return None
    return TextMessage(
        **envelope,
        userid=_text(xml, "FromUserName"),
        agent_id=_text(xml, "AgentID"),
        message_id=_text(xml, "MsgId"),
        text=_text(xml, "Content"),
    )


def _contact_changed(xml: Element, envelope: _Envelope) -> ContactChanged | None:
    change = _change(xml, ContactChange)
    if not change or not _text(xml, "UserID") or not _text(xml, "ExternalUserID"):
        return None
    return ContactChanged(
        **envelope,
        change=change,
        userid=_text(xml, "UserID"),
        external_userid=_text(xml, "ExternalUserID"),
        state=_text(xml, "State"),
        welcome_code=_text(xml, "WelcomeCode"),
        source=_text(xml, "Source"),
        fail_reason=_text(xml, "FailReason"),
    )


def _group_changed(xml: Element, envelope: _Envelope) -> GroupChanged | None:
    change = _change(xml, GroupChange)
    if not change or not _text(xml, "ChatId"):
        return None
    return GroupChanged(
        **envelope,
        change=change,
        chat_id=_text(xml, "ChatId"),
        detail=_text(xml, "UpdateDetail"),
        members=tuple(item.text or "" for item in xml.findall("MemChangeList/Item")),
        member_count=_number(xml, "MemChangeCnt"),
        join_scene=_number(xml, "JoinScene"),
        quit_scene=_number(xml, "QuitScene"),
        previous_version=_text(xml, "LastMemVer"),
        version=_text(xml, "CurMemVer"),
    )


def _tag_changed(xml: Element, envelope: _Envelope) -> TagChanged | None:
    change = _change(xml, TagChange)
    if not change:
        return None
    return TagChanged(
        **envelope,
        change=change,
        tag_id=_text(xml, "Id"),
        tag_type=_text(xml, "TagType"),
        strategy_id=_text(xml, "StrategyId"),
    )


def _archive_bell(xml: Element, envelope: _Envelope) -> ArchiveBell:
    return ArchiveBell(**envelope, agent_id=_text(xml, "AgentID"))


def _service_bell(xml: Element, envelope: _Envelope) -> ServiceBell | None:
    open_kfid = _text(xml, "OpenKfId")
    if not open_kfid:
        return None
    return ServiceBell(**envelope, open_kfid=open_kfid, token=_text(xml, "Token"))


def _card_pressed(xml: Element, envelope: _Envelope) -> CardPressed | None:
    if not _text(xml, "FromUserName") or not _text(xml, "TaskId"):
        return None
    return CardPressed(
        **envelope,
        userid=_text(xml, "FromUserName"),
        agent_id=_text(xml, "AgentID"),
        button=_text(xml, "EventKey"),
        task_id=_text(xml, "TaskId"),
        card_type=_text(xml, "CardType"),
        response_code=_text(xml, "ResponseCode"),
        selections=tuple(_selection(item) for item in xml.findall("SelectedItems/SelectedItem")),
    )


def _selection(item: Element) -> Selection:
    options = tuple(option.text or "" for option in item.findall("OptionIds/OptionId"))
    return Selection(_text(item, "QuestionKey"), options)


def _app_entered(xml: Element, envelope: _Envelope) -> AppEntered:
    return AppEntered(**envelope, userid=_text(xml, "FromUserName"), agent_id=_text(xml, "AgentID"))


def _app_subscribed(xml: Element, envelope: _Envelope) -> AppSubscribed:
    return AppSubscribed(
        **envelope, userid=_text(xml, "FromUserName"), agent_id=_text(xml, "AgentID")
    )


_READERS: Final[dict[str, Callable[[Element, _Envelope], Event | None]]] = {
    "text": _text_message,
    "change_external_contact": _contact_changed,
    "change_external_chat": _group_changed,
    "change_external_tag": _tag_changed,
    "msgaudit_notify": _archive_bell,
    "kf_msg_or_event": _service_bell,
    "template_card_event": _card_pressed,
    "enter_agent": _app_entered,
    "subscribe": _app_subscribed,
}
