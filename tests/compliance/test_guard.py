"""`siyu guard` answers every line, and what it cannot judge it blocks."""

import json
from typing import Any

import pytest

from compliance import guard
from compliance.guard import checked, judge_lines
from compliance.verdict import Role


def answers(*lines: str, role: Role = Role.RM) -> list[dict[str, Any]]:
    return [json.loads(line) for line in judge_lines(lines, role)]


def test_lines_are_answered_in_order_with_the_contracted_fields() -> None:
    fine, bad = answers('{"text": "早上好"}', '{"text": "这款理财保本保息"}')
    assert fine["verdict"] == "pass"
    assert fine["findings"] == []
    assert bad["verdict"] == "block"
    assert set(bad["findings"][0]) == {"category", "start", "end", "reason", "rule"}
    assert bad["ms"] >= 0


def test_a_line_may_name_its_own_role() -> None:
    line = json.dumps({"text": "这个保本吧", "role": "customer"})
    assert answers(line)[0]["verdict"] == "pass"


@pytest.mark.parametrize(
    "line",
    ["", "not json", "[]", '"保本"', '{"role": "rm"}', '{"text": 5}',
     '{"text": "a", "role": "king"}',
     '{"text": "a", "role": 3}', '{"text": "a", "role": ["rm"]}', '{"text": "a", "text": "b"}',
     "[" * 100_000],
)  # fmt: skip
def test_a_malformed_line_blocks_and_the_next_is_still_answered(line: str) -> None:
    broken, fine = answers(line, '{"text": "早上好"}')
    assert broken["verdict"] == "block"
    assert [found["category"] for found in broken["findings"]] == ["malformed_input"]
    assert fine["verdict"] == "pass"


def test_unpaired_surrogates_are_judged_like_any_text() -> None:
    assert answers('{"text": "\\ud83d 早上好"}')[0]["verdict"] == "pass"


def test_when_the_rules_fail_the_answer_is_block(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str, role: Role) -> None:
        raise RuntimeError(text, role)

    monkeypatch.setattr(guard, "check", broken)
    verdict = checked("早上好", Role.RM)
    assert not verdict.allowed
    assert verdict.categories == {"internal_error"}
    assert "早上好" not in verdict.findings[0].reason


def test_milliseconds_come_from_the_stopwatch() -> None:
    ticks = iter([1.0, 1.25])
    [line] = judge_lines(['{"text": "早上好"}'], Role.RM, stopwatch=lambda: next(ticks))
    assert json.loads(line)["ms"] == 250.0
