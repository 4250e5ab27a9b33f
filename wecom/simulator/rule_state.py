"""Sensitive-word rules (敏感词): what members may not, or should not, write to customers."""

import re
from dataclasses import dataclass, field
from datetime import datetime

BLOCK, WARN = 1, 2
MEANINGS = {
    1: re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)"),
    2: re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),
    3: re.compile(r"红包"),
}


@dataclass
class InterceptRule:
    """One rule: words and meanings (1 phone number, 2 e-mail, 3 red packet), and whom it binds."""

    rule_id: str
    name: str
    words: list[str]
    meanings: list[int]
    kind: int
    userids: list[str]
    parties: list[int]
    created_at: datetime

    def hits(self, text: str) -> str:
        """The first word or meaning found in the text, empty when there is none."""
        for word in self.words:
            if word in text:
                return word
        for meaning in self.meanings:
            if found := MEANINGS[meaning].search(text):
                return found[0]
        return ""


@dataclass
class RuleBook:
    """All rules of the corp, and the ids of those deleted."""

    rules: dict[str, InterceptRule] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)

    def verdict(self, userid: str, text: str) -> tuple[int, str]:
        """What the client does with a member's words: 0 nothing, 1 block, 2 warn; and the word."""
        warned = ""
        for rule in self.rules.values():
            # Departments are not modelled: a rule for any of them binds everybody.
            if userid not in rule.userids and not rule.parties:
                continue
            word = rule.hits(text)
            if word and rule.kind == BLOCK:
                return BLOCK, word
            warned = warned or word
        return (WARN, warned) if warned else (0, "")
