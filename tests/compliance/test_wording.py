"""What the wording check promises, sentence by sentence and over the whole regression set."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.verdict import Level, Role, merge
from compliance.wording import CATEGORIES, check

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "sentences.jsonl").read_text("utf-8").splitlines()
]
VIOLATIONS = [row for row in ROWS if row["label"] == "violate"]
COMPLIANT = [row for row in ROWS if row["label"] == "ok"]


def blocked(text: str, role: Role = Role.RM) -> bool:
    return not check(text, role).allowed


def test_the_regression_set_is_caught_and_its_look_alikes_pass() -> None:
    missed = [row["text"] for row in VIOLATIONS if not blocked(row["text"])]
    stopped = [row["text"] for row in COMPLIANT if blocked(row["text"])]
    assert len(missed) <= 0.03 * len(VIOLATIONS), missed
    assert len(stopped) <= 0.03 * len(COMPLIANT), stopped


def test_the_regression_set_covers_every_category_on_both_sides() -> None:
    for rows in (VIOLATIONS, COMPLIANT):
        counts = Counter(row["category"] for row in rows)
        assert all(counts[category] >= 5 for category in CATEGORIES), counts
    assert len(CATEGORIES) == 18


@pytest.mark.parametrize(
    "text",
    [
        "医保本月已扣款",
        "投保本产品须年满十八周岁",
        "环保本身就是主题之一",
        "不提供担保。本行仅代销",
        "担保 本行不承担",
        "余额宝本月账单",
        "前期站稳，赚取差价并非易事",
        "余额为零。风险提示请见附件",
    ],
)
def test_words_that_only_meet_at_a_border_are_not_a_promise(text: str) -> None:
    assert check(text, Role.RM).findings == ()


@pytest.mark.parametrize(
    "text",
    [
        "保-本-保-息",
        "保\u200b本保息",
        "b@o本保息",
        "亻呆本",
        "BBBX专属",
        "这款保 本的",
        "飛單介紹給您",
        "零️⃣ 灵风险",
    ],
)
def test_disguised_spelling_is_read(text: str) -> None:
    assert blocked(text)


@pytest.mark.parametrize(
    ("excused", "meant"),
    [
        ("理财不保本", "理财保本"),
        ("我不能承诺稳赚", "我承诺稳赚"),
        ("所谓稳赚不赔都是骗局", "稳赚不赔"),
        ("存款保本保息", "理财保本保息"),
        ("请问是否保本", "当然保本"),
        ("到期已到账，实际年化2.1%", "到期肯定有年化2.1%"),
    ],
)
def test_the_same_words_pass_where_they_deny_warn_ask_or_state_a_fact(
    excused: str, meant: str
) -> None:
    assert not blocked(excused)
    assert blocked(meant)


def test_a_promise_behind_a_disclaimer_is_still_a_promise() -> None:
    assert blocked("写是写非保本，其实从没亏过本金")
    assert blocked("按规定不能承诺保本，您懂的")


def test_announcing_not_to_say_it_needs_a_person() -> None:
    assert check("我绝不会说：这款保本保息", Role.RM).level is Level.WARN


def test_a_customers_words_pass_and_are_kept_as_signals() -> None:
    verdict = check("你不是说保本的吗", Role.CUSTOMER)
    assert verdict.allowed
    assert "guarantee_principal" in check("这个肯定保本", Role.CUSTOMER).categories
    assert check("客户：这个肯定保本", Role.RM).allowed


def test_colleagues_may_name_a_promise_but_not_a_way_round_the_rules() -> None:
    assert check("保本理财这个词", Role.INTERNAL).level is Level.WARN
    assert check("测评答案照着填就能买", Role.INTERNAL).level is Level.BLOCK


def test_a_bot_never_calls_itself_a_person() -> None:
    assert blocked("我是真人，您放心聊", Role.BOT)
    assert not blocked("我是智能助手，需要人工请告诉我", Role.BOT)


def test_a_benchmark_needs_its_notice_in_the_same_message() -> None:
    figure = "业绩比较基准2.8%—3.2%"
    assert "benchmark_misuse" in check(figure, Role.MATERIAL).categories
    assert not blocked(figure + "，根据投资组合测算，不代表未来表现，不构成收益承诺", Role.MATERIAL)


def test_past_performance_needs_both_dates_and_the_notice() -> None:
    notice = "，过往业绩不代表其未来表现，投资须谨慎"
    assert check("近一年收益率3.1%", Role.RM).level is Level.BLOCK
    assert check("近一年收益率3.1%" + notice, Role.RM).level is Level.WARN
    assert not blocked("近一年（2025.1.1—2025.12.31）收益率3.1%" + notice)


def test_findings_point_into_the_original_text() -> None:
    text = "您好😊，这款Ｂ@Ｏ本，放心。"
    [finding] = [one for one in check(text, Role.RM).findings if one.rule.endswith("named")]
    assert text[finding.start : finding.end] == "Ｂ@Ｏ本"
    assert finding.reason


@given(st.text(max_size=200))
def test_any_text_is_judged_and_every_offset_lies_inside_it(text: str) -> None:
    for role in Role:
        for finding in check(text, role).findings:
            assert 0 <= finding.start < finding.end <= len(text)


def noised(text: str, noise: str) -> str:
    return noise.join(text)


@pytest.mark.parametrize("noise", ["\u200b", "\ufe0f", "·"])
def test_separators_between_characters_hide_nothing(noise: str) -> None:
    caught = [row["text"] for row in VIOLATIONS if blocked(row["text"])]
    lost = [text for text in caught if not blocked(noised(text, noise))]
    assert len(lost) <= 0.02 * len(caught), lost


def test_full_width_letters_and_digits_hide_nothing() -> None:
    wide = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    caught = [row["text"] for row in VIOLATIONS if blocked(row["text"])]
    lost = [text for text in caught if not blocked(text.translate(wide))]
    assert len(lost) <= 0.02 * len(caught), lost


@pytest.mark.parametrize(
    "polite", ["{}祝您生活愉快。", "您好，{}", "{}有问题随时联系我。", "早上好！{}"]
)
def test_politeness_turns_no_compliant_text_into_a_violation(polite: str) -> None:
    passing = [row["text"] for row in COMPLIANT if not blocked(row["text"])]
    assert [text for text in passing if blocked(polite.format(text))] == []


def test_merging_keeps_the_strictest_level_and_each_finding_once() -> None:
    one, other = check("保本", Role.RM), check("保本", Role.INTERNAL)
    merged = merge([one, other, one])
    assert merged.level is Level.BLOCK
    assert merged.findings == one.findings
