"""What a rule answers: a verdict on words, or a permission. A refusal is a value with reasons."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

ReasonT = TypeVar("ReasonT", bound=StrEnum, covariant=True)


class Role(StrEnum):
    """Whose words are judged: a promise from staff may be a question from a customer."""

    RM = "rm"
    BOT = "bot"
    MATERIAL = "material"
    CUSTOMER = "customer"
    INTERNAL = "internal"


class Level(StrEnum):
    """How far a text may go: sent as it is, sent after a person has looked, or not sent."""

    PASS = "pass"
    WARN = "warn"
    BLOCK = "block"

    @property
    def severity(self) -> int:
        """0 for pass, 1 for warn, 2 for block."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One passage that breaks one rule; `start` and `end` are offsets into the original text."""

    category: str
    start: int
    end: int
    reason: str
    rule: str
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on one text; a customer's own words pass and their findings are signals."""

    level: Level
    findings: tuple[Finding, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the text may be sent without a person deciding again."""
        return self.level is Level.PASS

    @property
    def categories(self) -> frozenset[str]:
        """The categories found, whatever the level."""
        return frozenset(finding.category for finding in self.findings)


PASSED = Verdict(Level.PASS)


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """Join verdicts on the same text: the strictest level wins and no finding is said twice."""
    level = Level.PASS
    findings: dict[Finding, None] = {}
    for verdict in verdicts:
        level = max(level, verdict.level, key=lambda one: one.severity)
        findings.update(dict.fromkeys(verdict.findings))
    return Verdict(level, tuple(sorted(findings, key=lambda found: (found.start, found.end))))


@dataclass(frozen=True, slots=True)
class Allowed:
    """The act may go ahead."""


@dataclass(frozen=True, slots=True)
class Refused(Generic[ReasonT]):
    """The act may not go ahead, for every reason named."""

    reasons: tuple[ReasonT, ...]
