"""Judge the words of a message: normalise, read, find phrases, weigh where they stand, say why.

The classifier reads every sentence; phrases say exactly what is wrong where it is not sure the
sentence is harmless; what must stand beside a figure or a product is counted, not read.

The same words are judged by who says them: a customer's pass and become signals, staff training
may name a promise but not a way round the rules, everything that reaches a customer must be clean.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cache

from compliance import conduct, promises, promotion
from compliance.advice import ADVICE
from compliance.normalise import Normalised, normalise
from compliance.offers import lacks
from compliance.phrases import Rule, compiled
from compliance.reading import Stretch, likelihood, stretches
from compliance.scope import Excuse, announced, excuse, winked, without_announcements
from compliance.unlisted import unlisted
from compliance.verdict import PASSED, Finding, Level, Role, Verdict

RULES: tuple[Rule, ...] = (*promises.RULES, *promotion.RULES, *conduct.RULES)
# From here on a sentence is judged to break a rule; where customers can lose most, sooner.
VIOLATION, CRITICAL_VIOLATION = 0.52, 0.4
# A few characters say too little to be judged by a doubt, a part of a sentence even less.
FEW_CHARACTERS, CLEAR_VIOLATION, PART_VIOLATION = 6, 0.9, 0.95
CRITICAL = frozenset(
    {"guarantee_principal", "guarantee_return", "misconduct", "privacy_leak", "suitability_evasion"}
)
# Below this a phrase alone does not count: of learnt sentences judged lower by a classifier that
# had not seen them, those a phrase stands in are harmless more often than not.
HARMLESS = 0.3
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


def check(text: str, role: Role, known: Collection[str] | None = None) -> Verdict:
    """Judge a text as the words of `role`; every finding points into the original text.

    `known` are the names and approved texts a product may be named in; None: do not look (C-09).
    """
    if not text.strip():
        return PASSED
    plain = normalise(text)
    read = stretches(_as_meant(plain.text, role))
    judged = [*_phrases(plain, role, read), *_lacking(plain, role), *_learnt(plain, role, read)]
    if known is not None and role is not Role.CUSTOMER:
        judged += [(Level.WARN, finding) for finding in unlisted(plain, known)]
    findings = sorted({finding for _, finding in judged}, key=lambda one: (one.start, one.end))
    level = max((level for level, _ in judged), key=lambda one: one.severity, default=Level.PASS)
    return Verdict(level, tuple(findings))


def _phrases(plain: Normalised, role: Role, read: Sequence[Stretch]) -> Iterator[_Judged]:
    heard_as = Role.RM if role is Role.CUSTOMER else role
    quoted = _quoted(plain.text, role)
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
    """A phrase in a sentence that reads as harmless does not, unless it ends in a wink.

    In a few characters there is nothing to read but the phrase.
    """
    return len(text) <= FEW_CHARACTERS or likelihood(read, start) >= HARMLESS or winked(text, end)


def _learnt(plain: Normalised, role: Role, read: Sequence[Stretch]) -> Iterator[_Judged]:
    """What the classifier finds by itself in words of ours; customers' words are never judged."""
    if role is Role.CUSTOMER:
        return
    quoted = _quoted(plain.text, role)
    violating = [stretch for stretch in read if _violates(stretch)]
    for stretch in violating:
        start, end = stretch.span
        if any(start in words for words in quoted) or _told_by_a_sentence(stretch, violating):
            continue
        category = stretch.judgement.category
        first, last = plain.span(start, end)
        advice, rule = ADVICE[category], f"{category}.learnt"
        finding = Finding(category, first, last, advice.reason, rule, advice.suggestion)
        announced_only = announced(plain.text, start)
        yield Level.WARN if announced_only else _level(category, role), finding


def _told_by_a_sentence(whole: Stretch, violating: Sequence[Stretch]) -> bool:
    """Whether a sentence inside says it already: the whole is read for what shows only together."""
    return any(
        not one.is_part
        and whole.start <= one.start
        and one.end <= whole.end
        and (one.start, one.end) != (whole.start, whole.end)
        for one in violating
    )


def _violates(stretch: Stretch) -> bool:
    if stretch.is_part:
        return stretch.judgement.probability >= PART_VIOLATION
    if stretch.end - stretch.start < FEW_CHARACTERS:
        return stretch.judgement.probability >= CLEAR_VIOLATION
    critical = stretch.judgement.category in CRITICAL
    return stretch.judgement.probability >= (CRITICAL_VIOLATION if critical else VIOLATION)


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
    if role in {Role.CUSTOMER, Role.INTERNAL} or _quoted(plain.text, role):
        return
    for lack in lacks(plain.text):
        start, end = plain.span(lack.start, lack.end)
        rule = f"{lack.category}.{lack.name}"
        finding = Finding(lack.category, start, end, lack.reason, rule, lack.suggestion)
        yield (Level.WARN if lack.doubtful else Level.BLOCK), finding


def _as_meant(text: str, role: Role) -> str:
    """The text without 我绝不会说：, and in a material, all of which we say, without 客户：."""
    meant = without_announcements(text)
    if role is not Role.MATERIAL:
        return meant
    return _CUSTOMER_SPEAKS.sub(lambda mark: " " * len(mark[0]), meant)


def _quoted(text: str, role: Role) -> list[range]:
    """The stretches marked 客户： up to the answer or the end of the line; none in a material."""
    if role is Role.MATERIAL:
        return []
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
