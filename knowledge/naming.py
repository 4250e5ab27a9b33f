"""Which of many names stand in a text. Pure."""

from collections.abc import Iterable

from knowledge.grams import normalise

# Shorter ones would be found in any text.
LEAST_LETTERS = 3


def names_in(text: str, names: Iterable[str]) -> frozenset[str]:
    """The names met in the text; of two names one of which is part of the other, the longer one.

    Names are given as `normalise` makes them. One that begins or ends with a Latin letter or digit
    ends there: P12 does not stand in P123.
    """
    asked = normalise(text)
    met = {name for name in names if len(name) >= LEAST_LETTERS and _stands(name, asked)}
    return frozenset(
        name for name in met if not any(name != longer and name in longer for longer in met)
    )


def _stands(name: str, text: str) -> bool:
    place = text.find(name)
    while place >= 0:
        if _apart(text, place) and _apart(text, place + len(name)):
            return True
        place = text.find(name, place + 1)
    return False


def _apart(text: str, edge: int) -> bool:
    """Whether no word of Latin letters and digits goes on across this edge."""
    return not (0 < edge < len(text) and _latin(text[edge - 1]) and _latin(text[edge]))


def _latin(letter: str) -> bool:
    return letter.isascii() and letter.isalnum()
