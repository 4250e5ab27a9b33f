"""What changed from one version to the next, sentence by sentence."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from content.models import Version


@dataclass(frozen=True)
class Line:
    """A sentence that stayed (` `), came (`+`) or went (`-`)."""

    mark: str
    text: str


def between(before: Version, after: Version) -> list[Line]:
    """Title, body and example questions of both, as one list of lines."""
    old, new = _told(before), _told(after)
    lines = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [Line(" ", text) for text in old[a:b]]
        else:
            lines += [Line("-", text) for text in old[a:b]]
            lines += [Line("+", text) for text in new[c:d]]
    return lines


def _told(version: Version) -> list[str]:
    sentences = re.split(r"(?<=[。！？；\n])", version.body)
    questions = [f"问法：{question}" for question in version.questions]
    told = [f"标题：{version.title}", *(s.strip() for s in sentences), *questions]
    return [text for text in told if text]
