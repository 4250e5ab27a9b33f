"""Access token and tickets: fetched once, shared by all, renewed before they expire."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from wecom.answer import Answer
from wecom.errors import Busy, UnreadableAnswer, WeComError

# Renewed five minutes early, so that no call leaves with a token that dies on the way.
MARGIN: Final = 300.0
# About two thousand refused fetches in an hour lock a company out for an hour; this makes 60.
REFUSAL_PAUSE: Final = 60.0
LONGEST_LIFE: Final = 86_400


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """A token or ticket with the seconds it still lives; never printed.

    `renew_in` are the seconds after which it should be renewed: five minutes before the end, or a
    fifth of a shorter life.
    """

    value: str = field(repr=False)
    lifetime: float
    renew_in: float = -1.0

    def __post_init__(self) -> None:
        if self.renew_in < 0:
            early = min(MARGIN, self.lifetime / 5)
            object.__setattr__(self, "renew_in", self.lifetime - early)


def grant_of(answer: Answer, name: str) -> Grant:
    """Read a token or ticket out of its answer."""
    value, lifetime = answer.text(name), answer.number("expires_in")
    if not value or not 0 < lifetime <= LONGEST_LIFE:
        raise UnreadableAnswer(call=answer.call, reason="no token with a life of hours")
    return Grant(value, lifetime)


class Veiled(dict[str, str]):
    """Query or headers that hold a secret: a traceback that prints variables shows names only."""

    def __repr__(self) -> str:
        return f"<{', '.join(self)}>"


Fetch = Callable[[], Awaitable[Grant]]


class GrantStore(Protocol):
    """Where grants are shared between processes; without one each process fetches its own."""

    async def take(self, name: str, dead: str, fetch: Fetch) -> Grant:
        """Return the grant of that name; fetch one if there is none alive other than `dead`.

        However many processes ask at the same moment, one of them fetches.
        """
        ...


class TokenSource:
    """One token of one secret, fetched by one caller at a time however many wait for it.

    `now` counts seconds. After a refusal the same refusal is given for a minute without asking
    again; a fetch that found WeCom busy is not remembered.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        now: Callable[[], float],
        name: str = "",
        store: GrantStore | None = None,
    ) -> None:
        self._fetch = fetch
        self._now = now
        self._name = name
        self._store = store
        self._grant: Grant | None = None
        self._dead: Grant | None = None
        self._renew_at = 0.0
        self._flight: asyncio.Task[Grant] | None = None
        self._refusal: WeComError | None = None
        self._ask_again_at = 0.0

    async def current(self) -> Grant:
        """Return a grant with life in it, fetching one only if there is none."""
        if self._grant and self._now() < self._renew_at:
            return self._grant
        if self._refusal and self._now() < self._ask_again_at:
            raise self._refusal.with_traceback(None)
        if self._flight is None:
            self._flight = asyncio.create_task(self._renew())
            self._flight.add_done_callback(_read_outcome)
        # One caller giving up must not take the fetch away from the others.
        return await asyncio.shield(self._flight)

    def invalidate(self, grant: Grant) -> None:
        """Drop `grant` because WeCom no longer takes it; one fetched meanwhile is kept."""
        if self._grant is grant:
            self._grant, self._dead = None, grant

    async def _renew(self) -> Grant:
        asked_at = self._now()
        dead = self._dead.value if self._dead else ""
        try:
            if self._store is None:
                grant = await self._fetch()
            else:
                grant = await self._store.take(self._name, dead, self._fetch)
        except WeComError as refusal:
            self._remember(refusal)
            raise
        finally:
            self._flight = None
        self._grant, self._dead, self._refusal = grant, None, None
        self._renew_at = asked_at + grant.renew_in
        return grant

    def _remember(self, refusal: WeComError) -> None:
        if not isinstance(refusal, Busy):
            self._refusal = refusal
            self._ask_again_at = self._now() + max(refusal.retry_after or 0.0, REFUSAL_PAUSE)


def _read_outcome(flight: asyncio.Task[Grant]) -> None:
    # When every caller has given up nobody else reads the failure, and asyncio would log it.
    if not flight.cancelled():
        flight.exception()
