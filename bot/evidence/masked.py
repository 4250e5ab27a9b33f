"""The same rows without personal data: enough to follow what happened, not to whom."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from bot.evidence.gathering import Gathered, Row
from compliance.masking import mask

GONE = "（已隐去）"
_ASCII_ID = re.compile(r"[0-9a-f]{32,64}|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)")


def without_personal_data(made: Gathered) -> Gathered:
    """A copy in which identifiers are pseudonyms and texts are masked; versions stay exact."""
    hide = _Hiding(made.customer.name)
    chapters = {name: [hide.row(name, row) for row in rows] for name, rows in made.chapters.items()}
    return replace(made, chapters=chapters, lines=[hide.line(line) for line in made.lines])


def pseudonym(identifier: str) -> str:
    """The same for the same person in every pack, and no way back."""
    return "p-" + hashlib.sha256(f"siyu evidence {identifier}".encode()).hexdigest()[:12]


class _Hiding:
    def __init__(self, name: str) -> None:
        self._name = name

    def row(self, chapter: str, row: Row) -> Row:
        """A row of that chapter."""
        shown: Row = self._value(row)
        if chapter == "customer":
            shown["name"] = short_name(self._name)
        return shown

    def line(self, line: Row) -> Row:
        """A line of the audit book; one that lost something says so, its hash stays."""
        detail = self._value(line["detail"])
        return line | {"detail": detail, "masked": detail != line["detail"]}

    def _value(self, value: Any, key: str = "") -> Any:
        if key in HIDDEN and value:
            return HIDDEN[key](str(value))
        if isinstance(value, dict):
            return {name: self._value(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._value(inner, key) for inner in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        if _ASCII_ID.fullmatch(text) or _is_uuid(text):
            return text
        hidden = mask(text)
        # A text that holds nothing is left as it was written, to the letter.
        shown = hidden.text if hidden.counts else text
        return shown.replace(self._name, short_name(self._name)) if self._name else shown


def short_name(name: str) -> str:
    """The family name and stars."""
    return f"{name[:1]}**" if name else ""


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


HIDDEN: dict[str, Callable[[str], str]] = {
    "external_userid": pseudonym,
    "contact": pseudonym,
    "member_id": pseudonym,
    "bank_no": lambda number: f"****{number[-4:]}",
    "mobile": lambda number: f"{number[:3]}****{number[-4:]}",
    "born_on": lambda day: f"{day[:4]}-**-**",
    "nickname": lambda _: GONE,
    "remark": lambda _: GONE,
    "occupation": lambda _: GONE,
}
