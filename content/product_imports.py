"""Files of products and net asset values, taken in once: from the master system, or a person.

The master file is in force at once. What a person uploads changes nothing by itself: a new product
stays off head office's list, and a change of one waits, until another person confirms.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.calendar import local_day
from bank.database import ring
from bank.sheets import Outcome
from content import library, product_changes, product_rows, suspensions
from content.materials import Person
from content.models import Nav, Product, Version
from content.product_changes import LISTING, Refused
from content.product_rows import NavRow, ProductRow
from content.suspensions import Overtaken

BATCH = 500
TWICE = "同一文件中该产品已出现且内容不同，请只保留一行"
TWICE_A_DAY = "同一文件中该产品当日已有不同的净值，请核对"
UNKNOWN = "产品库没有这个代码，请先导入产品"
BEFORE_START = "日期早于产品成立日，请核对"
SHOWN_CORRECTIONS = 50


@dataclass(frozen=True)
class Master:
    """The bank's own system speaks: its file is in force at once."""

    source: str


@dataclass(frozen=True)
class Uploader:
    """A person speaks: another one has to confirm."""

    person: Person
    reason: str


@dataclass
class TakenIn(Outcome):
    """What became of a file of products."""

    waiting: list[str] = field(default_factory=list)  # codes of changes to be confirmed
    suspended: list[Version] = field(default_factory=list)


async def ingest(
    session: AsyncSession,
    rows: Iterable[Mapping[str, Any]],
    *,
    speaker: Master | Uploader,
    now: datetime,
) -> TakenIn:
    """Take in products by their code; what is told again changes nothing."""
    # Two files at once would both find a code free, and lock products in different orders.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("product_import"))))
    outcome, overtaken, seen = TakenIn(), list[Overtaken](), dict[str, ProductRow]()
    for batch in _batches(rows):
        known = await _by_code(session, [_code(raw) for raw in batch])
        for raw in batch:
            moved = await _take(session, raw, known, seen, speaker, outcome, now)
            overtaken += [moved] if moved else []
    await session.flush()
    by = audit.SYSTEM if isinstance(speaker, Master) else speaker.person.userid
    outcome.suspended = await suspensions.suspend(session, overtaken, by=by, now=now)
    if outcome.counts_by["new"] or outcome.counts_by["changed"]:
        subject = speaker.source if isinstance(speaker, Master) else "page"
        audit.record(session, "content:products:import", subject, by=by, now=now,
                     **outcome.counts())  # fmt: skip
        await ring(session, library.BELL)
    return outcome


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def _code(raw: Mapping[str, Any]) -> str:
    return str(raw.get("code") or raw.get(product_rows.COLUMNS["code"]) or "").strip()


async def _by_code(session: AsyncSession, codes: Sequence[str]) -> dict[str, Product]:
    rows = select(Product).where(col(Product.code).in_(set(codes))).order_by(col(Product.code))
    found = await session.execute(
        rows.with_for_update(), execution_options={"populate_existing": True}
    )
    return {product.code: product for product in found.scalars()}


async def _take(
    session: AsyncSession,
    raw: Mapping[str, Any],
    known: dict[str, Product],
    seen: dict[str, ProductRow],
    speaker: Master | Uploader,
    outcome: TakenIn,
    now: datetime,
) -> Overtaken | None:
    """One row: counted, and what it changes at once."""
    outcome.counts_by["read"] += 1
    row = product_rows.read_row(raw)
    if isinstance(row, str):
        outcome.reject(raw, row)
        return None
    if row.code in seen:
        _again(raw, row == seen[row.code], TWICE, outcome)
        return None
    product = known.get(row.code)
    before = product_rows.written(product) if product else {}
    if wrong := _wrong(before | row.facts):
        outcome.reject(raw, wrong)
        return None
    seen[row.code] = row
    if product is None:
        await _add(session, row, speaker, outcome, now)
    else:
        return await _change(session, raw, row, product, speaker, outcome, now)
    return None


def _again(raw: Mapping[str, Any], same: bool, reason: str, outcome: Outcome) -> None:
    if same:
        outcome.counts_by["same"] += 1
    else:
        outcome.reject(raw, reason)


def _wrong(facts: Mapping[str, str]) -> str:
    if lacking := product_rows.missing(facts):
        return f"新产品缺少{'、'.join(lacking)}"
    return "；".join(product_rows.against(facts).values())


async def _add(
    session: AsyncSession,
    row: ProductRow,
    speaker: Master | Uploader,
    outcome: TakenIn,
    now: datetime,
) -> None:
    """A new product; from a person it comes without its place on the list, which is proposed."""
    facts = row.facts
    if isinstance(speaker, Uploader):
        facts = {name: text for name, text in facts.items() if name not in LISTING}
    by = audit.SYSTEM if isinstance(speaker, Master) else speaker.person.userid
    product = product_changes.create(session, row.code, facts, by=by, now=now)
    await session.flush()
    outcome.counts_by["new"] += 1
    listing = {name: text for name, text in row.facts.items() if name in LISTING and text}
    if isinstance(speaker, Uploader) and listing:
        await _propose(session, product, listing, speaker, outcome, now)


