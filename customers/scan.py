"""Looking through the book: filters in, one page of customers out, in a fixed number of queries."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, UnaryExpression, asc, desc, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.calendar import SHANGHAI, local
from bank.models import Branch, Staff
from compliance.suitability import EDUCATION_ONLY, customer_ceiling
from customers.models import (
    Consent,
    Customer,
    Follow,
    FollowState,
    Holding,
    Purpose,
    Stage,
)

PAGE = 20
RISKS = (
    *((str(level), f"C{level}") for level in range(1, 6)),
    ("expired", "测评已过期"),
    ("none", "未测评"),
)
CONSENTS = (("yes", "已授权营销"), ("no", "未授权营销"))
SORTS = ("held", "risk", "added")


@dataclass(frozen=True)
class Wanted:
    """Which customers to show, as the address says it; empty words filter nothing."""

    text: str = ""  # part of a name, or a whole customer number
    risk: str = ""
    tier: str = ""
    stage: str = ""
    rm: UUID | None = None
    branch: UUID | None = None
    consent: str = ""
    sort: str = "held"
    descending: bool = True
    page: int = 1


@dataclass(frozen=True)
class Line:
    """A customer in the list."""

    customer: Customer
    branch: str
    rms: list[str]
    held_cents: int
    risk_expired: bool
    consent: str  # yes, withdrawn, or no: never given


@dataclass(frozen=True)
class Found:
    """One page of the customers that were looked for."""

    lines: list[Line]
    total: int
    page: int  # within the pages there are
    pages: int


async def scan(
    session: AsyncSession, visible: ColumnElement[bool], wanted: Wanted, now: datetime
) -> Found:
    """The visible customers that fit, a page of them, and how many there are."""
    conditions = (visible, *_fits(wanted, now))
    counted = select(func.count()).select_from(Customer).where(*conditions)
    total = (await session.execute(counted)).scalar_one()
    pages = max(1, -(-total // PAGE))
    number = min(max(1, wanted.page), pages)
    query = (
        select(Customer, col(Branch.name), _held())
        .outerjoin(Branch, col(Branch.id) == col(Customer.branch_id))
        .where(*conditions)
        .order_by(_order(wanted), col(Customer.id))
        .limit(PAGE)
        .offset((number - 1) * PAGE)
    )
    rows = (await session.execute(query)).all()
    ids = [customer.id for customer, _, _ in rows]
    rms, consents = await rms_of(session, ids), await _consents(session, ids, now)
    lines = [
        Line(
            customer=customer,
            branch=branch or "",
            rms=rms[customer.id],
            held_cents=int(cents),
            risk_expired=is_expired(customer, now),
            consent=consents.get(customer.id, "no"),
        )
        for customer, branch, cents in rows
    ]
    return Found(lines, total, number, pages)


def is_expired(customer: Customer, now: datetime) -> bool:
    """Whether there is an assessment that no longer counts."""
    made = customer.risk_assessed_at
    if customer.risk_level is None or made is None:
        return False
    return customer_ceiling(customer.risk_level, made, now) == EDUCATION_ONLY


def _fits(wanted: Wanted, now: datetime) -> list[ColumnElement[bool]]:
    fits = [
        *_is_named(wanted.text),
        *_is_at_risk(wanted.risk, now),
        *_has_consent(wanted.consent, now),
    ]
    if wanted.tier:
        fits.append(col(Customer.tier) == wanted.tier)
    if wanted.stage in list(Stage):
        fits.append(col(Customer.stage) == Stage(wanted.stage))
    if wanted.branch is not None:
        fits.append(col(Customer.branch_id) == wanted.branch)
    if wanted.rm is not None:
        fits.append(_followed_by(wanted.rm))
    return fits


def _is_named(text: str) -> list[ColumnElement[bool]]:
    if not text:
        return []
    named = col(Customer.name).contains(text, autoescape=True)
    return [named | (col(Customer.bank_no) == text)]


def _followed_by(staff_id: UUID) -> ColumnElement[bool]:
    return exists().where(
        col(Follow.customer_id) == col(Customer.id),
        col(Follow.staff_id) == staff_id,
        col(Follow.state) == FollowState.ACTIVE,
    )


def _is_at_risk(risk: str, now: datetime) -> list[ColumnElement[bool]]:
    level, made = col(Customer.risk_level), col(Customer.risk_assessed_at)
    if risk.isascii() and risk.isdigit():
        return [level == int(risk[:1])]
    if risk == "none":
        return [level.is_(None) | made.is_(None)]
    if risk == "expired":
        # Twelve months by the calendar of Shanghai, as `compliance.suitability.expires_at` has it.
        until = func.timezone(SHANGHAI.key, made) + _a_year()
        over = until < local(now).replace(tzinfo=None)
        return [level.is_not(None), over | (made > now)]
    return []


def _a_year() -> ColumnElement[timedelta]:
    """PostgreSQL's calendar year, which keeps 29 February within February."""
    return func.make_interval(1)


def _has_consent(consent: str, now: datetime) -> list[ColumnElement[bool]]:
    if consent not in ("yes", "no"):
        return []
    given = exists().where(
        col(Consent.customer_id) == col(Customer.id),
        col(Consent.purpose) == Purpose.MARKETING,
        _in_force(now),
    )
    return [given if consent == "yes" else ~given]


def _in_force(now: datetime) -> ColumnElement[bool]:
    withdrawn = col(Consent.withdrawn_at)
    return (col(Consent.granted_at) <= now) & (withdrawn.is_(None) | (withdrawn > now))


def _held() -> ColumnElement[int]:
    total = select(func.coalesce(func.sum(Holding.amount_cents), 0))
    held = total.where(col(Holding.customer_id) == col(Customer.id))
    return held.where(col(Holding.ended_on).is_(None)).scalar_subquery()


def _order(wanted: Wanted) -> UnaryExpression[Any]:
    by: dict[str, Any] = {
        "held": _held(),
        "risk": col(Customer.risk_level),
        "added": col(Customer.created_at),
    }
    order: UnaryExpression[Any] = (desc if wanted.descending else asc)(by[wanted.sort])
    return order.nulls_last()


async def rms_of(session: AsyncSession, ids: list[UUID]) -> defaultdict[UUID, list[str]]:
    """Names of the RMs who follow each of these customers."""
    query = (
        select(col(Follow.customer_id), col(Staff.name))
        .join(Staff, col(Staff.id) == col(Follow.staff_id))
        .where(col(Follow.customer_id).in_(ids), col(Follow.state) == FollowState.ACTIVE)
        .order_by(col(Follow.added_at))
    )
    rms: defaultdict[UUID, list[str]] = defaultdict(list)
    for customer_id, name in await session.execute(query):
        rms[customer_id].append(name)
    return rms


async def _consents(session: AsyncSession, ids: list[UUID], now: datetime) -> dict[UUID, str]:
    query = (
        select(col(Consent.customer_id), func.bool_or(_in_force(now)))
        .where(col(Consent.customer_id).in_(ids), col(Consent.purpose) == Purpose.MARKETING)
        .group_by(col(Consent.customer_id))
    )
    rows = await session.execute(query)
    return {customer_id: "yes" if given else "withdrawn" for customer_id, given in rows}


async def tiers(session: AsyncSession, visible: ColumnElement[bool]) -> list[str]:
    """The tiers that occur among the visible customers."""
    query = select(col(Customer.tier)).where(visible, col(Customer.tier) != "").distinct()
    return list((await session.execute(query.order_by(col(Customer.tier)))).scalars())
