"""One HTTP request to WeCom: send it, read what comes, raise what it refused.

Nothing here repeats anything; how often WeCom is asked is decided in `calls` alone.
"""

import json
import mimetypes
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import aiohttp

from wecom.answer import Answer
from wecom.error_codes import error_for
from wecom.errors import NotConnected, Unreachable, WeComError
from wecom.tokens import Veiled

T = TypeVar("T")
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
    sent = _send(http, method, url, query, headers, body, timeout)
    outcome = await _outcome(sent, call, _read)
    # Raised here and not where it was found: the frames below hold the URL and WeCom's text, and
    # with them the token, for whoever prints a traceback with its variables.
    if isinstance(outcome, WeComError):
        raise outcome
    return outcome


async def download(
    http: aiohttp.ClientSession, url: str, *, call: str, timeout: float, query: Veiled
) -> bytes:
    """Make one request for a file; an answer in JSON is raised as the refusal it is."""
    sent = _send(http, "GET", url, query, None, None, timeout)
    outcome = await _outcome(sent, call, _read_file)
    if isinstance(outcome, WeComError):
        raise outcome
    return outcome


def json_body(fields: Mapping[str, object]) -> Body:
    """A body of JSON; escaped characters are answered with 40033, so Chinese travels as it is."""
    text = json.dumps(fields, ensure_ascii=False).encode()
    return lambda: aiohttp.BytesPayload(text, content_type="application/json")


def file_body(filename: str, data: bytes) -> Body:
    """A form with one file in the field `media`."""

    def form() -> aiohttp.FormData:
        # Quoted as RFC 7578 wants it, a Chinese file name would reach the customer as %E5%9F%BA...
        fields = aiohttp.FormData(quote_fields=False)
        content_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
        fields.add_field("media", data, filename=filename, content_type=content_type)
        return fields

    return form


_Sent = AbstractAsyncContextManager[aiohttp.ClientResponse]


def _send(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    query: Veiled,
    headers: Veiled | None,
    body: aiohttp.Payload | aiohttp.FormData | None,
    timeout: float,
) -> _Sent:
    return http.request(
        method,
        url,
        params=query,
        headers=headers,
        data=body,
        timeout=aiohttp.ClientTimeout(total=timeout),
        allow_redirects=False,
        middlewares=(_one_attempt,),
    )


async def _outcome(
    sent: _Sent,
    call: str,
    read: Callable[[bytes, aiohttp.ClientResponse, str], T | WeComError],
) -> T | WeComError:
    try:
        async with sent as response:
            payload = await response.read()
    except _Dropped as dropped:
        return dropped.kind(call=call, reason=dropped.reason)
    except (aiohttp.ClientError, TimeoutError) as failure:
        return Unreachable(call=call, reason=type(failure).__name__)
    if response.status != 200:
        return Unreachable(call=call, reason=f"HTTP {response.status}")
    return read(payload, response, call)


class _Dropped(aiohttp.ClientError):
    def __init__(self, kind: type[Unreachable], reason: str) -> None:
        self.kind, self.reason = kind, reason


async def _one_attempt(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # Under their own names aiohttp repeats a GET after these, at once and uncounted.
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError as failure:
        raise _Dropped(NotConnected, type(failure).__name__) from failure
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as failure:
        raise _Dropped(Unreachable, type(failure).__name__) from failure


def _read(payload: bytes, response: aiohttp.ClientResponse, call: str) -> Answer | WeComError:
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("errcode"), int):
        return Unreachable(call=call, reason="not an answer of WeCom")
    if fields["errcode"] != 0:
        return error_for(fields["errcode"], str(fields.get("errmsg", "")), call=call)
    return Answer(call, fields, response.headers.get("Date", ""))


def _read_file(payload: bytes, response: aiohttp.ClientResponse, call: str) -> bytes | WeComError:
    if "json" not in response.content_type:
        return payload
    answer = _read(payload, response, call)
    if isinstance(answer, WeComError):
        return answer
    return Unreachable(call=call, reason="an answer and no file")
