"""The label of AI in a picture (GB 45438-2025 Appendix E): read, kept, written, drawn.

PNG: an iTXt chunk `AIGC` and XMP; JPEG: XMP. The value is the JSON of Appendix E.
"""

import html
import io
import json
import re
from pathlib import Path
from typing import Any

NAMES = (
    "Label", "ContentProducer", "ProduceID", "ReservedCode1",
    "ContentPropagator", "PropagateID", "ReservedCode2",
)  # fmt: skip
LONGEST = 300
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/">'
    "<TC260:AIGC>{value}</TC260:AIGC>"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
MARK = Path(__file__).with_name("ai_mark.png")
# The mark's letters are at least a twentieth of the shorter side; the plate around them is more.
SHARE = 0.05
LETTERS_OF_PLATE = 0.62


def label_in(data: bytes) -> dict[str, str]:
    """The label written into these bytes by whoever made the picture; empty without any."""
    value = re.compile(rb"AIGC[^{]{0,40}(\{.{2,4000}?\})", re.DOTALL)
    for found in value.findall(data):
        told = _read(html.unescape(found.decode("utf-8", "ignore")))
        if told:
            return told
    return {}


def _read(text: str) -> dict[str, str]:
    for tail in ("", "}"):
        try:
            told = json.loads(text + tail)
        except ValueError:
            continue
        inner = told.get("AIGC", told)
        if isinstance(inner, dict) and str(inner.get("Label", "")) in ("1", "2", "3"):
            return {name: str(inner.get(name, ""))[:LONGEST] for name in NAMES}
    return {}


def saved(drawn: Any, kind: str, label: dict[str, str]) -> bytes:
    """The picture as a file with nothing written into it but this label."""
    from PIL.PngImagePlugin import PngInfo

    out = io.BytesIO()
    for name in list(drawn.info):
        del drawn.info[name]
    value = json.dumps({name: label.get(name, "") for name in NAMES}, ensure_ascii=False)
    xmp = XMP.format(value=html.escape(value, quote=True))
    if kind == "png":
        chunks = PngInfo()
        if label:
            chunks.add_itxt("AIGC", json.dumps({"AIGC": json.loads(value)}, ensure_ascii=False))
            chunks.add_itxt("XML:com.adobe.xmp", xmp)
        drawn.save(out, "PNG", pnginfo=chunks)
    else:
        drawn.save(out, "JPEG", quality=92, **({"xmp": xmp.encode()} if label else {}))
    return out.getvalue()


def with_mark(drawn: Any) -> Any:
    """The picture with AI 生成 in its lower right corner."""
    from PIL import Image

    with Image.open(MARK) as opened:
        plate = opened.convert("RGBA")
    high = max(16, -int(-SHARE * min(drawn.size) // LETTERS_OF_PLATE))
    wide = round(plate.width * high / plate.height)
    if wide > drawn.width * 0.9:
        wide = max(1, int(drawn.width * 0.9))
        high = max(1, round(plate.height * wide / plate.width))
    plate = plate.resize((wide, high), Image.Resampling.LANCZOS)
    gap = high // 3
    under = drawn.convert("RGBA")
    corner = (max(0, under.width - wide - gap), max(0, under.height - high - gap))
    under.alpha_composite(plate, corner)
    return under.convert(drawn.mode)
