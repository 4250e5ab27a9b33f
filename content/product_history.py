"""What became of a product's facts: every change, who proposed and who confirmed it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import staff as people
from content.models import ChangeState, Product, ProductChange, StoredFile
from content.product_rows import FACTS, FILE_LABELS, label_of, shown

ORDER = [*FACTS, *FILE_LABELS]


@dataclass(frozen=True)
class Difference:
    """One fact before and after, as people read it; files by name, with their addresses."""

    name: str
    label: str
    old: str
    new: str
    files: tuple[str, str] = ("", "")  # ids of old and new, where the fact is a file


@dataclass(frozen=True)
class Entry:
    """A change in the history of a product."""

    change: ProductChange
    differences: list[Difference]
    proposer: str
    decider: str


@dataclass(frozen=True)
class Former:
    """What was true of products and is no longer."""

    benchmarks: frozenset[str]
    rated_otherwise: bool  # a rating of any of them was changed


async def of_product(session: AsyncSession, product_id: UUID) -> list[Entry]:
    """Every change, newest first, the one that waits before all others."""
    rows = select(ProductChange).where(ProductChange.product_id == product_id)
    newest = rows.order_by(
        (col(ProductChange.state) != ChangeState.PROPOSED), col(ProductChange.proposed_at).desc()
    )
    changes = list((await session.execute(newest)).scalars())
    ids = {i for c in changes for i in (c.proposed_by, c.decided_by) if i is not None}
    names, files = await people.names(session, list(ids)), await _file_names(session, changes)
    return [_entry(change, names, files) for change in changes]


async def waiting_for(session: AsyncSession, staff_id: UUID) -> list[tuple[Product, Entry]]:
    """Changes that this person, who did not propose them, may confirm; longest wait first."""
    rows = (
        select(Product, ProductChange)
        .join(ProductChange, col(ProductChange.product_id) == Product.id)
        .where(
            ProductChange.state == ChangeState.PROPOSED,
            col(ProductChange.proposed_by) != staff_id,
        )
        .order_by(col(ProductChange.proposed_at))
    )
    found = (await session.execute(rows)).all()
    changes = [change for _, change in found]
    names = await people.names(session, [c.proposed_by for c in changes if c.proposed_by])
    files = await _file_names(session, changes)
    return [(product, _entry(change, names, files)) for product, change in found]


def _entry(change: ProductChange, names: dict[UUID, str], files: dict[str, str]) -> Entry:
    master = f"主数据（{change.source}）" if change.source else ""
    return Entry(
        change,
        [
            _difference(name, old, new, files)
            for name, (old, new) in sorted(change.fields.items(), key=_place)
        ],
        names[change.proposed_by] if change.proposed_by else master,
        names[change.decided_by] if change.decided_by else master,
    )


def _place(field: tuple[str, list[str]]) -> int:
    """As on the page; the database keeps no order of its own."""
    return ORDER.index(field[0])


def _difference(name: str, old: str, new: str, files: dict[str, str]) -> Difference:
    if name not in FILE_LABELS:
        return Difference(name, label_of(name), shown(name, old), shown(name, new))
    told = files.get(old, "—"), files.get(new, "—")
    return Difference(name, label_of(name), *told, files=(old, new))


async def _file_names(session: AsyncSession, changes: Collection[ProductChange]) -> dict[str, str]:
    ids = _files_in([change.fields for change in changes])
    if not ids:
        return {}
    rows = select(StoredFile.id, StoredFile.name).where(col(StoredFile.id).in_(ids))
    return {str(id_): name for id_, name in await session.execute(rows)}


def _files_in(told: Collection[dict[str, list[str]]]) -> set[UUID]:
    files = [both for fields in told for name, both in fields.items() if name in FILE_LABELS]
    return {UUID(text) for both in files for text in both if text}


async def files_of(session: AsyncSession, product_id: UUID) -> set[UUID]:
    """Every file a change of this product speaks of."""
    rows = select(ProductChange.fields).where(ProductChange.product_id == product_id)
    return _files_in(list((await session.execute(rows)).scalars()))


def benchmark_log(history: Collection[Entry]) -> list[tuple[datetime, Difference, Entry]]:
    """The benchmark's own change log, newest first: what was in force until when (C-14)."""
    return [
        (entry.change.decided_at, difference, entry)
        for entry in history
        if entry.change.state == ChangeState.CONFIRMED and entry.change.decided_at is not None
        for difference in entry.differences
        if difference.name in ("benchmark", "benchmark_basis")
    ]


async def former(session: AsyncSession, about: Collection[Product]) -> Former:
    """Benchmarks these products once had and none has now, and whether a rating was another."""
    rows = select(ProductChange.fields).where(
        col(ProductChange.product_id).in_([product.id for product in about]),
        ProductChange.state == ChangeState.CONFIRMED,
    )
    told = list((await session.execute(rows)).scalars())
    benchmarks = {fields["benchmark"][0] for fields in told if "benchmark" in fields} - {""}
    return Former(
        frozenset(benchmarks - {product.benchmark or "" for product in about}),
        any({"issuer_rating", "bank_rating"} & fields.keys() for fields in told),
    )
