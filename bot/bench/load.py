"""The load: many connections kept alive, each sending its next callback when the last is answered.

Runs in a process of its own; the requests are built before the clock starts, every one a different
event, so that nothing is a duplicate.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from time import perf_counter
from typing import cast

import uvloop

from bank.database import utc_now
from bank.settings import Settings
from bot.bench.machine import stay_on
from bot.inbound.keys import current_keys
from wecom.callback import CallbackKeys, seal

HOST = "127.0.0.1"
GO = "go"
BEGAN = 1_795_000_000  # the second WeCom says the first event happened
EVENT = """<xml><ToUserName><![CDATA[{corp}]]></ToUserName>
<FromUserName><![CDATA[sys]]></FromUserName>
<CreateTime>{second}</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[change_external_contact]]></Event>
<ChangeType><![CDATA[add_external_contact]]></ChangeType>
<UserID><![CDATA[rm{rm:05d}]]></UserID>
<ExternalUserID><![CDATA[wmBENCH{number:025d}]]></ExternalUserID>
<State><![CDATA[branch{rm:05d}]]></State>
<WelcomeCode><![CDATA[welcome{number:036d}]]></WelcomeCode>
</xml>"""


@dataclass(frozen=True)
class Order:
    """Send events `first` … `first + count - 1` to that port over so many connections."""

    port: int
    first: int
    count: int
    connections: int


@dataclass(frozen=True)
class Round:
    """What came of an order; latencies in milliseconds, as the callers saw them."""

    seconds: float
    acknowledged: int
    refused: int
    latencies: list[float]


def requests(keys: CallbackKeys, first: int, count: int, now: datetime) -> list[bytes]:
    """Callbacks signed now and encrypted, as bytes on the wire, no two alike."""
    signed_at = int(now.timestamp())
    return [_request(keys, number, signed_at) for number in range(first, first + count)]


def _request(keys: CallbackKeys, number: int, signed_at: int) -> bytes:
    second = BEGAN + number // 1000
    event = EVENT.format(corp=keys.corp_id, second=second, rm=number % 10_000, number=number)
    query, body = seal(keys, event, f"nonce{number}", signed_at)
    address = "&".join(f"{name}={value}" for name, value in query.items())
    head = (
        f"POST /wecom/callback?{address} HTTP/1.1\r\nHost: {HOST}\r\n"
        f"Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Caller(asyncio.Protocol):
    """One connection: the next request goes out when the answer to the last has come."""

    def __init__(self, waiting: Iterator[bytes]) -> None:
        self._waiting = waiting
        self._answer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.latencies: list[float] = []
        self.refused = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def call(self) -> None:
        """Send what waits next; without anything, this caller is done."""
        request = next(self._waiting, None)
        if request is None or self._transport is None:
            self._finish()
            return
        self._sent_at = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self.latencies.append((perf_counter() - self._sent_at) * 1000)
        self.refused += not head.startswith(b"HTTP/1.1 200")
        self._answer = b""
        self.call()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


async def play(order: Order, built: list[bytes]) -> Round:
    """Send everything and return what the callers saw."""
    loop, waiting = asyncio.get_running_loop(), iter(built)
    callers = []
    for _ in range(order.connections):
        _, caller = await loop.create_connection(lambda: Caller(waiting), HOST, order.port)
        callers.append(caller)
    began = perf_counter()
    for caller in callers:
        caller.call()
    await asyncio.gather(*(caller.done for caller in callers))
    seconds = perf_counter() - began
    for caller in callers:
        caller.close()
    latencies = [each for caller in callers for each in caller.latencies]
    refused = sum(caller.refused for caller in callers)
    return Round(seconds, len(latencies) - refused, refused, latencies)


def obey(pipe: Connection, settings: Settings, cores: list[int]) -> None:
    """The load's process: builds and plays each order it is given, until the other side hangs up.

    It says when an order is built, and plays it when it hears anything back.
    """
    stay_on(cores)
    keys = current_keys(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, suppress(EOFError):
        while True:
            order: Order = pipe.recv()
            built = requests(keys, order.first, order.count, utc_now())
            pipe.send(GO)
            pipe.recv()
            pipe.send(runner.run(play(order, built)))
