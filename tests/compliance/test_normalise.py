"""Layer 0 reads through disguise and never loses its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.normalise import normalise


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("ＡＢ１２％", "ab12%"),
        ("保\u200b本", "保本"),
        ("🈚风险", "无风险"),
        ("0️⃣亏损", "0亏损"),
        ("穩賺不賠", "稳赚不赔"),
        ("无 风 险", "无风险"),
        ("亻呆本", "保本"),
        ("蕞好", "最好"),
        ("wen赚", "稳赚"),
        ("YJBJJZ", "业绩比较基准"),
        ("不提供担保。本行", "不提供担保。本行"),
        ("环保 本身", "环保 本身"),
        ("启航 成长", "启航 成长"),
        ("余额宝本月", "余额宝本月"),
    ],
)
def test_spelling_is_folded(written: str, read: str) -> None:
    assert normalise(written).text == read


@given(st.text(alphabet=st.characters(codec="utf-16", exclude_categories=["Cs"]), max_size=80))
def test_every_character_knows_where_it_stood(text: str) -> None:
    plain = normalise(text)
    assert len(plain.text) == len(plain.starts) == len(plain.ends)
    assert all(
        0 <= start < end <= len(text) for start, end in zip(plain.starts, plain.ends, strict=True)
    )
    assert list(plain.starts) == sorted(plain.starts)


def test_a_span_covers_the_disguise() -> None:
    text = "这款保-本的"
    plain = normalise(text)
    at = plain.text.index("保本")
    start, end = plain.span(at, at + 2)
    assert text[start:end] == "保-本"
