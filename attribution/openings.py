"""What was opened and read: of a customer, of a material; and how long that is remembered.

An opening counts as read from five seconds on. Whatever is told of a customer here is told only as
long as it may be: with consent to personal recommendations, or where the privacy text covers all.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, text, true
from sqlalchemy import select as rows_of
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from attribution.models import Device, Opener, Opening
from bank.calendar import at_local, local_day
from bank.retention import months_before
from bank.settings import Settings
from content.models import Version
from customers.models import Consent, Customer, Purpose

READ_SECONDS = 5
THEMSELVES = (Opener.PRESUMED, Opener.ADDRESSEE)
AT_ONCE = 10_000


def told(mode: str, now: datetime) -> ColumnElement[bool]:
    """Whether an opening may still be told of its customer, as a condition on `opening`."""
    if mode == "all":
        return true()
    consents = rows_of(col(Consent.id)).where(
        col(Consent.customer_id) == col(Opening.customer_id),
        col(Consent.purpose) == Purpose.PROFILING,
        col(Consent.granted_at) <= now,
        or_(col(Consent.withdrawn_at).is_(None), col(Consent.withdrawn_at) > now),
    )
    return consents.exists()


@dataclass(frozen=True)
class Visit:
    """One opening by a customer, in the words of pages."""

    customer_id: UUID
    material_id: UUID
    version_id: UUID
    title: str
    number: int
    at: datetime
    seconds: int
    progress: int
    timed: bool
    device: Device
    opener: Opener
    elsewhere: bool  # on another class of device than the link was first opened on

    @property
    def is_read(self) -> bool:
        """Whether it was looked at long enough to count."""
        return self.seconds >= READ_SECONDS

    @property
    def words(self) -> str:
        """What happened, in one line."""
        named = f"打开了《{self.title}》V{self.number}"
        if not self.timed:
            return named
        return f"{named}，阅读 {length(self.seconds)}" if self.seconds else f"{named}，未停留"

    @property
    def more(self) -> str:
        """How far, on what, and how sure it is that it was the customer."""
        parts = [f"读到 {self.progress}%"] if self.timed and self.progress else []
        parts += [] if self.timed else ["外部页面，不计阅读时长"]
        parts.append(self.device.label)
        parts.append(self.doubt or self.opener.label)
        return " · ".join(parts)

    @property
    def doubt(self) -> str:
        """What speaks against the customer having opened it; empty where nothing does."""
        if self.opener is Opener.PRESUMED and self.elsewhere:
            return "与首次打开的设备类型不同，可能已转发给他人"
        return self.opener.label if self.opener is Opener.OTHER else ""


def length(seconds: int) -> str:
    """A duration as people say it."""
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return f"{rest} 秒"
    return f"{minutes} 分 {rest} 秒" if rest else f"{minutes} 分钟"


def _visits() -> Select[Opening, str, int, bool]:
    """Openings by customers with what they opened."""
    first = func.first_value(Opening.device).over(
        partition_by=col(Opening.code), order_by=(col(Opening.at), col(Opening.id))
    )
    return (
        rows_of(
            Opening,
            col(Version.title),
            col(Version.number),
            (first != col(Opening.device)).label("elsewhere"),
        )
        .join(Version, col(Version.id) == col(Opening.version_id))
        .where(col(Opening.customer_id).is_not(None))
    )


def _visit(one: Opening, title: str, number: int, elsewhere: bool) -> Visit:
    assert one.customer_id is not None
    return Visit(
        one.customer_id, one.material_id, one.version_id, title, number, one.at, one.seconds,
        one.progress, one.timed, one.device, one.opener, elsewhere,
    )  # fmt: skip


async def of_customer(
    session: AsyncSession, customer_id: UUID, mode: str, now: datetime, limit: int
) -> list[Visit]:
    """The newest openings by this customer, newest first."""
    newest = (col(Opening.at).desc(), col(Opening.id))
    mine = _visits().where(col(Opening.customer_id) == customer_id, told(mode, now))
    rows = await session.execute(mine.order_by(*newest).limit(limit))
    return [_visit(*row) for row in rows]


async def latest(
    session: AsyncSession,
    scope: ColumnElement[bool],
    mode: str,
    since: datetime,
    now: datetime,
    limit: int,
) -> list[tuple[Customer, Visit]]:
    """What customers within the scope have read since then, newest first."""
    newest = (col(Opening.at).desc(), col(Opening.id))
    theirs = (
        _visits()
        .add_columns(Customer)
        .join(Customer, col(Customer.id) == col(Opening.customer_id))
        .where(
            scope,
            told(mode, now),
            col(Opening.seconds) >= READ_SECONDS,
            col(Opening.at) > since,
        )
    )
    rows = await session.execute(theirs.order_by(*newest).limit(limit))
    return [(row[4], _visit(*row[:4])) for row in rows]


@dataclass(frozen=True)
class Reader:
    """A customer who opened a material, all their openings together."""

    customer_id: UUID
    name: str
    bank_no: str  # empty: a contact who is no customer of the bank yet
    times: int
    seconds: int
    progress: int
    last: datetime
    sure: bool  # WeChat itself named them at least once
    doubtful: bool  # by somebody else, or on devices of different classes


@dataclass(frozen=True)
class Readership:
    """How often a material was opened, and by whom as far as that is known."""

    openings: int
    customers: int  # different ones within the scope
    others: int  # different customers outside the scope: counted, never named
    nameless: int  # openings of which it is not known, or not logged, by whom

    @property
    def everyone(self) -> int:
        """How many different customers opened it, whoever may see them."""
        return self.customers + self.others


async def readership(
    session: AsyncSession,
    material_ids: Collection[UUID],
    scope: ColumnElement[bool],
    mode: str,
    now: datetime,
) -> dict[UUID, Readership]:
    """Of each of these materials; nothing for those nobody has opened."""
    known = and_(col(Customer.id).is_not(None), told(mode, now))
    mine = and_(known, scope)
    rows = (
        rows_of(
            col(Opening.material_id),
            func.count(),
            func.count(func.distinct(Opening.customer_id)).filter(mine),
            func.count(func.distinct(Opening.customer_id)).filter(and_(known, ~scope)),
            func.count().filter(~known),
        )
        .outerjoin(Customer, col(Customer.id) == col(Opening.customer_id))
        .where(col(Opening.material_id).in_(material_ids))
        .group_by(col(Opening.material_id))
    )
    return {row[0]: Readership(*row[1:]) for row in await session.execute(rows)}


async def readers(
    session: AsyncSession,
    material_id: UUID,
    scope: ColumnElement[bool],
    mode: str,
    now: datetime,
    *,
    limit: int,
    offset: int = 0,
) -> list[Reader]:
    """Customers within the scope who opened it, who opened it last first: one page of them."""
    devices = func.count(func.distinct(Opening.device))
    last = func.max(Opening.at)
    rows = (
        rows_of(
            col(Customer.id),
            col(Customer.name),
            func.coalesce(col(Customer.bank_no), ""),
            func.count(),
            func.sum(Opening.seconds),
            func.max(Opening.progress),
            last,
            func.bool_or(col(Opening.opener) == Opener.ADDRESSEE),
            or_(func.bool_or(col(Opening.opener) == Opener.OTHER), devices > 1),
        )
        .join(Customer, col(Customer.id) == col(Opening.customer_id))
        .where(col(Opening.material_id) == material_id, scope, told(mode, now))
        .group_by(col(Customer.id))
        .order_by(last.desc(), col(Customer.id))
        .limit(limit)
        .offset(offset)
    )
    return [Reader(*row) for row in await session.execute(rows)]


@dataclass(frozen=True)
class Read:
    """A material a customer read, as matching sees it: when last, how often in the last days."""

    version_id: UUID
    material_id: UUID
    at: datetime
    lately: int


async def read_since(
    session: AsyncSession,
    customer_ids: Sequence[UUID],
    since: datetime,
    lately: datetime,
    until: datetime,
) -> list[tuple[UUID, Read]]:
    """What each customer read themselves: every version once, what was read last at the end.

    What somebody else opened by their link says nothing of them.
    """
    rows = (
        rows_of(
            col(Opening.customer_id),
            col(Opening.version_id),
            col(Opening.material_id),
            func.max(Opening.at),
            func.count().filter(col(Opening.at) > lately),
        )
        .where(
            col(Opening.customer_id).in_(customer_ids),
            col(Opening.at) > since,
            col(Opening.at) <= until,
            col(Opening.seconds) >= READ_SECONDS,
            col(Opening.opener).in_(THEMSELVES),
        )
        .group_by(col(Opening.customer_id), col(Opening.version_id), col(Opening.material_id))
        .order_by(func.max(Opening.at), col(Opening.version_id))
    )
    found = await session.execute(rows)
    return [
        (customer_id, Read(version_id, material_id, at, times))
        for customer_id, version_id, material_id, at, times in found
        if customer_id is not None
    ]


# What a customer under legal hold opened stays (customers/holds.py): nobody is shown it meanwhile.
PURGE = text("""
DELETE FROM opening WHERE id IN (
    SELECT o.id FROM opening o LEFT JOIN tracked_link l ON l.code = o.code
    WHERE (o.at < :before OR (NOT :everybody AND coalesce(o.customer_id, l.customer_id) IS NOT NULL
              AND NOT EXISTS (
              SELECT 1 FROM consent c
              WHERE c.customer_id = coalesce(o.customer_id, l.customer_id)
                AND c.purpose = 'profiling'
                AND (c.withdrawn_at IS NULL OR c.withdrawn_at > :now))))
      AND NOT EXISTS (
              SELECT 1 FROM legal_hold h JOIN customer k ON k.id = h.customer_id
              WHERE h.released_at IS NULL
                AND (k.id IN (o.customer_id, l.customer_id) OR k.external_userid = l.contact))
    LIMIT :at_once FOR UPDATE OF o SKIP LOCKED)
RETURNING 1
""")


async def purge(session: AsyncSession, settings: Settings, now: datetime) -> int:
    """Remove openings whose months are over, and those of customers who took their consent back.

    At most ten thousand at once, so that no transaction grows long; returns how many.
    """
    facts = {
        "before": at_local(_oldest(settings, local_day(now)), time()),
        "everybody": settings.radar == "all",
        "now": now,
        "at_once": AT_ONCE,
    }
    return len((await session.execute(PURGE, facts)).all())


def _oldest(settings: Settings, today: date) -> date:
    return months_before(today, settings.retention_log_months)
