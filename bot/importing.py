"""`siyu import`: rows of the bank's files into the tables that own them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from attribution import conversions, rows
from bank import audit, sheets
from bank.database import open_engine, open_sessions, utc_now
from bank.settings import Settings
from content import product_imports
from customers import customer_imports, imports

TakeIn = Callable[[AsyncSession, sheets.Rows, str, Settings, datetime], Awaitable[sheets.Outcome]]

MOST_AT_ONCE = 500_000


class UnreadableFile(ValueError):
    """The file cannot be read as a table of these rows."""


@dataclass(frozen=True)
class Kind:
    """What a file may hold: the columns it must have, and who takes its rows in."""

    headings: Mapping[str, str]
    take_in: TakeIn
    most: int = sheets.MOST_ROWS


async def _conversions(
    session: AsyncSession, found: sheets.Rows, source: str, settings: Settings, now: datetime
) -> sheets.Outcome:
    days = settings.attribution_window_days
    return await conversions.ingest(session, found, source=source, now=now, window_days=days)


async def _products(
    session: AsyncSession, found: sheets.Rows, source: str, settings: Settings, now: datetime
) -> sheets.Outcome:
    master = product_imports.Master(source)
    return await product_imports.ingest(session, found, speaker=master, now=now)


async def _customers(
    session: AsyncSession, found: sheets.Rows, source: str, settings: Settings, now: datetime
) -> sheets.Outcome:
    """Conversions that waited for a customer's number are credited with it."""
    outcome = await customer_imports.ingest(session, found, source=source, now=now)
    days = settings.attribution_window_days
    await conversions.recognise(session, outcome.numbered, now=now, window_days=days)
    return outcome


async def _holdings(
    session: AsyncSession, found: sheets.Rows, source: str, _: Settings, now: datetime
) -> sheets.Outcome:
    return await imports.ingest_holdings(session, found, source=source, now=now)


async def _follows(
    session: AsyncSession, found: sheets.Rows, source: str, _: Settings, now: datetime
) -> sheets.Outcome:
    return await imports.ingest_follows(session, found, source=source, now=now)


async def _nav(
    session: AsyncSession, found: sheets.Rows, source: str, settings: Settings, now: datetime
) -> sheets.Outcome:
    return await product_imports.ingest_nav(session, found, source=source, by=audit.SYSTEM, now=now)


BY_CODE = {"code": "产品代码"}
BY_NUMBER = {"customer_no": "客户号"}
KINDS = {
    "customers": Kind(BY_NUMBER, _customers, MOST_AT_ONCE),
    "follows": Kind(BY_NUMBER, _follows, MOST_AT_ONCE),
    "holdings": Kind(BY_NUMBER, _holdings, MOST_AT_ONCE),
    "conversions": Kind(rows.HEADINGS, _conversions),
    "products": Kind(BY_CODE, _products),
    "nav": Kind(BY_CODE, _nav, MOST_AT_ONCE),
}


async def import_file(
    settings: Settings, kind: str, file: Path, source: str, dry_run: bool
) -> dict[str, int]:
    """Import it in one transaction; counts of its rows by what became of them."""
    wanted = KINDS[kind]
    found = await asyncio.to_thread(_read, file, wanted)
    if isinstance(found, str):
        raise UnreadableFile(f"{file.name}: {found}")
    engine = open_engine(settings.database_url)
    try:
        async with open_sessions(engine)() as session:
            outcome = await wanted.take_in(session, found, source, settings, utc_now())
            await (session.rollback() if dry_run else session.commit())
    finally:
        await engine.dispose()
    write_rejects(
        file, [{k: sheets.cell_text(v) for k, v in row.items()} for row in outcome.rejects]
    )
    return outcome.counts()


def _read(file: Path, kind: Kind) -> sheets.Rows | str:
    if file.suffix.lower() == ".parquet":
        return sheets.parquet_rows_of(file, kind.headings, kind.most)
    return sheets.rows_of(file.name, file.read_bytes(), kind.headings, kind.most)


def rejects_of(file: Path) -> Path:
    """Where the rows of this file that were not taken are written."""
    return file.with_name(f"{file.name}.rejects.csv")


def write_rejects(file: Path, rejects: list[dict[str, str]]) -> None:
    """Rejected rows as they came, with a reason each, beside the file; none, no file."""
    if rejects:
        rejects_of(file).write_bytes(sheets.rejected_csv(rejects))
    else:
        rejects_of(file).unlink(missing_ok=True)
