"""Presentations: slide by slide, with what the audience does not see told apart."""

import io
from collections.abc import Iterator
from typing import Any

from content.readers.packages import check_office
from content.readers.reading import Piece, Pieces

TINY_POINTS = 4.0
DEEPEST = 20


def read_pptx(data: bytes) -> Pieces:
    """Text of shapes and tables; notes, hidden slides and hidden runs are hidden text."""
    check_office("pptx", data)
    from pptx import Presentation

    shown = Presentation(io.BytesIO(data))
    width, height = shown.slide_width or 0, shown.slide_height or 0
    for number, slide in enumerate(shown.slides, 1):
        place = f"第 {number} 页"
        unseen = "隐藏的幻灯片" if slide._element.get("show") == "0" else ""
        dark = _has_picture(slide) or _has_background(slide)
        for shape in _shapes(slide.shapes):
            outside = _outside(shape, width, height)
            for text, why in _lines(shape, dark):
                yield Piece(text, place, unseen or outside or why)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            yield Piece(slide.notes_slide.notes_text_frame.text, place, "演讲者备注")


def _shapes(shapes: Any, depth: int = 0) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes") and depth < DEEPEST:
            yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _lines(shape: Any, dark: bool) -> Iterator[tuple[str, str]]:
    if shape.has_text_frame:
        filled = dark or _filled(shape)
        for paragraph in shape.text_frame.paragraphs:
            runs = paragraph.runs
            hidden = [run for run in runs if run.text.strip() and _why(run, filled)]
            yield "".join(run.text for run in runs if run not in hidden), ""
            for run in hidden:
                yield run.text, _why(run, filled)
    if getattr(shape, "has_table", False):
        for row in shape.table.rows:
            yield " ｜ ".join(cell.text.strip() for cell in row.cells if cell.text.strip()), ""


def _why(run: Any, filled: bool) -> str:
    if run.font.size is not None and run.font.size.pt < TINY_POINTS:
        return "极小的文字"
    colour = run.font.color
    rgb = getattr(colour, "rgb", None) if colour is not None and colour.type == 1 else None
    return "白色文字" if rgb is not None and min(rgb) >= 0xF5 and not filled else ""


def _filled(shape: Any) -> bool:
    """Whether something coloured lies behind the letters of this shape."""
    fill = getattr(shape, "fill", None)
    if fill is None or fill.type is None or fill.type == 5:
        return False
    rgb = (
        getattr(fill.fore_color, "rgb", None)
        if fill.type == 1 and fill.fore_color.type == 1
        else None
    )
    return rgb is None or min(rgb) < 0xF5


def _outside(shape: Any, width: int, height: int) -> str:
    if None in (shape.left, shape.top, shape.width, shape.height):
        return ""
    away = shape.left >= width or shape.top >= height
    gone = shape.left + shape.width <= 0 or shape.top + shape.height <= 0
    return "页面之外的文字" if away or gone else ""


def _has_picture(slide: Any) -> bool:
    return any(hasattr(shape, "image") for shape in slide.shapes)


def _has_background(slide: Any) -> bool:
    layers = (slide, slide.slide_layout, slide.slide_layout.slide_master)
    # A master nearly always names a background; white is the theme's first colour.
    return any(
        (back := layer._element.find(".//{*}bg")) is not None
        and not any(each.get("val") in ("bg1", "lt1") for each in back.iter())
        for layer in layers
    )
