"""Pictures: drawn anew without what cameras and editors write into them, and read where possible.

The answer carries the picture as it is kept and shown: no EXIF, no comments, no thumbnails; only
the label that says it was made by AI stays (C-40).
"""

import base64
import io
import re
from importlib.util import find_spec
from typing import Any

from content.readers import aigc
from content.readers.limits import LONGEST_SIDE, MOST_PIXELS, Refusal
from content.readers.reading import Piece, of_pieces

FORMATS = {"png": "PNG", "jpg": "JPEG"}
# Larger pictures are read at this size: letters stay legible, the machine stays free.
READ_AT = 1_280
SURE_ENOUGH = 0.5
HEADER_CHUNKS = 4_000


def answer(kind: str, data: bytes) -> dict[str, Any]:
    """The clean picture, its size, its label, and the words in it."""
    check_size(data, kind)
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=[FORMATS[kind]]) as opened:
        label = aigc.label_in(data)
        opened.load()
        drawn = _upright(opened)
    clean = aigc.saved(drawn, kind, label)
    found, read = _words(drawn)
    return {
        **of_pieces(found, fewest=0),
        "picture": base64.b64encode(clean).decode(),
        "size": drawn.size,
        "label": label,
        "read": read,
    }


def marked(kind: str, data: bytes, label: dict[str, str], visible: bool) -> dict[str, Any]:
    """The picture with the label of AI in it, and a mark that people see."""
    check_size(data, kind)
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=[FORMATS[kind]]) as opened:
        opened.load()
        drawn = _upright(opened)
    if visible:
        drawn = aigc.with_mark(drawn)
    clean = aigc.saved(drawn, kind, label)
    return {"picture": base64.b64encode(clean).decode(), "size": drawn.size}


def check_size(data: bytes, kind: str) -> None:
    """Refuse floods of pixels from the header alone."""
    width, height = _png_size(data) if kind == "png" else _jpg_size(data)
    if width < 1 or height < 1:
        raise Refusal("broken")
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        raise Refusal("pixels")


def _png_size(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR" or b"acTL" in data[:65536]:
        raise Refusal("broken")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _jpg_size(data: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(HEADER_CHUNKS):
        if at + 9 > len(data) or data[at] != 0xFF:
            raise Refusal("broken")
        mark = data[at + 1]
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            high, wide = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return int.from_bytes(wide, "big"), int.from_bytes(high, "big")
        at += 1 if mark == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise Refusal("broken")


def _upright(opened: Any) -> Any:
    """Turned as the camera meant it, in plain colours."""
    from PIL import ImageOps

    turned = ImageOps.exif_transpose(opened)
    through = turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info
    return turned.convert("RGBA" if through and opened.format == "PNG" else "RGB")


def _words(drawn: Any) -> tuple[list[Piece], str]:
    """Lines of text in the picture from top to bottom; none where recognition is not installed."""
    if find_spec("rapidocr_onnxruntime") is None:
        return [], "missing"
    import numpy as np
    import onnxruntime
    from rapidocr_onnxruntime import RapidOCR

    onnxruntime.disable_telemetry_events()
    small = drawn.convert("RGB")
    small.thumbnail((READ_AT, READ_AT))
    engine = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    # Posters stand upright: looking for turned lines would only cost time.
    lines, _ = engine(np.asarray(small)[:, :, ::-1].copy(), use_cls=False)
    height = max(1, small.height)
    return [
        Piece(text, f"图中{_where(box, height)}")
        for box, text, sure in lines or []
        if float(sure) >= SURE_ENOUGH and re.search(r"\w", text)
    ], "read"


def _where(box: Any, height: int) -> str:
    middle = (float(box[0][1]) + float(box[2][1])) / 2 / height
    return "上部" if middle < 1 / 3 else "中部" if middle < 2 / 3 else "下部"
