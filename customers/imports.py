"""Files of the bank's holdings and relations, taken in once by their keys.

Whatever is told again changes nothing. Customers themselves: `customer_imports.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.calendar import local_day
from bank.sheets import Outcome
from customers import follows
from customers.import_rows import CustomerRow, FollowRow, HoldingRow, read_follow, read_holding
from customers.models import Customer, Holding

BATCH = 500
TWICE = "同一文件中已出现且内容不同，请只保留一行"
NO_CUSTOMER = "没有这个客户号，请先导入客户"
NO_STAFF = "没有这个员工账号"

Raw = Mapping[str, Any]
Row = TypeVar("Row", CustomerRow, HoldingRow, FollowRow)


async def ingest_holdings(
    session: AsyncSession, rows: Iterable[Raw], *, source: str, now: datetime
) -> Outcome:
    """Take in holdings by customer, product and day; an amount of 0 ends one."""
    outcome = Outcome()
    for batch in await one_by_one(session, rows, read_holding, _position, outcome, now):
        customers = await _by_number(session, [row.bank_no for _, row in batch])
        held = await _held(session, list(customers.values()))
        for raw, row in batch:
            customer_id = customers.get(row.bank_no)
            if customer_id is None:
                outcome.reject(raw, NO_CUSTOMER)
                continue
            key = customer_id, row.product_code, row.bought_on
            fate = _hold(session, row, customer_id, held.get(key), local_day(now))
            outcome.counts_by[fate] += 1
        await session.flush()
    record(session, outcome, "holdings", source, now)
    return outcome


async def ingest_follows(
    session: AsyncSession, rows: Iterable[Raw], *, source: str, now: datetime
) -> Outcome:
    """Take in relations WeCom has not told yet; of those it has told, its word stands."""
    outcome = Outcome()
    for batch in await one_by_one(session, rows, read_follow, _pair, outcome, now):
        customers = await _by_number(session, [row.bank_no for _, row in batch])
        staff = await follows.staff_called(session, [row.userid for _, row in batch])
        for raw, row in batch:
            rm, customer_id = staff.get(row.userid.lower()), customers.get(row.bank_no)
            if rm is None or customer_id is None:
                outcome.reject(raw, NO_STAFF if rm is None else NO_CUSTOMER)
                continue
            began = await follows.begin(session, rm, customer_id, row.added_at)
            outcome.counts_by["new" if began else "same"] += 1
    record(session, outcome, "follows", source, now)
    return outcome


async def one_by_one(
    session: AsyncSession,
    rows: Iterable[Raw],
    read: Callable[[Raw, date], Row | str],
    key: Callable[[Row], object],
    outcome: Outcome,
    now: datetime,
) -> Iterator[list[tuple[Raw, Row]]]:
    """The readable rows in batches, each key once; whatever else there is, is counted."""
    # Two files at once would lock the same customers in different orders.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("customer_import"))))
    return _batches(_readable(rows, read, key, outcome, local_day(now)))


def _readable(
    rows: Iterable[Raw],
    read: Callable[[Raw, date], Row | str],
    key: Callable[[Row], object],
    outcome: Outcome,
    today: date,
) -> Iterator[tuple[Raw, Row]]:
    seen: dict[object, Row] = {}
    for raw in rows:
        outcome.counts_by["read"] += 1
        row = read(raw, today)
        if isinstance(row, str):
            outcome.reject(raw, row)
        elif key(row) not in seen:
            seen[key(row)] = row
            yield raw, row
        elif seen[key(row)] == row:
            outcome.counts_by["same"] += 1
        else:
            outcome.reject(raw, TWICE)


def _batches(rows: Iterator[tuple[Raw, Row]]) -> Iterator[list[tuple[Raw, Row]]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _position(row: HoldingRow) -> object:
    return row.position


def _pair(row: FollowRow) -> object:
    return row.userid.lower(), row.bank_no


async def _by_number(session: AsyncSession, numbers: Sequence[str]) -> dict[str | None, UUID]:
    query = select(Customer.bank_no, Customer.id).where(col(Customer.bank_no).in_(set(numbers)))
    return dict((await session.execute(query)).all())


async def _held(
    session: AsyncSession, customers: Sequence[UUID]
) -> dict[tuple[UUID, str, date], Holding]:
    query = select(Holding).where(col(Holding.customer_id).in_(customers))
    found = (await session.execute(query)).scalars()
    return {(h.customer_id, h.product_code, h.bought_on): h for h in found}


def _hold(
    session: AsyncSession, row: HoldingRow, customer_id: UUID, held: Holding | None, today: date
) -> str:
    """Keep, correct or end a holding; what became of the row."""
    if not row.amount_cents:
        ended = held is not None and write(held, {"ended_on": held.ended_on or today})
        return "changed" if ended else "same"
    facts = {
        "amount_cents": row.amount_cents, "matures_on": row.matures_on, "ended_on": None
    }  # fmt: skip
    if held is None:
        session.add(_new_holding(row, customer_id, facts))
        return "new"
    return "changed" if write(held, facts) else "same"


def _new_holding(row: HoldingRow, customer_id: UUID, facts: Mapping[str, Any]) -> Holding:
    return Holding(
        customer_id=customer_id, product_code=row.product_code, bought_on=row.bought_on, **facts
    )


def write(thing: Customer | Holding, facts: Mapping[str, Any]) -> bool:
    """Write what differs; whether anything does."""
    differs = {name: value for name, value in facts.items() if getattr(thing, name) != value}
    for name, value in differs.items():
        setattr(thing, name, value)
    return bool(differs)


def record(session: AsyncSession, outcome: Outcome, kind: str, source: str, now: datetime) -> None:
    """The audit book knows of every file that changed anything."""
    if outcome.counts_by["new"] or outcome.counts_by["changed"]:
        action = f"customers:{kind}:import"
        audit.record(session, action, source, by=audit.SYSTEM, now=now, **outcome.counts())
