"""Access token and tickets: fetched once, shared by all, renewed before they expire."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from wecom.errors import Busy, WeComError

# Renewed five minutes early, so that no call leaves with a token that dies on the way.
MARGIN = 300.0
# About two thousand refused fetches in an hour lock a company out for an hour; this makes 120.
REFUSAL_PAUSE = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """A token or ticket as fetched, with its lifetime in seconds; never printed."""

    value: str = field(repr=False)
    lifetime: float


class Veiled(dict[str, str]):
    """Query or headers that hold a secret: a traceback that prints variables shows names only."""

    def __repr__(self) -> str:
        return f"<{', '.join(self)}>"


class TokenSource:
    """One token of one secret, fetched by one caller at a time however many wait for it.

    `now` counts seconds. After a refusal the same refusal is given for half a minute without asking
    again; a fetch that found WeCom busy is not remembered.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Grant]], *, now: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now = now
        self._grant: Grant | None = None
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
            self._grant = None

    async def _renew(self) -> Grant:
        asked_at = self._now()
        try:
            grant = await self._fetch()
        except WeComError as refusal:
            self._remember(refusal)
            raise
        finally:
            self._flight = None
        self._grant, self._refusal = grant, None
        self._renew_at = asked_at + grant.lifetime - min(MARGIN, grant.lifetime / 5)
        return grant

    def _remember(self, refusal: WeComError) -> None:
        if not isinstance(refusal, Busy):
            self._refusal = refusal
            self._ask_again_at = self._now() + max(refusal.retry_after or 0.0, REFUSAL_PAUSE)


def _read_outcome(flight: asyncio.Task[Grant]) -> None:
    # When every caller has given up nobody else reads the failure, and asyncio would log it.
    if not flight.cancelled():
        flight.exception()
