"""The clock: the only file that knows apscheduler. It holds a handful of ticks, never a touch.

Every process runs the ticks; a lock of the database lets one of them at a time do each work, the
others skip. Sending and reconciling share theirs: what is being called is never looked up.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bank.audit_heads import open_heads
from bank.audit_keeping import keep_day
from bank.database import Sessions, utc_now
from bank.settings import Settings
from content import review
from content.files import LocalFileStore
from knowledge import effects, nightly
from outbound import media
from scheduler import reconciling, results, sending, sops, triggers
from wecom.client import WeComClient

log = structlog.get_logger("scheduler")

# Then the hour is looked at again: quiet hours may have begun.
MOST_ROUNDS = 20

Tick = Callable[[Sessions, WeComClient, Settings, datetime], Awaitable[object]]


async def send(sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime) -> int:
    """Hand what is due to its RMs, round after round while a round is full; how many touches."""
    handled = 0
    for _ in range(MOST_ROUNDS):
        sent = await sending.send_due(sessions, wecom, settings, now)
        handled += sent.claimed
        if sent.claimed < sending.AT_ONCE:
            break
    return handled


async def reconcile(
    sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime
) -> reconciling.Reconciled:
    """Look up the tasks whose outcome nobody knows."""
    return await reconciling.reconcile(sessions, wecom, now)


async def collect(
    sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime
) -> results.Collected:
    """Ask what became of the tasks RMs have."""
    return await results.collect(sessions, wecom, now)


async def expire(sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime) -> int:
    """End material whose validity is over."""
    async with sessions.begin() as session:
        return len(await review.expire_due(session, now))


async def enrol(sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime) -> int:
    """Enter customers whose date has come near."""
    async with sessions.begin() as session:
        return await triggers.enrol_by_date(session, now)


async def anchor(sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime) -> bool:
    """Sign the day's head of the audit book outside the database, and have the book checked."""
    return await keep_day(sessions, open_heads(settings), now)


async def weigh(sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime) -> int:
    """Count what became of each material lately, for ranking to look at."""
    async with sessions.begin() as session:
        return await effects.count(session, settings.attribution_model, now)


async def renew(sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime) -> int:
    """Upload files in use again before they die at WeCom."""
    return await media.renew(sessions, LocalFileStore(settings.home / "files"), wecom, now)


async def match(sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime) -> int:
    """Match customers and material in the small hours, a part of the run at a time."""
    async with sessions() as session:
        steps = await sops.materials_in_steps(session)
    return await nightly.match(sessions, settings, now, steps)


@dataclass(frozen=True)
class Job:
    """A tick, how often it runs, and the work only one process does at a time."""

    tick: Tick
    seconds: int
    work: str


JOBS = (
    Job(send, 5, "sending"),
    Job(collect, 5, "results"),
    Job(reconcile, 30, "sending"),
    Job(expire, 30, "expiry"),
    # A media id is renewed within the last half day of its three.
    Job(renew, 600, "media"),
    # Dates move once a day; asking every hour catches up after any outage.
    Job(enrol, 3600, "dates"),
    Job(weigh, 3600, "effects"),
    # Looked at often, done once a day: a book that has just begun gets its first head at once.
    Job(anchor, 60, "audit"),
    # Each time a part of the night's run, so that no transaction of the leader is long.
    Job(match, 15, "matching"),
)


async def run(
    job: Job, sessions: Sessions, wecom: WeComClient, settings: Settings, now: datetime
) -> bool:
    """Run one tick unless another process is at the same work; whether it ran."""
    async with sessions.begin() as leader:
        if not await sending.alone(leader, f"scheduler.{job.work}"):
            return False
        await job.tick(sessions, wecom, settings, now)
        return True


class Clockwork:
    """The ticks of this process."""

    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        wecom: WeComClient,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._wecom = wecom
        self._now = now
        # That a tick is left out while the one before it runs is how it is meant to be.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = AsyncIOScheduler(timezone=settings.timezone)
        self._under_way: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Start ticking on the running loop; each tick at once, then at its interval.

        The interval is real time even where `now` is a story's or a test's.
        """
        for job in JOBS:
            self._scheduler.add_job(
                self._safely,
                IntervalTrigger(seconds=job.seconds, timezone=self._settings.timezone),
                args=(job,),
                id=job.tick.__name__,
                next_run_time=utc_now(),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
        self._scheduler.start()

    async def stop(self) -> None:
        """Stop ticking, and return when the ticks under way have let go of the database.

        Without a start before it nothing happens.
        """
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for tick in (cut_short := list(self._under_way)):
            tick.cancel()
        await asyncio.gather(*cut_short, return_exceptions=True)

    async def _safely(self, job: Job) -> None:
        """A failed tick is logged and comes again; the tables hold the work."""
        tick = asyncio.current_task()
        assert tick is not None
        self._under_way.add(tick)
        try:
            await run(job, self._sessions, self._wecom, self._settings, self._now())
        except asyncio.CancelledError:
            # Only `stop` does that: it waits for us, and the next process takes the work up.
            log.info("tick_cut_short", tick=job.tick.__name__)
        except Exception:
            log.exception("tick_failed", tick=job.tick.__name__)
        finally:
            self._under_way.discard(tick)
