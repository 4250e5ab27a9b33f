"""The locked envelope WeCom's callbacks arrive in: signature, AES, and who it is meant for.

    GET  ?msg_signature&timestamp&nonce&echostr     → `open_echo`
    POST ?msg_signature&timestamp&nonce + XML       → `open_with_any`; `open_envelope` for one pair

Several pairs of token and key may be accepted at once: the second one of a change, further apps of
the corp. The cipher is wechatpy's. Everything around it is checked here, because wechatpy compares
signatures in variable time, does not look at the padding and lets bad input surface as six kinds of
error. Whatever is wrong, the caller learns one thing after the same work: `CallbackRejected`.
"""

import base64
import binascii
import enum
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from wechatpy.enterprise.crypto import PrpCrypto

BLOCK = 32  # WeCom pads to 32 bytes, twice the AES block
PREFIX = 16  # random bytes before the length
# The largest documented event, the member list of a group, stays far below this.
MAX_BODY = 1 << 20
# An envelope has three or four elements below its root.
MAX_ELEMENTS = 16

_AES_KEY = re.compile(r"[A-Za-z0-9]{43}")
_NOTHING = bytes(BLOCK)


class CallbackRejected(Exception):
    """The callback is not an authentic message from WeCom to us."""


@dataclass(frozen=True, slots=True)
class CallbackKeys:
    """What an app's 接收消息 page shows; ValueError if the AES key is not 43 letters and digits.

    `corp_id` is whom the messages are meant for: empty for the internal robot (智能机器人). `name`
    is what people call this pair.
    """

    token: str = field(repr=False)
    aes_key: str = field(repr=False)
    corp_id: str
    name: str = "current"
    # The key is decoded and its schedule prepared once, not for every message.
    _crypto: PrpCrypto = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _AES_KEY.fullmatch(self.aes_key):
            raise ValueError("EncodingAESKey must be 43 letters and digits")
        object.__setattr__(self, "_crypto", PrpCrypto(base64.b64decode(self.aes_key + "=")))


@dataclass(frozen=True, slots=True)
class Opened:
    """A proven message: its bytes, the second WeCom signed it, and the pair that opened it."""

    plain: bytes = field(repr=False)
    signed_at: int
    keys: CallbackKeys


def open_echo(accepted: CallbackKeys | Sequence[CallbackKeys], query: Mapping[str, str]) -> str:
    """Return the text WeCom wants to read back, bare, to accept our address."""
    pairs = (accepted,) if isinstance(accepted, CallbackKeys) else accepted
    return _text(_open(pairs, query, query.get("echostr", "")).plain)


def open_envelope(keys: CallbackKeys, query: Mapping[str, str], body: bytes) -> str:
    """Return the text of a pushed message once it is proven WeCom's and meant for us."""
    return _text(open_with_any((keys,), query, body).plain)


def open_with_any(
    accepted: Sequence[CallbackKeys], query: Mapping[str, str], body: bytes
) -> Opened:
    """Return the message and the pair it was locked with; every accepted pair is tried."""
    return _open(accepted, query, _encrypt_element(body))


class Reason(enum.StrEnum):
    """Why a callback was rejected, for the operator; whoever sent it is never told."""

    ENVELOPE = "envelope"
    SIGNATURE = "signature"
    AES_KEY = "aes_key"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class Rejection:
    """The reason, and whom the message was meant for where that is what is wrong."""

    reason: Reason
    receiver: str = ""


def why_rejected(
    accepted: Sequence[CallbackKeys], query: Mapping[str, str], body: bytes
) -> Rejection:
    """Tell the usual mistakes of a set-up apart, once the stranger has had their answer.

    Only somebody who knows a Token of ours can come further than `SIGNATURE`.
    """
    encrypted = query.get("echostr", "") or _encrypt_element(body)
    if not encrypted:
        return Rejection(Reason.ENVELOPE)
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    claimed = query.get("msg_signature", "").encode("utf-8", "surrogatepass")
    signed = [keys for keys in accepted if _fits(keys, claimed, timestamp, nonce, encrypted)]
    if not signed:
        return Rejection(Reason.SIGNATURE)
    for keys in signed:
        receiver = _receiver(keys, _ciphertext(encrypted))
        if receiver is not None:
            return Rejection(Reason.RECEIVER, receiver)
    return Rejection(Reason.AES_KEY)


def _receiver(keys: CallbackKeys, ciphertext: bytes) -> str | None:
    """Whom a message is meant for; None where this key does not open it."""
    padded: bytes = keys._crypto.cipher.decrypt(ciphertext)
    content = padded[: len(padded) - padded[-1]]
    end = PREFIX + 4 + int.from_bytes(content[PREFIX : PREFIX + 4], "big")
    receiver = content[end:] if end <= len(content) else b"\0"
    plausible = receiver.isalnum() and len(receiver) <= 64 and receiver.isascii()
    return receiver.decode() if plausible else None


def seal(
    keys: CallbackKeys, plaintext: str, nonce: str, timestamp: int, *, prefix: bytes | None = None
) -> tuple[dict[str, str], bytes]:
    """Lock a message the way WeCom does: the query and the XML body of its push.

    `prefix` is 16 bytes of salt, random unless a known envelope is to be reproduced.
    """
    return seal_bytes(keys, plaintext.encode(), nonce, timestamp, prefix=prefix)


