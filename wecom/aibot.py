"""The robot members talk to (智能机器人): its JSON envelope opened, its answers written and sealed.

    POST ?msg_signature&timestamp&nonce + {"encrypt": …}      → `open_message`
    answer {"encrypt", "msgsignature", "timestamp", "nonce"}  ← `seal_reply`
    POST to the message's response_url, later, once           ← `late_reply`

Signature and cipher are those of `wecom.callback`; the receiver is the empty string, so the keys
are `CallbackKeys(token, aes_key, corp_id="")`, and the address is verified with `open_echo`.
Whatever is wrong with an envelope, the caller learns one thing: `CallbackRejected`. A message of a
kind this version does not know is a `RobotMessage` without words: an address that refuses what the
platform invents next year would be switched off.
"""

import base64
import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Never

from wecom.callback import MAX_BODY, CallbackKeys, CallbackRejected, open_envelope, seal

STREAM_BYTES = 20480
STREAM_PICTURES = 10
PICTURE_BYTES = 10 * 1024 * 1024

Fields = dict[str, Any]


class RobotEventKind(enum.StrEnum):
    """What a member did with the robot other than write to it."""

    ENTERED = "enter_chat"
    CARD_PRESSED = "template_card_event"
    FEEDBACK = "feedback_event"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who speaks, and where: `chat_id` is empty in a chat of two."""

    msgid: str
    robot_id: str
    userid: str
    chat_id: str


@dataclass(frozen=True, slots=True)
class RobotMessage:
    """A member wrote; `response_url` takes one later answer within the hour.

    `text` joins everything written or spoken, `media` are the encrypted files' addresses, `quoted`
    is the text answered to. The platform may deliver the same `msgid` twice.
    """

    asker: Asker
    kind: str
    text: str = field(repr=False)
    media: tuple[str, ...]
    quoted: str = field(repr=False)
    response_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RobotEvent:
    """A member entered the chat, pressed a card or judged an answer; `detail` is as it came."""

    asker: Asker
    kind: RobotEventKind
    button: str
    task_id: str
    card_type: str
    selections: tuple[tuple[str, tuple[str, ...]], ...]
    response_url: str = field(repr=False)
    detail: Fields = field(repr=False)


@dataclass(frozen=True, slots=True)
class StreamPoll:
    """The platform asks how far the answer `stream_id` is."""

    asker: Asker
    stream_id: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPG or PNG at the end of a streamed answer, at most 10 MB."""

    content: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not self.content.startswith((b"\x89PNG", b"\xff\xd8")):
            raise ValueError("a picture must be JPG or PNG")
        if len(self.content) > PICTURE_BYTES:
            raise ValueError("a picture takes at most 10 MB")

    def payload(self) -> Fields:
        image = {
            "base64": base64.b64encode(self.content).decode(),
            "md5": hashlib.md5(self.content, usedforsecurity=False).hexdigest(),
        }
        return {"msgtype": "image", "image": image}


@dataclass(frozen=True, slots=True)
class StreamText:
    """The answer so far, in Markdown, always the whole of it; WeCom asks again until `finish`.

    `feedback_id` lets the member judge the answer. Pictures are allowed at the end only.
    """

    stream_id: str
    content: str = field(repr=False)
    finish: bool
    pictures: tuple[Picture, ...] = ()
    feedback_id: str = ""

    def __post_init__(self) -> None:
        if not self.stream_id:
            raise ValueError("a stream needs an id")
        if len(self.content.encode()) > STREAM_BYTES:
            raise ValueError(f"a stream takes at most {STREAM_BYTES} bytes")
        if self.pictures and (not self.finish or len(self.pictures) > STREAM_PICTURES):
            raise ValueError(f"at most {STREAM_PICTURES} pictures, with the last part only")

    def payload(self) -> Fields:
        stream: Fields = {"id": self.stream_id, "finish": self.finish, "content": self.content}
        if self.pictures:
            stream["msg_item"] = [picture.payload() for picture in self.pictures]
        if self.feedback_id:
            stream["feedback"] = {"id": self.feedback_id}
        return {"msgtype": "stream", "stream": stream}


@dataclass(frozen=True, slots=True)
class CardReply:
    """A template card as the answer; `card` is the card's own JSON."""

    card: Fields = field(repr=False)

    def payload(self) -> Fields:
        return {"msgtype": "template_card", "template_card": self.card}


@dataclass(frozen=True, slots=True)
class StreamWithCard:
    """A streamed answer with a card below it."""

    stream: StreamText
    card: Fields = field(repr=False)

    def payload(self) -> Fields:
        return {
            "msgtype": "stream_with_template_card",
            "stream": self.stream.payload()["stream"],
            "template_card": self.card,
        }


@dataclass(frozen=True, slots=True)
class WelcomeText:
    """What the robot says when a member enters; the answer to `enter_chat` only."""

    content: str = field(repr=False)

    def payload(self) -> Fields:
        return {"msgtype": "text", "text": {"content": self.content}}


@dataclass(frozen=True, slots=True)
class CardUpdate:
    """The pressed card's new look; for these members, for the presser when none are named."""

    card: Fields = field(repr=False)
    userids: tuple[str, ...] = ()

    def payload(self) -> Fields:
        update: Fields = {"response_type": "update_template_card", "template_card": self.card}
        return update | ({"userids": list(self.userids)} if self.userids else {})


