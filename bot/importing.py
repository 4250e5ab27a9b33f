"""`siyu import`: rows of the bank's files into the tables that own them."""

import asyncio
from pathlib import Path

from attribution import conversions, sheets
from bank.database import open_engine, open_sessions, utc_now
from bank.settings import Settings

KINDS = ("conversions",)


class UnreadableFile(ValueError):
    """The file cannot be read as a table of these rows."""


async def import_file(settings: Settings, file: Path, source: str, dry_run: bool) -> dict[str, int]:
    """Import it in one transaction; counts of rows read, new, changed, same, held and rejected."""
    rows = await asyncio.to_thread(lambda: sheets.rows_of(file.name, file.read_bytes()))
    if isinstance(rows, str):
        raise UnreadableFile(f"{file.name}: {rows}")
    engine = open_engine(settings.database_url)
    try:
        async with open_sessions(engine)() as session:
            outcome = await conversions.ingest(
                session,
                rows,
                source=source,
                now=utc_now(),
                window_days=settings.attribution_window_days,
            )
            await (session.rollback() if dry_run else session.commit())
    finally:
        await engine.dispose()
    write_rejects(file, [{k: str(v) for k, v in row.items()} for row in outcome.rejects])
    return outcome.counts()


def write_rejects(file: Path, rejects: list[dict[str, str]]) -> None:
    """Rejected rows as they came, with a reason each, beside the file; none, no file."""
    beside = file.with_name(f"{file.name}.rejects.csv")
    if rejects:
        beside.write_bytes(sheets.rejected_csv(rejects))
    else:
        beside.unlink(missing_ok=True)
