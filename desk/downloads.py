"""Files that pages hand out: always as an attachment, and no cell that a spreadsheet would run."""

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from aiohttp import web

from bank.sheets import csv_of, xlsx_of

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

# As many rows may be taken out without a second person (S-20).
ALONE = 100
CSV = "text/csv; charset=utf-8"


def csv_file(name: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> web.Response:
    """A spreadsheet that Excel opens with its Chinese intact."""
    return attachment(name, csv_of(headings, rows), CSV)


def xlsx_file(name: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> web.Response:
    """A workbook of one sheet."""
    return attachment(name, xlsx_of(headings, rows), XLSX)


def attachment(name: str, data: bytes, media_type: str) -> web.Response:
    """Bytes to be saved, never shown as a page of ours."""
    return web.Response(
        body=data,
        headers={
            "Content-Type": media_type,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )
