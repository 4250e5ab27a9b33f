"""How large a picture is and how long a film, read from the file's own head."""

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def is_picture(content: bytes) -> bool:
    """Whether it begins as a PNG or a JPEG does."""
    return content.startswith((PNG, JPEG))


def pixels(content: bytes) -> int:
    """Width times height of a PNG or JPEG; 0 where the file does not say."""
    if content.startswith(PNG) and len(content) >= 24:
        return int.from_bytes(content[16:20], "big") * int.from_bytes(content[20:24], "big")
    if content.startswith(JPEG):
        return _jpeg_pixels(content)
    return 0


def is_film(content: bytes) -> bool:
    """Whether it begins as an MP4 does."""
    return content[4:8] == b"ftyp"


def film_seconds(content: bytes) -> float:
    """How long an MP4 plays; 0 where the file does not say."""
    found = content.find(b"mvhd")
    head = content[found + 4 : found + 36]
    if found < 0 or len(head) < 32:
        return 0.0
    scale_at, wide = (20, 8) if head[0] == 1 else (12, 4)
    scale = int.from_bytes(head[scale_at : scale_at + 4], "big")
    length = int.from_bytes(head[scale_at + 4 : scale_at + 4 + wide], "big")
    return length / scale if scale else 0.0


def _jpeg_pixels(content: bytes) -> int:
    place = 2
    while place + 9 <= len(content) and content[place] == 0xFF:
        marker, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if marker in _START_OF_FRAME:
            height = int.from_bytes(content[place + 5 : place + 7], "big")
            return height * int.from_bytes(content[place + 7 : place + 9], "big")
        place += 2 + length
    return 0
