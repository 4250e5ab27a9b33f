"""What the doctor says of one thing: how it is, and what to click where it is not well."""

import enum
from dataclasses import dataclass


class Health(enum.StrEnum):
    """Well, ill, or something to know that is no fault."""

    OK = "ok"
    FAIL = "fail"
    NOTE = "note"


@dataclass(frozen=True)
class Words:
    """The same sentence in both languages."""

    en: str
    zh: str


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `todo` is there wherever it is not well."""

    subject: Words
    health: Health
    says: Words
    todo: Words | None = None

    @property
    def good(self) -> bool:
        """Whether nothing has to be done."""
        return self.health is not Health.FAIL

    def lines(self) -> list[str]:
        """For a terminal."""
        head = {"ok": "ok  ", "fail": "FAIL", "note": "note"}[self.health]
        told = [
            f"{head} {self.subject.en}: {self.says.en}",
            f"     {self.subject.zh}：{self.says.zh}",
        ]
        if self.todo:
            told += [f"     → {self.todo.en}", f"     → {self.todo.zh}"]
        return told

    def facts(self) -> dict[str, object]:
        """For a program: a JSON object."""
        return {
            "subject": self.subject.en,
            "health": self.health.value,
            "says": {"en": self.says.en, "zh": self.says.zh},
            "todo": {"en": self.todo.en, "zh": self.todo.zh} if self.todo else None,
        }


def well(subject: Words, en: str, zh: str) -> Finding:
    """It is as it should be."""
    return Finding(subject, Health.OK, Words(en, zh))


def worth_knowing(subject: Words, en: str, zh: str) -> Finding:
    """Not there, and need not be."""
    return Finding(subject, Health.NOTE, Words(en, zh))


def ill(subject: Words, says: Words, todo: Words) -> Finding:
    """Something has to be done."""
    return Finding(subject, Health.FAIL, says, todo)
