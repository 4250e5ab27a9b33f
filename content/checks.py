"""What the compliance rules find in a material; findings inform people, they approve nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from compliance import disclosures
from compliance.guard import checked
from compliance.verdict import Finding as RuleFinding
from compliance.verdict import Level, Role
from content import benchmarks
from content.models import Product
from content.product_cards import Incomplete, card_of

CATEGORY_LABELS = {
    "guarantee_principal": "承诺保本",
    "guarantee_return": "承诺收益",
    "zero_risk": "宣称无风险",
    "past_performance": "过往业绩展示",
    "benchmark_misuse": "业绩比较基准",
    "market_prediction": "预测走势",
    "pressure_inducement": "催促诱导",
    "superlative": "绝对化用语",
    "endorsement": "不当背书",
    "disparagement": "贬低同业",
    "deposit_confusion": "混同存款",
    "concealment": "隐瞒要素",
    "suitability_evasion": "规避适当性",
    "privacy_leak": "泄露客户信息",
    "consent_dnd": "违背客户授权",
    "ai_disclosure": "身份标识",
    "misconduct": "违规行为",
    "missing_disclosure": "缺少必备提示",
    "unlisted_product": "名单外产品",
    "internal_error": "检查未完成",
}


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
        *_benchmarks(title, "title", about),
        *_benchmarks(body, "body", about),
        *(found for product in about for found in _card(product)),
    ]


def _benchmarks(text: str, field: str, about: Sequence[Product]) -> list[Finding]:
    """A figure told as a benchmark that the product master does not know (C-14)."""
    if not about:
        return []
    told = benchmarks.foreign_figures(text, [product.benchmark or "" for product in about])
    return [
        Finding(
            level=Level.BLOCK.value,
            category="benchmark_misuse",
            start=max(0, text.find(figure)),
            end=max(0, text.find(figure)) + len(figure),
            reason=f"业绩比较基准“{figure}”与产品库不一致，请按产品库的现行基准改写",
            rule="benchmark_misuse.not_in_master",
            field=field,
        )
        for figure in told
    ]


def _card(product: Product) -> list[Finding]:
    """No card without issuer, agency status, rating, term and fees (C-20)."""
    card = card_of(product)
    if not isinstance(card, Incomplete):
        return []
    return [
        Finding(
            level=Level.BLOCK.value,
            category="concealment",
            start=0,
            end=0,
            reason=f"产品“{product.name}”缺少{'、'.join(card.lacks)}，请先在产品库补齐",
            rule="concealment.product_card",
            field="product",
        )
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


def for_people(findings: Iterable[Finding]) -> list[Finding]:
    """The same findings with the category in words for the screen."""
    return [
        replace(finding, category=CATEGORY_LABELS.get(finding.category, "合规提示"))
        for finding in findings
    ]


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
