"""Numbers are traced to a source by value and unit, sentences by their citation."""

import pytest

from compliance.citations import ungrounded_sentences, untraceable_numbers


def strangers(draft: str, *sources: str) -> list[str]:
    return [draft[start:end] for start, end in untraceable_numbers(draft, sources)]


@pytest.mark.parametrize(
    ("draft", "source"),
    [
        ("10万元起购", "起购金额100,000元"),
        ("费率3.50%", "费率为百分之三点五"),
        ("封闭90天", "封闭期９０日"),
        ("2026年5月6日开放", "开放日：2026-05-06"),
        ("风险等级r2", "本产品为R2（中低风险）"),
        ("T+1，17:00截止", "当日17:00前，T+1确认"),
        ("三个月开放一次", "每3个月开放"),
        ("您持有5万元", "持有金额：50000元"),
    ],
)
def test_the_same_number_in_other_clothes_is_traced(draft: str, source: str) -> None:
    assert strangers(draft, source) == []


@pytest.mark.parametrize(
    ("draft", "source", "unknown"),
    [
        ("收益3.8%", "业绩比较基准2.8%", ["3.8%"]),
        ("封闭180天", "封闭期90天", ["180天"]),
        ("R3产品", "风险等级R2", ["R3"]),
        ("90元", "90天", ["90元"]),
        ("5月7日开放", "5月6日开放", ["5月7日"]),
        ("百分之四", "3%", ["百分之四"]),
    ],
)
def test_a_number_no_source_says_is_pointed_out(
    draft: str, source: str, unknown: list[str]
) -> None:
    assert strangers(draft, source) == unknown


def test_without_sources_every_number_is_a_stranger() -> None:
    assert strangers("1万元起，封闭30天") == ["1万元", "30天"]


def test_the_digits_of_a_citation_are_no_claim() -> None:
    assert strangers("封闭90天[m-17]", "封闭90天") == []


def test_a_sentence_without_a_citation_is_pointed_out() -> None:
    draft = "您好。封闭期为90天。[a1]到期自动赎回。"
    assert [draft[start:end] for start, end in ungrounded_sentences(draft, ["a1"])] == [
        "到期自动赎回。"
    ]


def test_a_citation_must_be_one_that_was_given() -> None:
    draft = "封闭期为90天。[b2]"
    assert ungrounded_sentences(draft, ["a1"]) == [(0, len(draft))]
    assert ungrounded_sentences(draft, ["b2"]) == []


def test_courtesy_needs_no_citation() -> None:
    assert ungrounded_sentences("王女士您好！谢谢您的关注。如有疑问请随时联系我。", []) == []
