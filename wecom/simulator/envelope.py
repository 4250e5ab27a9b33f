"""How a callback is wrapped: XML, encrypted and signed with one app's keys."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from wechatpy.crypto import _get_signature
from wechatpy.enterprise.crypto import PrpCrypto

from wecom.simulator.corp import App

Fields = Mapping[str, Any]


def xml(fields: Fields) -> str:
    """The fields as `<xml>`; texts as CDATA, numbers plain, mappings nested, lists repeated."""
    return "<xml>" + _children(fields) + "</xml>"


def encrypt(app: App, corp_id: str, plaintext: str) -> str:
    """The plaintext under the app's key, for the corp as receiver."""
    sealed: bytes = PrpCrypto(base64.b64decode(app.aes_key + "=")).encrypt(plaintext, corp_id)
    return sealed.decode()


def signed(app: App, encrypted: str, timestamp: int) -> dict[str, str]:
    """The query of a callback: signature, time and a fresh nonce."""
    nonce = str(secrets.randbelow(10**10))
    signature = str(_get_signature(app.token, str(timestamp), nonce, encrypted))
    return {"msg_signature": signature, "timestamp": str(timestamp), "nonce": nonce}


def _children(fields: Fields) -> str:
    return "".join(_element(name, value) for name, value in fields.items())


def _element(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return f"<{name}>{_children(value)}</{name}>"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, int | float):
        return f"<{name}>{value}</{name}>"
    # A CDATA section cannot hold its own end mark: close it, and open the next one in between.
    escaped = str(value).replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{escaped}]]></{name}>"
