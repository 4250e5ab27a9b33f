"""The check as a gate: it answers for every line, and when it cannot judge it blocks."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from time import perf_counter
from typing import Any

from compliance.verdict import Finding, Level, Role, Verdict
from compliance.wording import check


class MalformedLine(ValueError):
    """The line is not an object with a text and, if it names one, a known role."""


def checked(text: str, role: Role, known: Collection[str] | None = None) -> Verdict:
    """Judge a text as `wording.check` does; when the rules themselves fail, the answer is block."""
    try:
        return check(text, role, known)
    except Exception as error:
        reason = f"合规检查未能完成（{type(error).__name__}），内容暂不可发送"
        return _blocked("internal_error", reason, len(text) if isinstance(text, str) else 0)


def judge_lines(
    lines: Iterable[str],
    default_role: Role,
    stopwatch: Callable[[], float] = perf_counter,
    known: Collection[str] | None = None,
) -> Iterator[str]:
    """One JSON verdict for each JSON line, in the same order; a line that cannot be read blocks.

    `stopwatch` gives seconds and is only used for the `ms` each answer reports. `known` are the
    products that may be offered; None: nobody looks for others.
    """
    for line in lines:
        started = stopwatch()
        verdict = _judge(line, default_role, known)
        yield json.dumps(_as_json(verdict, (stopwatch() - started) * 1000), ensure_ascii=False)


def _judge(line: str, default_role: Role, known: Collection[str] | None) -> Verdict:
    try:
        text, role = _read(line, default_role)
    except MalformedLine as error:
        return _blocked("malformed_input", str(error))
    except (ValueError, RecursionError):
        return _blocked("malformed_input", "这一行不是合法的 JSON")
    return checked(text, role, known)


def _read(line: str, default_role: Role) -> tuple[str, Role]:
    row = json.loads(line, object_pairs_hook=_without_doubles)
    if not isinstance(row, dict):
        raise MalformedLine("每行应为一个 JSON 对象")
    text = row.get("text")
    if not isinstance(text, str):
        raise MalformedLine("缺少字符串字段 text")
    named = row.get("role")
    if named is None:
        return text, default_role
    if named not in list(Role):
        raise MalformedLine("role 只能是 rm、bot、material、customer、internal 之一")
    return text, Role(named)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """With two values under one key, one text could be judged and another one sent."""
    row = dict(pairs)
    if len(row) != len(pairs):
        raise MalformedLine("同一字段出现了两次")
    return row


def _blocked(category: str, reason: str, length: int = 0) -> Verdict:
    finding = Finding(category, 0, length, reason, rule=f"guard.{category}")
    return Verdict(Level.BLOCK, (finding,))


def _as_json(verdict: Verdict, milliseconds: float) -> dict[str, Any]:
    findings = [
        {
            "category": found.category,
            "start": found.start,
            "end": found.end,
            "reason": found.reason,
            "rule": found.rule,
        }
        for found in verdict.findings
    ]
    return {"verdict": verdict.level.value, "findings": findings, "ms": round(milliseconds, 3)}
