"""Dividing a conversion: by hand, and for every path and amount."""

from collections import defaultdict
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.credit import MODELS, allocate, shares

# Each letter is a content; paths with how many conversions each led to. Worked out on paper.
BY_HAND = [
    (
        {"ABA": 2, "AB": 1, "B": 1, "CB": 1},
        {
            "first": {"A": "3", "B": "1", "C": "1"},
            "last": {"A": "2", "B": "3", "C": "0"},
            "linear": {"A": "11/6", "B": "8/3", "C": "1/2"},
        },
    ),
    (
        {"AAAB": 1, "AB": 1},
        {
            "first": {"A": "2", "B": "0"},
            "last": {"A": "0", "B": "2"},
            "linear": {"A": "5/4", "B": "3/4"},
        },
    ),
    ({"A": 1}, {"first": {"A": "1"}, "last": {"A": "1"}, "linear": {"A": "1"}}),
    (
        {"ABC": 3, "CBA": 1},
        {
            "first": {"A": "3", "B": "0", "C": "1"},
            "last": {"A": "1", "B": "0", "C": "3"},
            "linear": {"A": "4/3", "B": "4/3", "C": "4/3"},
        },
    ),
    (
        {"AB": 2},
        {
            "first": {"A": "2", "B": "0"},
            "last": {"A": "0", "B": "2"},
            "linear": {"A": "1", "B": "1"},
        },
    ),
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("paths", "expected"), BY_HAND)
def test_each_model_divides_as_worked_out_by_hand(
    paths: dict[str, int], expected: dict[str, dict[str, str]], model: str
) -> None:
    credited: defaultdict[str, Fraction] = defaultdict(Fraction)
    for path, conversions in paths.items():
        for content, share in zip(path, shares(model, len(path)), strict=True):
            credited[content] += conversions * share
    assert credited == {content: Fraction(s) for content, s in expected[model].items()}


@pytest.mark.parametrize(
    ("amount", "touchpoints", "cents"),
    [
        (10_000, 3, [3334, 3333, 3333]),  # 100.00 yuan over three: the odd cent to the earliest
        (2, 3, [1, 1, 0]),
        (-10_000, 3, [-3334, -3333, -3333]),
        (999_999_999_999_999, 7, [142857142857143] * 5 + [142857142857142] * 2),
    ],
)
def test_the_odd_cents_go_to_the_earliest(amount: int, touchpoints: int, cents: list[int]) -> None:
    assert allocate(amount, shares("linear", touchpoints)) == cents


AMOUNTS = st.integers(-(10**15), 10**15)
LENGTHS = st.integers(1, 60)


@st.composite
def any_shares(draw: st.DrawFn) -> list[Fraction]:
    """Shares of any policy: not negative, adding up to one."""
    weights = draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=30).filter(any))
    return [Fraction(weight, sum(weights)) for weight in weights]


@given(AMOUNTS, any_shares())
def test_the_parts_add_up_to_the_amount(amount: int, parts: list[Fraction]) -> None:
    assert sum(allocate(amount, parts)) == amount


@given(AMOUNTS, any_shares())
def test_no_part_is_a_cent_or_more_away_from_exact(amount: int, parts: list[Fraction]) -> None:
    for cents, part in zip(allocate(amount, parts), parts, strict=True):
        assert abs(cents - amount * part) < 1


@given(AMOUNTS, any_shares())
def test_a_reversal_is_the_mirror_of_the_sale(amount: int, parts: list[Fraction]) -> None:
    assert allocate(-amount, parts) == [-cents for cents in allocate(amount, parts)]


@given(AMOUNTS, LENGTHS)
def test_first_and_last_give_all_to_one(amount: int, touchpoints: int) -> None:
    others = [0] * (touchpoints - 1)
    assert allocate(amount, shares("first", touchpoints)) == [amount, *others]
    assert allocate(amount, shares("last", touchpoints)) == [*others, amount]


@given(AMOUNTS, LENGTHS)
def test_linear_parts_differ_by_a_cent_at_most(amount: int, touchpoints: int) -> None:
    cents = allocate(amount, shares("linear", touchpoints))
    assert max(cents) - min(cents) <= 1


def test_nobody_cannot_be_credited() -> None:
    with pytest.raises(ValueError, match="nobody"):
        shares("linear", 0)
    with pytest.raises(ValueError, match="first, last, linear"):
        shares("markov", 2)


@pytest.mark.parametrize("parts", [["1/2"], ["1/2", "2/3"], ["-1/2", "3/2"]])
def test_shares_that_are_none_are_refused(parts: list[str]) -> None:
    with pytest.raises(ValueError, match="add up to 1"):
        allocate(100, [Fraction(part) for part in parts])
