"""Who holds a product, and whom it no longer suits after a change of its rating (C-03)."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Subquery, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.calendar import SHANGHAI, local
from compliance.suitability import customer_ceiling
from customers.models import Customer, Holding
from customers.scan import rms_of

PAGE = 20


@dataclass(frozen=True)
class Holder:
    """A customer who holds the product."""

    customer: Customer
    amount_cents: int
    matures_on: date | None  # the next of several
    rms: list[str]
    ceiling: int  # as of now; 0 without a valid assessment
    suits: bool

    @property
    def level(self) -> str:
        """What the customer may hold as of now, in words."""
        if self.ceiling:
            return f"C{self.ceiling}"
        known = self.customer.risk_level
        return f"C{known}（测评已过期）" if known else "未测评"


@dataclass(frozen=True)
class Holders:
    """A page of the visible holders, those whom it does not suit first."""

    lines: list[Holder]
    total: int
    unsuited: int
    amount_cents: int
    page: int
    pages: int


async def of_product(
    session: AsyncSession,
    visible: ColumnElement[bool],
    code: str,
    rating: int,
    now: datetime,
    number: int = 1,
) -> Holders:
    """The visible holders of a product of this rating; the largest first within each part."""
    held, suits = _held(code), _suits(rating, now)
    figures = (
        select(
            func.count(),
            func.count().filter(~suits),
            func.coalesce(func.sum(held.c.amount), 0),
        )
        .select_from(held)
        .join(Customer, col(Customer.id) == held.c.customer_id)
        .where(visible)
    )
    total, unsuited, amount = (await session.execute(figures)).one()
    pages = max(1, -(-total // PAGE))
    number = min(max(1, number), pages)
    lines = await _lines(session, visible, code, rating, now, PAGE, (number - 1) * PAGE)
    return Holders(lines, total, unsuited, int(amount), number, pages)


async def all_of_product(
    session: AsyncSession,
    visible: ColumnElement[bool],
    code: str,
    rating: int,
    now: datetime,
    most: int,
) -> list[Holder]:
    """The same lines without pages, as many as `most`."""
    return await _lines(session, visible, code, rating, now, most, 0)


async def _lines(
    session: AsyncSession,
    visible: ColumnElement[bool],
    code: str,
    rating: int,
    now: datetime,
    limit: int,
    offset: int,
) -> list[Holder]:
    held = _held(code)
    query = (
        select(Customer, held.c.amount, held.c.matures_on)
        .join(held, col(Customer.id) == held.c.customer_id)
        .where(visible)
        .order_by(_suits(rating, now), held.c.amount.desc(), col(Customer.id))
        .limit(limit)
        .offset(offset)
    )
    rows = (await session.execute(query)).all()
    rms = await rms_of(session, [customer.id for customer, _, _ in rows])
    return [_line(c, amount, until, rms[c.id], rating, now) for c, amount, until in rows]


def _line(
    customer: Customer,
    amount: int,
    matures_on: date | None,
    rms: list[str],
    rating: int,
    now: datetime,
) -> Holder:
    ceiling = customer_ceiling(customer.risk_level, customer.risk_assessed_at, now)
    return Holder(customer, int(amount), matures_on, rms, ceiling, ceiling >= rating)


def _held(code: str) -> Subquery:
    return (
        select(
            col(Holding.customer_id).label("customer_id"),
            func.sum(Holding.amount_cents).label("amount"),
            func.min(Holding.matures_on).label("matures_on"),
        )
        .where(col(Holding.product_code) == code, col(Holding.ended_on).is_(None))
        .group_by(col(Holding.customer_id))
        .subquery()
    )


def _suits(rating: int, now: datetime) -> ColumnElement[bool]:
    """As `compliance.suitability.customer_ceiling` says, for the database to order and count by."""
    level, made = col(Customer.risk_level), col(Customer.risk_assessed_at)
    until = func.timezone(SHANGHAI.key, made) + func.make_interval(1)
    valid = and_(made <= now, until >= local(now).replace(tzinfo=None))
    return func.coalesce(and_(level >= rating, valid), False)
