"""The XML of a callback, read field by field; what is missing is empty or None."""

import enum
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypedDict, TypeVar
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from wecom.event_kinds import Event

MAX_PLAINTEXT = 256 * 1024
# WeCom writes these once for each account; everything else stands once in an event.
MAY_REPEAT = frozenset({"AuthAddOpenKfId", "AuthDelOpenKfId"})

C = TypeVar("C", bound=enum.StrEnum)


class UnreadableEvent(ValueError):
    """The plaintext is not an XML message with a receiver and a time, or says something twice."""


class Envelope(TypedDict):
    """What every event says."""

    corp_id: str
    created_at: datetime
    kind: str
    order_key: str


Reader = Callable[[Element, Envelope], Event | None]


def root_of(plaintext: str) -> Element:
    """The message as an element; UnreadableEvent if it is none, or says something twice."""
    if len(plaintext) > MAX_PLAINTEXT:
        raise UnreadableEvent("longer than any event WeCom sends")
    try:
        xml: Element = fromstring(plaintext, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as unreadable:
        raise UnreadableEvent("not plain XML") from unreadable
    names = [child.tag for child in xml if child.tag not in MAY_REPEAT]
    if len(set(names)) != len(names):
        raise UnreadableEvent("an element appears twice")
    return xml


def envelope_of(xml: Element) -> Envelope:
    """Receiver, time, kind and whose event it is; UnreadableEvent without the first two."""
    corp_id, second = text(xml, "ToUserName"), number(xml, "CreateTime")
    if not corp_id or second is None:
        raise UnreadableEvent("receiver or time is missing")
    try:
        created_at = datetime.fromtimestamp(second, UTC)
    except (OverflowError, ValueError, OSError) as impossible:
        raise UnreadableEvent("the time is out of range") from impossible
    return {
        "corp_id": corp_id,
        "created_at": created_at,
        "kind": ".".join(filter(None, (word(xml), text(xml, "ChangeType")))),
        "order_key": text(xml, "ExternalUserID") or text(xml, "ChatId"),
    }


def word(xml: Element) -> str:
    """The message type, or the event's name."""
    kind = text(xml, "MsgType")
    return text(xml, "Event") if kind == "event" else kind


def text(xml: Element, path: str) -> str:
    """The text of the first such element; empty without one."""
    return xml.findtext(path) or ""


def texts(xml: Element, path: str) -> tuple[str, ...]:
    """The text of every such element: one item or several."""
    return tuple(item.text or "" for item in xml.findall(path))


def number(xml: Element, path: str) -> int | None:
    """A whole number without a sign; None for anything else."""
    said = text(xml, path).strip()
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 20 else None


def decimal(xml: Element, path: str) -> float | None:
    """A finite number; None for anything else."""
    said = text(xml, path).strip()
    try:
        value = float(said) if len(said) < 40 else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def change_of(xml: Element, words: type[C]) -> C | None:
    """The change type as one of these words; None for one not known."""
    try:
        return words(text(xml, "ChangeType"))
    except ValueError:
        return None
