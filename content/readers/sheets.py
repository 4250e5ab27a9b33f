"""Workbooks: a row is a paragraph, its place the sheet and the range of cells."""

import io
from typing import Any

from content.readers.limits import Refusal
from content.readers.packages import check_office
from content.readers.reading import Piece, Pieces

TINY_POINTS = 4.0
MOST_CELLS = 500_000


def read_xlsx(data: bytes) -> Pieces:
    """Rows of every sheet as last computed; hidden sheets, rows, columns and letters told apart."""
    check_office("xlsx", data)
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(data), data_only=True, keep_links=False)
    for sheet in book.worksheets:
        if sheet.max_row * sheet.max_column > MOST_CELLS:
            raise Refusal("too_long")
        unseen = "" if sheet.sheet_state == "visible" else "隐藏的工作表"
        columns = {name for name, size in sheet.column_dimensions.items() if size.hidden}
        for row in sheet.iter_rows():
            yield from _row(sheet, row, unseen, columns)


def _row(sheet: Any, row: tuple[Any, ...], unseen: str, columns: set[str]) -> Pieces:
    filled = [cell for cell in row if cell.value is not None and str(cell.value).strip()]
    if not filled:
        return
    if not unseen and sheet.row_dimensions[row[0].row].hidden:
        unseen = "隐藏的行"
    hidden = {cell.coordinate: why for cell in filled if (why := unseen or _why(cell, columns))}
    seen = [cell for cell in filled if cell.coordinate not in hidden]
    if seen:
        yield Piece(" ｜ ".join(_shown(cell.value) for cell in seen), _place(sheet, seen))
    for cell in filled:
        if cell.coordinate in hidden:
            yield Piece(_shown(cell.value), _place(sheet, [cell]), hidden[cell.coordinate])
        if cell.comment is not None:
            yield Piece(cell.comment.text, _place(sheet, [cell]), "批注")


def _shown(value: object) -> str:
    """As a person reads it: whole numbers without a tail, days without midnight."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).removesuffix(" 00:00:00").strip()


def _why(cell: Any, columns: set[str]) -> str:
    if cell.column_letter in columns:
        return "隐藏的列"
    if cell.number_format == ";;;":
        return "隐藏的单元格"
    if cell.font.sz is not None and cell.font.sz < TINY_POINTS:
        return "极小的文字"
    rgb = cell.font.color.rgb if cell.font.color is not None else None
    white = isinstance(rgb, str) and rgb[-6:].upper() == "FFFFFF"
    return "白色文字" if white and cell.fill.fill_type is None else ""


def _place(sheet: Any, cells: list[Any]) -> str:
    first, last = cells[0].coordinate, cells[-1].coordinate
    return f"{sheet.title}!{first}" if first == last else f"{sheet.title}!{first}:{last}"
