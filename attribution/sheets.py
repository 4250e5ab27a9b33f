"""Rows of a file of the bank's system: CSV or XLSX, as uploaded or as downloaded again."""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from attribution.rows import COLUMNS, HEADINGS

Rows = list[dict[str, Any]]

# What the reader raises, as the bytes provoke it, at a workbook that is none.
BROKEN = (
    zipfile.BadZipFile,
    InvalidFileException,
    AttributeError,
    LookupError,
    SyntaxError,  # what every XML parser calls bad XML
    TypeError,
    ValueError,
)

MOST_ROWS = 50_000
MOST_UNPACKED = 200 << 20
# A cell that starts like this would be run as a formula by the program that opens the file.
FORMULA_STARTS = ("=", "@", "+", "-", "\t", "\r")


def rows_of(name: str, data: bytes) -> Rows | str:
    """The rows of an uploaded file by their headings, or in words why it cannot be read."""
    if not data:
        return "请选择文件"
    read = {".csv": _csv, ".xlsx": _xlsx}.get(name[name.rfind(".") :].lower())
    if read is None:
        return "只能读取 CSV 或 XLSX 文件"
    found = read(data)
    if isinstance(found, str):
        return found
    if len(found) > MOST_ROWS:
        return f"一次最多导入 {MOST_ROWS:,} 行，请拆分后再上传"
    return found or "文件里没有数据行"


def _csv(data: bytes) -> Rows | str:
    """UTF-8 first, then the encoding of Chinese Windows."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        try:
            return _by_heading(csv.reader(io.StringIO(text, newline="")))
        except csv.Error:
            return "CSV 文件格式有误，请用 Excel 另存为“CSV UTF-8”后重试"
    return "无法识别文件编码，请另存为“CSV UTF-8”后重试"


def _xlsx(data: bytes) -> Rows | str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            if sum(entry.file_size for entry in package.infolist()) > MOST_UNPACKED:
                return "文件解压后过大，请拆分后再上传"
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        return _by_heading(book.worksheets[0].iter_rows(values_only=True))
    except BROKEN:
        return "XLSX 文件已损坏，或不是 Excel 工作簿"


def _by_heading(lines: Iterable[Sequence[Any]]) -> Rows | str:
    rows = iter(lines)
    names = [str(name or "").strip() for name in next(rows, ())]
    if missing := [c for c in COLUMNS if c not in names and HEADINGS[c] not in names]:
        return f"表头缺少：{'、'.join(HEADINGS[column] for column in missing)}"
    return list(_filled(names, rows))


def _filled(names: list[str], lines: Iterator[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """The lines that say anything, at most one more than may be imported."""
    taken = 0
    for line in lines:
        if taken > MOST_ROWS:
            return
        if any(str(cell).strip() for cell in line if cell is not None):
            taken += 1
            yield {name: cell for name, cell in zip(names, line, strict=False) if name}


def rejected_csv(rows: Sequence[dict[str, str]]) -> bytes:
    """The rejected rows with their reasons, for Excel; they can be mended and uploaded again."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(names)
    writer.writerows([harmless(row.get(name, "")) for name in names] for row in rows)
    return sink.getvalue().encode("utf-8-sig")


def harmless(cell: str) -> str:
    """An amount stays a number; anything else that looks like a formula becomes text."""
    number = cell.lstrip("+-").replace(",", "").replace(".", "", 1)
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) and not number.isdigit() else cell
