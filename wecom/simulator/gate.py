"""What the platform checks of every call before it acts: address, rate, concurrency, its log."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from wecom.simulator.console import Settings

KEPT_CALLS = 500
WRONG_SECRETS = "gettoken with a wrong secret"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class RefusedAtTheGate(Exception):
    """The call is refused with this errcode before anybody looks at it."""

    def __init__(self, errcode: int) -> None:
        super().__init__(errcode)
        self.errcode = errcode


@dataclass(frozen=True)
class CallRecord:
    """One call as the platform's log shows it; errcode None: no JSON answer was given."""

    at: datetime
    method: str
    path: str
    agent_id: int
    status: int
    errcode: int | None
    fault: str


@dataclass
class _Window:
    """Calls of one address in the current minute or hour."""

    since: datetime
    calls: int = 0
    blocked_until: datetime | None = None


class Gate:
    """Counts calls per address; over the limit an address is shut for a minute, or an hour."""

    def __init__(self) -> None:
        self.log: deque[CallRecord] = deque(maxlen=KEPT_CALLS)
        self.counts: Counter[tuple[str, int | None]] = Counter()
        self._windows: dict[tuple[str, timedelta], _Window] = {}
        self._under_way: Counter[str] = Counter()

    def check_address(self, settings: Settings, remote: str) -> None:
        """60020 when trusted addresses are set and the caller has another one."""
        if settings.trusted_ips and remote not in settings.trusted_ips:
            raise RefusedAtTheGate(60020)

    def check_rate(self, settings: Settings, path: str, now: datetime) -> None:
        """45009 once an address was called too often, until its block is over."""
        limits = ((MINUTE, settings.calls_per_minute), (HOUR, settings.calls_per_hour))
        for length, allowed in limits:
            self._count(path, length, allowed.get(path, allowed.get("", 0)), now)

    def count_wrong_secret(self, settings: Settings, now: datetime) -> None:
        """45009 once too many tokens were asked for with a wrong secret; see `check_secrets`."""
        self._count(WRONG_SECRETS, HOUR, settings.wrong_secrets, now)

    def check_secrets(self, now: datetime) -> None:
        """45009 while `gettoken` is shut because of too many wrong secrets."""
        if WRONG_SECRETS in self.blocked(now):
            raise RefusedAtTheGate(45009)

    @contextmanager
    def under_way(self, settings: Settings, path: str) -> Iterator[None]:
        """45033 while too many calls of this address are under way at once."""
        if 0 < settings.calls_at_once <= self._under_way[path]:
            raise RefusedAtTheGate(45033)
        self._under_way[path] += 1
        try:
            yield
        finally:
            self._under_way[path] -= 1

    def record(self, record: CallRecord) -> None:
        """Keep a call in the log and count its errcode."""
        self.log.append(record)
        self.counts[record.path, record.errcode] += 1

    def blocked(self, now: datetime) -> dict[str, datetime]:
        """The addresses shut now, and until when."""
        return {
            path: window.blocked_until
            for (path, _), window in self._windows.items()
            if window.blocked_until is not None and window.blocked_until > now
        }

    def _count(self, path: str, length: timedelta, limit: int, now: datetime) -> None:
        window = self._windows.setdefault((path, length), _Window(now))
        if window.blocked_until is not None:
            if now < window.blocked_until:
                raise RefusedAtTheGate(45009)
            self._windows[path, length] = window = _Window(now)
        if not window.since <= now < window.since + length:
            window.since, window.calls = now, 0
        window.calls += 1
        if 0 < limit < window.calls:
            # The block lasts as long as the window: a minute limit 60 s, an hour limit 60 min.
            window.blocked_until = now + length
            raise RefusedAtTheGate(45009)
