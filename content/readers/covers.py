"""Covers: a picture made small, or the first page of a PDF drawn small."""

import base64
import io
from typing import Any

from content.readers.limits import Refusal
from content.readers.pictures import FORMATS, check_size


def answer(kind: str, data: bytes, size: list[int]) -> dict[str, Any]:
    """The cover as PNG, cut to fill the size."""
    from PIL import ImageOps

    drawn = _first_page(data, size) if kind == "pdf" else _picture(kind, data)
    # What people look for stands at the top of a page and in the middle of a picture.
    middle = (0.5, 0.0) if kind == "pdf" else (0.5, 0.5)
    cover = ImageOps.fit(drawn, (size[0], size[1]), centering=middle)
    out = io.BytesIO()
    cover.save(out, "PNG", optimize=True)
    return {"cover": base64.b64encode(out.getvalue()).decode()}


def _picture(kind: str, data: bytes) -> Any:
    from PIL import Image

    check_size(data, kind)
    with Image.open(io.BytesIO(data), formats=[FORMATS[kind]]) as opened:
        opened.load()
        return opened.convert("RGB")


def _first_page(data: bytes, size: list[int]) -> Any:
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    if not len(document):
        raise Refusal("broken")
    page = document[0]
    width, height = page.get_size()
    # A page of absurd shape would ask for a bitmap of absurd size.
    if width < 1 or height < 1 or height / width > 20:
        raise Refusal("pixels")
    return page.render(scale=size[0] / width, may_draw_forms=False).to_pil().convert("RGB")
