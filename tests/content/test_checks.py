"""What the rules find in a material, and where it is marked."""

import yaml

from compliance.wording import CATEGORIES
from content.checks import CATEGORY_LABELS, Finding, blocking, findings_of, marked
from content.models import Product, ProductKind

PROMISE = "您放心，这款产品保本保收益，不会亏。"


def test_a_promise_blocks_and_points_to_its_words() -> None:
    findings = findings_of("标题", PROMISE, [])
    assert blocking(findings)
    assert any("保本" in PROMISE[one.start : one.end] for one in findings)
    assert {one.field for one in findings} == {"body"}


def test_a_promise_is_found_behind_a_customers_question_too() -> None:
    assert blocking(findings_of("标题", f"客户问：这款保本吗？\n\n{PROMISE}", []))
    assert blocking(findings_of(f"客户：{PROMISE}", "正文很平常。", []))


def test_a_missing_reminder_warns_and_does_not_block() -> None:
    sold = Product.model_construct(
        name="云岫30天", kind=ProductKind.WEALTH, issuer="云州理财", agency=True,
        issuer_rating=2, bank_rating=2, term_days=30, open_rule="", fees="管理费 0.20%/年",
        benchmark=None,
    )  # fmt: skip
    findings = findings_of("云岫30天", "云岫30天每个工作日开放申购。", [sold])
    assert {(one.level, one.field) for one in findings} == {("warn", "disclosure")}
    assert not blocking(findings)


def test_a_plain_text_has_no_findings() -> None:
    assert findings_of("赎回多久到账", "赎回确认后，资金一般在下一个工作日到账。", []) == []


def test_a_finding_is_kept_on_the_version_as_it_is() -> None:
    (finding, *_) = findings_of("标题", PROMISE, [])
    assert Finding.read(yaml.safe_load(yaml.safe_dump(finding.stored()))) == finding


def test_marked_text_is_the_text_and_overlapping_findings_are_joined() -> None:
    def at(start: int, end: int, field: str = "body") -> Finding:
        return Finding("block", "c", start, end, "r", "x", field)

    parts = marked("零一二三四五", [at(1, 3), at(2, 4), at(0, 6, "title"), at(5, 99)])
    assert "".join(part.text for part in parts) == "零一二三四五"
    assert [part.text for part in parts if part.level] == ["一二", "三", "五"]


def test_every_category_of_the_rules_has_its_words_on_screen() -> None:
    assert set(CATEGORIES) <= CATEGORY_LABELS.keys()
