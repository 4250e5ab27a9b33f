"""WeCom's server API, as far as this product asks it anything.

    await client.follow_users()
      └ _call          again, with backoff, while WeCom is busy; never for what must happen once
        └ _authorised  with a token; once more with a new one if it died
          └ _send      not while the call is rate limited
            └ exchange one HTTP request: send, read JSON, raise what it refused

A call marked `once` creates something and has no idempotency key. If its answer is lost it raises
OutcomeUnknown, and the caller looks it up.
"""

import asyncio
import json
import mimetypes
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Final, Literal

import aiohttp

from wecom.errors import (
    Busy,
    MassSendCancelled,
    NotConnected,
    OutcomeUnknown,
    Outsider,
    RateLimited,
    RelationGone,
    TokenDead,
    Unreachable,
    UnreadableAnswer,
    WeComError,
    error_for,
)
from wecom.messages import (
    Answer,
    Attachment,
    Contact,
    MassSend,
    MassSendCreated,
    MassSendRecord,
    MassSendResult,
    MassSendTask,
    Text,
    TextCard,
    Welcome,
    contact_of,
    record_of,
    result_of,
    task_of,
)
from wecom.tokens import Grant, TokenSource, Veiled

__all__ = [
    "Contact",
    "MassSend",
    "MassSendCreated",
    "MassSendRecord",
    "MassSendResult",
    "MassSendTask",
    "WeComClient",
    "exchange",
]

BACKOFF: Final = (0.5, 1.0, 2.0)
NO_CONTACT: Final = 84061
LISTED_SPAN: Final = timedelta(days=31)
MEDIA_LIMIT: Final = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "file": 20 << 20}

MediaKind = Literal["image", "voice", "video", "file"]
# Built anew for every attempt: aiohttp spends a form when it sends it.
Body = Callable[[], aiohttp.Payload | aiohttp.FormData]


async def exchange(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    call: str,
    timeout: float,
    query: Veiled,
    headers: Veiled | None = None,
    body: aiohttp.Payload | aiohttp.FormData | None = None,
) -> Answer:
    """Make one request and return its answer; any errcode but 0 is raised as its error."""
    limit = aiohttp.ClientTimeout(total=timeout)
    sent = http.request(
        method,
        url,
        params=query,
        headers=headers,
        data=body,
        timeout=limit,
        allow_redirects=False,
        middlewares=(_one_attempt,),
    )
    outcome = await _outcome(sent, call)
    # Raised here and not where it was found: the frames below hold the URL and WeCom's text, and
    # with them the token, for whoever prints a traceback with its variables.
    if isinstance(outcome, WeComError):
        raise outcome
    return outcome


async def _outcome(
    sent: AbstractAsyncContextManager[aiohttp.ClientResponse], call: str
) -> Answer | WeComError:
    try:
        async with sent as response:
            payload = await response.read()
    except _Dropped as dropped:
        return dropped.kind(call=call, reason=dropped.reason)
    except (aiohttp.ClientError, TimeoutError) as failure:
        return Unreachable(call=call, reason=type(failure).__name__)
    if response.status != 200:
        return Unreachable(call=call, reason=f"HTTP {response.status}")
    return _read(payload, call)


class _Dropped(aiohttp.ClientError):
    def __init__(self, kind: type[Unreachable], reason: str) -> None:
        self.kind, self.reason = kind, reason


async def _one_attempt(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # Under their own names aiohttp repeats a GET after these, at once and uncounted; how often
    # WeCom is asked is decided in `_call` alone.
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError as failure:
        raise _Dropped(NotConnected, type(failure).__name__) from failure
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as failure:
        raise _Dropped(Unreachable, type(failure).__name__) from failure


def _read(payload: bytes, call: str) -> Answer | WeComError:
    try:
        fields = json.loads(payload)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("errcode"), int):
        return Unreachable(call=call, reason="not an answer of WeCom")
    if fields["errcode"] != 0:
        return error_for(fields["errcode"], str(fields.get("errmsg", "")), call=call)
    return Answer(call, fields)


