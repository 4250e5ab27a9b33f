"""Conversions 转化: taken in once, credited by every model, never overwritten.

The only writer of a conversion's state and of credit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import touchpoints
from attribution.credit import allocate, shares
from attribution.models import (
    Conversion,
    ConversionState,
    Credit,
    CreditRun,
    Dimension,
    Model,
    Touchpoint,
)
from attribution.rows import COLUMNS, Row, read_row
from bank import audit, sheets
from customers.models import Customer

__all__ = ["COLUMNS", "Ingested", "Row", "credits_of", "ingest", "match", "read_row", "settle"]

BATCH = 500
ALREADY_MATCHED = "这笔转化已经核对过，没有重复归因"
OTHER_FACTS = "同一编号已导入且内容不同；已归因的转化不会被改写，请用冲正记录更正"


@dataclass
class Ingested(sheets.Outcome):
    """What became of a file's rows; held ones wait for a person."""

    FATES: ClassVar[tuple[str, ...]] = ("read", "new", "changed", "same", "held", "rejected")

    new: list[Conversion] = field(default_factory=list)


async def ingest(
    session: AsyncSession,
    rows: Iterable[dict[str, Any]],
    *,
    source: str,
    now: datetime,
    window_days: int,
    by: str = audit.SYSTEM,
) -> Ingested:
    """Take in rows once for (source, reference), credit the new ones, say what was rejected."""
    outcome = Ingested()
    for batch in _batches(rows):
        await _take_in(session, _readable(batch, now, outcome), source, now, outcome)
    await settle(session, outcome.new, now=now, window_days=window_days)
    if outcome.new:
        audit.record(
            session, "attribution:import:ingest", source, by=by, now=now, **outcome.counts()
        )
    return outcome


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


Readable = list[tuple[dict[str, Any], Row]]


def _readable(batch: list[dict[str, Any]], now: datetime, outcome: Ingested) -> Readable:
    outcome.counts_by["read"] += len(batch)
    taken: Readable = []
    for raw in batch:
        row = read_row(raw, now)
        if isinstance(row, str):
            outcome.reject(raw, row)
        else:
            taken.append((raw, row))
    return taken


async def _take_in(
    session: AsyncSession, batch: Readable, source: str, now: datetime, outcome: Ingested
) -> None:
    elsewhere = await _from_other_sources(session, [row for _, row in batch], source)
    fresh = {row.reference: row for _, row in reversed(batch) if row not in elsewhere}
    made = await _insert(session, list(fresh.values()), source, now)
    known = await _by_reference(session, [row.reference for _, row in batch], source)
    for raw, row in batch:
        conversion = known.get(row.reference)
        if conversion is None:
            reason = f"同一笔成交已从来源“{elsewhere[row]}”导入，不重复计算"
            outcome.reject(raw, reason)
        elif row.reference in made and row is fresh[row.reference]:
            outcome.counts_by["new"] += 1
            outcome.counts_by["held"] += conversion.customer_id is None
            outcome.new.append(conversion)
        elif _tells_the_same(conversion, row):
            outcome.counts_by["same"] += 1
        else:
            outcome.reject(raw, OTHER_FACTS)


async def _from_other_sources(
    session: AsyncSession, rows: Sequence[Row], source: str
) -> dict[Row, str]:
    """Rows told word for word by another source: a file that came again under another name."""
    query = select(Conversion).where(
        col(Conversion.source) != source, col(Conversion.at).in_({row.at for row in rows})
    )
    found = (await session.execute(query)).scalars()
    told = {(c.reference, c.bank_no, c.product_code, c.amount_cents, c.at): c.source for c in found}
    return {row: told[row.facts] for row in rows if row.facts in told}


async def _insert(
    session: AsyncSession, rows: Sequence[Row], source: str, now: datetime
) -> set[str]:
    """Store them unless they are there; the references that were really new."""
    if not rows:
        return set()
    customers = await _customers(session, [row.bank_no for row in rows])
    fresh = insert(Conversion).values(
        [
            {
                "id": uuid4(),
                "source": source,
                "reference": row.reference,
                "bank_no": row.bank_no,
                "customer_id": customers.get(row.bank_no),
                "product_code": row.product_code,
                "amount_cents": row.amount_cents,
                "at": row.at,
                "imported_at": now,
                "state": ConversionState.HELD,
            }
            # In one order for everyone, so that two imports at once cannot lock each other.
            for row in sorted(rows, key=lambda row: row.reference)
        ]
    )
    once = fresh.on_conflict_do_nothing(index_elements=["source", "reference"])
    return set((await session.execute(once.returning(col(Conversion.reference)))).scalars())


async def _customers(session: AsyncSession, bank_nos: Sequence[str]) -> dict[str | None, UUID]:
    query = select(Customer.bank_no, Customer.id).where(col(Customer.bank_no).in_(bank_nos))
    return dict((await session.execute(query)).all())


