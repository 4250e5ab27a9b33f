"""WeCom's limits on what is written to it: checked before a call, and said with what to do.

Lengths of texts are bytes of UTF-8, where a Chinese character counts three, unless a limit is
given in characters.
"""

from collections.abc import Collection, Sized
from datetime import datetime, timedelta


def within(name: str, value: str, limit: int, *, least: int = 1) -> None:
    """Hold a text to `limit` bytes; ValueError says by how much it misses."""
    size = len(value.encode())
    if not least <= size <= limit:
        raise ValueError(f"{name} takes {least} to {limit} bytes, got {size}")


def characters(name: str, value: str, limit: int, *, least: int = 1) -> None:
    """Hold a text to `limit` characters, however many bytes each takes."""
    if not least <= len(value) <= limit:
        raise ValueError(f"{name} takes {least} to {limit} characters, got {len(value)}")


def present(name: str, value: str) -> None:
    """Refuse an empty text."""
    if not value:
        raise ValueError(f"{name} is empty")


def some(name: str, values: Sized, limit: int, *, least: int = 1) -> None:
    """Hold a list to `limit` entries."""
    if not least <= len(values) <= limit:
        raise ValueError(f"{name} takes {least} to {limit} entries, got {len(values)}")


def unique(name: str, values: Collection[str]) -> None:
    """Refuse a list that names one thing twice."""
    if len(set(values)) != len(values):
        raise ValueError(f"{name} names one entry twice")


def span(name: str, start: datetime, end: datetime, longest: timedelta) -> None:
    """Hold a stretch of time to aware moments in order and at most `longest` apart."""
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError(f"{name} takes aware times")
    if not timedelta(0) <= end - start <= longest:
        raise ValueError(f"{name} takes at most {longest.days} days, got {end - start}")
