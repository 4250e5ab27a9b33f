"""The bank's local time: days, hours and how moments are shown."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def local(moment: datetime) -> datetime:
    """The same moment on a clock in Shanghai."""
    return moment.astimezone(SHANGHAI)


def local_day(moment: datetime) -> date:
    """The calendar day in Shanghai on which this moment falls."""
    return local(moment).date()


def at_local(day: date, clock: time) -> datetime:
    """That local day and time, as an aware UTC moment."""
    return datetime.combine(day, clock, SHANGHAI).astimezone(UTC)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """First moment of the local day and of the next."""
    return at_local(day, time()), at_local(day + timedelta(days=1), time())


def month_start(moment: datetime) -> datetime:
    """First moment of the local calendar month."""
    return at_local(local_day(moment).replace(day=1), time())
