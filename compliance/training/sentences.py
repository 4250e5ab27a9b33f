"""The sentences the classifier learns from, and those it is measured on.

One file a category; a line begins with `+ ` where the sentence breaks the rule when a bank says it,
with `- ` where it does not. What is held out was written by somebody who had not seen the others,
and nothing is ever learnt from it. The thresholds were chosen in view of the first set, not of the
second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LEARNT = Path(__file__).with_name("learnt")
HELD_OUT = Path(__file__).with_name("held_out")
HELD_OUT_SECOND = Path(__file__).with_name("held_out_second")
BENIGN = "benign"
_SIGNS = {"+ ": True, "- ": False}


class MalformedSentence(ValueError):
    """A line of a sentence file must begin with `+ ` or `- ` and say something."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, whether it breaks a rule, and the category it breaks or resembles."""

    text: str
    violates: bool
    category: str


def read_sentences(folder: Path) -> list[Sentence]:
    """All sentences of a folder, by category; MalformedSentence names file and line."""
    return [sentence for path in sorted(folder.glob("*.txt")) for sentence in _read(path)]


def _read(path: Path) -> Iterator[Sentence]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        sign, text = line[:2], line[2:].strip()
        if sign not in _SIGNS or not text:
            raise MalformedSentence(f"{path.name}:{number}: {MalformedSentence.__doc__}")
        yield Sentence(text, _SIGNS[sign], path.stem)
