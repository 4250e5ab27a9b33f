"""Files that pages hand out: always as an attachment, and no cell that a spreadsheet would run."""

import csv
import io
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from aiohttp import web

# A cell that starts like this would be run as a formula by the program that opens the file; the
# full-width signs are turned into these by some of them.
FORMULA_STARTS = ("=", "@", "+", "-", "\t", "\r", "\n", "＝", "＠", "＋", "－", "|", "%")


def csv_file(name: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> web.Response:
    """A spreadsheet that Excel opens with its Chinese intact."""
    return attachment(name, csv_of(headings, rows), "text/csv; charset=utf-8")


def csv_of(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """The rows as CSV; whatever would be a formula is text."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(headings)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return sink.getvalue().encode("utf-8-sig")


def harmless(cell: str) -> str:
    """An amount stays a number; anything else that looks like a formula becomes text."""
    number = cell.lstrip("+-").replace(",", "").replace(".", "", 1)
    if cell.lstrip(" \u3000").startswith(FORMULA_STARTS) and not number.isdigit():
        return f"'{cell}"
    return cell


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
