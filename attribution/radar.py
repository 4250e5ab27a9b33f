"""The radar 客户雷达: openings and readings, gathered for a moment and written together.

However many customers open links at once, the database sees a few statements a second: one that
asks where all the links lead, one that writes all the openings, one that writes how long was read.
What was gathered and not written is lost with the process: at most half a second of openings.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from attribution.models import Device, Opener
from bank.beside import beside
from bank.database import Sessions, ring
from bank.metrics import OPENINGS

log = structlog.get_logger("attribution")

BELL = "openings"
GATHER_SECONDS = 0.3
AGAIN_SECONDS = 3.0
# What does not fit is counted as lost: a flood fills no memory.
MOST = 20_000
# Nobody opens what was sent to one person more often than this in a moment.
MOST_OF_ONE = 5
LONGEST_SECONDS = 1800
# A page may be a little ahead of the clock it is measured by.
SLACK_SECONDS = 2


@dataclass(frozen=True)
class Opened:
    """Somebody looked at what a link leads to."""

    id: UUID
    code: str
    at: datetime
    device: Device
    timed: bool
    opener: Opener | None = None  # None: nobody asked WeChat; the link says who it was sent to
    contact: str = ""  # of somebody else, as WeChat says
    to_one: bool = False


@dataclass
class Reading:
    """How long a page of a visit was visible so far, and how far it was scrolled."""

    at: datetime
    seconds: int = 0
    progress: int = 0


# Links that are gone meanwhile have no openings. A name is written down only with consent to
# personal recommendations, or where the bank's privacy text covers everybody.
WRITE = text("""
INSERT INTO opening (id, code, version_id, material_id, customer_id, staff_id, at, device, opener,
                     timed, seconds, progress)
SELECT o.id, CASE WHEN o.named THEN o.code END, o.version_id, o.material_id,
       CASE WHEN o.named AND o.opener IN ('presumed', 'addressee', 'other') THEN o.person END,
       CASE WHEN o.named THEN o.staff_id END, o.at, o.device,
       CASE WHEN o.named THEN o.opener ELSE 'unnamed' END, o.timed, 0, 0
FROM (
    SELECT b.*, l.version_id, v.material_id, l.staff_id, coalesce(b.told,
               CASE WHEN l.customer_id IS NULL AND l.contact = '' THEN 'unknown'
                    ELSE 'presumed' END) AS opener,
           CASE WHEN b.contact = '' THEN coalesce(l.customer_id, w.id) ELSE p.id END AS person,
           -- Whom the row would say something of: the opener, and whoever it was sent to.
           :everybody OR NOT EXISTS (
               SELECT 1 FROM (VALUES (coalesce(l.customer_id, w.id), l.contact),
                                     (p.id, b.contact)) AS q (id, contact)
               WHERE (q.id IS NOT NULL OR q.contact <> '') AND NOT EXISTS (
                   SELECT 1 FROM consent c
                   WHERE c.customer_id = q.id AND c.purpose = 'profiling' AND c.granted_at <= b.at
                     AND (c.withdrawn_at IS NULL OR c.withdrawn_at > b.at))
           ) AS named
    FROM unnest(CAST(:ids AS uuid[]), CAST(:codes AS text[]), CAST(:ats AS timestamptz[]),
                CAST(:devices AS text[]), CAST(:timed AS boolean[]), CAST(:openers AS text[]),
                CAST(:contacts AS text[]))
         AS b (id, code, at, device, timed, told, contact)
    JOIN tracked_link l ON l.code = b.code
    JOIN version v ON v.id = l.version_id
    -- Whoever is welcomed becomes a customer of ours only afterwards.
    LEFT JOIN customer w ON l.customer_id IS NULL AND l.contact <> ''
        AND w.external_userid = l.contact
    LEFT JOIN customer p ON b.contact <> '' AND p.external_userid = b.contact
) AS o
ON CONFLICT (id) DO NOTHING
RETURNING customer_id, staff_id
""")

# A page only ever says more, and never more than the clock allows.
LENGTHEN = text("""
UPDATE opening o
SET seconds = greatest(o.seconds, least(b.seconds, :longest,
              ceil(extract(epoch FROM b.at - o.at))::int + :slack)),
    progress = greatest(o.progress, b.progress)
FROM unnest(CAST(:ids AS uuid[]), CAST(:seconds AS int[]), CAST(:progress AS int[]),
            CAST(:ats AS timestamptz[])) AS b (id, seconds, progress, at)
WHERE o.id = b.id AND o.timed AND (b.seconds > o.seconds OR b.progress > o.progress)
RETURNING o.customer_id, o.staff_id
""")


class Radar:
    """What was opened and read since it was last written; one for each process."""

    def __init__(self, sessions: Sessions, mode: str) -> None:
        """`mode` is whose names may be logged: `consented`, `all`, or `off`."""
        self.mode = mode
        self._sessions = sessions
        self._opened: list[Opened] = []
        self._read: dict[UUID, Reading] = {}
        self._of_one: Counter[str] = Counter()
        self._something = asyncio.Event()
        self._writing = asyncio.Lock()

    def opened(self, opening: Opened) -> None:
        """Take it down; nothing where the bank has switched logging off."""
        if self.mode == "off":
            return
        of_this = self._of_one[opening.code] if opening.to_one else 0
        if len(self._opened) >= MOST or of_this >= MOST_OF_ONE:
            OPENINGS.labels("lost").inc()
            return
        self._of_one[opening.code] += opening.to_one
        self._opened.append(opening)
        self._something.set()

    def read(self, visit: UUID, at: datetime, seconds: int, progress: int) -> None:
        """A page says how long it was visible so far, and how far it was scrolled."""
        if self.mode == "off" or (visit not in self._read and len(self._read) >= MOST):
            return
        so_far = self._read.setdefault(visit, Reading(at))
        so_far.at = at
        so_far.seconds = max(so_far.seconds, min(seconds, LONGEST_SECONDS))
        so_far.progress = max(so_far.progress, min(progress, 100))
        self._something.set()

    async def write(self) -> int:
        """Write what there is, openings before readings; how many openings there were."""
        async with self._writing:
            opened, self._opened = self._opened, []
            read, self._read = self._read, {}
            self._of_one.clear()
            self._something.clear()
            try:
                await self._put(opened, read)
            except Exception:
                self._take_back(opened, read)
                raise
            OPENINGS.labels("written").inc(len(opened))
            return len(opened)

    async def _put(self, opened: list[Opened], read: dict[UUID, Reading]) -> None:
        if not opened and not read:
            return
        async with self._sessions.begin() as session:
            told = [
                *await _written(session, opened, everybody=self.mode == "all"),
                *await _lengthened(session, read),
            ]
            await _ring(session, told)

    def _take_back(self, opened: list[Opened], read: dict[UUID, Reading]) -> None:
        """The database was away: what was gathered waits with what has come since."""
        self._opened = opened + self._opened
        for visit, before in read.items():
            self.read(visit, before.at, before.seconds, before.progress)
        self._something.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write whenever there is something, until the block is left; then what is left."""
        try:
            async with beside(self._keep_writing()):
                yield
        finally:
            await self._write_safely()

    async def _keep_writing(self) -> None:
        while True:
            await self._something.wait()
            await asyncio.sleep(GATHER_SECONDS)
            if not await self._write_safely():
                await asyncio.sleep(AGAIN_SECONDS)

    async def _write_safely(self) -> bool:
        try:
            await self.write()
        except Exception as error:
            log.error("openings_not_written", waiting=len(self._opened), error=type(error).__name__)
            return False
        return True


Told = Iterable[tuple[UUID | None, UUID | None]]


async def _written(session: AsyncSession, opened: list[Opened], *, everybody: bool) -> Told:
    if not opened:
        return ()
    facts = {
        "everybody": everybody,
        "ids": [one.id for one in opened],
        "codes": [one.code for one in opened],
        "ats": [one.at for one in opened],
        "devices": [one.device.value for one in opened],
        "timed": [one.timed for one in opened],
        "openers": [one.opener.value if one.opener else None for one in opened],
        "contacts": [one.contact for one in opened],
    }
    return [(row[0], row[1]) for row in await session.execute(WRITE, facts)]


async def _lengthened(session: AsyncSession, read: dict[UUID, Reading]) -> Told:
    if not read:
        return ()
    facts = {
        "longest": LONGEST_SECONDS,
        "slack": SLACK_SECONDS,
        "ids": list(read),
        "seconds": [one.seconds for one in read.values()],
        "progress": [one.progress for one in read.values()],
        "ats": [one.at for one in read.values()],
    }
    return [(row[0], row[1]) for row in await session.execute(LENGTHEN, facts)]


async def _ring(session: AsyncSession, told: Told) -> None:
    """Each RM's open page beside the chat hears of its customer, once."""
    rms: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for customer_id, staff_id in told:
        if customer_id and staff_id:
            rms[customer_id].add(staff_id)
    for customer_id, followers in rms.items():
        for staff_id in followers:
            await ring(session, BELL, f"{customer_id}:{staff_id}")


RADAR = web.AppKey("RADAR", Radar)