class WeComClient:
    """One app of one company.

    `now` counts seconds and only measures; `sleep` waits between repeated calls.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        *,
        base_url: str,
        corp_id: str,
        agent_id: int,
        secret: str,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        timeout: float = 10.0,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._corp_id = corp_id
        self._agent_id = agent_id
        self._secret = secret
        self._now = now
        self._sleep = sleep
        self._timeout = timeout
        self._blocked_until: dict[str, float] = {}
        self._token = TokenSource(self._fetch_token, now=now)
        self._page_ticket = TokenSource(self._fetch_page_ticket, now=now)
        self._agent_ticket = TokenSource(self._fetch_agent_ticket, now=now)

    def __repr__(self) -> str:
        return f"<WeComClient corp_id={self._corp_id!r} agent_id={self._agent_id}>"

    async def follow_users(self) -> list[str]:
        """Return the members in the app's range who may serve customers."""
        answer = await self._call("GET", "externalcontact/get_follow_user_list")
        return answer.texts("follow_user")

    async def contacts_of(self, userid: str) -> list[str]:
        """Return the customers of a member; none is an empty list."""
        try:
            answer = await self._call("GET", "externalcontact/list", query={"userid": userid})
        except RelationGone as gone:
            if gone.errcode == NO_CONTACT:
                return []
            raise
        return answer.texts("external_userid")

    async def contact(self, external_userid: str) -> Contact:
        """Return a customer with all who serve them; RelationGone if nobody in range does."""
        pages = [
            page
            async for page in self._pages(
                "GET", "externalcontact/get", {"external_userid": external_userid}
            )
        ]
        return contact_of(pages)

    async def create_mass_send(self, message: MassSend) -> MassSendCreated:
        """Hand the sender a task to send this to the customers; nothing is sent until they confirm.

        OutcomeUnknown if it may have been created: look for it with `mass_sends`.
        """
        path = "externalcontact/add_msg_template"
        answer = await self._call("POST", path, body=_json(message.payload()), once=True)
        try:
            return MassSendCreated(answer.text("msgid"), tuple(answer.texts("fail_list")))
        except UnreadableAnswer as unreadable:
            raise OutcomeUnknown(call=path, reason="created without an id") from unreadable

    async def mass_sends(
        self, start: datetime, end: datetime, creator: str | None = None
    ) -> list[MassSendRecord]:
        """Return the mass sends created from `start` to `end`, at most 31 days apart, both aware.

        Without `creator` those of members and of apps alike.
        """
        if start.tzinfo is None or end.tzinfo is None:
            raise ValueError("mass_sends takes aware times")
        if not timedelta(0) <= end - start <= LISTED_SPAN:
            raise ValueError(f"mass_sends takes at most {LISTED_SPAN.days} days, got {end - start}")
        asked: dict[str, object] = {
            "chat_type": "single",
            "start_time": int(start.timestamp()),
            "end_time": int(end.timestamp()),
            "filter_type": 2,
            "limit": 100,
        }
        if creator:
            asked["creator"] = creator
        pages = self._pages("POST", "externalcontact/get_groupmsg_list_v2", asked)
        return [record_of(row) async for page in pages for row in page.parts("group_msg_list")]

    async def mass_send_tasks(self, msgid: str) -> list[MassSendTask]:
        """Return who was asked to send a mass send and who confirmed."""
        asked = {"msgid": msgid, "limit": 1000}
        pages = self._pages("POST", "externalcontact/get_groupmsg_task", asked)
        return [task_of(row) async for page in pages for row in page.parts("task_list")]

    async def mass_send_results(self, msgid: str, userid: str) -> list[MassSendResult]:
        """Return what became of one member's part of a mass send, customer by customer."""
        asked = {"msgid": msgid, "userid": userid, "limit": 1000}
        pages = self._pages("POST", "externalcontact/get_groupmsg_send_result", asked)
        return [result_of(row) async for page in pages for row in page.parts("send_list")]

    async def cancel_mass_send(self, msgid: str) -> None:
        """Stop what is not yet sent; what is sent stays, and cancelling twice is no error."""
        body = _json({"msgid": msgid})
        try:
            await self._call("POST", "externalcontact/cancel_groupmsg_send", body=body)
        except MassSendCancelled:
            return

    async def remind_mass_send(self, msgid: str) -> None:
        """Nudge the members who have not confirmed; WeCom allows three a day for each mass send."""
        body = _json({"msgid": msgid})
        await self._call("POST", "externalcontact/remind_groupmsg_send", body=body, once=True)

    async def send_welcome(
        self, code: str, text: str, attachments: tuple[Attachment, ...] = ()
    ) -> None:
        """Welcome a new customer, within 20 seconds of the event and once.

        After OutcomeUnknown or WelcomeBeingSent it may be called again: the code works once.
        """
        body = _json({"welcome_code": code, **Welcome(text, attachments).payload()})
        await self._call("POST", "externalcontact/send_welcome_msg", body=body, once=True)

    async def notify_member(self, userid: str, message: str | Text | TextCard) -> None:
        """Send a member a message from the app; MessageRefused if they cannot receive it."""
        content = Text(message) if isinstance(message, str) else message
        addressed = {"touser": userid, "agentid": self._agent_id, **content.payload()}
        answer = await self._call("POST", "message/send", body=_json(addressed), once=True)
        if answer.text("invaliduser", "") or answer.text("unlicenseduser", ""):
            raise error_for(81013, "", call="message/send")

    async def upload_media(self, kind: MediaKind, filename: str, data: bytes) -> str:
        """Upload a file and return its media id, good for three days in all apps of the company."""
        if not 5 < len(data) <= MEDIA_LIMIT[kind]:
            raise ValueError(f"{kind} takes 6 to {MEDIA_LIMIT[kind]} bytes, got {len(data)}")
        if not filename.isprintable() or not filename:
            raise ValueError("the file name is empty or holds control characters")
        answer = await self._call(
            "POST", "media/upload", query={"type": kind}, body=lambda: _form(filename, data)
        )
        return answer.text("media_id")

    async def member_of_code(self, code: str) -> str:
        """Return the member who signed in with this single-use code; Outsider for anybody else."""
        answer = await self._call("GET", "auth/getuserinfo", query={"code": code})
        userid = answer.text("userid", "")
        if not userid:
            raise Outsider(call=answer.call)
        return userid

    async def jsapi_ticket(self) -> str:
        """Return the company's ticket, for `wx.config`."""
        return (await self._page_ticket.current()).value

    async def agent_ticket(self) -> str:
        """Return the app's ticket, for `wx.agentConfig`."""
        return (await self._agent_ticket.current()).value

    async def _fetch_token(self) -> Grant:
        query = Veiled(corpid=self._corp_id, corpsecret=self._secret)
        answer = await self._request("GET", "gettoken", query, None)
        return Grant(answer.text("access_token"), answer.number("expires_in"))

    async def _fetch_page_ticket(self) -> Grant:
        answer = await self._call("GET", "get_jsapi_ticket")
        return Grant(answer.text("ticket"), answer.number("expires_in"))

    async def _fetch_agent_ticket(self) -> Grant:
        answer = await self._call("GET", "ticket/get", query={"type": "agent_config"})
        return Grant(answer.text("ticket"), answer.number("expires_in"))

    async def _pages(
        self, method: Literal["GET", "POST"], path: str, asked: Mapping[str, object]
    ) -> AsyncIterator[Answer]:
        cursor = ""
        seen = {cursor}
        while True:
            fields = {**asked, "cursor": cursor} if cursor else dict(asked)
            if method == "GET":
                query = {name: str(value) for name, value in fields.items()}
                page = await self._call(method, path, query=query)
            else:
                page = await self._call(method, path, body=_json(fields))
            yield page
            cursor = page.text("next_cursor", "")
            if not cursor:
                return
            if cursor in seen:
                raise UnreadableAnswer(call=path, reason="the cursor came twice")
            seen.add(cursor)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        once: bool = False,
    ) -> Answer:
        def send(grant: Grant) -> Awaitable[Answer]:
            signed = Veiled({**(query or {}), "access_token": grant.value})
            return self._send(method, path, signed, body, once=once)

        for wait in () if once else BACKOFF:
            try:
                return await self._authorised(send)
            except Busy:
                await self._sleep(wait * random.uniform(0.5, 1.5))
        return await self._authorised(send)

    async def _authorised(self, send: Callable[[Grant], Awaitable[Answer]]) -> Answer:
        grant = await self._token.current()
        try:
            return await send(grant)
        except TokenDead:
            self._token.invalidate(grant)
        return await send(await self._token.current())

    async def _send(
        self, method: str, path: str, query: Veiled, body: Body | None, *, once: bool
    ) -> Answer:
        remaining = self._blocked_until.get(path, 0.0) - self._now()
        if remaining > 0:
            raise _blocked(path, remaining)
        try:
            return await self._request(method, path, query, body)
        except RateLimited as limit:
            self._blocked_until[path] = self._now() + (limit.retry_after or 0.0)
            raise
        except NotConnected:
            raise
        except Busy as unclear:
            if not once:
                raise
            raise OutcomeUnknown(
                call=path, errcode=unclear.errcode, reason=unclear.reason
            ) from unclear

    async def _request(self, method: str, path: str, query: Veiled, body: Body | None) -> Answer:
        return await exchange(
            self._http,
            method,
            f"{self._base_url}/cgi-bin/{path}",
            call=path,
            timeout=self._timeout,
            query=query,
            body=body() if body else None,
        )


def _blocked(path: str, remaining: float) -> RateLimited:
    limit = RateLimited(call=path, errcode=45009, reason="not asked again before it may succeed")
    limit.retry_after = remaining
    return limit


def _json(fields: Mapping[str, object]) -> Body:
    # Escaped characters are answered with 40033, so Chinese travels as it is.
    text = json.dumps(fields, ensure_ascii=False).encode()
    return lambda: aiohttp.BytesPayload(text, content_type="application/json")


def _form(filename: str, data: bytes) -> aiohttp.FormData:
    # Quoted as RFC 7578 wants it, a Chinese file name would reach the customer as %E5%9F%BA...
    form = aiohttp.FormData(quote_fields=False)
    content_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    form.add_field("media", data, filename=filename, content_type=content_type)
    return form
