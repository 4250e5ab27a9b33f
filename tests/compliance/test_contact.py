"""Consent, quiet hours, holidays and caps; and hearing a customer who says stop."""

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.contact import (
    DEFAULT_POLICY,
    ConsentFacts,
    ContactPolicy,
    HoursTooWide,
    NoContact,
    NoOpenTime,
    Purpose,
    may_contact,
    next_allowed_time,
    recognise_complaint,
    recognise_refusal,
)
from compliance.verdict import Allowed, Refused

SHANGHAI = timezone(timedelta(hours=8))
TUESDAY = datetime(2026, 11, 24, 10, 0, tzinfo=SHANGHAI)
CONSENT = ConsentFacts(TUESDAY - timedelta(days=90))
SECOND = timedelta(seconds=1)


def refused(*reasons: NoContact) -> Refused[NoContact]:
    return Refused(reasons)


def test_a_customer_who_agreed_may_be_written_to_in_the_morning() -> None:
    assert may_contact(CONSENT, [], TUESDAY) == Allowed()


def test_marketing_needs_consent_and_service_does_not() -> None:
    assert may_contact(None, [], TUESDAY) == refused(NoContact.NO_CONSENT)
    assert may_contact(None, [], TUESDAY, purpose=Purpose.SERVICE) == Allowed()


def test_a_withdrawal_holds_from_its_own_second() -> None:
    consent = ConsentFacts(CONSENT.given_at, withdrawn_at=TUESDAY)
    assert may_contact(consent, [], TUESDAY - SECOND) == Allowed()
    assert may_contact(consent, [], TUESDAY) == refused(NoContact.CONSENT_WITHDRAWN)


@pytest.mark.parametrize(
    ("clock", "open_"),
    [
        (time(8, 59, 59), False),
        (time(9, 0, 0), True),
        (time(20, 59, 59), True),
        (time(21, 0, 0), False),
        (time(0, 0, 0), False),
    ],
)
def test_quiet_hours_are_exact_in_shanghai(clock: time, open_: bool) -> None:
    now = datetime.combine(TUESDAY.date(), clock, SHANGHAI).astimezone(UTC)
    answer = may_contact(CONSENT, [], now)
    assert answer == (Allowed() if open_ else refused(NoContact.QUIET_HOURS))


def test_one_message_a_local_day_and_four_a_month() -> None:
    earlier_today = TUESDAY - timedelta(minutes=30)
    assert may_contact(CONSENT, [earlier_today], TUESDAY) == refused(NoContact.DAILY_CAP)
    four = [TUESDAY - timedelta(days=days) for days in (2, 4, 6, 8)]
    assert may_contact(CONSENT, four, TUESDAY) == refused(NoContact.MONTHLY_CAP)
    last_month = [TUESDAY - timedelta(days=days) for days in (30, 32, 34, 36)]
    assert may_contact(CONSENT, last_month, TUESDAY) == Allowed()


def test_the_day_turns_at_midnight_in_shanghai_not_in_utc() -> None:
    late = datetime(2026, 11, 23, 20, 0, tzinfo=SHANGHAI)
    assert may_contact(CONSENT, [late.astimezone(UTC)], TUESDAY) == Allowed()


def test_holidays_are_left_alone() -> None:
    assert may_contact(CONSENT, [], TUESDAY, [TUESDAY.date()]) == refused(NoContact.HOLIDAY)


def test_every_reason_is_told_at_once_and_has_words() -> None:
    answer = may_contact(None, [TUESDAY], TUESDAY.replace(hour=23), [TUESDAY.date()])
    assert answer == refused(
        NoContact.NO_CONSENT, NoContact.QUIET_HOURS, NoContact.HOLIDAY, NoContact.DAILY_CAP
    )
    assert all(reason.label for reason in NoContact)


def test_hours_may_be_narrowed_and_not_widened() -> None:
    assert ContactPolicy(opens=time(10), closes=time(18)).opens == time(10)
    for opens, closes in ((time(8), time(20)), (time(9), time(22)), (time(12), time(12))):
        with pytest.raises(HoursTooWide):
            ContactPolicy(opens=opens, closes=closes)


def test_the_next_time_skips_the_night_holidays_and_full_days() -> None:
    night = TUESDAY.replace(hour=22)
    wednesday = datetime(2026, 11, 25, 9, 0, tzinfo=SHANGHAI)
    assert next_allowed_time(night) == wednesday
    assert next_allowed_time(night, holidays=[wednesday.date()]) == wednesday + timedelta(days=1)
    assert next_allowed_time(TUESDAY, recent=[TUESDAY]) == wednesday
    four = [TUESDAY - timedelta(days=days) for days in (2, 4, 6, 8)]
    assert next_allowed_time(TUESDAY, recent=four) == datetime(2026, 12, 1, 9, tzinfo=SHANGHAI)


def test_no_time_is_found_when_nothing_is_allowed() -> None:
    with pytest.raises(NoOpenTime):
        next_allowed_time(TUESDAY, policy=ContactPolicy(per_day=0))


moments = st.integers(min_value=0, max_value=5 * 365 * 86400).map(
    lambda seconds: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@given(
    moments,
    st.lists(moments, max_size=8),
    st.sets(st.dates(min_value=date(2025, 1, 1), max_value=date(2030, 1, 1)), max_size=5),
)
def test_the_next_time_is_later_and_allowed(
    now: datetime, recent: list[datetime], holidays: set[date]
) -> None:
    later = next_allowed_time(now, recent, holidays)
    assert later > now
    assert may_contact(ConsentFacts(now), recent, later, holidays) == Allowed()
    assert DEFAULT_POLICY.per_day == 1


@pytest.mark.parametrize(
    "text",
    ["TD", "td。", "Ｔ", "退订", "别再发了", "不要再给我发这些", "不需要，谢谢", "不感兴趣",
     "请勿打扰", "以后别给我打电话了", "我不想再收到这些消息"],
)  # fmt: skip
def test_a_refusal_is_heard(text: str) -> None:
    assert recognise_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "好的谢谢",
        "需要带身份证吗",
        "这个不需要手续费吗？",
        "什么时候发给我",
        "不用排队吗？",
        "T+1到账",
    ],
)
def test_an_ordinary_question_is_no_refusal(text: str) -> None:
    assert not recognise_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "我要投诉你们",
        "再不处理我打12378",
        "你上次说亏了你赔的",
        "当初不是说保本的吗",
        "我要去法院告你们",
        "你们这是骗人",
    ],
)
def test_a_complaint_is_heard(text: str) -> None:
    assert recognise_complaint(text)


@pytest.mark.parametrize(
    "text", ["今天净值多少", "理财什么时候到期", "谢谢经理", "帮我看看定投", "手机13812345678"]
)
def test_an_ordinary_message_is_no_complaint(text: str) -> None:
    assert not recognise_complaint(text)
