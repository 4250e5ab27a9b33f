"""What the compliance rules find in a material; findings inform people, they approve nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from compliance import disclosures
from compliance.guard import checked
from compliance.verdict import Finding as RuleFinding
from compliance.verdict import Level, Role
from content.models import Product


@dataclass(frozen=True)
class Finding:
    """A finding with its place: `start` and `end` are offsets into that field."""

    level: str  # block or warn
    category: str
    start: int
    end: int
    reason: str
    rule: str
    field: str  # title, body, or disclosure for what is missing

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Self:
        """A finding as kept on the version."""
        return cls(**stored)

    def stored(self) -> dict[str, Any]:
        """As kept on the version."""
        return asdict(self)


@dataclass(frozen=True)
class Segment:
    """A stretch of text; `level` is empty where nothing was found."""

    text: str
    level: str = ""
    reason: str = ""


def findings_of(title: str, body: str, about: Sequence[Product]) -> list[Finding]:
    """Wording of title and body, and the reminders its products need.

    A missing reminder warns: it is put in at sending anyway, but belongs into the text. Example
    questions are the customer's words and are not judged.
    """
    missing = disclosures.missing_from(body, about)
    return [
        *_wording(title, "title"),
        *_wording(body, "body"),
        *(_finding(found, "disclosure", Level.WARN) for found in missing),
    ]


def _wording(text: str, field: str) -> list[Finding]:
    verdict = checked(text, Role.MATERIAL)
    return [_finding(found, field, verdict.level) for found in verdict.findings]


def _finding(found: RuleFinding, field: str, level: Level) -> Finding:
    return Finding(
        level=level.value,
        category=found.category,
        start=found.start,
        end=found.end,
        reason=found.reason,
        rule=found.rule,
        field=field,
    )


def blocking(findings: Iterable[Finding]) -> bool:
    """Whether any of these stands against going live."""
    return any(finding.level == Level.BLOCK.value for finding in findings)


def marked(body: str, findings: Iterable[Finding]) -> list[Segment]:
    """The body in order, with what was found marked; overlapping findings are joined."""
    segments, reached = [], 0
    in_body = (finding for finding in findings if finding.field == "body")
    for finding in sorted(in_body, key=lambda found: (found.start, -found.end)):
        start, end = max(finding.start, reached), min(finding.end, len(body))
        if start >= end:
            continue
        segments.append(Segment(body[reached:start]))
        segments.append(Segment(body[start:end], finding.level, finding.reason))
        reached = end
    return [part for part in [*segments, Segment(body[reached:])] if part.text]
