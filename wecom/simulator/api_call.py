"""How every server call is answered: token, body, faults, and `errcode` with its hint text."""

import asyncio
import contextlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from aiohttp import web

from wecom.simulator.platform import Platform
from wecom.simulator.state import World

PLATFORM: web.AppKey[Platform] = web.AppKey("platform", Platform)
HANG_SECONDS = 60.0

T = TypeVar("T")

ERRORS = {
    -1: "system busy",
    40001: "invalid credential",
    40003: "invalid userid",
    40004: "invalid media type",
    40006: "invalid media size",
    40007: "invalid media_id",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40029: "invalid code",
    40033: "invalid character in request body",
    40035: "invalid parameter",
    40056: "invalid agentid",
    40058: "invalid Request Parameter",
    40063: "some parameters are empty",
    40066: "invalid url",
    40096: "invalid external userid",
    41001: "access_token missing",
    41046: "invalid mass send msgid",
    41048: "no customer to send",
    41049: "welcome_code missing",
    41050: "invalid welcome code",
    41051: "customer has been chatted",
    41052: "invalid time",
    41063: "mass send msg is dispatching",
    41064: "too many attachments",
    41065: "invalid attachment msgtype",
    41093: "mass send msg has been cancelled",
    41094: "too many reminds",
    41096: "welcome code is being distributed",
    42001: "access_token expired",
    42003: "code expired",
    42022: "code has been used",
    44001: "empty media data",
    45001: "media size out of limit",
    45002: "content size out of limit",
    45009: "api freq out of limit",
    45033: "api concurrent out of limit",
    60020: "not allow to access from your ip",
    60111: "userid not found",
    81013: "user & party & tag all invalid",
    84061: "not external contact",
    84014: "invalid ticket",
    301052: "chat data expired",
    301058: "chat data too large",
}


class ApiError(Exception):
    """The platform answers this call with an error code."""

    def __init__(self, errcode: int, warning: str = "") -> None:
        super().__init__(errcode)
        self.errcode = errcode
        self.warning = warning


@dataclass(frozen=True)
class Call:
    """One call of the product's server on the platform."""

    request: web.Request
    platform: Platform
    body: dict[str, Any]

    @property
    def world(self) -> World:
        """The world the call acts on."""
        return self.platform.world

    def now(self) -> datetime:
        """The platform's time, aware UTC."""
        return self.platform.now()

    def query(self, name: str) -> str:
        """A query parameter, empty when absent."""
        return self.request.query.get(name, "")

    def text(self, name: str) -> str:
        """A string of the body, empty when absent; anything else is 40058."""
        value = self.body.get(name, "")
        if not isinstance(value, str):
            raise ApiError(40058)
        return value

    def limit(self, *, default: int, most: int) -> int:
        """The page size asked for; 40058 outside 1..most, the default for 0 or none."""
        value = self.body.get("limit") or default
        if not isinstance(value, int) or not 1 <= value <= most:
            raise ApiError(40058)
        return value


Action = Callable[[Call], Awaitable[dict[str, Any]]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def endpoint(action: Action, *, needs_token: bool = True, needs_json: bool = True) -> Handler:
    """Wrap an action into a handler that checks what the platform checks before every call."""

    async def handle(request: web.Request) -> web.StreamResponse:
        platform = request.app[PLATFORM]
        fault = platform.faults.spend_on(request.path)
        try:
            await _suffer(fault, platform)
            body = await _json_body(request) if needs_json else {}
            if needs_token:
                _check_token(platform, request.query.get("access_token", ""))
            answer = {"errcode": 0, "errmsg": "ok"}
            answer.update(await action(Call(request, platform, body)))
        except ApiError as error:
            answer = error_answer(request, error)
        if fault == "lost" and request.transport is not None:
            request.transport.close()
        return web.json_response(answer, dumps=_dumps)

    return handle


def error_answer(request: web.Request, error: ApiError) -> dict[str, Any]:
    """The error as the platform words it: text, hint, the caller's address, a help link."""
    code = error.errcode
    hint = f"{secrets.randbelow(10**20):020d}"
    text = (
        f"{ERRORS.get(code, 'unknown error')}{error.warning}, hint: [{hint}], "
        f"from ip: {request.remote}, more info at "
        f"https://open.work.weixin.qq.com/devtool/query?e={code}"
    )
    return {"errcode": code, "errmsg": text}


def page_of(rows: list[T], cursor: str, limit: int) -> tuple[list[T], str]:
    """A page of rows after the cursor, and the cursor of the next page (empty on the last)."""
    if cursor and not re.fullmatch(r"c\d+", cursor):
        raise ApiError(40058)
    start = int(cursor[1:]) if cursor else 0
    end = start + limit
    return rows[start:end], f"c{end}" if end < len(rows) else ""


async def _suffer(fault: str | int | None, platform: Platform) -> None:
    if isinstance(fault, int):
        raise ApiError(fault)
    if fault == "500":
        raise web.HTTPInternalServerError(text="Internal Server Error")
    if fault == "hang":
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(platform.live.closing.wait(), HANG_SECONDS)
        raise web.HTTPGatewayTimeout


async def _json_body(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    if not raw:
        return {}
    # The platform wants plain UTF-8: a body of \uXXXX escapes (above control characters) is 40033.
    if re.search(rb"(?<!\\)(?:\\\\)*\\u(?!00[01])[0-9a-fA-F]{4}", raw):
        raise ApiError(40033)
    try:
        body = json.loads(raw)
    except ValueError:
        raise ApiError(40035, ". Warning: wrong json format. ") from None
    if not isinstance(body, dict):
        raise ApiError(40035, ". Warning: wrong json format. ")
    return body


def _check_token(platform: Platform, presented: str) -> None:
    if not presented:
        raise ApiError(41001)
    current = platform.world.credentials.get("access_token")
    if current is None or current.value != presented:
        raise ApiError(40014)
    if current.expires_at <= platform.now():
        raise ApiError(42001)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
