"""A small platform that answers over real HTTP, well or badly, and a client of it."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from wecom.client import WeComClient
from wecom.intents import Intents
from wecom.mass_sends import MassSend
from wecom.tokens import GrantStore

SECRET = "canary-of-the-secret"
TOKEN = "canary-of-the-token"
AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
SECOND = 1700000000
CREATE = "externalcontact/add_msg_template"
FOLLOWERS = "externalcontact/get_follow_user_list"
MESSAGE = MassSend("zhangsan", ("wm1", "wm2"), "固收周报已更新")


@dataclass
class Seen:
    """A request as it reached the platform."""

    path: str
    query: dict[str, str]
    raw: bytes
    content_type: str

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


Reply = dict[str, Any] | str | Callable[[Seen], dict[str, Any]]


@dataclass
class Platform:
    """WeCom's side of the wire: per path the replies in order, the last one again and again.

    A reply is the JSON to answer (errcode 0 unless it says otherwise), a function of the request,
    or the name of a way to fail: hang, drop, half, page, list, 502, redirect.
    """

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    under_way: int = 0
    most_at_once: int = 0
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    server: BaseTestServer = field(init=False)

    def count(self, path: str) -> int:
        return Counter(request.path for request in self.seen)[path]

    def last(self, path: str) -> Seen:
        return [request for request in self.seen if request.path == path][-1]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/cgi-bin/")
        assert request.method in ("GET", "POST")
        seen = Seen(path, dict(request.query), await request.read(), request.content_type)
        self.seen.append(seen)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        replies = self.replies.get(path) or [self.token if path == "gettoken" else {}]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, str):
            return await self.misbehave(request, reply)
        answer = reply(seen) if callable(reply) else reply
        return web.json_response({"errcode": 0, "errmsg": "ok"} | answer)

    def token(self, seen: Seen) -> dict[str, Any]:
        number = self.count("gettoken")
        return {"access_token": f"{TOKEN}-{number}", "expires_in": 7200}

    async def misbehave(self, request: web.Request, how: str) -> web.StreamResponse:
        if how == "hang":
            self.hanging.set()
            await self.released.wait()
        if how in ("hang", "drop"):
            return self.gone(request)
        if how == "half":
            response = web.StreamResponse(headers={"Content-Length": "500"})
            await response.prepare(request)
            await response.write(b'{"errcode": 0, "msgid": "ms')
            self.gone(request)
            return response
        if how == "redirect":
            return web.Response(status=302, headers={"Location": "/cgi-bin/elsewhere"})
        bodies = {"page": (200, "<html>busy</html>"), "list": (200, "[]"), "502": (502, "{}")}
        status, text = bodies[how]
        return web.Response(status=status, text=text)

    @staticmethod
    def gone(request: web.Request) -> web.Response:
        if request.transport:
            request.transport.close()
        return web.Response()


@asynccontextmanager
async def a_platform() -> AsyncIterator[Platform]:
    """The small platform behind real HTTP."""
    fake = Platform()
    app = web.Application(client_max_size=32 << 20)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    async with TestServer(app) as fake.server:
        yield fake
        fake.released.set()


class Watch:
    """A counter of seconds that moves when told, and notes who wanted to wait."""

    def __init__(self) -> None:
        self.second = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.second

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def client_of(
    http: aiohttp.ClientSession,
    platform: Platform,
    watch: Watch,
    *,
    grants: GrantStore | None = None,
    intents: Intents | None = None,
    agent_id: int = 1000002,
    timeout: float = 0.3,
) -> WeComClient:
    """A client of the small platform that never really waits."""
    return WeComClient(
        http,
        base_url=str(platform.server.make_url("/")),
        corp_id="wwBANK",
        agent_id=agent_id,
        secret=SECRET,
        now=watch.now,
        sleep=watch.sleep,
        timeout=timeout,
        grants=grants,
        intents=intents,
    )


def refused(code: int) -> dict[str, Any]:
    return {"errcode": code, "errmsg": "no"}


FAILURES = ["hang", "drop", "half", "page", "list", "502", "redirect"]
