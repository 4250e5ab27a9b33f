"""What a page inside WeCom needs before it may use the JS-SDK.

Two signatures, two tickets: `page_config` (`wx.config`, `getConfigSignature`) takes the
company's ticket, `agent_config` (`wx.agentConfig`, `getAgentConfigSignature`) the app's. Mixing
them is answered with error 42012.
"""

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageConfig:
    """The signed facts for `wx.config`."""

    corp_id: str
    nonce: str
    timestamp: int
    signature: str
    apis: tuple[str, ...] = ()

    def json(self) -> str:
        """The object `wx.config` takes, safe to print inside a script element."""
        return _for_script(
            {
                "beta": True,
                "appId": self.corp_id,
                "timestamp": self.timestamp,
                "nonceStr": self.nonce,
                "signature": self.signature,
                "jsApiList": list(self.apis),
            }
        )


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The signed facts for `wx.agentConfig`."""

    corp_id: str
    agent_id: int
    nonce: str
    timestamp: int
    signature: str
    apis: tuple[str, ...] = ()

    def json(self) -> str:
        """The object `wx.agentConfig` takes, safe to print inside a script element."""
        return _for_script(
            {
                "corpid": self.corp_id,
                "agentid": self.agent_id,
                "timestamp": self.timestamp,
                "nonceStr": self.nonce,
                "signature": self.signature,
                "jsApiList": list(self.apis),
            }
        )


def page_config(
    *, corp_id: str, ticket: str, nonce: str, timestamp: int, url: str, apis: tuple[str, ...] = ()
) -> PageConfig:
    """Sign the page at `url` with the company's ticket."""
    return PageConfig(corp_id, nonce, timestamp, signature(ticket, nonce, timestamp, url), apis)


def agent_config(
    *,
    corp_id: str,
    agent_id: int,
    ticket: str,
    nonce: str,
    timestamp: int,
    url: str,
    apis: tuple[str, ...] = (),
) -> AgentConfig:
    """Sign the page at `url` with the app's ticket."""
    signed = signature(ticket, nonce, timestamp, url)
    return AgentConfig(corp_id, agent_id, nonce, timestamp, signed, apis)


def signature(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """Sign a page's full URL as the browser shows it; whatever follows `#` is not part of it."""
    page = url.partition("#")[0]
    signed = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={page}"
    return hashlib.sha1(signed.encode(), usedforsecurity=False).hexdigest()


def _for_script(facts: dict[str, object]) -> str:
    text = json.dumps(facts, ensure_ascii=True)
    # A "</script>" in a value would end the element; these three are equal inside a JSON string.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
