"""The plan is arithmetic on local days; the arm is a fact about a customer."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from bank.calendar import local
from scheduler.models import Arm
from scheduler.plan import StepRule, arm_of, deferred, planned_moments

START = datetime(2024, 1, 1, tzinfo=UTC)
moments = st.integers(0, 6 * 365 * 86_400).map(lambda n: START + timedelta(seconds=n))
rules = st.builds(
    StepRule,
    st.uuids(),
    st.integers(-180, 365),
    st.times().map(lambda clock: clock.replace(second=0, microsecond=0)),
)
NIGHT = datetime(2026, 11, 22, 17, 30, tzinfo=UTC)  # 01:30 on the 23rd in Shanghai


def test_day_zero_is_the_local_day_of_the_start():
    step = StepRule(uuid4(), 0, time(10))
    [planned] = planned_moments([step], NIGHT)
    assert local(planned.due_at).strftime("%Y-%m-%d %H:%M") == "2026-11-23 10:00"


def test_negative_days_lie_before_the_date():
    steps = [StepRule(uuid4(), 1, time(14, 30)), StepRule(uuid4(), -7, time(10))]
    planned = planned_moments(steps, NIGHT)
    assert [local(one.due_at).date() for one in planned] == [date(2026, 11, 16), date(2026, 11, 24)]


@given(st.lists(rules, max_size=8), moments)
def test_every_step_is_planned_once_at_its_local_time(steps: list[StepRule], starts_at: datetime):
    planned = planned_moments(steps, starts_at)
    assert sorted(one.step_id for one in planned) == sorted(step.step_id for step in steps)
    assert planned == sorted(planned, key=lambda one: one.due_at)
    clock = {step.step_id: (step.day, step.at) for step in steps}
    for one in planned:
        day, at = clock[one.step_id]
        assert local(one.due_at).time() == at
        assert local(one.due_at).date() == local(starts_at).date() + timedelta(days=day)


@given(moments, moments)
def test_a_deferral_always_moves_forward(due_at: datetime, allowed_from: datetime):
    later = deferred(due_at, allowed_from)
    assert later > due_at
    assert later >= allowed_from


@given(st.text(max_size=10), st.uuids(), st.integers(0, 50), st.integers(0, 50))
def test_the_arm_sticks_and_a_smaller_share_adds_nobody(
    salt: str, customer_id: UUID, one: int, other: int
):
    assert arm_of(salt, customer_id, one) == arm_of(salt, customer_id, one)
    small, large = sorted((one, other))
    if arm_of(salt, customer_id, small) == Arm.CONTROL:
        assert arm_of(salt, customer_id, large) == Arm.CONTROL


@given(st.uuids())
def test_without_a_share_nobody_is_in_control(customer_id: UUID):
    assert arm_of("salt", customer_id, 0) == Arm.TREATED


def test_the_share_is_the_share():
    customers = [UUID(int=number) for number in range(20_000)]
    control = sum(arm_of("sop", customer, 20) == Arm.CONTROL for customer in customers)
    assert abs(control / 20_000 - 0.20) < 0.01