def seal_bytes(
    keys: CallbackKeys, plaintext: bytes, nonce: str, timestamp: int, *, prefix: bytes | None = None
) -> tuple[dict[str, str], bytes]:
    """The same for any bytes, readable or not."""
    encrypted = _encrypt(keys, plaintext, prefix or secrets.token_bytes(PREFIX))
    query = _signed(keys, encrypted, nonce, timestamp)
    body = (
        f"<xml><ToUserName><![CDATA[{keys.corp_id}]]></ToUserName>"
        f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    )
    return query, body.encode()


def seal_echo(keys: CallbackKeys, word: str, nonce: str, timestamp: int) -> dict[str, str]:
    """The query with which WeCom asks for an echo of that word."""
    encrypted = _encrypt(keys, word.encode(), secrets.token_bytes(PREFIX))
    return {**_signed(keys, encrypted, nonce, timestamp), "echostr": encrypted}


def _signed(keys: CallbackKeys, encrypted: str, nonce: str, timestamp: int) -> dict[str, str]:
    signature = _signature(keys.token, str(timestamp), nonce, encrypted)
    return {"msg_signature": signature, "timestamp": str(timestamp), "nonce": nonce}


class _Envelope:
    """Reads the outer XML of a stranger: flat, small, each element once, no declarations.

    Nothing is built from it but the text of `Encrypt`, so it cannot grow in memory.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.encrypted: list[str] = []
        self._depth = 0

    def read(self, body: bytes) -> str:
        """Return the text of `Encrypt`; CallbackRejected or an expat error otherwise."""
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(body, True)
        return "".join(self.encrypted)

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        # Another reader could take the declared encoding seriously and see another message.
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8"):
            raise CallbackRejected

    def _refuse(self, *_: Any) -> None:
        raise CallbackRejected

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        # With two <Encrypt> one reader could check the first and another open the second.
        twice = name in self.names
        if self._depth > 2 or twice or len(self.names) >= MAX_ELEMENTS:
            raise CallbackRejected
        if self._depth == 1 and name != "xml":
            raise CallbackRejected
        self.names.append(name)

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _text(self, text: str) -> None:
        if self._depth == 2 and self.names[-1] == "Encrypt":
            self.encrypted.append(text)


def _encrypt_element(body: bytes) -> str:
    """The locked part; empty, which no signature fits, where there is none to be found."""
    # Ids and base64 are ASCII; UTF-16, which a parser guesses from its first bytes, is not.
    if len(body) > MAX_BODY or not body.isascii() or b"\0" in body:
        return ""
    try:
        return _Envelope().read(body)
    except (expat.ExpatError, CallbackRejected, ValueError, LookupError):
        return ""


def _open(accepted: Sequence[CallbackKeys], query: Mapping[str, str], encrypted: str) -> Opened:
    """Verify with every pair, then decrypt with those that fit, or in vain with the first."""
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    claimed = query.get("msg_signature", "").encode("utf-8", "surrogatepass")
    fitting = [keys for keys in accepted if _fits(keys, claimed, timestamp, nonce, encrypted)]
    ciphertext = _ciphertext(encrypted)
    messages = [(keys, _message(keys, ciphertext)) for keys in fitting or accepted[:1]]
    signed_at = _second(timestamp)
    for keys, message in messages:
        if fitting and nonce and message is not None and signed_at is not None:
            return Opened(message, signed_at, keys)
    raise CallbackRejected


def _fits(keys: CallbackKeys, claimed: bytes, timestamp: str, nonce: str, encrypted: str) -> bool:
    expected = _signature(keys.token, timestamp, nonce, encrypted).encode()
    # Without a token everybody could sign.
    return hmac.compare_digest(expected, claimed) and bool(keys.token)


def _signature(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    parts = sorted(
        part.encode("utf-8", "surrogatepass") for part in (token, timestamp, nonce, encrypted)
    )
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).hexdigest()


def _second(timestamp: str) -> int | None:
    plausible = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 15
    return int(timestamp) if plausible else None


def _text(plain: bytes) -> str:
    try:
        return plain.decode()
    except UnicodeDecodeError:
        pass
    raise CallbackRejected


def _ciphertext(encrypted: str) -> bytes:
    try:
        ciphertext = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        ciphertext = b""
    return ciphertext if ciphertext and len(ciphertext) % 16 == 0 else _NOTHING


def _message(keys: CallbackKeys, ciphertext: bytes) -> bytes | None:
    """The message inside; None if padding, length or receiver are not right, looked at together."""
    padded: bytes = keys._crypto.cipher.decrypt(ciphertext)
    count = padded[-1]
    filled = hmac.compare_digest(padded[-count:], bytes([count]) * count)
    content = padded[: len(padded) - count]
    start = PREFIX + 4
    end = start + int.from_bytes(content[PREFIX:start], "big")
    ours = hmac.compare_digest(content[end:], keys.corp_id.encode())
    whole = len(content) >= start and end <= len(content)
    return content[start:end] if filled & (1 <= count <= BLOCK) & whole & ours else None


def _encrypt(keys: CallbackKeys, message: bytes, prefix: bytes) -> str:
    content = prefix + len(message).to_bytes(4, "big") + message + keys.corp_id.encode()
    count = BLOCK - len(content) % BLOCK
    ciphertext: bytes = keys._crypto.cipher.encrypt(content + bytes([count]) * count)
    return base64.b64encode(ciphertext).decode()
