"""Callbacks to the product: encrypted, signed, in order, five seconds each, three retries."""

import asyncio
import base64
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import aiohttp
import structlog
from wechatpy.crypto import _get_signature
from wechatpy.enterprise.crypto import PrpCrypto

from wecom.simulator.faults import Faults

ARCHIVE_AGENT_ID = 2000004
TIMEOUT_SECONDS = 5.0
RETRIES = 3
KEPT_DELIVERIES = 500

log = structlog.get_logger()

Outcome = Literal["waiting", "delivered", "failed", "dropped"]


@dataclass
class Delivery:
    """One callback and what became of it; `answers` holds each attempt's HTTP status (0: none)."""

    id: int
    event: str
    change_type: str
    userid: str
    external_userid: str
    queued_at: datetime
    xml: str
    agent_id: str
    outcome: Outcome
    answers: list[int]


class CallbackLine:
    """The line from the platform to the product's callback address."""

    def __init__(
        self,
        *,
        url: str,
        corp_id: str,
        token: str,
        aes_key: str,
        now: Callable[[], datetime],
        faults: Faults,
        bell_seconds: float,
        retry_seconds: float,
    ) -> None:
        self._url = url
        self._corp_id = corp_id
        self._token = token
        self._cipher = PrpCrypto(base64.b64decode(aes_key + "="))
        self._now = now
        self._faults = faults
        self._bell_seconds = bell_seconds
        self._retry_seconds = retry_seconds
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._held: Delivery | None = None
        self._bell: asyncio.TimerHandle | None = None
        self._bell_due = False
        self._count = 0
        self.log: deque[Delivery] = deque(maxlen=KEPT_DELIVERIES)

    def contact_changed(
        self, change_type: str, userid: str, external_userid: str, **extra: str
    ) -> None:
        """Queue a `change_external_contact` event about a member and a customer."""
        fields: dict[str, str | int] = {
            "Event": "change_external_contact",
            "ChangeType": change_type,
            "UserID": userid,
            "ExternalUserID": external_userid,
        }
        self._queue_event({**fields, **extra}, agent_id="")

    def ring_archive(self) -> None:
        """Say there is new chat traffic, at most once in the bell interval and never too few."""
        if self._bell is not None:
            self._bell_due = True
            return
        self._queue_event(
            {"AgentID": ARCHIVE_AGENT_ID, "Event": "msgaudit_notify"},
            agent_id=str(ARCHIVE_AGENT_ID),
        )
        if self._bell_seconds > 0:
            loop = asyncio.get_running_loop()
            self._bell = loop.call_later(self._bell_seconds, self._bell_rested)

    async def settle(self) -> None:
        """Return once everything that happened so far was delivered or given up."""
        if self._bell is not None:
            self._bell.cancel()
            self._bell_rested()
        if self._held is not None:
            self._queue.put_nowait(self._held)
            self._held = None
        await self._queue.join()

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Deliver for ever, one after the other."""
        while True:
            delivery = await self._queue.get()
            try:
                await self._deliver(session, delivery)
            finally:
                self._queue.task_done()

    def stop(self) -> None:
        """Stop the bell's timer; the worker itself is cancelled by its owner."""
        if self._bell is not None:
            self._bell.cancel()
            self._bell = None

    async def verify_url(self, session: aiohttp.ClientSession) -> bool:
        """Do what the console does on 保存: send an echo, expect exactly its plaintext back."""
        word = str(secrets.randbelow(10**18))
        echo = self._encrypt(word)
        params = {**self._signed(echo), "echostr": echo}
        timeout = aiohttp.ClientTimeout(total=1.0)
        async with session.get(self._url, params=params, timeout=timeout) as response:
            return response.status == 200 and await response.read() == word.encode()

    def _bell_rested(self) -> None:
        self._bell = None
        if self._bell_due:
            self._bell_due = False
            self.ring_archive()

    def _queue_event(self, fields: dict[str, str | int], *, agent_id: str) -> None:
        now = self._now()
        self._count += 1
        head: dict[str, str | int] = {
            "ToUserName": self._corp_id,
            "FromUserName": "sys",
            "CreateTime": int(now.timestamp()),
            "MsgType": "event",
        }
        delivery = Delivery(
            id=self._count,
            event=str(fields["Event"]),
            change_type=str(fields.get("ChangeType", "")),
            userid=str(fields.get("UserID", "")),
            external_userid=str(fields.get("ExternalUserID", "")),
            queued_at=now,
            xml=_xml({**head, **fields}),
            agent_id=agent_id,
            outcome="waiting",
            answers=[],
        )
        self.log.append(delivery)
        self._put(delivery)

    def _put(self, delivery: Delivery) -> None:
        if self._faults.spend("drop"):
            delivery.outcome = "dropped"
            return
        if self._held is None and self._faults.spend("reorder"):
            self._held = delivery
            return
        self._queue.put_nowait(delivery)
        if self._faults.spend("duplicate"):
            self._queue.put_nowait(delivery)
        if self._held is not None:
            self._queue.put_nowait(self._held)
            self._held = None

    async def _deliver(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        for attempt in range(1 + RETRIES):
            if attempt:
                await asyncio.sleep(self._retry_seconds * attempt)
            status = await self._post(session, delivery)
            delivery.answers.append(status)
            if status == 200:
                delivery.outcome = "delivered"
                return
        delivery.outcome = "failed"
        log.warning("callback_failed", delivery=delivery.id, callback=delivery.event)

    async def _post(self, session: aiohttp.ClientSession, delivery: Delivery) -> int:
        encrypted = self._encrypt(delivery.xml)
        body = _xml(
            {"ToUserName": self._corp_id, "AgentID": delivery.agent_id, "Encrypt": encrypted}
        )
        try:
            async with session.post(
                self._url,
                params=self._signed(encrypted),
                data=body.encode(),
                headers={"Content-Type": "text/xml"},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            ) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    def _encrypt(self, plaintext: str) -> str:
        encrypted: bytes = self._cipher.encrypt(plaintext, self._corp_id)
        return encrypted.decode()

    def _signed(self, encrypted: str) -> dict[str, str]:
        timestamp = str(int(self._now().timestamp()))
        nonce = str(secrets.randbelow(10**10))
        signature = str(_get_signature(self._token, timestamp, nonce, encrypted))
        return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce}


def _xml(fields: dict[str, str | int]) -> str:
    return "<xml>" + "".join(_element(name, value) for name, value in fields.items()) + "</xml>"


def _element(name: str, value: str | int) -> str:
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    # A CDATA section cannot hold its own end mark: close it, and open the next one in between.
    escaped = value.replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{escaped}]]></{name}>"
