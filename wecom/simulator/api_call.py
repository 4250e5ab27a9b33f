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

from wecom.simulator.corp import App
from wecom.simulator.faults import ApiFault
from wecom.simulator.gate import CallRecord, RefusedAtTheGate
from wecom.simulator.platform import Platform
from wecom.simulator.state import World

PLATFORM: web.AppKey[Platform] = web.AppKey("platform", Platform)
FAILURES: dict[str, type[web.HTTPServerError]] = {
    "500": web.HTTPInternalServerError,
    "502": web.HTTPBadGateway,
    "503": web.HTTPServiceUnavailable,
}

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
    40050: "invalid chatid",
    40056: "invalid agentid",
    40058: "invalid Request Parameter",
    40063: "some parameters are empty",
    40066: "invalid url",
    40068: "invalid tag id",
    40071: "tag name already exist",
    40096: "invalid external userid",
    40097: "member has not left",
    40099: "customer limit exceeded",
    40100: "customer is being transferred",
    40126: "tag count out of limit",
    40128: "customer transferred too often",
    40129: "customer is being transferred",
    40130: "handover and takeover are the same",
    40131: "handover is not the follower",
    40201: "blocked by anti spam",
    41001: "access_token missing",
    41041: "contact way user count out of limit",
    41044: "invalid contact way config_id",
    41045: "contact way count out of limit",
    41046: "invalid mass send msgid",
    41048: "no customer to send",
    41049: "welcome_code missing",
    41050: "invalid welcome code",
    41051: "customer has been chatted",
    41052: "invalid time",
    41053: "customer does not agree to archive",
    41054: "user not activated",
    41063: "mass send msg is dispatching",
    41064: "too many attachments",
    41065: "invalid attachment msgtype",
    41091: "chat_id_list size out of limit",
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
    48002: "api forbidden",
    60011: "no privilege to access/modify contact/party/agent",
    60020: "not allow to access from your ip",
    60111: "userid not found",
    81011: "no privilege for tag",
    81013: "user & party & tag all invalid",
    81017: "owner count out of limit",
    84014: "invalid ticket",
    84015: "ticket expired",
    84061: "not external contact",
    90500: "owner has not left",
    90501: "not an external chat",
    90502: "owner has left",
    90507: "new owner invalid",
    90508: "transfer too often",
    301052: "chat data expired",
    301058: "chat data too large",
    301059: "not an internal room",
    301061: "too many queries",
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
    app: App

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

    def number(self, name: str, default: int = 0) -> int:
        """A whole number of the body; anything else is 40058."""
        value = self.body.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ApiError(40058)
        return value

    def texts(self, name: str, *, most: int) -> list[str]:
        """A list of at most `most` strings of the body, each once; anything else is 40058."""
        value = self.body.get(name) or []
        if not isinstance(value, list) or len(value) > most:
            raise ApiError(40058)
        if not all(isinstance(item, str) for item in value):
            raise ApiError(40058)
        return list(dict.fromkeys(value))

    def sees(self, userid: str) -> bool:
        """Whether the member works here and is in the app's visible range."""
        world = self.world
        return userid in world.members and userid not in world.resigned and self.app.sees(userid)

    def visible_members(self) -> list[str]:
        """The members in the app's range."""
        return [userid for userid in self.world.members if self.sees(userid)]

    def member(self, userid: str) -> str:
        """The member when the app may deal with him; 60111 unknown, 60011 out of range."""
        if userid not in self.world.members:
            raise ApiError(60111)
        if not self.sees(userid):
            raise ApiError(60011)
        return userid

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
        path = request.path.rsplit("/cgi-bin/", 1)[-1]
        fault = platform.faults.spend_on(request.path)
        app = app_of(platform, request.query.get("access_token", "")) if needs_token else None
        status, errcode = 0, None
        try:
            await _suffer(request, fault, platform)
            answer = await _answer(request, path, action, fault, app, needs_token, needs_json)
            errcode = int(answer["errcode"])
            response = await _deliver(request, answer, fault)
            status = response.status
            return response
        except web.HTTPException as refusal:
            status = refusal.status
            raise
        finally:
            platform.gate.record(
                CallRecord(
                    at=platform.now(),
                    method=request.method,
                    path=path,
                    agent_id=app.agent_id if app else 0,
                    status=status,
                    errcode=errcode,
                    fault=str(fault.answer) if fault else "",
                )
            )

    return handle


def app_of(platform: Platform, token: str) -> App | None:
    """The app this access token was given to, if it is still the current one."""
    for app in platform.callers():
        credential = platform.world.credentials.get(app.token_key)
        if credential is not None and credential.value == token:
            return app
    return None


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


async def _answer(
    request: web.Request,
    path: str,
    action: Action,
    fault: ApiFault | None,
    app: App | None,
    needs_token: bool,
    needs_json: bool,
) -> dict[str, Any]:
    platform = request.app[PLATFORM]
    settings = platform.world.settings
    try:
        if fault is not None and isinstance(fault.answer, int):
            raise ApiError(fault.answer)
        platform.gate.check_rate(settings, path, platform.now())
        with platform.gate.under_way(settings, path):
            body = await _json_body(request) if needs_json else {}
            if needs_token:
                platform.gate.check_address(settings, request.remote or "")
                _check_token(platform, app, request.query.get("access_token", ""))
            caller = app or platform.apps[0]
            if not caller.may_call(path):
                raise ApiError(48002)
            platform.pass_time()
            done = await action(Call(request, platform, body, caller))
            return {"errcode": 0, "errmsg": "ok", **done}
    except RefusedAtTheGate as refusal:
        return error_answer(request, ApiError(refusal.errcode))
    except ApiError as error:
        return error_answer(request, error)


async def _suffer(request: web.Request, fault: ApiFault | None, platform: Platform) -> None:
    answer = fault.answer if fault else None
    if answer in ("500", "502", "503"):
        raise FAILURES[str(answer)](text="Internal Server Error")
    if answer == "reset" and request.transport is not None:
        request.transport.abort()
        raise web.HTTPServiceUnavailable
    if fault is not None and answer == "hang":
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(platform.live.closing.wait(), fault.seconds)
        raise web.HTTPGatewayTimeout


async def _deliver(
    request: web.Request, answer: dict[str, Any], fault: ApiFault | None
) -> web.StreamResponse:
    kind = fault.answer if fault else None
    transport = request.transport
    if kind == "lost" and transport is not None:
        transport.close()
    if kind == "half" and transport is not None:
        whole = _dumps(answer).encode()
        response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
        response.content_length = len(whole)
        await response.prepare(request)
        await response.write(whole[: len(whole) // 2])
        transport.close()
        return response
    return web.json_response(answer, dumps=_dumps)


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


def _check_token(platform: Platform, app: App | None, presented: str) -> None:
    if not presented:
        raise ApiError(41001)
    if app is None:
        raise ApiError(40014)
    if platform.world.credentials[app.token_key].expires_at <= platform.now():
        raise ApiError(42001)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
