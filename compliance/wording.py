"""Judge the words of a message: normalise, read, find phrases, weigh where they stand, say why.

The classifier reads every sentence; phrases say exactly what is wrong where it is not sure the
sentence is harmless; what must stand beside a figure or a product is counted, not read.

The same words are judged by who says them: a customer's pass and become signals, staff training
may name a promise but not a way round the rules, everything that reaches a customer must be clean.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from compliance import conduct, promises, promotion
from compliance.advice import ADVICE
from compliance.normalise import Normalised, normalise
from compliance.offers import lacks
from compliance.phrases import Rule, compiled
from compliance.reading import Stretch, likelihood, stretches
from compliance.scope import Excuse, excuse, winked
from compliance.verdict import PASSED, Finding, Level, Role, Verdict

RULES: tuple[Rule, ...] = (*promises.RULES, *promotion.RULES, *conduct.RULES)
# A sentence is judged to break a rule from here on; a phrase alone does not count below the other.
VIOLATION, HARMLESS = 0.45, 0.1
CATEGORIES = tuple(dict.fromkeys([*(rule.category for rule in RULES), "missing_disclosure"]))
_CONDUCT = frozenset(rule.category for rule in conduct.RULES)
_CUSTOMER_SPEAKS = re.compile(
    r"(?:^|(?<=[,。!?\n]))[【\[(“\"]?客户(?:来信|来电|留言|反馈|追问|原话|提问|问|说|称|答|a|b)?[】\])]?\s?[::]"
)
_STAFF_ANSWERS = re.compile(
    r"\n|(?:客户经理|经理|理财师|顾问|我|答|回复|回答|回|rm)"
    r"(?:答|说|回复)?\s?:"
)
_Judged = tuple[Level, Finding]


def check(text: str, role: Role) -> Verdict:
    """Judge a text as the words of `role`; every finding points into the original text."""
    if not text.strip():
        return PASSED
    plain = normalise(text)
    read = stretches(plain.text)
    judged = [*_phrases(plain, role, read), *_lacking(plain, role), *_learnt(plain, role, read)]
    findings = sorted({finding for _, finding in judged}, key=lambda one: (one.start, one.end))
    level = max((level for level, _ in judged), key=lambda one: one.severity, default=Level.PASS)
    return Verdict(level, tuple(findings))


def _phrases(plain: Normalised, role: Role, read: Sequence[Stretch]) -> Iterator[_Judged]:
    heard_as = Role.RM if role is Role.CUSTOMER else role
    quoted = _customers_words(plain.text)
    for rule in RULES:
        if heard_as.value not in rule.roles:
            continue
        for start, end in _hits(rule, plain.text):
            why_not = excuse(plain.text, start, end, rule.category)
            if why_not is Excuse.ANNOUNCED:
                yield Level.WARN, _finding(plain, rule, start, end)
            elif why_not is None and _counts(plain.text, start, end, read):
                speaker = Role.CUSTOMER if any(start in words for words in quoted) else role
                yield _level(rule.category, speaker), _finding(plain, rule, start, end)


def _counts(text: str, start: int, end: int, read: Sequence[Stretch]) -> bool:
    """A phrase in a sentence that reads as harmless does not, unless it ends in a wink."""
    return likelihood(read, start) >= HARMLESS or winked(text, end)


def _learnt(plain: Normalised, role: Role, read: Sequence[Stretch]) -> Iterator[_Judged]:
    """What the classifier finds by itself in words of ours; customers' words are never judged."""
    if role is Role.CUSTOMER:
        return
    quoted = _customers_words(plain.text)
    for stretch in read:
        if stretch.judgement.probability < VIOLATION:
            continue
        start, end = stretch.span
        if any(start in words for words in quoted):
            continue
        category = stretch.judgement.category
        first, last = plain.span(start, end)
        advice, rule = ADVICE[category], f"{category}.learnt"
        finding = Finding(category, first, last, advice.reason, rule, advice.suggestion)
        yield _level(category, role), finding


def _hits(rule: Rule, text: str) -> Iterator[tuple[int, int]]:
    """Where a rule's phrases occur, overlapping occurrences told once."""
    spans = sorted(match.span() for pattern in _patterns(rule) for match in pattern.finditer(text))
    last_end = -1
    for start, end in spans:
        if start >= last_end and end > start:
            yield start, end
            last_end = end


@cache
def _patterns(rule: Rule) -> tuple[re.Pattern[str], ...]:
    return tuple(compiled(phrase) for phrase in rule.phrases)


def _lacking(plain: Normalised, role: Role) -> Iterator[_Judged]:
    """What a message to customers leaves out; colleagues and customers need no reminders."""
    if role in {Role.CUSTOMER, Role.INTERNAL} or _customers_words(plain.text):
        return
    for lack in lacks(plain.text):
        start, end = plain.span(lack.start, lack.end)
        rule = f"{lack.category}.{lack.name}"
        finding = Finding(lack.category, start, end, lack.reason, rule, lack.suggestion)
        yield (Level.WARN if lack.doubtful else Level.BLOCK), finding


def _customers_words(text: str) -> list[range]:
    """The stretches marked 客户： up to the answer or the end of the line."""
    stretches = []
    for match in _CUSTOMER_SPEAKS.finditer(text):
        answer = _STAFF_ANSWERS.search(text, match.end())
        stretches.append(range(match.end(), answer.start() if answer else len(text)))
    return stretches


def _level(category: str, role: Role) -> Level:
    if role is Role.CUSTOMER:
        return Level.PASS
    if role is Role.INTERNAL and category not in _CONDUCT:
        return Level.WARN
    return Level.BLOCK


def _finding(plain: Normalised, rule: Rule, start: int, end: int) -> Finding:
    first, last = plain.span(start, end)
    return Finding(rule.category, first, last, rule.reason, rule.id, rule.suggestion)
