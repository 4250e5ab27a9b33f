"""What content and RMs earned in a period; every number is a sum of lines that can be opened."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col

from attribution.models import (
    Conversion,
    ConversionState,
    Credit,
    Dimension,
    Model,
    Touchpoint,
)
from bank.calendar import SHANGHAI
from bank.models import Staff
from content.models import Material, Product
from customers.models import Customer

Scope = ColumnElement[bool]  # a condition on `customer`, as `customers.book.visible` gives it


@dataclass(frozen=True)
class Period:
    """From a moment up to, not including, another."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Earned:
    """What one content or RM earned by one model."""

    subject_id: UUID
    name: str
    conversions: int
    cents: int
    first: int  # cents by first touchpoint: aroused the need
    last: int  # cents by last touchpoint: converted


@dataclass(frozen=True)
class Totals:
    """All conversions of the period, and how much of them found somebody to credit."""

    conversions: int
    cents: int
    credited_cents: int
    held: int
    unattributed: int


@dataclass(frozen=True)
class CreditLine:
    """One line behind a number."""

    credit: Credit
    conversion: Conversion
    touchpoint: Touchpoint
    customer: str
    subject: str
    product: str | None  # its name, where the code is in the library of products


@dataclass(frozen=True)
class Behind:
    """Which credit lines stand behind a number; without a subject, those of all."""

    dimension: Dimension
    model: Model
    period: Period
    scope: Scope
    subject_id: UUID | None = None


def _converted(period: Period, scope: Scope) -> tuple[ColumnElement[bool], ...]:
    """Conversions of the period and of the customers one may see.

    A held one has no customer yet: only who sees all customers sees it.
    """
    within = (col(Conversion.at) >= period.start, col(Conversion.at) < period.end)
    if scope.compare(true()):
        return within
    return (*within, col(Conversion.customer_id).in_(select(col(Customer.id)).where(scope)))


async def totals(session: AsyncSession, period: Period, scope: Scope) -> Totals:
    """The period's conversions within these customers."""
    query = select(col(Conversion.state), func.count(), func.sum(Conversion.amount_cents))
    query = query.where(*_converted(period, scope)).group_by(col(Conversion.state))
    by = {state: (n, int(cents)) for state, n, cents in await session.execute(query)}
    return Totals(
        conversions=sum(n for n, _ in by.values()),
        cents=sum(cents for _, cents in by.values()),
        credited_cents=by.get(ConversionState.CREDITED, (0, 0))[1],
        held=by.get(ConversionState.HELD, (0, 0))[0],
        unattributed=by.get(ConversionState.UNATTRIBUTED, (0, 0))[0],
    )


async def earned(
    session: AsyncSession, dimension: Dimension, model: Model, period: Period, scope: Scope
) -> list[Earned]:
    """Who earned how much by that model, most first, with first and last beside it."""
    subject, name = _subject(dimension)
    cents = {m: _sum_of(m) for m in Model}
    conversions = func.count(func.distinct(Credit.conversion_id))
    query = (
        select(
            col(Credit.subject_id),
            name,
            conversions.filter(col(Credit.model) == model),
            cents[model],
            cents[Model.FIRST],
            cents[Model.LAST],
        )
        .join(Conversion, col(Conversion.id) == col(Credit.conversion_id))
        .join(subject, col(subject.id) == col(Credit.subject_id))
        .where(col(Credit.dimension) == dimension, *_converted(period, scope))
        .group_by(col(Credit.subject_id), name)
        .order_by(cents[model].desc(), name, col(Credit.subject_id))
    )
    return [
        Earned(id_, title, n, int(by_model), int(first), int(last))
        for id_, title, n, by_model, first, last in await session.execute(query)
    ]


def _subject(dimension: Dimension) -> tuple[type[Material] | type[Staff], Mapped[str]]:
    if dimension is Dimension.CONTENT:
        return Material, col(Material.title)
    return Staff, col(Staff.name)


def _sum_of(model: Model) -> ColumnElement[int]:
    return func.coalesce(func.sum(Credit.cents).filter(col(Credit.model) == model), 0)


async def sum_behind(session: AsyncSession, behind: Behind) -> tuple[int, int]:
    """How many credit lines stand behind a number, and their cents: the number itself."""
    query = (
        select(func.count(), func.coalesce(func.sum(Credit.cents), 0))
        .select_from(Credit)
        .join(Conversion, col(Conversion.id) == col(Credit.conversion_id))
        .where(*_credited(behind))
    )
    lines, cents = (await session.execute(query)).one()
    return lines, int(cents)


async def conversions_behind(session: AsyncSession, behind: Behind) -> int:
    """How many different conversions the credit lines behind a number speak of."""
    query = (
        select(func.count(func.distinct(Credit.conversion_id)))
        .join(Conversion, col(Conversion.id) == col(Credit.conversion_id))
        .where(*_credited(behind))
    )
    return (await session.execute(query)).scalar_one()


async def lines_behind(
    session: AsyncSession, behind: Behind, *, limit: int, offset: int = 0
) -> list[CreditLine]:
    """The credit lines behind a number, newest conversion first."""
    subject, name = _subject(behind.dimension)
    query = (
        select(Credit, Conversion, Touchpoint, col(Customer.name), name, col(Product.name))
        .join(Conversion, col(Conversion.id) == col(Credit.conversion_id))
        .join(Touchpoint, col(Touchpoint.id) == col(Credit.touchpoint_id))
        .join(Customer, col(Customer.id) == col(Conversion.customer_id))
        .join(subject, col(subject.id) == col(Credit.subject_id))
        .outerjoin(Product, col(Product.code) == col(Conversion.product_code))
        .where(*_credited(behind))
        .order_by(col(Conversion.at).desc(), col(Credit.id))
        .limit(limit)
        .offset(offset)
    )
    return [CreditLine(*row) for row in await session.execute(query)]


def _credited(behind: Behind) -> tuple[ColumnElement[bool], ...]:
    of_number = (
        col(Credit.dimension) == behind.dimension,
        col(Credit.model) == behind.model,
        *_converted(behind.period, behind.scope),
    )
    if behind.subject_id is None:
        return of_number
    return (*of_number, col(Credit.subject_id) == behind.subject_id)


async def name_of(session: AsyncSession, dimension: Dimension, subject_id: UUID) -> str | None:
    """The title of a material or the name of an RM."""
    subject, name = _subject(dimension)
    query = select(name).where(col(subject.id) == subject_id)
    return (await session.execute(query)).scalar_one_or_none()


async def by_month(
    session: AsyncSession, period: Period, scope: Scope
) -> list[tuple[str, int, int]]:
    """Conversions and cents of each local month in the period, oldest first."""
    month = func.to_char(func.timezone(SHANGHAI.key, col(Conversion.at)), "YYYY-MM")
    query = (
        select(month, func.count(), func.sum(Conversion.amount_cents))
        .where(*_converted(period, scope))
        .group_by(month)
        .order_by(month)
    )
    return [(m, n, int(cents)) for m, n, cents in await session.execute(query)]
