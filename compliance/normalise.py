"""Layer 0: one spelling for what a reader sees as one word, with the way back to the original.

Two traps shape this file. Joining across sentence ends turns 不提供担保。本行 into 保本, so
sentence punctuation is never dropped; joining across words turns 投保 本产品 into 保本, so a gap
is closed only around a lone character or inside a protected word.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from compliance.lookalikes import (
    CROSSES_WORDS,
    LOOKALIKES,
    PROTECTED,
    SOUNDALIKES,
    SYMBOLS,
    TRADITIONAL,
)

_Cell = tuple[str, int, int]

_ALWAYS_NOISE = frozenset("*·•・‧∙_^+#@=&`'\\-~|丨")
_SOFT_NOISE = frozenset(' \t/.—–、\n()[]<>{}"「」『』【】\u00b4:')
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Mn", "Me"})
_LONGEST_GAP = 4
_FEWEST_THREADED = 3
_STREWN = 4  # characters from one such sign to the next, on the average


@dataclass(frozen=True, slots=True)
class Normalised:
    """A text as the rules read it; every character knows where it stood in the original."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where text[start:end] stood in the original."""
        return self.starts[start], self.ends[end - 1]


def normalise(text: str) -> Normalised:
    """Fold width, case, script, look-alikes, sound-alikes and inserted separators."""
    cells = [(folded, at, at + 1) for at, char in enumerate(text) for folded in _fold(char)]
    cells = _spell_out(_close_gaps(_unthread(_without_strewn(cells))))
    return Normalised(
        "".join(char for char, _, _ in cells),
        [start for _, start, _ in cells],
        [end for _, _, end in cells],
    )


def as_seen(text: str) -> str:
    """The text without what leaves no ink of its own but changes what a reader sees.

    No mark that hides, turns around or strikes through a reminder, and no screenful of blank lines
    before it (C-17).
    """
    kept = "".join(char for char in unicodedata.normalize("NFC", text) if _is_seen(char))
    lines = "\n".join(line.rstrip() for line in kept.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def _is_seen(char: str) -> bool:
    # Emoji need the variation selector and the keycap.
    return char in "\n\ufe0f\u20e3" or unicodedata.category(char) not in _INVISIBLE


@lru_cache(maxsize=16384)
def _fold(char: str) -> str:
    """One original character as it is read: nothing, itself, or what it stands for."""
    if char in "\n\t":
        return char
    mapped = SYMBOLS.get(char)
    if mapped is not None:
        return mapped
    if unicodedata.category(char) in _INVISIBLE:
        return ""
    plain = unicodedata.normalize("NFKC", char).lower()
    return "".join(_simplify(one) for one in plain if unicodedata.category(one) != "Mn")


def _simplify(char: str) -> str:
    simple = TRADITIONAL.get(char, char)
    return LOOKALIKES.get(simple, simple)


def _without_strewn(cells: list[_Cell]) -> list[_Cell]:
    """Drop a sign strewn every few characters through a stretch: 保本🌟保息🌟稳赚🌟."""
    places: dict[str, list[int]] = {}
    for at, (char, _, _) in enumerate(cells):
        if unicodedata.category(char) == "So":
            places.setdefault(char, []).append(at)
    strewn = {
        at
        for found in places.values()
        if len(found) >= _FEWEST_THREADED and found[-1] - found[0] <= _STREWN * (len(found) - 1)
        for at in found
    }
    return [cell for at, cell in enumerate(cells) if at not in strewn] if strewn else cells


def _unthread(cells: list[_Cell]) -> list[_Cell]:
    """Drop a separator threaded through every character of a stretch: 保·本·3·% ."""
    threads: set[int] = set()
    at = 1
    while at < len(cells) - 1:
        end = at
        while end < len(cells) - 1 and cells[end][0] == cells[at][0] != cells[end - 1][0]:
            end += 2
        if cells[at][0] in _ALWAYS_NOISE and end - at >= 2 * _FEWEST_THREADED:
            threads.update(range(at, end, 2))
            at = end
        else:
            at += 1
    return [cell for index, cell in enumerate(cells) if index not in threads] if threads else cells


def _close_gaps(cells: list[_Cell]) -> list[_Cell]:
    """Drop separators put between Chinese characters to break a word."""
    if not any(_is_noise(char) for char, _, _ in cells):
        return cells
    kept: list[_Cell] = []
    at = 0
    while at < len(cells):
        if not _is_noise(cells[at][0]):
            kept.append(cells[at])
            at += 1
            continue
        end = at
        while end < len(cells) and _is_noise(cells[end][0]):
            end += 1
        if not _gap_breaks_a_word(cells, at, end):
            kept.extend(cells[at:end])
        at = end
    return kept


def _gap_breaks_a_word(cells: list[_Cell], start: int, end: int) -> bool:
    if end - start > _LONGEST_GAP or start == 0 or end == len(cells):
        return False
    left, right = cells[start - 1][0], cells[end][0]
    if not (is_han(left) and is_han(right)):
        return False
    if _is_lone(cells, start - 1) and _is_lone(cells, end):
        return True
    gap = "".join(char for char, _, _ in cells[start:end])
    if "\n" in gap or "、" in gap or ":" in gap:
        return False
    if len(gap) == 1 and gap in _ALWAYS_NOISE:
        return True
    before = "".join(char for char, _, _ in cells[max(0, start - 3) : start])
    after = "".join(char for char, _, _ in cells[end : end + 3])
    return _crosses_protected(before, after)


def _crosses_protected(before: str, after: str) -> bool:
    joined, border = before + after, len(before)
    if CROSSES_WORDS.search(joined):
        return False
    return any(
        joined.startswith(word, at)
        for word in PROTECTED
        for at in range(max(0, border - len(word) + 1), border)
    )


def _is_lone(cells: list[_Cell], at: int) -> bool:
    """Whether a Chinese character has no Chinese neighbour on either side."""
    before = at > 0 and is_han(cells[at - 1][0])
    after = at + 1 < len(cells) and is_han(cells[at + 1][0])
    return not before and not after


@lru_cache(maxsize=16384)
def _is_noise(char: str) -> bool:
    if char in _ALWAYS_NOISE or char in _SOFT_NOISE:
        return True
    return unicodedata.category(char) in {"So", "Sk"}


def is_han(char: str) -> bool:
    """Whether it is a Chinese character."""
    return "\u4e00" <= char <= "\u9fff" or "\u3400" <= char <= "\u4dbf"


def _spell_out(cells: list[_Cell]) -> list[_Cell]:
    """Replace pinyin, homophones, initials and split radicals of protected words."""
    text = "".join(char for char, _, _ in cells)
    for pattern, word in SOUNDALIKES:
        matches = list(pattern.finditer(text))
        if not matches:
            continue
        rewritten: list[_Cell] = []
        at = 0
        for match in matches:
            rewritten += cells[at : match.start()]
            rewritten += _respell(word, cells[match.start() : match.end()])
            at = match.end()
        cells = rewritten + cells[at:]
        text = "".join(char for char, _, _ in cells)
    return cells


def _respell(word: str, written: list[_Cell]) -> list[_Cell]:
    """The word's characters; each keeps its own place when the lengths agree."""
    if len(word) == len(written):
        return [(char, start, end) for char, (_, start, end) in zip(word, written, strict=True)]
    return [(char, written[0][1], written[-1][2]) for char in word]
