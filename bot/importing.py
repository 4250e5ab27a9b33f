"""`siyu import`: rows of the bank's files into the tables that own them."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from attribution import conversions
from bank.database import open_engine, open_sessions, utc_now
from bank.settings import Settings

KINDS = ("conversions",)


class UnreadableFile(ValueError):
    """The file is neither CSV (UTF-8) nor XLSX with a header row."""


def rows_of(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a CSV or XLSX file, by header."""
    if file.suffix.lower() == ".csv":
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield from csv.DictReader(lines)
    elif file.suffix.lower() == ".xlsx":
        sheet = load_workbook(file, read_only=True, data_only=True).worksheets[0]
        lines = sheet.iter_rows(values_only=True)
        header = [str(name or "") for name in next(lines, ())]
        yield from (dict(zip(header, line, strict=False)) for line in lines)
    else:
        raise UnreadableFile(f"{file.name}: {UnreadableFile.__doc__}")


async def import_file(settings: Settings, kind: str, file: Path, dry_run: bool) -> dict[str, int]:
    """Import it in one transaction; counts of rows read, new, changed, same and rejected."""
    engine = open_engine(settings.database_url)
    try:
        async with open_sessions(engine)() as session:
            outcome = await conversions.ingest(
                session, rows_of(file), source=file.stem, now=utc_now(), window_days=settings.attribution_window_days
            )
            await (session.rollback() if dry_run else session.commit())
    finally:
        await engine.dispose()
    write_rejects(file, outcome.rejects)
    return outcome.counts()


def write_rejects(file: Path, rejects: Iterable[dict[str, Any]]) -> None:
    """Rejected rows as they came, with a reason each, beside the file; none, no file."""
    rejected = list(rejects)
    beside = file.with_name(f"{file.name}.rejects.csv")
    if not rejected:
        beside.unlink(missing_ok=True)
        return
    with beside.open("w", encoding="utf-8-sig", newline="") as sink:
        writer = csv.DictWriter(sink, fieldnames=list(rejected[0]))
        writer.writeheader()
        writer.writerows(rejected)
