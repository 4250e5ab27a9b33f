"""Levels match, assessments expire to the second, age has its say."""

from datetime import UTC, datetime, timedelta

import pytest

from compliance.suitability import Unsuitable, customer_ceiling, expires_at, may_recommend
from compliance.verdict import Allowed, Refused

ASSESSED = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("customer", range(1, 6))
@pytest.mark.parametrize("product", range(1, 6))
def test_a_product_is_never_above_the_customer(customer: int, product: int) -> None:
    answer = may_recommend(customer, ASSESSED, product, NOW, 40)
    if product <= customer:
        assert answer == Allowed()
    else:
        assert answer == Refused((Unsuitable.RISK_ABOVE_CUSTOMER,))


def test_an_assessment_counts_for_twelve_months_to_the_second() -> None:
    last = expires_at(ASSESSED)
    assert last == datetime(2027, 3, 10, 2, 0, tzinfo=UTC)
    assert customer_ceiling(3, ASSESSED, last) == 3
    assert customer_ceiling(3, ASSESSED, last + SECOND) == 0
    assert may_recommend(3, ASSESSED, 1, last + SECOND, 40) == Refused(
        (Unsuitable.ASSESSMENT_EXPIRED,)
    )


def test_an_assessment_from_the_future_is_no_evidence() -> None:
    assert customer_ceiling(3, NOW, NOW - SECOND) == 0
    assert customer_ceiling(3, NOW, NOW) == 3


def test_a_leap_day_expires_on_the_last_of_february() -> None:
    assert expires_at(datetime(2028, 2, 29, 4, 0, tzinfo=UTC)) == datetime(
        2029, 2, 28, 4, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("level", "at"), [(None, ASSESSED), (3, None), (0, ASSESSED), (6, ASSESSED)]
)
def test_without_an_assessment_only_education_is_left(
    level: int | None, at: datetime | None
) -> None:
    assert customer_ceiling(level, at, NOW) == 0
    assert may_recommend(level, at, 1, NOW, 40) == Refused((Unsuitable.NOT_ASSESSED,))


@pytest.mark.parametrize("product", [None, 0, 6])
def test_an_unrated_product_is_never_recommended(product: int | None) -> None:
    answer = may_recommend(5, ASSESSED, product, NOW, 40)
    assert isinstance(answer, Refused)
    assert Unsuitable.PRODUCT_UNRATED in answer.reasons


@pytest.mark.parametrize(
    ("age", "product", "reasons"),
    [
        (17, 1, (Unsuitable.MINOR,)),
        (18, 1, ()),
        (64, 3, ()),
        (65, 2, ()),
        (65, 3, (Unsuitable.SENIOR_NEEDS_NOTICE,)),
        (None, 5, ()),
    ],
)
def test_age_has_its_say(age: int | None, product: int, reasons: tuple[Unsuitable, ...]) -> None:
    answer = may_recommend(5, ASSESSED, product, NOW, age)
    assert answer == (Refused(reasons) if reasons else Allowed())
    assert all(reason.label for reason in reasons)


def test_the_special_notice_opens_the_way_for_seniors_and_for_nobody_else() -> None:
    assert may_recommend(5, ASSESSED, 3, NOW, 70, notice_given=True) == Allowed()
    assert may_recommend(5, ASSESSED, 1, NOW, 17, notice_given=True) == Refused((Unsuitable.MINOR,))
