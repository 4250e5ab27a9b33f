"""What the reader of an attribution page asked to see: model, days, whose customers."""

from dataclasses import dataclass
from datetime import date, time, timedelta

from aiohttp import web
from sqlalchemy import true

from attribution.models import Model
from attribution.reports import Period, Scope
from bank.calendar import at_local, local_day
from bank.models import Role
from customers.book import visible
from desk.keys import SETTINGS
from desk.signed import now_of, signed

SEES = (Role.RM, Role.BRANCH_MANAGER, Role.EDITOR, Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
SEES_ROWS = (Role.RM, Role.BRANCH_MANAGER, Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
SETTLES = (Role.HQ, Role.COMPLIANCE)
DEFAULT_DAYS = 90
PAGE = 50


@dataclass(frozen=True)
class Chosen:
    """What the reader asked to see; kept in every link."""

    model: Model
    start: date
    end: date  # the last day, included

    @property
    def period(self) -> Period:
        """The local days as moments."""
        return Period(at_local(self.start, time()), at_local(self.end + timedelta(days=1), time()))

    @property
    def query(self) -> str:
        """The same choice in an address."""
        return f"model={self.model.value}&start={self.start}&end={self.end}"


def chosen_of(request: web.Request) -> Chosen:
    """The model and days of the address; the official model and the last 90 days by default."""
    today = local_day(now_of(request))
    wanted = request.query.get("model", request.app[SETTINGS].attribution_model)
    model = Model(wanted) if wanted in list(Model) else Model.LINEAR
    start = day_of(request.query.get("start", ""), today - timedelta(days=DEFAULT_DAYS))
    end = day_of(request.query.get("end", ""), today)
    return Chosen(model, min(start, end), end)


def day_of(text: str, otherwise: date) -> date:
    """A day of the address, if it is one that a bank has books for."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return otherwise
    return day if 2000 <= day.year < 2200 else otherwise


def scope_of(request: web.Request) -> Scope:
    """Own customers; editors see the whole bank's sums, never the rows."""
    who = signed(request)
    if who.may(Role.EDITOR) and not who.may(*SEES_ROWS):
        return true()
    return visible(who)


def page_of(request: web.Request, total: int, size: int = PAGE) -> tuple[int, int]:
    """The page asked for, within those there are, and how many there are."""
    pages = max(1, -(-total // size))
    wanted = request.query.get("page", "1")
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else 1
    return min(max(1, number), pages), pages
