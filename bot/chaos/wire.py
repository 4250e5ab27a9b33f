"""Callbacks on the wire: sealed as WeCom does, sent over connections kept alive, sent again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from time import perf_counter

from bank.settings import Settings
from bot.chaos.ground import HOST
from bot.inbound.keys import current_keys
from wecom.callback import CallbackKeys, seal

PATIENCE = 5.0
TRIES = 4
NOBODY = 0


def event(
    settings: Settings, at: datetime, external_userid: str, userid: str, change: str, **more: str
) -> str:
    """The plaintext of a change between a customer and a member."""
    extra = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in more.items())
    return (
        f"<xml><ToUserName><![CDATA[{settings.wecom_corp_id}]]></ToUserName>"
        f"<FromUserName><![CDATA[sys]]></FromUserName><CreateTime>{int(at.timestamp())}</CreateTime>"
        f"<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_contact]]></Event>"
        f"<ChangeType><![CDATA[{change}]]></ChangeType><UserID><![CDATA[{userid}]]></UserID>"
        f"<ExternalUserID><![CDATA[{external_userid}]]></ExternalUserID>{extra}</xml>"
    )


def letter(settings: Settings, plain: str, at: datetime, dice: Random) -> bytes:
    """A callback as bytes on the wire, signed at that moment."""
    keys = current_keys(settings)
    query, body = seal(keys, plain, f"{dice.getrandbits(48):012x}", int(at.timestamp()))
    return posted(query, body)


def sealed_with(keys: CallbackKeys, plain: str, at: datetime, dice: Random) -> bytes:
    """The same with other keys than the bank's."""
    query, body = seal(keys, plain, f"{dice.getrandbits(48):012x}", int(at.timestamp()))
    return posted(query, body)


def posted(query: dict[str, str], body: bytes) -> bytes:
    """A POST to the callback address."""
    address = "&".join(f"{name}={value}" for name, value in query.items())
    head = (
        f"POST /wecom/callback?{address} HTTP/1.1\r\nHost: {HOST}\r\n"
        f"Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Caller:
    """One connection to the callback address, opened again whenever it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, request: bytes) -> int:
        """The HTTP status; 0 where none came in the five seconds WeCom waits."""
        try:
            async with asyncio.timeout(PATIENCE):
                if self._open is None:
                    self._open = await asyncio.open_connection(HOST, self._port)
                reader, writer = self._open
                writer.write(request)
                return await _status(reader)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            await self.close()
            return NOBODY

    async def close(self) -> None:
        """Hang up."""
        if self._open is not None:
            writer, self._open = self._open[1], None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length:")
    await reader.readexactly(int(length.partition(b"\r\n")[0] or 0))
    if b"connection: close" in head.lower():
        raise ConnectionResetError
    return int(head[9:12])


@dataclass
class Sent:
    """What came of the callbacks that were sent."""

    answers: list[int] = field(default_factory=list)
    slowest_ms: float = 0.0

    def count(self, status: int) -> int:
        """How many were answered so."""
        return self.answers.count(status)


async def send_all(port: int, requests: Sequence[bytes], connections: int = 16) -> Sent:
    """Send each once over so many connections; the answers in the order of the requests."""
    sent = Sent([NOBODY] * len(requests))
    numbers = iter(range(len(requests)))

    async def one_connection() -> None:
        caller = Caller(port)
        for number in numbers:
            began = perf_counter()
            sent.answers[number] = await caller.call(requests[number])
            sent.slowest_ms = max(sent.slowest_ms, (perf_counter() - began) * 1000)
        await caller.close()

    await asyncio.gather(*(one_connection() for _ in range(min(connections, len(requests)))))
    return sent


class Sender:
    """Sends as the platform does: at a pace, again while there is no 200, then no more.

    `acknowledged` are the names of callbacks answered 200.
    """

    def __init__(self, port: int, pause: float, connections: int = 32) -> None:
        self._pause = pause
        self._idle: asyncio.Queue[Caller] = asyncio.Queue()
        for _ in range(connections):
            self._idle.put_nowait(Caller(port))
        self._under_way: set[asyncio.Task[None]] = set()
        self.acknowledged: set[str] = set()
        self.given_up: set[str] = set()
        self.again = 0
        self.latencies: list[float] = []
        self.on_answer: Callable[[], None] = lambda: None

    def send(self, name: str, request: Callable[[], bytes]) -> None:
        """Begin to send one; every try is sealed anew."""
        task = asyncio.create_task(self._deliver(name, request))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, name: str, request: Callable[[], bytes]) -> None:
        for number in range(TRIES):
            if number:
                self.again += 1
                await asyncio.sleep(self._pause * number)
            caller = await self._idle.get()
            began = perf_counter()
            status = await caller.call(request())
            self._idle.put_nowait(caller)
            if status == 200:
                self.latencies.append((perf_counter() - began) * 1000)
                self.acknowledged.add(name)
                self.on_answer()
                return
        self.given_up.add(name)

    @property
    def waiting(self) -> int:
        """How many are neither answered 200 nor given up."""
        return len(self._under_way)

    @property
    def slowest_ms(self) -> float:
        """The longest wait for a 200."""
        return max(self.latencies, default=0.0)

    async def settle(self) -> None:
        """Return when every callback was answered or given up."""
        while self._under_way:
            await asyncio.gather(*self._under_way)

    async def close(self) -> None:
        """Hang up everywhere."""
        while not self._idle.empty():
            await self._idle.get_nowait().close()


async def paced(per_second: float, step: Callable[[], Awaitable[bool]]) -> None:
    """Take a step so many times a second until one says that it was the last."""
    began, taken = perf_counter(), 0
    while not await step():
        taken += 1
        ahead = taken / per_second - (perf_counter() - began)
        await asyncio.sleep(max(0.0, ahead))
