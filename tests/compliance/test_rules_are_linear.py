"""Every pattern reads any text in time proportional to its length."""

import importlib
import re
import re._parser as parser
from collections.abc import Iterator
from time import perf_counter, process_time

import pytest

from compliance.phrases import compiled
from compliance.verdict import Role
from compliance.wording import RULES, check

MODULES = [
    "scope",
    "offers",
    "lookalikes",
    "contact",
    "citations",
    "masking",
    "unlisted",
    "wording",
]


def phrases() -> Iterator[re.Pattern[str]]:
    for rule in RULES:
        yield from map(compiled, rule.phrases)


def module_patterns() -> Iterator[re.Pattern[str]]:
    for name in MODULES:
        for value in vars(importlib.import_module(f"compliance.{name}")).values():
            if isinstance(value, re.Pattern):
                yield value
            elif isinstance(value, tuple):
                yield from (
                    one[0]
                    for one in value
                    if isinstance(one, tuple) and one and isinstance(one[0], re.Pattern)
                )


def repeats(node: object, depth: int = 0) -> Iterator[tuple[int, int]]:
    """Each repetition in a parsed pattern as its upper bound and how deep it is nested."""
    if isinstance(node, parser.SubPattern):
        for op, argument in node:
            if str(op) in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
                _, high, inner = argument
                yield int(high), depth
                yield from repeats(inner, depth + (int(high) > 1))
            else:
                yield from repeats(argument, depth)
    elif isinstance(node, tuple | list):
        for part in node:
            yield from repeats(part, depth)


@pytest.mark.parametrize("patterns", [phrases, module_patterns])
def test_repetition_is_bounded_and_hardly_nested(patterns) -> None:  # type: ignore[no-untyped-def]
    for pattern in patterns():
        for high, depth in repeats(parser.parse(pattern.pattern)):
            assert high <= 4000, pattern.pattern
            assert depth <= 1, pattern.pattern


ADVERSARIAL = ["本金", "保", "亏我", "的", "1", "不", "ai", "客户", "%", "收益", "a b "]


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_no_rule_slows_down_on_a_hundred_thousand_characters(unit: str) -> None:
    text = (unit * 100_000)[:100_000]
    for rule in RULES:
        for phrase in rule.phrases:
            pattern = compiled(phrase)
            started = perf_counter()
            sum(1 for _ in pattern.finditer(text))
            assert perf_counter() - started < 5, (rule.id, phrase)


def test_a_short_message_is_judged_within_twenty_milliseconds() -> None:
    text = ("您好，本周理财夜校讲如何看懂产品说明书，净值型产品会波动，请结合自身情况考虑。" * 10)[
        :300
    ]
    check(text, Role.RM)
    fastest = min(_seconds(text) for _ in range(5))
    assert fastest < 0.02


def _seconds(text: str) -> float:
    started = process_time()
    check(text, Role.RM)
    return process_time() - started