async def _propose(
    session: AsyncSession,
    product: Product,
    facts: Mapping[str, str],
    speaker: Uploader,
    outcome: TakenIn,
    now: datetime,
) -> Refused | None:
    proposed = await product_changes.propose(
        session, product.id, facts, by=speaker.person, reason=speaker.reason, now=now
    )
    if isinstance(proposed, Refused):
        return proposed
    outcome.waiting.append(product.code)
    return None


async def _change(
    session: AsyncSession,
    raw: Mapping[str, Any],
    row: ProductRow,
    product: Product,
    speaker: Master | Uploader,
    outcome: TakenIn,
    now: datetime,
) -> Overtaken | None:
    fields = product_changes.differences(product_rows.written(product), row.facts)
    if not fields:
        outcome.counts_by["same"] += 1
        return None
    if isinstance(speaker, Master):
        outcome.counts_by["changed"] += 1
        return product_changes.take_over(session, product, fields, source=speaker.source, now=now)
    open_change = await product_changes.waiting(session, product.id)
    if open_change is not None:
        _again(raw, open_change.fields == fields, product_changes.WAITS, outcome)
    elif refused := await _propose(session, product, row.facts, speaker, outcome, now):
        outcome.reject(raw, "；".join(refused.reasons))
    else:
        outcome.counts_by["changed"] += 1
    return None


async def ingest_nav(
    session: AsyncSession,
    rows: Iterable[Mapping[str, Any]],
    *,
    source: str,
    by: str,
    now: datetime,
) -> Outcome:
    """Take in net asset values by product and day; a later file corrects an earlier one."""
    outcome, today, corrections = Outcome(), local_day(now), list[str]()
    about = {p.code: p for p in (await session.execute(select(Product))).scalars()}
    seen: dict[tuple[UUID, date], Decimal] = {}
    for batch in _batches(rows):
        taken = [row for raw in batch if (row := _readable(raw, today, about, seen, outcome))]
        corrections += await _store(session, taken, outcome)
    if outcome.counts_by["new"] or outcome.counts_by["changed"]:
        audit.record(session, "content:nav:import", source, by=by, now=now,
                     corrections=corrections[:SHOWN_CORRECTIONS], **outcome.counts())  # fmt: skip
    return outcome


@dataclass(frozen=True)
class _Value:
    product: Product
    row: NavRow

    @property
    def day(self) -> tuple[UUID, date]:
        return self.product.id, self.row.on


def _readable(
    raw: Mapping[str, Any],
    today: date,
    about: Mapping[str, Product],
    seen: dict[tuple[UUID, date], Decimal],
    outcome: Outcome,
) -> _Value | None:
    """The row's value, the first time it is told; anything else is counted at once."""
    outcome.counts_by["read"] += 1
    row = product_rows.read_nav(raw, today)
    if isinstance(row, str):
        outcome.reject(raw, row)
        return None
    product = about.get(row.code)
    if product is None or row.on < product.inception:
        outcome.reject(raw, UNKNOWN if product is None else BEFORE_START)
        return None
    value = _Value(product, row)
    if value.day in seen:
        _again(raw, seen[value.day] == row.value, TWICE_A_DAY, outcome)
        return None
    seen[value.day] = row.value
    return value


async def _store(session: AsyncSession, taken: Sequence[_Value], outcome: Outcome) -> list[str]:
    """Write what is new or other than before; returns what was corrected, in words."""
    before, fresh, corrections = await _values(session, taken), [], []
    for value in taken:
        row, old = value.row, before.get(value.day)
        outcome.counts_by["new" if old is None else "same" if old == row.value else "changed"] += 1
        if old == row.value:
            continue
        fresh.append({"product_id": value.product.id, "on": row.on, "value": row.value})
        if old is not None:
            corrections.append(f"{row.code} {row.on} {old} → {row.value}")
    if fresh:
        put = insert(Nav).values(fresh)
        keys = ["product_id", "on"]
        await session.execute(
            put.on_conflict_do_update(index_elements=keys, set_={"value": put.excluded.value})
        )
    return corrections


async def _values(
    session: AsyncSession, taken: Sequence[_Value]
) -> dict[tuple[UUID, date], Decimal]:
    if not taken:
        return {}
    days = [value.row.on for value in taken]
    rows = select(col(Nav.product_id), col(Nav.on), col(Nav.value)).where(
        col(Nav.product_id).in_({value.product.id for value in taken}),
        col(Nav.on).between(min(days), max(days)),
    )
    return {(id_, on): value for id_, on, value in await session.execute(rows)}
