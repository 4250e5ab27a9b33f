"""Links in a text, as a phone would make them tappable, and which of them lead away from the bank.

A link is found without its scheme, behind a user name, as a bare address, with full-width marks;
what cannot be read as a host counts as a stranger. Every search is linear.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&*+,;=%-]+")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{1,20}):/{1,4}|(https?):", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBERS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_HAN = re.compile(r"[㐀-鿿]")
# Three dots that browsers read as one; between Latin letters no sentence ends.
_DOT = re.compile(r"(?<=[A-Za-z0-9])[。．｡](?=[A-Za-z0-9])")
_TAIL = ".,;:!?)]"
_SHORTEST = 3
NOBODY = "?"


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it stands in the text, and the host it leads to; `?` where none can be read."""

    shown: str
    host: str


def links_in(text: str) -> list[Link]:
    """Every link of the text, in order."""
    plain = unicodedata.normalize("NFKC", _DOT.sub(".", text))
    found = []
    for match in _TOKEN.finditer(plain):
        before = plain[match.start() - 1] if match.start() else ""
        if len(match[0]) >= _SHORTEST and (host := _host(match[0], before)):
            found.append(Link(match[0].rstrip(_TAIL), host))
    return found


def strangers(text: str, hosts: Collection[str], approved: Sequence[str] = ()) -> list[Link]:
    """The links that lead neither to one of these hosts (or below it) nor stand in approved text.

    A link that was approved is approved whole: another page of the same stranger is not.
    """
    known = {link.shown for source in approved for link in links_in(source)}
    allowed = {host.strip().lower().rstrip(".") for host in hosts if host.strip()}
    return [
        link
        for link in links_in(text)
        if link.shown not in known and not _below(link.host, allowed)
    ]


def _below(host: str, allowed: Collection[str]) -> bool:
    return any(host == one or host.endswith(f".{one}") for one in allowed)


def _host(token: str, before: str) -> str:
    """The host a token leads to; empty where it is no link."""
    lowered = token.lower().rstrip(_TAIL)
    scheme = _SCHEME.search(lowered)
    rest = lowered[scheme.end() :] if scheme else lowered
    # What stands before an @ is a name, wherever it seems to lead.
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0].rsplit("@", 1)[-1]
    host = authority.partition(":")[0].rstrip(".")
    if scheme and (scheme[1] or scheme[2]) not in ("http", "https"):
        return NOBODY
    if _is_host(host):
        return f"{NOBODY}.{host}" if _HAN.match(before) and token.startswith(".") else host
    if host.startswith(".") and _HAN.match(before) and _is_host(f"x{host}"):
        return NOBODY  # a name in Chinese letters before .com
    return NOBODY if scheme else ""


def _is_host(host: str) -> bool:
    if _NUMBERS.fullmatch(host):
        return True
    labels = host.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    return len(labels[-1]) > 1 and (labels[-1].isalpha() or labels[-1].startswith("xn--"))
