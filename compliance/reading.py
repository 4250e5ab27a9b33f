"""A message as the classifier reads it: sentence by sentence, and a short one as a whole too.

A promise between two friendly sentences would be lost in the whole; a disclaimer in one sentence
and the promise in the next are only seen together. A sentence that goes on and on is read in parts
as well, so that no padding drowns what it says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compliance.classifier import Judgement, builtin
from compliance.normalise import is_han

_SENTENCE_ENDS = "。!?;\n"
_SHORTEST = 3
# A file name or an address says nothing the classifier has learnt to read.
_FEWEST_HAN = 2
# Longer than this a message is no longer one thought.
_ONE_THOUGHT = 80
_LONG_SENTENCE, _PART = 60, 30


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the normalised text and what the classifier says of it."""

    start: int
    end: int
    judgement: Judgement
    is_part: bool = False  # of a sentence, out of its context

    def holds(self, place: int) -> bool:
        """Whether that place lies in it."""
        return self.start <= place < self.end

    @property
    def span(self) -> tuple[int, int]:
        """The words that speak most for a violation, as places in the whole text."""
        return self.start + self.judgement.start, self.start + self.judgement.end


def stretches(text: str) -> list[Stretch]:
    """The sentences of a normalised text in order, and then all of it if it is short."""
    bounds = list(_sentences(text))
    parts = [part for start, end in bounds for part in _parts(text, start, end)]
    if len(bounds) > 1 and len(text) <= _ONE_THOUGHT:
        bounds.append((0, len(text)))
    wanted = [(bound, False) for bound in bounds] + [(part, True) for part in parts]
    return [
        Stretch(start, end, builtin().judge(text[start:end]), is_part)
        for (start, end), is_part in wanted
        if sum(is_han(char) for char in text[start:end]) >= _FEWEST_HAN
    ]


def likelihood(read: Sequence[Stretch], place: int) -> float:
    """How likely a violation is where that place stands: 1 where nothing could be read."""
    around = (one.judgement.probability for one in read if one.holds(place))
    return max(around, default=1.0)


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence begins and ends; crumbs of a character or two go with the next one."""
    start = 0
    for at in range(len(text)):
        ends = _ends_here(text, at) and at + 1 - start >= _SHORTEST
        if ends or at + 1 == len(text):
            words = text[start : at + 1]
            if words.strip():
                yield start + len(words) - len(words.lstrip()), start + len(words.rstrip())
            start = at + 1


def _ends_here(text: str, at: int) -> bool:
    """Whether a sentence ends with this character: the last of several marks in a row."""
    return text[at] in _SENTENCE_ENDS and text[at + 1 : at + 2] not in _SENTENCE_ENDS


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A long sentence in overlapping parts, each about as long as an ordinary one."""
    if end - start > _LONG_SENTENCE:
        for at in range(start, end - _PART // 2, _PART // 2):
            yield at, min(at + _PART, end)
