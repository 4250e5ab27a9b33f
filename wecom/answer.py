"""One JSON object of an answer, read field by field: every surprise is an UnreadableAnswer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Never

from wecom.errors import UnreadableAnswer

LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Answer:
    """One JSON object of an answer; a field of another type than documented is UnreadableAnswer.

    `served_at` is the `Date` of the answer it came in, as written there.
    """

    call: str
    fields: Mapping[str, object] = field(repr=False)
    served_at: str = ""

    def text(self, name: str, default: str | None = None) -> str:
        """The text in a field; `default` where it is missing or null."""
        return self._text(name, self._value(name, default))

    def number(self, name: str, default: int | None = None) -> int:
        """The whole number in a field, within 64 bits; `default` where it is missing or null."""
        value = self._value(name, default)
        if not isinstance(value, int) or abs(value) > LARGEST:
            self._unreadable(name)
        return value

    def truth(self, name: str, *, default: bool = False) -> bool:
        """The true or false in a field; WeCom writes some as 0 and 1."""
        value = self._value(name, default)
        if not isinstance(value, int) or value not in (0, 1):
            self._unreadable(name)
        return bool(value)

    def numbers(self, name: str) -> list[int]:
        """The whole numbers in a list; a missing list is an empty one."""
        numbers = []
        for value in self._list(name):
            if not isinstance(value, int) or abs(value) > LARGEST:
                self._unreadable(name)
            numbers.append(value)
        return numbers

    def ratio(self, name: str) -> float | None:
        """The number in a field, whole or not; None where WeCom leaves it out."""
        value = self._value(name, None)
        if value is None:
            return None
        if not isinstance(value, int | float) or not abs(value) <= LARGEST:
            self._unreadable(name)
        return float(value)

    def moment(self, name: str) -> datetime:
        """The Unix second in a field, as aware UTC."""
        try:
            return datetime.fromtimestamp(self.number(name), UTC)
        except (OverflowError, ValueError, OSError):
            self._unreadable(name)

    def moment_or_none(self, name: str) -> datetime | None:
        """As `moment`; None where WeCom leaves the field out or sets 0."""
        return self.moment(name) if self.number(name, 0) else None

    def texts(self, name: str) -> list[str]:
        """The texts in a list; a missing list is an empty one."""
        return [self._text(name, value) for value in self._list(name)]

    def part(self, name: str) -> "Answer":
        """The object in a field."""
        value = self.fields.get(name)
        if not isinstance(value, dict):
            self._unreadable(name)
        return Answer(self.call, value, self.served_at)

    def part_or_none(self, name: str) -> "Answer | None":
        """As `part`; None where WeCom leaves the field out."""
        return None if self.fields.get(name) is None else self.part(name)

    def parts(self, name: str) -> list["Answer"]:
        """The objects in a list; a missing list is an empty one."""
        return [
            Answer(self.call, v, self.served_at) if isinstance(v, dict) else self._unreadable(name)
            for v in self._list(name)
        ]

    def unreadable(self, name: str) -> UnreadableAnswer:
        """The error that says which field is not as documented."""
        return UnreadableAnswer(call=self.call, reason=f"field {name}")

    def _text(self, name: str, value: object) -> str:
        if not isinstance(value, str) or _half_a_character(value):
            self._unreadable(name)
        return value

    def _value(self, name: str, default: object) -> object:
        # WeCom writes what is missing as null or not at all.
        value = self.fields.get(name)
        return default if value is None else value

    def _list(self, name: str) -> list[object]:
        value = self.fields.get(name) or []
        return value if isinstance(value, list) else self._unreadable(name)

    def _unreadable(self, name: str) -> Never:
        raise self.unreadable(name)


def _half_a_character(value: str) -> bool:
    # JSON can name half of a surrogate pair, which no file, page or database takes.
    return not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value)