@dataclass(frozen=True, slots=True)
class LateText:
    """Markdown for the response_url: once, within an hour of the message."""

    content: str = field(repr=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.content.encode()) <= STREAM_BYTES:
            raise ValueError(f"a late answer takes 1 to {STREAM_BYTES} bytes")

    def payload(self) -> Fields:
        return {"msgtype": "markdown", "markdown": {"content": self.content}}


RobotReply = StreamText | CardReply | StreamWithCard | WelcomeText | CardUpdate


def open_message(
    keys: CallbackKeys, query: Mapping[str, str], body: bytes
) -> RobotMessage | RobotEvent | StreamPoll:
    """What the platform sent, once it is proven the platform's; CallbackRejected otherwise.

    A name twice in one JSON object is rejected, outside and inside the envelope: two readers could
    take different ones.
    """
    if len(body) > MAX_BODY:
        _reject()
    envelope = _json(body)
    encrypted = envelope.get("encrypt") or envelope.get("Encrypt")
    if not isinstance(encrypted, str) or {"encrypt", "Encrypt"} <= envelope.keys():
        _reject()
    return _message(_json(_open(keys, query, encrypted).encode()))


def seal_reply(
    keys: CallbackKeys,
    reply: RobotReply,
    nonce: str,
    timestamp: int,
    *,
    prefix: bytes | None = None,
) -> Fields:
    """The JSON object that answers the platform's POST; `prefix` is the salt, random by default."""
    plaintext = json.dumps(reply.payload(), ensure_ascii=False, separators=(",", ":"))
    query, encrypted = _sealed(keys, plaintext, nonce, timestamp, prefix)
    return {
        "encrypt": encrypted,
        "msgsignature": query["msg_signature"],
        "timestamp": timestamp,
        "nonce": nonce,
    }


def late_reply(reply: LateText | CardReply) -> bytes:
    """The body to POST to a response_url: plain JSON in UTF-8, which takes no \\u escapes."""
    return json.dumps(reply.payload(), ensure_ascii=False).encode()


def _open(keys: CallbackKeys, query: Mapping[str, str], encrypted: str) -> str:
    # The XML door does the same checks on the same ciphertext; base64 needs no escaping in it.
    if not _BASE64.issuperset(encrypted):
        _reject()
    return open_envelope(keys, query, f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode())


def _sealed(
    keys: CallbackKeys, plaintext: str, nonce: str, timestamp: int, prefix: bytes | None
) -> tuple[dict[str, str], str]:
    query, body = seal(keys, plaintext, nonce, timestamp, prefix=prefix)
    encrypted = body.decode().rsplit("<Encrypt><![CDATA[", 1)[1].split("]]>", 1)[0]
    return query, encrypted


_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def _json(raw: bytes) -> Fields:
    try:
        found = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_reject)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        _reject()
    return found


def _once(pairs: list[tuple[str, Any]]) -> Fields:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise CallbackRejected
    return named


def _message(fields: Fields) -> RobotMessage | RobotEvent | StreamPoll:
    asker = Asker(
        msgid=_text(fields, "msgid"),
        robot_id=_text(fields, "aibotid"),
        userid=_text(_part(fields, "from"), "userid"),
        chat_id=_text(fields, "chatid"),
    )
    kind = _text(fields, "msgtype")
    if kind == "stream":
        return StreamPoll(asker, _text(_part(fields, "stream"), "id"))
    if kind == "event":
        return _event(asker, fields)
    texts, media = _contents(fields, kind)
    quote = _part(fields, "quote")
    quoted, _ = _contents(quote, _text(quote, "msgtype"))
    return RobotMessage(
        asker=asker,
        kind=kind,
        text="\n".join(texts),
        media=tuple(media),
        quoted="\n".join(quoted),
        response_url=_text(fields, "response_url"),
    )


def _event(asker: Asker, fields: Fields) -> RobotEvent:
    event = _part(fields, "event")
    word = _text(event, "eventtype")
    kind = RobotEventKind(word) if word in set(RobotEventKind) else RobotEventKind.UNKNOWN
    detail = _part(event, word)
    return RobotEvent(
        asker=asker,
        kind=kind,
        button=_text(detail, "event_key"),
        task_id=_text(detail, "task_id"),
        card_type=_text(detail, "card_type"),
        selections=_selections(_part(detail, "selected_items")),
        response_url=_text(fields, "response_url"),
        detail=detail,
    )


def _selections(selected: Fields) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rows = []
    for item in _rows(selected, "selected_item"):
        options = _part(item, "option_ids").get("option_id")
        listed = options if isinstance(options, list) else []
        rows.append((_text(item, "question_key"), tuple(str(option) for option in listed)))
    return tuple(rows)


def _contents(fields: Fields, kind: str) -> tuple[list[str], list[str]]:
    """The words and the files' addresses of a message, in their order."""
    if kind == "mixed":
        texts: list[str] = []
        media: list[str] = []
        for item in _rows(_part(fields, "mixed"), "msg_item"):
            words, files = _contents(item, _text(item, "msgtype"))
            texts += words
            media += files
        return texts, media
    body = _part(fields, kind)
    return [w for w in [_text(body, "content")] if w], [u for u in [_text(body, "url")] if u]


def _part(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _rows(fields: Fields, name: str) -> list[Fields]:
    value = fields.get(name)
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _reject(_: str = "") -> Never:
    raise CallbackRejected
