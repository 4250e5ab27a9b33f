"""How WeCom is called: with a token, at a pace, again where that is safe, once where it is not.

    get · post · create …
      └ _call          again, with backoff, while WeCom is busy; never for what must happen once
        └ _authorised  with a token; once more with a new one if it died
          └ _once      not faster than the pace, not while the call is rate limited
            └ exchange one HTTP request: send, read JSON, raise what it refused

While the app itself is refused (its secret, or our address) nothing is asked; `standing` says so.
A call marked `once` has no idempotency key. If its answer is lost it raises OutcomeUnknown, and the
caller looks it up; `create` also writes an intent around it.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final, TypeVar

import aiohttp

from wecom.answer import Answer
from wecom.errors import (
    Busy,
    NotConnected,
    OutcomeUnknown,
    TokenDead,
    TooManyAtOnce,
    UnreadableAnswer,
    WeComError,
)
from wecom.exchange import Body, download, exchange, file_body, json_body
from wecom.intents import Intents, IntentState
from wecom.tokens import Fetch, Grant, GrantStore, TokenSource, Veiled, grant_of
from wecom.traffic import Rate, Standing, Traffic

BACKOFF: Final = (0.5, 1.0, 2.0)

T = TypeVar("T")
Ask = Callable[[Veiled], Awaitable[T]]


class Calls:
    """The calls of one app of one company; nothing is shared with another app.

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
        sleep: Callable[[float], Awaitable[object]],
        timeout: float,
        grants: GrantStore | None = None,
        intents: Intents | None = None,
        rates: Mapping[str, Rate] | None = None,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._credentials = Veiled(corpid=corp_id, corpsecret=secret)
        self.corp_id, self.agent_id = corp_id, agent_id
        self._now, self._sleep, self._timeout = now, sleep, timeout
        self._grants = grants
        self._intents = intents
        self._traffic = Traffic(now, rates)
        self._token = self.source("access_token", self._fetch_token)

    def __repr__(self) -> str:
        return f"<Calls corp_id={self.corp_id!r} agent_id={self.agent_id}>"

    def standing(self) -> tuple[Standing, ...]:
        """What is not called at the moment and why; empty is healthy."""
        return self._traffic.standing()

    def source(self, kind: str, fetch: Fetch) -> TokenSource:
        """A shared grant of this app, such as a ticket."""
        name = f"{self.corp_id}/{self.agent_id}/{kind}"
        return TokenSource(fetch, now=self._now, name=name, store=self._grants)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """Ask with GET."""
        return await self._call(path, self._asking("GET", path, None), query)

    async def post(
        self,
        path: str,
        fields: Mapping[str, object],
        *,
        once: bool = False,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask with a JSON body; `once` for what a person would see twice."""
        ask = self._asking("POST", path, json_body(fields))
        return await self._call(path, ask, query, once=once)

    async def upload(
        self, path: str, filename: str, data: bytes, query: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one file."""
        return await self._call(path, self._asking("POST", path, file_body(filename, data)), query)

    async def download(self, path: str, query: Mapping[str, str]) -> bytes:
        """Fetch one file."""

        async def ask(signed: Veiled) -> bytes:
            url = self._url(path)
            return await download(self._http, url, call=path, timeout=self._timeout, query=signed)

        return await self._call(path, ask, query)

    async def create(
        self,
        path: str,
        fields: Mapping[str, object],
        read: Callable[[Answer], T],
        *,
        facts: Mapping[str, object],
        result: Callable[[T], str] = str,
    ) -> T:
        """Create something once, between an intent and its settlement.

        `facts` are what it can be found by, `read` makes the answer a type, `result` its id.
        OutcomeUnknown if it may exist: look for it, never call again.
        """
        key = await self._intents.open(path, facts) if self._intents else ""
        try:
            made = read(await self.post(path, fields, once=True))
        except (OutcomeUnknown, UnreadableAnswer) as unclear:
            await self._settle(key, IntentState.UNKNOWN, unclear.reason)
            if isinstance(unclear, OutcomeUnknown):
                raise
            raise OutcomeUnknown(call=path, reason="created without an id") from unclear
        except WeComError as refusal:
            await self._settle(key, IntentState.REFUSED, repr(refusal))
            raise
        await self._settle(key, IntentState.DONE, result(made))
        return made

    async def _settle(self, key: str, state: IntentState, result: str) -> None:
        if self._intents:
            await self._intents.settle(key, state, result)

    async def pages(self, path: str, asked: Mapping[str, object]) -> AsyncIterator[Answer]:
        """Ask with POST, page by page, until there is no next cursor."""
        async for page in self._pages(path, asked, lambda fields: self.post(path, fields)):
            yield page

    async def get_pages(self, path: str, asked: Mapping[str, str]) -> AsyncIterator[Answer]:
        """Ask with GET, page by page, until there is no next cursor."""

        def ask(fields: Mapping[str, object]) -> Awaitable[Answer]:
            return self.get(path, {name: str(value) for name, value in fields.items()})

        async for page in self._pages(path, asked, ask):
            yield page

    async def _pages(
        self,
        path: str,
        asked: Mapping[str, object],
        ask: Callable[[Mapping[str, object]], Awaitable[Answer]],
    ) -> AsyncIterator[Answer]:
        cursor = ""
        seen = {cursor}
        while True:
            page = await ask({**asked, "cursor": cursor} if cursor else dict(asked))
            yield page
            cursor = page.text("next_cursor", "")
            if not cursor:
                return
            if cursor in seen:
                raise UnreadableAnswer(call=path, reason="the cursor came twice")
            seen.add(cursor)

    async def _call(
        self, path: str, ask: Ask[T], query: Mapping[str, str] | None, *, once: bool = False
    ) -> T:
        def send(grant: Grant) -> Awaitable[T]:
            return self._once(
                path, ask, Veiled({**(query or {}), "access_token": grant.value}), once=once
            )

        for wait in BACKOFF:
            try:
                return await self._authorised(send)
            except TooManyAtOnce:
                pass
            except Busy:
                if once:
                    raise
            await self._sleep(wait * random.uniform(0.5, 1.5))
        return await self._authorised(send)

    async def _authorised(self, send: Callable[[Grant], Awaitable[T]]) -> T:
        with self._traffic.app.watch():
            grant = await self._token.current()
            try:
                return await send(grant)
            except TokenDead:
                self._token.invalidate(grant)
            return await send(await self._token.current())

    async def _once(self, path: str, ask: Ask[T], signed: Veiled, *, once: bool) -> T:
        try:
            return await self._paced(path, ask, signed)
        except NotConnected:
            raise
        except Busy as unclear:
            if not once:
                raise
            raise OutcomeUnknown(
                call=path, errcode=unclear.errcode, reason=unclear.reason
            ) from unclear

    async def _paced(self, path: str, ask: Ask[T], signed: Veiled) -> T:
        with self._traffic.breaker(path).watch():
            wait = self._traffic.bucket(path).wait(path)
            if wait:
                await self._sleep(wait)
            async with self._traffic.lane(path):
                return await ask(signed)

    def _asking(self, method: str, path: str, body: Body | None) -> Ask[Answer]:
        async def ask(signed: Veiled) -> Answer:
            return await exchange(
                self._http,
                method,
                self._url(path),
                call=path,
                timeout=self._timeout,
                query=signed,
                body=body() if body else None,
            )

        return ask

    async def _fetch_token(self) -> Grant:
        ask = self._asking("GET", "gettoken", None)
        return grant_of(await self._paced("gettoken", ask, self._credentials), "access_token")

    def _url(self, path: str) -> str:
        return f"{self._base_url}/cgi-bin/{path}"
