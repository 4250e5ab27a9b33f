"""Where a text states a benchmark 业绩比较基准 or a rating: compared as a reader would. Pure."""

import re
import unicodedata
from collections.abc import Collection, Iterable

_SPAN = re.compile(r"(?<=[%\d])(?:[-~‐‑‒–—―−－〜～]+|至|到)(?=\d)")
_NAMED = re.compile(r"业绩(?:比较)?基准")
# In 1.6-2.1% both ends are per cent.
_FIGURE = re.compile(r"(?<![\d.])\d{1,2}(?:\.\d{1,4})?(?=%|-\d[\d.]*%)")
# How far behind the word a figure may stand and still be meant by it.
REACH = 24
_SENTENCE_END = re.compile(r"[。；;!?！？\n]")


def plain(text: str) -> str:
    """The text with one way to write figures and spans, and without white space."""
    return _SPAN.sub("-", "".join(unicodedata.normalize("NFKC", text).split()))


def holds(text: str, value: str) -> bool:
    """Whether the text states this value, however its spaces and dashes are written."""
    wanted = plain(value)
    if not wanted:
        return False
    before = r"(?<![\d.])" if wanted[0].isdigit() else ""
    after = r"(?!\d)" if wanted[-1].isdigit() else ""
    return re.search(before + re.escape(wanted) + after, plain(text)) is not None


def says_rating(text: str, rating: int) -> bool:
    """Whether the text states this rating, e.g. R2."""
    return re.search(rf"(?<![A-Za-z0-9])[Rr]{rating}(?![0-9])", plain(text)) is not None


def foreign_figures(text: str, benchmarks: Collection[str]) -> list[str]:
    """Figures told as a benchmark that stand in none of these: the product master knows better."""
    known = {float(figure) for value in benchmarks for figure in _FIGURE.findall(plain(value))}
    told = [f"{figure}%" for figure in _told(plain(text)) if float(figure) not in known]
    return list(dict.fromkeys(told))


def _told(text: str) -> Iterable[str]:
    for named in _NAMED.finditer(text):
        behind = _SENTENCE_END.split(text[named.end() : named.end() + REACH])[0]
        yield from _FIGURE.findall(behind)
