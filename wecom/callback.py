"""The locked envelope WeCom's callbacks arrive in: signature, AES, and who it is meant for.

    GET  ?msg_signature&timestamp&nonce&echostr     → `open_echo`
    POST ?msg_signature&timestamp&nonce + XML       → `open_envelope`

The cipher is wechatpy's. Everything around it is checked here, because wechatpy compares signatures
in variable time, does not look at the padding and lets bad input surface as six kinds of error.
Whatever is wrong, the caller learns one thing: `CallbackRejected`.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from wechatpy.enterprise.crypto import PrpCrypto

BLOCK = 32  # WeCom pads to 32 bytes, twice the AES block
PREFIX = 16  # random bytes before the length
# The largest documented event, the member list of a group, stays far below this.
MAX_BODY = 256 * 1024

_AES_KEY = re.compile(r"[A-Za-z0-9]{43}")


class CallbackRejected(Exception):
    """The callback is not an authentic message from WeCom to us."""


@dataclass(frozen=True, slots=True)
class CallbackKeys:
    """What an app's 接收消息 page shows; ValueError if the AES key is not 43 letters and digits.

    `corp_id` is whom the messages are meant for: empty for the internal robot (智能机器人).
    """

    token: str = field(repr=False)
    aes_key: str = field(repr=False)
    corp_id: str
    # The key is decoded and its schedule prepared once, not for every message.
    _crypto: PrpCrypto = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _AES_KEY.fullmatch(self.aes_key):
            raise ValueError("EncodingAESKey must be 43 letters and digits")
        object.__setattr__(self, "_crypto", PrpCrypto(base64.b64decode(self.aes_key + "=")))


def open_echo(keys: CallbackKeys, query: Mapping[str, str]) -> str:
    """Return the text WeCom wants to read back, bare, to accept our address."""
    return _text(_open(keys, query, _parameter(query, "echostr")))


def open_envelope(keys: CallbackKeys, query: Mapping[str, str], body: bytes) -> str:
    """Return the plaintext of a pushed message once it is proven WeCom's and meant for us."""
    return _text(_open(keys, query, _encrypt_element(body)))


def seal(
    keys: CallbackKeys, plaintext: str, nonce: str, timestamp: int, *, prefix: bytes | None = None
) -> tuple[dict[str, str], bytes]:
    """Lock a message the way WeCom does: the query and the XML body of its push.

    `prefix` is 16 bytes of salt, random unless a known envelope is to be reproduced.
    """
    encrypted = _encrypt(keys, plaintext.encode(), prefix or secrets.token_bytes(PREFIX))
    query = {
        "msg_signature": _signature(keys.token, str(timestamp), nonce, encrypted),
        "timestamp": str(timestamp),
        "nonce": nonce,
    }
    body = (
        f"<xml><ToUserName><![CDATA[{keys.corp_id}]]></ToUserName>"
        f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    )
    return query, body.encode()


def _encrypt_element(body: bytes) -> str:
    if len(body) > MAX_BODY:
        raise CallbackRejected
    try:
        # expat reports an impossible encoding declaration as ValueError or LookupError.
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        root = None
    if root is None or root.tag != "xml":
        raise CallbackRejected
    names = [child.tag for child in root]
    # With two <Encrypt> one reader could check the first and another open the second.
    if len(set(names)) != len(names):
        raise CallbackRejected
    encrypted: str = root.findtext("Encrypt", "")
    return encrypted


def _open(keys: CallbackKeys, query: Mapping[str, str], encrypted: str) -> bytes:
    timestamp, nonce = _parameter(query, "timestamp"), _parameter(query, "nonce")
    expected = _signature(keys.token, timestamp, nonce, encrypted)
    claimed = _parameter(query, "msg_signature").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(expected.encode(), claimed):
        raise CallbackRejected
    return _message_for(keys.corp_id, _decrypt(keys, encrypted))


def _parameter(query: Mapping[str, str], name: str) -> str:
    value = query.get(name, "")
    if not value:
        raise CallbackRejected
    return value


def _signature(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    parts = sorted(
        part.encode("utf-8", "surrogatepass") for part in (token, timestamp, nonce, encrypted)
    )
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).hexdigest()


def _decrypt(keys: CallbackKeys, encrypted: str) -> bytes:
    try:
        ciphertext = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        ciphertext = b""
    if not ciphertext or len(ciphertext) % 16:
        raise CallbackRejected
    padded: bytes = keys._crypto.cipher.decrypt(ciphertext)
    count = padded[-1]
    if not 1 <= count <= BLOCK or not padded.endswith(bytes([count]) * count):
        raise CallbackRejected
    return padded[:-count]


def _message_for(corp_id: str, content: bytes) -> bytes:
    start = PREFIX + 4
    end = start + int.from_bytes(content[PREFIX:start], "big")
    if len(content) < start or end > len(content):
        raise CallbackRejected
    if not hmac.compare_digest(content[end:], corp_id.encode()):
        raise CallbackRejected
    return content[start:end]


def _text(plaintext: bytes) -> str:
    try:
        return plaintext.decode()
    except UnicodeDecodeError:
        pass
    raise CallbackRejected


def _encrypt(keys: CallbackKeys, message: bytes, prefix: bytes) -> str:
    content = prefix + len(message).to_bytes(4, "big") + message + keys.corp_id.encode()
    count = BLOCK - len(content) % BLOCK
    ciphertext: bytes = keys._crypto.cipher.encrypt(content + bytes([count]) * count)
    return base64.b64encode(ciphertext).decode()