async def _by_reference(
    session: AsyncSession, references: Sequence[str], source: str
) -> dict[str, Conversion]:
    query = select(Conversion).where(
        Conversion.source == source, col(Conversion.reference).in_(references)
    )
    return {c.reference: c for c in (await session.execute(query)).scalars()}


def _tells_the_same(known: Conversion, row: Row) -> bool:
    facts = (known.reference, known.bank_no, known.product_code, known.amount_cents, known.at)
    return facts == row.facts


async def match(
    session: AsyncSession,
    conversion: Conversion,
    customer: Customer,
    *,
    by: str,
    now: datetime,
    window_days: int,
) -> str | None:
    """Give a held conversion its customer and credit it; the reason where that cannot be.

    What the bank's system reported stays as it was, so the same file again changes nothing.
    """
    await session.refresh(conversion, with_for_update=True)
    if conversion.state != ConversionState.HELD or conversion.customer_id is not None:
        return ALREADY_MATCHED
    conversion.customer_id = customer.id
    await settle(session, [conversion], now=now, window_days=window_days)
    audit.record(
        session,
        "attribution:conversion:match",
        conversion.id,
        by=by,
        now=now,
        customer=str(customer.id),
        state=conversion.state.value,
    )
    return None


async def recognise(
    session: AsyncSession, customers: Iterable[Customer], *, now: datetime, window_days: int
) -> int:
    """Credit what was held because these customers' numbers were not known; how many that were."""
    by_number = {customer.bank_no: customer for customer in customers}
    query = select(Conversion).where(
        Conversion.state == ConversionState.HELD,
        col(Conversion.customer_id).is_(None),
        col(Conversion.bank_no).in_(by_number),
    )
    waiting = list((await session.execute(query.with_for_update())).scalars())
    for conversion in waiting:
        conversion.customer_id = by_number[conversion.bank_no].id
    await settle(session, waiting, now=now, window_days=window_days)
    return len(waiting)


async def settle(
    session: AsyncSession, conversions: Sequence[Conversion], *, now: datetime, window_days: int
) -> None:
    """Credit these conversions by every model: one run a model, lines that add up to the cent.

    A conversion without a customer, and one that is settled already, is left as it is.
    """
    due = [c for c in conversions if c.customer_id and c.state == ConversionState.HELD]
    if not due:
        return
    runs = {model: _run(model, due, now, window_days) for model in Model}
    session.add_all(runs.values())
    await session.flush()
    for start in range(0, len(due), BATCH):
        await _settle_some(session, due[start : start + BATCH], runs, timedelta(days=window_days))


def _run(model: Model, due: Sequence[Conversion], now: datetime, window_days: int) -> CreditRun:
    return CreditRun(
        model=model,
        window_days=window_days,
        at=now,
        conversions=len(due),
        amount_cents=sum(c.amount_cents for c in due),
    )


async def _settle_some(
    session: AsyncSession,
    due: Sequence[Conversion],
    runs: dict[Model, CreditRun],
    window: timedelta,
) -> None:
    moments = [(c.customer_id, c.at) for c in due if c.customer_id is not None]
    paths = await touchpoints.leading_to_each(session, moments, window)
    for conversion, path in zip(due, paths, strict=True):
        session.add_all(credits_of(conversion, path, runs))
        conversion.state = ConversionState.CREDITED if path else ConversionState.UNATTRIBUTED
    await session.flush()


def credits_of(
    conversion: Conversion, path: Iterable[Touchpoint], runs: Mapping[Model, CreditRun]
) -> list[Credit]:
    """Every model over content and over RMs; each dimension adds up to the amount or is empty."""
    ordered = touchpoints.in_order(path)
    over = {
        Dimension.CONTENT: [(p, p.material_id) for p in ordered if p.material_id is not None],
        Dimension.RM: [(p, p.staff_id) for p in ordered],
    }
    return [
        line
        for dimension, earners in over.items()
        for run in runs.values()
        for line in _lines(conversion, earners, dimension, run)
    ]


def _lines(
    conversion: Conversion,
    earners: Sequence[tuple[Touchpoint, UUID]],
    dimension: Dimension,
    run: CreditRun,
) -> list[Credit]:
    """One line for each touchpoint that earned at least a cent."""
    if not earners:
        return []
    cents = allocate(conversion.amount_cents, shares(run.model.value, len(earners)))
    return [
        _line(conversion, dimension, run, *earner, amount)
        for earner, amount in zip(earners, cents, strict=True)
        if amount
    ]


def _line(
    conversion: Conversion,
    dimension: Dimension,
    run: CreditRun,
    point: Touchpoint,
    subject_id: UUID,
    cents: int,
) -> Credit:
    assert point.id is not None  # it came from the database
    return Credit(
        run_id=run.id,
        conversion_id=conversion.id,
        model=run.model,
        dimension=dimension,
        subject_id=subject_id,
        touchpoint_id=point.id,
        cents=cents,
    )
