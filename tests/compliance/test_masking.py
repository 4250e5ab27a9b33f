"""Identifiers go, amounts, dates and product codes stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.masking import is_card_number, is_identity_number, mask

digits = st.integers(0, 9)


@st.composite
def mobiles(draw: st.DrawFn) -> str:
    rest = draw(st.lists(digits, min_size=9, max_size=9))
    return f"1{draw(st.integers(3, 9))}" + "".join(map(str, rest))


@st.composite
def identity_numbers(draw: st.DrawFn) -> str:
    born = draw(st.dates())
    place, order = draw(st.integers(110000, 659999)), draw(st.integers(0, 999))
    body = f"{place}{1940 + born.year % 80}{born:%m%d}{order:03}"
    return next(body + check for check in "0123456789X" if is_identity_number(body + check))


@st.composite
def cards(draw: st.DrawFn) -> str:
    body = "62" + "".join(map(str, draw(st.lists(digits, min_size=13, max_size=16))))
    return next(body + str(check) for check in range(10) if is_card_number(body + str(check)))


WRITERS = {
    "plain": lambda number: number,
    "wide": lambda number: number.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)}),
    "spaced": lambda number: " ".join([number[:3], number[3:7], number[7:]]),
    "dashed": lambda number: "-".join([number[:3], number[3:7], number[7:]]),
}


@pytest.mark.parametrize("writer", WRITERS)
@given(mobiles())
def test_mobiles_go_however_they_are_written(writer: str, number: str) -> None:
    masked = mask(f"我的电话{WRITERS[writer](number)}，谢谢")
    assert masked.text == "我的电话[手机号]，谢谢"
    assert masked.counts == {"mobile": 1}


@pytest.mark.parametrize("writer", WRITERS)
@given(identity_numbers())
def test_identity_numbers_go(writer: str, number: str) -> None:
    assert mask(f"身份证{WRITERS[writer](number)}").text == "身份证[身份证号]"


@pytest.mark.parametrize("writer", WRITERS)
@given(cards())
def test_cards_go(writer: str, number: str) -> None:
    masked = mask(f"卡号{WRITERS[writer](number)}。")
    assert not any(char.isdigit() for char in masked.text)


@given(identity_numbers(), digits)
def test_a_wrong_check_digit_is_no_identity_number(number: str, other: int) -> None:
    changed = number[:-1] + str(other)
    assert is_identity_number(changed) == (changed == number)


@pytest.mark.parametrize(
    "text",
    [
        "起购金额13800000000元",
        "余额为1,234,567.89元",
        "时间20261124093000",
        "产品代码C1030423000123",
        "2026-11-24至2027-11-24",
        "净值1.0345，规模15.2亿元",
        "热线95588，客户号100200300",
        "编号QX0123456789012345A",
    ],
)
def test_amounts_dates_and_codes_stay(text: str) -> None:
    assert mask(text).text == text


@given(st.decimals(min_value=0, max_value=10**9, places=2), st.dates())
def test_ordinary_figures_stay(amount: object, day: object) -> None:
    text = f"{day}到账{amount:,}元"
    assert mask(text).text == text


def test_the_rest_of_a_letter() -> None:
    text = "电话一三八零零一三八零零零，邮箱wang.li@example.com，护照E12345678，验证码：482913"
    assert mask(text).text == "电话[手机号]，邮箱[邮箱]，护照[护照号]，验证码：[验证码]"


def test_a_street_address_goes() -> None:
    masked = mask("寄到杭州市西湖区文三路138号5幢602室")
    assert masked.counts == {"address": 1}
    assert "138" not in masked.text


def test_several_identifiers_are_counted() -> None:
    assert mask("13800138000或13900139000").counts == {"mobile": 2}


@given(st.text(max_size=120))
def test_masking_twice_changes_nothing(text: str) -> None:
    once = mask(text).text
    assert mask(once).text == once
