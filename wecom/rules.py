"""Sensitive words (敏感词): what WeCom stops members from sending to customers."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.limits import characters, some, unique

MAX_WORDS: Final = 300
MAX_RANGE: Final = 1000
BLOCKED, WARNED = 1, 2


class Pattern(enum.IntEnum):
    """What is recognised without a word, in WeCom's numbers."""

    PHONE = 1
    EMAIL = 2
    RED_PACKET = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for these members and departments; `blocks` stops the message, otherwise it warns."""

    name: str
    words: tuple[str, ...]
    members: tuple[str, ...] = ()
    departments: tuple[int, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    blocks: bool = True

    def __post_init__(self) -> None:
        characters("rule name", self.name, 20)
        some("rule words", self.words, MAX_WORDS, least=0)
        if not self.words and not self.patterns:
            raise ValueError("a rule needs a word or a pattern")
        unique("rule words", self.words)
        for word in self.words:
            characters("rule word", word, 32)
        if not self.members and not self.departments:
            raise ValueError("a rule needs a member or a department")
        some("rule members", self.members, MAX_RANGE, least=0)
        some("rule departments", self.departments, MAX_RANGE, least=0)

    def said(self) -> dict[str, object]:
        """Name, words, patterns and what happens, as WeCom takes them."""
        return {
            "rule_name": self.name,
            "word_list": list(self.words),
            "semantics_list": [int(pattern) for pattern in self.patterns],
            "intercept_type": BLOCKED if self.blocks else WARNED,
        }


@dataclass(frozen=True, slots=True)
class RuleListed:
    """A rule in the list."""

    rule_id: str
    name: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class RuleFound:
    """A rule as WeCom keeps it."""

    rule_id: str
    rule: Rule


class Rules:
    """Creates, reads, changes and ends rules; a hundred a company."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def create(self, rule: Rule) -> str:
        """Create a rule and return its id; OutcomeUnknown if it may exist: find it by its name."""
        fields = {**rule.said(), "applicable_range": _range(rule.members, rule.departments)}
        return await self._calls.create(
            "externalcontact/add_intercept_rule",
            fields,
            lambda answer: answer.text("rule_id"),
            facts={"name": rule.name},
        )

    async def get(self, rule_id: str) -> RuleFound:
        """Return a rule with its words."""
        asked = {"rule_id": rule_id}
        answer = await self._calls.post("externalcontact/get_intercept_rule", asked)
        return _found(answer.part("rule"), rule_id)

    async def all(self) -> list[RuleListed]:
        """Return all rules, without their words."""
        answer = await self._calls.get("externalcontact/get_intercept_rule_list")
        return [
            RuleListed(
                row.text("rule_id"), row.text("rule_name", ""), row.moment_or_none("create_time")
            )
            for row in answer.parts("rule_list")
        ]

    async def update(
        self,
        rule_id: str,
        rule: Rule,
        *,
        no_longer_members: Sequence[str] = (),
        no_longer_departments: Sequence[int] = (),
    ) -> None:
        """Replace name, words and effect; add the rule's members, take off those named here."""
        fields: dict[str, object] = {
            "rule_id": rule_id,
            **rule.said(),
            "add_applicable_range": _range(rule.members, rule.departments),
        }
        if no_longer_members or no_longer_departments:
            gone = _range(no_longer_members, no_longer_departments)
            fields["remove_applicable_range"] = gone
        await self._calls.post("externalcontact/update_intercept_rule", fields)

    async def delete(self, rule_id: str) -> None:
        """End a rule."""
        await self._calls.post("externalcontact/del_intercept_rule", {"rule_id": rule_id})


def _range(members: Sequence[str], departments: Sequence[int]) -> dict[str, object]:
    return {"user_list": list(members), "department_list": list(departments)}


def _found(row: Answer, rule_id: str) -> RuleFound:
    reached = row.part("applicable_range")
    known = {int(pattern) for pattern in Pattern}
    extra = row.part_or_none("extra_rule")
    semantics = (extra or row).numbers("semantics_list")
    try:
        rule = Rule(
            name=row.text("rule_name", ""),
            words=tuple(row.texts("word_list")),
            members=tuple(reached.texts("user_list")),
            departments=tuple(reached.numbers("department_list")),
            patterns=tuple(Pattern(number) for number in semantics if number in known),
            blocks=row.number("intercept_type", BLOCKED) == BLOCKED,
        )
    except ValueError as impossible:
        raise row.unreadable("rule") from impossible
    # The official sample writes the id as a number here and as a text everywhere else.
    return RuleFound(rule_id, rule)
