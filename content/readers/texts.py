"""Plain text and markdown."""

import re

from content.readers.limits import Refusal
from content.readers.reading import Piece, Pieces


def read_text(data: bytes) -> Pieces:
    """Paragraphs between blank lines; UTF-8 first, then the encoding of Chinese Windows."""
    text = decoded(data)
    blocks = [b for b in re.split(r"\r?\n[ \t]*\r?\n", text) if b.strip()]
    for number, block in enumerate(blocks, 1):
        yield Piece(block.replace("\r\n", "\n"), f"第 {number} 段")


def decoded(data: bytes) -> str:
    """The characters of a text file."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" in text:
            raise Refusal("broken")
        return text
    raise Refusal("encoding")


def read_markdown(data: bytes) -> Pieces:
    """As text, without the marks of headings, emphasis and links; comments are hidden text."""
    for block, place, _ in read_text(data):
        for note in re.findall(r"<!--(.*?)-->", block, re.DOTALL):
            yield Piece(note, place, "注释")
        shown = re.sub(r"<!--.*?-->", "", block, flags=re.DOTALL)
        plain = re.sub(r"^\s{0,3}(#{1,6}|>|[-*+]|\d+\.)\s+", "", shown, flags=re.MULTILINE)
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", plain)
        yield Piece(re.sub(r"(\*\*|__|`)", "", plain), place)
