"""Callbacks to the product's apps: encrypted, signed, five seconds each, three retries."""

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import aiohttp
import structlog

from wecom.archive_consent import ARCHIVE_AGENT_ID
from wecom.simulator.corp import ARCHIVE, CUSTOMER_CONTACT, SERVICE, App
from wecom.simulator.envelope import encrypt, signed, xml
from wecom.simulator.faults import Faults

TIMEOUT_SECONDS = 5.0
VERIFY_SECONDS = 1.0
RETRIES = 3
KEPT_DELIVERIES = 500

log = structlog.get_logger()

Outcome = Literal["waiting", "late", "delivered", "failed", "dropped"]


@dataclass
class Delivery:
    """One callback and what became of it; `answers` holds each attempt's HTTP status (0: none)."""

    id: int
    event: str
    change_type: str
    userid: str
    external_userid: str
    chat_id: str
    queued_at: datetime
    xml: str
    agent_id: str
    app: App = field(repr=False)
    outcome: Outcome = "waiting"
    answers: list[int] = field(default_factory=list)
    suffered: list[str] = field(default_factory=list)


class CallbackLine:
    """The line from the platform to the apps' callback addresses.

    `lines` is how many callbacks are under way at once: with one they arrive in order.
    """

    def __init__(
        self,
        *,
        apps: list[App],
        corp_id: str,
        now: Callable[[], datetime],
        faults: Faults,
        bell_seconds: float,
        retry_seconds: float,
        lines: int = 1,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.lines = lines
        self.retry_seconds = retry_seconds
        self._apps = apps
        self._corp_id = corp_id
        self._now = now
        self._faults = faults
        self._bell_seconds = bell_seconds
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._under_way: set[asyncio.Task[None]] = set()
        self._held: Delivery | None = None
        self._late: list[tuple[datetime | None, Delivery]] = []
        self._bell: asyncio.TimerHandle | None = None
        self._bell_due = False
        self._count = 0
        self.log: deque[Delivery] = deque(maxlen=KEPT_DELIVERIES)
        self.outcomes: Counter[str] = Counter()

    def contact_changed(
        self, change_type: str, userid: str, external_userid: str, **extra: str
    ) -> None:
        """Queue a `change_external_contact` event about a member and a customer."""
        people = {"UserID": userid, "ExternalUserID": external_userid}
        fields = {"ChangeType": change_type, **people, **extra}
        self.system_event("change_external_contact", fields, member=userid)

    def system_event(
        self,
        event: str,
        fields: dict[str, Any],
        *,
        function: str = CUSTOMER_CONTACT,
        member: str = "",
    ) -> None:
        """Queue an event of the platform (FromUserName `sys`) for every app that is entitled.

        An app is entitled when it may call `function` and sees `member`.
        """
        whole = {"FromUserName": "sys", "MsgType": "event", "Event": event, **fields}
        for app in self._apps:
            if app.may(function) and app.sees(member):
                self.tell(app, whole, agent_id="")

    def tell(self, app: App, fields: dict[str, Any], *, agent_id: str) -> None:
        """Queue one message or event for one app; receiver and time are filled in here.

        A field given as None is left out, even `FromUserName`.
        """
        head = {"ToUserName": self._corp_id, "FromUserName": "sys"}
        now = self._now()
        timed = {**head, "CreateTime": int(now.timestamp()), **fields}
        self._count += 1
        delivery = Delivery(
            id=self._count,
            event=str(fields.get("Event") or fields.get("MsgType", "")),
            change_type=str(fields.get("ChangeType", "")),
            userid=str(fields.get("UserID") or _sender(fields)),
            external_userid=str(fields.get("ExternalUserID", "")),
            chat_id=str(fields.get("ChatId", "")),
            queued_at=now,
            xml=xml({name: value for name, value in timed.items() if value is not None}),
            agent_id=agent_id,
            app=app,
        )
        self.log.append(delivery)
        self._put(delivery)
        self.release_due()

    def service_bell(self, open_kfid: str, token: str) -> None:
        """Say that a 微信客服 account has something to pull; the event names no sender."""
        fields = {"FromUserName": None, "Token": token, "OpenKfId": open_kfid}
        self.system_event("kf_msg_or_event", fields, function=SERVICE)

    def service_accounts_changed(self, added: list[str], removed: list[str]) -> None:
        """Say which 微信客服 accounts the apps may use from now on and which no longer."""
        fields = {"AuthAddOpenKfId": added, "AuthDelOpenKfId": removed}
        self.system_event("kf_account_auth_change", fields, function=SERVICE)

    def ring_archive(self) -> None:
        """Say there is new chat traffic, at most once in the bell interval and never too few."""
        if self._bell is not None:
            self._bell_due = True
            return
        fields = {"AgentID": ARCHIVE_AGENT_ID, "MsgType": "event", "Event": "msgaudit_notify"}
        for app in self._apps:
            if app.may(ARCHIVE):
                self.tell(app, fields, agent_id=str(ARCHIVE_AGENT_ID))
        if self._bell_seconds > 0:
            loop = asyncio.get_running_loop()
            self._bell = loop.call_later(self._bell_seconds, self._bell_rested)

    def release_due(self) -> None:
        """Queue the late callbacks whose time has come."""
        now = self._now()
        due = [late for late in self._late if late[0] is not None and late[0] <= now]
        self._release(due)

    def release_late(self) -> int:
        """Queue every late callback at once; returns how many."""
        waiting = list(self._late)
        self._release(waiting)
        return len(waiting)

    @property
    def late(self) -> int:
        """How many callbacks are still held back."""
        return len(self._late)

    async def settle(self) -> None:
        """Return once everything that happened so far was delivered or given up.

        Late callbacks whose time has not come stay held back.
        """
        if self._bell is not None:
            self._bell.cancel()
            self._bell_rested()
        self.release_due()
        if self._held is not None:
            self._queue.put_nowait(self._held)
            self._held = None
        await self._queue.join()

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Deliver for ever, `lines` callbacks at a time."""
        while True:
            delivery = await self._queue.get()
            while len(self._under_way) >= self.lines:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._deliver(session, delivery))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def stop(self) -> None:
        """Stop the bell's timer and whatever is under way; the worker is its owner's to cancel."""
        if self._bell is not None:
            self._bell.cancel()
            self._bell = None
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def verify_url(self, session: aiohttp.ClientSession, app: App) -> bool:
        """Do what the console does on 保存: send an echo, expect exactly its plaintext back."""
        word = str(secrets.randbelow(10**18))
        echo = encrypt(app, self._corp_id, word)
        params = {**signed(app, echo, int(self._now().timestamp())), "echostr": echo}
        timeout = aiohttp.ClientTimeout(total=VERIFY_SECONDS)
        async with session.get(app.callback_url, params=params, timeout=timeout) as response:
            return response.status == 200 and await response.read() == word.encode()

    def _bell_rested(self) -> None:
        self._bell = None
        if self._bell_due:
            self._bell_due = False
            self.ring_archive()

    def _put(self, delivery: Delivery) -> None:
        if self._faults.strikes("drop"):
            self._close(delivery, "dropped")
            delivery.suffered.append("drop")
            return
        if self._faults.strikes("delay"):
            self._hold_back(delivery)
            return
        if self._held is None and self._faults.strikes("reorder"):
            delivery.suffered.append("reorder")
            self._held = delivery
            return
        self._queue.put_nowait(delivery)
        if self._faults.strikes("duplicate"):
            delivery.suffered.append("duplicate")
            for _ in range(self._faults.copies - 1):
                self._queue.put_nowait(delivery)
        if self._held is not None:
            self._queue.put_nowait(self._held)
            self._held = None

    def _hold_back(self, delivery: Delivery) -> None:
        delivery.suffered.append("delay")
        delivery.outcome = "late"
        seconds = self._faults.lateness()
        due = self._now() + timedelta(seconds=seconds) if seconds > 0 else None
        self._late.append((due, delivery))
        if due is not None:
            asyncio.get_running_loop().call_later(seconds, self.release_due)

    def _release(self, late: list[tuple[datetime | None, Delivery]]) -> None:
        for one in late:
            self._late.remove(one)
            one[1].outcome = "waiting"
            self._queue.put_nowait(one[1])

    async def _deliver(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        try:
            for attempt in range(1 + RETRIES):
                if attempt:
                    await asyncio.sleep(self.retry_seconds * attempt)
                status = await self._post(session, delivery)
                delivery.answers.append(status)
                if status == 200:
                    self._close(delivery, "delivered")
                    return
            self._close(delivery, "failed")
            log.warning("callback_failed", delivery=delivery.id, callback=delivery.event)
        finally:
            self._queue.task_done()

    def _close(self, delivery: Delivery, outcome: Outcome) -> None:
        delivery.outcome = outcome
        self.outcomes[outcome] += 1

    async def _post(self, session: aiohttp.ClientSession, delivery: Delivery) -> int:
        app = delivery.app
        encrypted = encrypt(app, self._corp_id, delivery.xml)
        body = {"ToUserName": self._corp_id, "AgentID": delivery.agent_id, "Encrypt": encrypted}
        try:
            async with session.post(
                app.callback_url,
                params=signed(app, encrypted, int(self._now().timestamp())),
                data=xml(body).encode(),
                headers={"Content-Type": "text/xml"},
                timeout=self._timeout,
            ) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return 0


def _sender(fields: dict[str, Any]) -> str:
    sender = str(fields.get("FromUserName") or "")
    return "" if sender == "sys" else sender
