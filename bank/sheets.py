"""Rows of a file of the bank's system: CSV or XLSX, as uploaded or as downloaded again.

Parquet comes from the bank's own systems alone: `parquet_rows_of` reads it for the command line.
"""

import codecs
import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import duckdb
from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.utils.exceptions import InvalidFileException

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
FORMULA_STARTS = ("=", "@", "+", "-", "\t", "\r", "\n", "＝", "＠", "＋", "－", "|", "%")


@dataclass
class Outcome:
    """What became of a file's rows: how many of each fate, and what was rejected and why."""

    FATES: ClassVar[tuple[str, ...]] = ("read", "new", "changed", "same", "rejected")

    counts_by: Counter[str] = field(default_factory=Counter)
    rejects: list[dict[str, Any]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Rows by fate, in the order in which they are told."""
        return {fate: self.counts_by[fate] for fate in self.FATES}

    def reject(self, raw: Mapping[str, Any], reason: str) -> None:
        """Keep the row as it came, with the reason."""
        self.counts_by["rejected"] += 1
        named = {name: value for name, value in raw.items() if isinstance(name, str)}
        self.rejects.append({**named, "reason": reason})


def rows_of(
    name: str, data: bytes, headings: Mapping[str, str], most: int = MOST_ROWS
) -> Rows | str:
    """The rows of an uploaded file by their headings, or in words why it cannot be read.

    `headings` are the columns it must have, each with the Chinese word that may stand for it.
    """
    if not data:
        return "请选择文件"
    read = {".csv": _csv, ".xlsx": _xlsx}.get(name[name.rfind(".") :].lower())
    if read is None:
        return "只能读取 CSV 或 XLSX 文件"
    found = read(data, headings, most)
    if isinstance(found, str):
        return found
    if len(found) > most:
        return f"一次最多导入 {most:,} 行，请拆分后再上传"
    return found or "文件里没有数据行"


def _csv(data: bytes, headings: Mapping[str, str], most: int) -> Rows | str:
    """UTF-8 first, then the encoding of Chinese Windows."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        try:
            return _by_heading(csv.reader(io.StringIO(text, newline="")), headings, most)
        except csv.Error:
            return "CSV 文件格式有误，请用 Excel 另存为“CSV UTF-8”后重试"
    return "无法识别文件编码，请另存为“CSV UTF-8”后重试"


def _xlsx(data: bytes, headings: Mapping[str, str], most: int) -> Rows | str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            if sum(entry.file_size for entry in package.infolist()) > MOST_UNPACKED:
                return "文件解压后过大，请拆分后再上传"
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        return _by_heading(book.worksheets[0].iter_rows(values_only=True), headings, most)
    except BROKEN:
        return "XLSX 文件已损坏，或不是 Excel 工作簿"


def parquet_rows_of(file: Path, headings: Mapping[str, str], most: int = MOST_ROWS) -> Rows | str:
    """The rows of a Parquet file by its columns, as `rows_of` reads the other kinds."""
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as reader:
            reader.execute("SET TimeZone = 'Asia/Shanghai'")
            read = reader.execute(
                "SELECT * FROM read_parquet(?) LIMIT ?", [_literally(file), most + 2]
            )
            names = [column[0] for column in read.description or ()]
            found = _by_heading([names, *map(_written, read.fetchall())], headings, most)
    except duckdb.Error:
        return "Parquet 文件已损坏，或不是 Parquet 文件"
    if isinstance(found, list) and len(found) > most:
        return f"一次最多导入 {most:,} 行，请拆分后再上传"
    return found or "文件里没有数据行"


def _literally(file: Path) -> str:
    """A path is one file, whatever it is called: to DuckDB, * and [ would be patterns."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(file.resolve()))


def _written(line: Sequence[Any]) -> list[Any]:
    """Exact numbers as they are written: a decimal column keeps no zeros of its own."""
    return [_plain(cell) if isinstance(cell, Decimal) else cell for cell in line]


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _by_heading(
    lines: Iterable[Sequence[Any]], headings: Mapping[str, str], most: int
) -> Rows | str:
    rows = iter(lines)
    names = [str(name or "").strip() for name in next(rows, ())]
    if missing := [word for c, word in headings.items() if c not in names and word not in names]:
        return f"表头缺少：{'、'.join(missing)}"
    return list(_filled(names, rows, most))


def _filled(
    names: list[str], lines: Iterator[Sequence[Any]], most: int
) -> Iterator[dict[str, Any]]:
    """The lines that say anything, at most one more than may be imported."""
    taken = 0
    for line in lines:
        if taken > most:
            return
        if any(str(cell).strip() for cell in line if cell is not None):
            taken += 1
            yield {name: cell for name, cell in zip(names, line, strict=False) if name}


def cell_text(value: object) -> str:
    """A cell as a person would have typed it: whole numbers without a point, days without hours."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return str(value).strip()


def rejected_csv(rows: Sequence[dict[str, str]]) -> bytes:
    """The rejected rows with their reasons, for Excel; they can be mended and uploaded again."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return csv_of(names, ([row.get(name, "") for name in names] for row in rows))


def csv_of(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A sheet that Excel opens with its Chinese intact; whatever would be a formula is text."""
    return codecs.BOM_UTF8 + _written_as_csv([headings]) + csv_more(rows)


def csv_more(rows: Iterable[Sequence[str]]) -> bytes:
    """More rows of such a sheet, where they come in portions."""
    return _written_as_csv([harmless(cell) for cell in row] for row in rows)


def _written_as_csv(rows: Iterable[Sequence[str]]) -> bytes:
    sink = io.StringIO(newline="")
    csv.writer(sink).writerows(rows)
    return sink.getvalue().encode()


def xlsx_of(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A workbook of one sheet, its headings kept in sight; no cell of it is a formula."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.freeze_panes = "A2"
    for line in (headings, *rows):
        sheet.append([_text(sheet, cell) for cell in line])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _text(sheet: Any, cell: str) -> Any:
    """Marked as text, so that the cell reads as it is written, whatever it begins with."""
    made = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", cell))
    made.data_type = "s"
    return made


def harmless(cell: str) -> str:
    """An amount stays a number; anything else that looks like a formula becomes text."""
    number = cell.lstrip("+-").replace(",", "").replace(".", "", 1)
    if cell.lstrip(" \u3000").startswith(FORMULA_STARTS) and not number.isdigit():
        return f"'{cell}"
    return cell
