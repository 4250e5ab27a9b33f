"""Rows of a spreadsheet by their headings: CSV as Excel writes it, or XLSX."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from content.readers.limits import Refusal
from content.readers.packages import check_office
from content.readers.texts import decoded

MOST_ROWS = 5_000
MOST_COLUMNS = 60
LONGEST_CELL = 25_000


def rows(kind: str, data: bytes) -> list[dict[str, str]]:
    """One mapping of heading to text a row, with `#` the row's number as the editor shows it."""
    return list(_by_heading(_csv(data) if kind == "csv" else _xlsx(data)))


def _csv(data: bytes) -> Iterator[Sequence[Any]]:
    csv.field_size_limit(LONGEST_CELL * 4)
    try:
        yield from csv.reader(io.StringIO(decoded(data), newline=""))
    except csv.Error as wrong:
        raise Refusal("broken") from wrong


def _xlsx(data: bytes) -> Iterator[Sequence[Any]]:
    check_office("xlsx", data)
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    yield from book.worksheets[0].iter_rows(values_only=True, max_col=MOST_COLUMNS)


def _by_heading(lines: Iterable[Sequence[Any]]) -> Iterator[dict[str, str]]:
    taken, headings = 0, None
    for number, line in enumerate(lines, 1):
        cells = ["" if cell is None else str(cell).replace("\x00", "").strip() for cell in line]
        if not any(cells):
            continue
        if headings is None:
            headings = cells
            continue
        taken += 1
        if taken > MOST_ROWS:
            raise Refusal("rows")
        row = {name: cell for name, cell in zip(headings, cells, strict=False) if name}
        yield {"#": str(number), **row}
    if headings is None:
        raise Refusal("no_rows")
