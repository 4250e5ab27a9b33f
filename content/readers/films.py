"""Films: only their shape is checked; what they say, the author writes down."""

from typing import Any

from content.readers.limits import Refusal

KNOWN = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"udta", b"meta", b"uuid",
                   b"moof", b"mfra", b"sidx", b"styp", b"pdin"})  # fmt: skip
BRANDS = frozenset({b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ",
                    b"qt  ", b"dash", b"msnv"})  # fmt: skip


def answer(data: bytes) -> dict[str, Any]:
    """Nothing to read; refuses what is no film from its first box to its last."""
    at = 0
    boxes: list[bytes] = []
    while at < len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        elif size == 0:
            size = len(data) - at
        if name not in KNOWN or size < 8 or at + size > len(data) or len(boxes) > 5_000:
            raise Refusal("broken")
        boxes.append(name)
        at += size
    if boxes[:1] != [b"ftyp"] or data[8:12] not in BRANDS or b"moov" not in boxes:
        raise Refusal("broken")
    return {"paragraphs": [], "hidden": []}
