"""How good suggestions are: taken, edited, turned down, by material, RM, intent and week.

Counted over suggestions the product made from material; what an RM picked by hand is not one. The
same conditions list the rows behind every number.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.calendar import at_local
from bank.models import Staff
from content.models import Material, Version
from customers.models import Customer
from desk.ids import id_of
from knowledge.intents import Intent
from knowledge.models import Suggestion, SuggestionState
from knowledge.picking import PICKED

MOST = 50
WEEK = timedelta(days=7)


class By(enum.StrEnum):
    """Along what numbers are added up."""

    MATERIAL = "material"
    RM = "rm"
    INTENT = "intent"
    WEEK = "week"

    @property
    def label(self) -> str:
        return {"material": "素材", "rm": "客户经理", "intent": "客户意图", "week": "周"}[self]


@dataclass(frozen=True)
class Line:
    """One material, RM, intent or week."""

    key: str  # as the filter of the list takes it
    name: str
    made: int
    sent: int
    edited: int
    rejected: int
    edit_share: float | None  # of those edited, how much was changed on average

    @property
    def accepted(self) -> float | None:
        """The share of those made that were sent, edited or not; none where none was made."""
        return (self.sent + self.edited) / self.made if self.made else None


@dataclass(frozen=True)
class Why:
    """Why RMs turned suggestions down."""

    reason: str
    times: int


def made() -> tuple[ColumnElement[bool], ...]:
    """What counts: made from material by the product itself."""
    return (col(Suggestion.version_id).is_not(None), col(Suggestion.tier) != PICKED)


def narrowed(filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """The conditions a filter of the list stands for; what cannot be read narrows nothing."""
    found: list[ColumnElement[bool]] = []
    if rm := id_of(filters.get("rm", "")):
        found.append(col(Suggestion.staff_id) == rm)
    if (intent := filters.get("intent", "")) in list(Intent):
        found.append(col(Suggestion.intent) == Intent(intent))
    elif intent == "none":
        found.append(col(Suggestion.intent).is_(None))
    if (monday := _day(filters.get("week", ""))) is not None:
        since = at_local(monday, time())
        found += [col(Suggestion.created_at) >= since, col(Suggestion.created_at) < since + WEEK]
    if reason := filters.get("reason", "").replace("\0", ""):
        found.append(col(Suggestion.reject_reason) == reason)
    if filters.get("made") == "1":
        found += made()
    return found


async def lines(
    session: AsyncSession, by: By, since: datetime, visible: ColumnElement[bool]
) -> list[Line]:
    """The numbers since a moment, the largest first; weeks newest first."""
    key, name = _along(by)
    state = col(Suggestion.state)
    counted = (
        func.count(),
        func.count().filter(state == SuggestionState.SENT),
        func.count().filter(state == SuggestionState.EDITED),
        func.count().filter(state == SuggestionState.REJECTED),
        func.avg(col(Suggestion.edit_share)).filter(state == SuggestionState.EDITED),
    )
    query = (
        _counted(key, name, *counted)
        .where(*made(), col(Suggestion.created_at) >= since, visible)
        .group_by(key, name)
        .order_by(key.desc() if by is By.WEEK else func.count().desc())
        .limit(MOST)
    )
    return [_line(by, *row) for row in (await session.execute(query)).all()]


async def total(session: AsyncSession, since: datetime, visible: ColumnElement[bool]) -> Line:
    """All of them since a moment in one line; every page that says 采用率 says this."""
    weeks = await lines(session, By.WEEK, since, visible)
    edited = sum(line.edited for line in weeks)
    changed = sum((line.edit_share or 0.0) * line.edited for line in weeks)
    return Line(
        key="",
        name="合计",
        made=sum(line.made for line in weeks),
        sent=sum(line.sent for line in weeks),
        edited=edited,
        rejected=sum(line.rejected for line in weeks),
        edit_share=changed / edited if edited else None,
    )


def _along(by: By) -> tuple[Any, Any]:
    if by is By.MATERIAL:
        return col(Material.id), col(Material.title)
    if by is By.RM:
        return col(Staff.id), col(Staff.name)
    if by is By.INTENT:
        return col(Suggestion.intent), col(Suggestion.intent)
    week = func.date_trunc("week", func.timezone("Asia/Shanghai", col(Suggestion.created_at)))
    return week, week


def _counted(*columns: Any) -> Any:
    return (
        select(*columns)
        .select_from(Suggestion)
        .join(Customer, col(Customer.id) == col(Suggestion.customer_id))
        .join(Staff, col(Staff.id) == col(Suggestion.staff_id))
        .join(Version, col(Version.id) == col(Suggestion.version_id))
        .join(Material, col(Material.id) == col(Version.material_id))
    )


def _line(by: By, key: Any, name: Any, *numbers: Any) -> Line:
    if by is By.WEEK:
        monday = key.date()
        return Line(f"{monday}", f"{monday} 起", *numbers)
    if by is By.INTENT:
        return Line(key.value if key else "none", key.label if key else "未识别", *numbers)
    return Line(str(key), str(name), *numbers)


async def refusals(
    session: AsyncSession, since: datetime, visible: ColumnElement[bool]
) -> list[Why]:
    """Why suggestions were turned down since a moment, most often first."""
    query = (
        _counted(col(Suggestion.reject_reason), func.count())
        .where(
            *made(),
            col(Suggestion.created_at) >= since,
            col(Suggestion.state) == SuggestionState.REJECTED,
            visible,
        )
        .group_by(col(Suggestion.reject_reason))
        .order_by(func.count().desc())
        .limit(MOST)
    )
    return [Why(*row) for row in (await session.execute(query)).all()]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
