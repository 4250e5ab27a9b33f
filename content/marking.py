"""The text before its reviewer, with what was found and commented on marked where it stands."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from content.checks import Finding
from content.review_models import Comment

SENTENCE = re.compile(r"[^。！？；\n]*[。！？；\n]?")
SHOWN = 18


@dataclass(frozen=True)
class Segment:
    """A stretch of text; `tone` is red, orange, blue for a comment, or empty."""

    text: str
    tone: str = ""
    says: str = ""


def segments(
    text: str, field: str, findings: Sequence[Finding], comments: Sequence[Comment]
) -> list[Segment]:
    """The whole text in order, cut wherever a finding or a comment begins or ends."""
    found = [f for f in findings if f.field == field and f.start < f.end]
    noted = [c for c in comments if c.field == field and c.start < c.end]
    cuts = {0, len(text)}
    for start, end in [(f.start, f.end) for f in found] + [(c.start, c.end) for c in noted]:
        cuts |= {min(start, len(text)), min(end, len(text))}
    places = sorted(cuts)
    return [_segment(text, start, end, found, noted) for start, end in pairwise(places)]


def _segment(
    text: str, start: int, end: int, found: Sequence[Finding], noted: Sequence[Comment]
) -> Segment:
    rules = [f for f in found if f.start <= start and end <= f.end]
    notes = [c for c in noted if c.start <= start and end <= c.end]
    tone = "blue" if notes else ""
    if rules:
        tone = "red" if any(rule.level == "block" for rule in rules) else "orange"
    says = [rule.reason for rule in rules] + [f"批注：{note.text}" for note in notes]
    return Segment(text[start:end], tone, "；".join(dict.fromkeys(says)))


def places(title: str, body: str) -> list[tuple[str, str]]:
    """Every sentence as a place to comment on, for those who cannot or do not want to select."""
    found = [(f"title:0:{len(title)}", f"标题：{_short(title)}")]
    for match in SENTENCE.finditer(body):
        words = match.group().strip()
        if words:
            start = match.start() + match.group().index(words)
            found.append(
                (f"body:{start}:{start + len(words)}", f"第 {len(found)} 句：{_short(words)}")
            )
    return found


def _short(words: str) -> str:
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}…"
