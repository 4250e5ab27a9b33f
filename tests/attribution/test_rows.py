"""A line of the bank's file is read exactly, or refused in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.rows import Row, read_row
from tests.attribution.worlds import a_row
from tests.builders import MONDAY

GOOD: dict[str, Any] = a_row("C000001")


def read(**cells: Any) -> Row | str:
    """The good line with other cells."""
    return read_row(GOOD | cells, MONDAY)


@pytest.mark.parametrize(
    ("amount", "cents"),
    [
        ("100", 10_000),
        ("100.5", 10_050),
        ("1,234,567.89", 123_456_789),
        ("-100.00", -10_000),
        ("+0.01", 1),
        ("100.1000", 10_010),
        (100, 10_000),
        (0.29, 29),
        (" 12.00 ", 1_200),
    ],
)
def test_yuan_become_exact_cents(amount: object, cents: int) -> None:
    row = read(amount=amount)
    assert isinstance(row, Row)
    assert row.amount_cents == cents


@pytest.mark.parametrize(
    "amount",
    ["12.345", "1,23.00", "12万", "1e3", "NaN", "Infinity", "1e999999999", "１２", "9" * 16],
)
def test_an_amount_that_is_not_yuan_is_refused(amount: str) -> None:
    assert "两位小数" in str(read(amount=amount))


@pytest.mark.parametrize("amount", ["0", "0.00", "-0", 0])
def test_nothing_cannot_be_divided(amount: object) -> None:
    assert read(amount=amount) == "金额为 0，没有可以归因的内容"


@given(st.integers(-(10**16), 10**16).filter(bool))
def test_every_amount_survives_being_written_and_read(cents: int) -> None:
    sign, whole = ("-" if cents < 0 else ""), abs(cents)
    row = read(amount=f"{sign}{whole // 100:,}.{whole % 100:02d}")
    assert isinstance(row, Row)
    assert row.amount_cents == cents


@pytest.mark.parametrize(
    "at",
    [
        "2026-11-20 10:30:00",
        "2026/11/20 10:30:00",
        "2026-11-20T02:30:00+00:00",
        datetime(2026, 11, 20, 10, 30),  # noqa: DTZ001 - as a spreadsheet has it
        datetime(2026, 11, 20, 2, 30, tzinfo=UTC),
    ],
)
def test_a_time_without_zone_is_beijing_time(at: object) -> None:
    row = read(happened_at=at)
    assert isinstance(row, Row)
    assert row.at == datetime(2026, 11, 20, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize("at", ["昨天", "2026-13-01", "0001-01-01 00:00:00", "20.11.2026"])
def test_an_unknown_time_is_refused(at: str) -> None:
    assert "无法识别" in str(read(happened_at=at))


def test_a_sale_that_is_yet_to_come_is_refused() -> None:
    assert "晚于导入时间" in str(read(happened_at=(MONDAY + timedelta(hours=1)).isoformat()))
    assert isinstance(read(happened_at=(MONDAY + timedelta(minutes=2)).isoformat()), Row)


def test_what_is_missing_is_named_in_words() -> None:
    assert read(customer_no="", amount=None) == "缺少客户号、金额"
    assert read_row({}, MONDAY) == "缺少流水号、客户号、产品代码、金额、成交时间"


@pytest.mark.parametrize("reference", ["R\x001", "R\n1", "R" * 65])
def test_a_cell_that_is_no_word_is_refused(reference: str) -> None:
    assert read(reference=reference) == "流水号过长或含有不可见字符"


def test_chinese_headings_are_read_too() -> None:
    raw = {
        "流水号": "R1",
        "客户号": 1001,
        "产品代码": "YX90D",
        "金额": 12.5,
        "成交时间": "2026-11-20 10:30",
    }
    row = read_row(raw, MONDAY)
    assert isinstance(row, Row)
    assert (row.reference, row.bank_no, row.amount_cents) == ("R1", "1001", 1250)
