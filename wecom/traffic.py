"""When a call may be made: our own pace, and the distance kept after WeCom refused.

Bucket    at most so many calls in so many seconds
lane      at most twenty of one name under way at once
Breaker   after a refusal nobody asks until its time is over; then one does, for all
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from wecom.errors import (
    CredentialWrong,
    NetworkNotTrusted,
    RateLimited,
    TooManyAtOnce,
    WeComError,
)

# A minute's limit passes after a minute; what still refuses then is an hour's.
RATE_WAITS: Final = (60.0, 60.0, 3600.0)
APP_WAITS: Final = (60.0,)
UNCLEAR_WAIT: Final = 30.0
PATIENCE: Final = 10.0
# Calls of one name under way at once; more of them are answered with 45033.
AT_ONCE: Final = 20

BLOCKED: Final = "not asked again before it may succeed"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls in so many seconds."""

    calls: int
    seconds: float


DEFAULT_RATE: Final = Rate(10_000, 60.0)
RATES: Final[Mapping[str, Rate]] = {
    "externalcontact/add_moment_task": Rate(10, 60.0),
    "get_jsapi_ticket": Rate(100, 3600.0),
    "ticket/get": Rate(100, 3600.0),
    "msgaudit/check_single_agree": Rate(2500, 60.0),
    "msgaudit/check_room_agree": Rate(1500, 60.0),
    "msgaudit/get_permit_user_list": Rate(1000, 60.0),
}


class Bucket:
    """Holds the calls of one name to a rate; `now` counts seconds."""

    def __init__(self, rate: Rate, now: Callable[[], float]) -> None:
        self._rate, self._now = rate, now
        self._left = float(rate.calls)
        self._seen = now()

    def wait(self, call: str) -> float:
        """Take a place and return the seconds until it is free; RateLimited if it is far off."""
        pace = self._rate.calls / self._rate.seconds
        moment = self._now()
        refilled = self._left + (moment - self._seen) * pace
        self._left, self._seen = min(refilled, float(self._rate.calls)), moment
        wait = max(0.0, (1 - self._left) / pace)
        if wait > PATIENCE:
            limit = RateLimited(call=call, reason="our own pace for this call")
            limit.retry_after = wait
            raise limit
        self._left -= 1
        return wait


@dataclass(frozen=True, slots=True)
class Standing:
    """A call nobody makes now, why, and the seconds until one tries; `call` is empty for all."""

    call: str
    reason: str
    errcode: int | None
    seconds: float
    refusals: int


class Breaker:
    """Keeps everybody away from what was refused; when the time is over, one tries for all.

    `waits` are the seconds after the first, second, … refusal in a row; the last one repeats.
    """

    def __init__(
        self,
        call: str,
        ours: Callable[[WeComError], bool],
        waits: tuple[float, ...],
        now: Callable[[], float],
    ) -> None:
        self._call, self._ours, self._waits, self._now = call, ours, waits, now
        self._refusal: WeComError | None = None
        self._refusals = 0
        self._until = 0.0
        self._probing = False

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Let a call through and learn from its end; the refusal again while nobody may ask."""
        probe = self._admit()
        try:
            yield
        except WeComError as error:
            self._learn(error, probe)
            raise
        except BaseException:
            self._unclear(probe)
            raise
        if probe:
            self._close()

    def standing(self) -> Standing | None:
        """What is blocked; None while calls pass."""
        if self._refusal is None:
            return None
        reason = type(self._refusal).__name__
        left = max(0.0, self._until - self._now())
        return Standing(self._call, reason, self._refusal.errcode, left, self._refusals)

    def _admit(self) -> bool:
        if self._refusal is None:
            return False
        left = self._until - self._now()
        if left > 0 or self._probing:
            again = _alike(self._refusal)
            again.reason, again.retry_after = BLOCKED, max(left, 1.0)
            raise again
        self._probing = True
        return True

    def _learn(self, error: WeComError, probe: bool) -> None:
        if self._ours(error):
            # Calls that were under way when the first was refused say nothing new.
            if self._refusal is None or probe:
                self._open(error)
        elif error.errcode is not None and error.errcode > 0 and error.reason != BLOCKED:
            if probe:
                self._close()
        else:
            self._unclear(probe)

    def _open(self, error: WeComError) -> None:
        self._refusal = _alike(error)
        self._refusals += 1
        self._until = self._now() + self._waits[min(self._refusals, len(self._waits)) - 1]
        self._probing = False

    def _unclear(self, probe: bool) -> None:
        if probe:
            self._until, self._probing = self._now() + UNCLEAR_WAIT, False

    def _close(self) -> None:
        self._refusal, self._refusals, self._probing = None, 0, False


class Traffic:
    """The pace and the standing of every call of one app."""

    def __init__(self, now: Callable[[], float], rates: Mapping[str, Rate] | None = None) -> None:
        self._now = now
        self._rates = {**RATES, **(rates or {})}
        self._buckets: dict[str, Bucket] = {}
        self._breakers: dict[str, Breaker] = {}
        self._lanes: dict[str, asyncio.Semaphore] = {}
        self.app = Breaker("", _of_the_app, APP_WAITS, now)

    def bucket(self, call: str) -> Bucket:
        """The pace of that call."""
        if call not in self._buckets:
            self._buckets[call] = Bucket(self._rates.get(call, DEFAULT_RATE), self._now)
        return self._buckets[call]

    def lane(self, call: str) -> asyncio.Semaphore:
        """The places of calls of that name under way."""
        return self._lanes.setdefault(call, asyncio.Semaphore(AT_ONCE))

    def breaker(self, call: str) -> Breaker:
        """The distance kept from that call."""
        if call not in self._breakers:
            self._breakers[call] = Breaker(call, _rate_of(call), RATE_WAITS, self._now)
        return self._breakers[call]

    def standing(self) -> tuple[Standing, ...]:
        """All that is blocked now; empty is healthy."""
        known = (breaker.standing() for breaker in (self.app, *self._breakers.values()))
        return tuple(one for one in known if one is not None)


def _alike(error: WeComError) -> WeComError:
    # The error itself would hold the frames it came through, and each raise would add to them.
    alike = type(error)(call=error.call, errcode=error.errcode, hint=error.hint)
    vars(alike).update(vars(error))
    return alike


def _of_the_app(error: WeComError) -> bool:
    return isinstance(error, CredentialWrong | NetworkNotTrusted)


def _rate_of(call: str) -> Callable[[WeComError], bool]:
    def ours(error: WeComError) -> bool:
        limited = isinstance(error, RateLimited) and not isinstance(error, TooManyAtOnce)
        return limited and error.errcode is not None and error.call == call

    return ours
