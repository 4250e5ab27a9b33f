"""Who enters a SOP, how often, and by which date."""

from datetime import date, timedelta

import pytest

from bank.calendar import local_day
from compliance.verdict import Refused
from customers.models import Customer, Follow, FollowState, Holding
from scheduler import enrolment, triggers
from scheduler.enrolment import NotEnrolled
from scheduler.models import Enrolment, EnrolmentState, SopState, TouchState, Trigger
from tests.scheduler.worlds import Bank


async def test_all_steps_are_planned_at_once(the_bank: Bank):
    await the_bank.enrolled(days=(0, 3, 7))
    due = [local_day(touch.due_at) for touch in await the_bank.touches()]
    first = local_day(the_bank.clock())
    assert due == [first, first + timedelta(days=3), first + timedelta(days=7)]


@pytest.mark.parametrize("state", [SopState.DRAFT, SopState.STOPPED])
async def test_not_into_a_sop_that_does_not_run(the_bank: Bank, state: SopState):
    rm = await the_bank.rm()
    outcome = await the_bank.enrol(await the_bank.sop(state=state), await the_bank.customer(rm), rm)
    assert outcome == Refused((NotEnrolled.SOP_NOT_RUNNING,))


async def test_not_without_a_relation(the_bank: Bank):
    rm, stranger = await the_bank.rm(), await the_bank.rm(name="赵磊")
    outcome = await the_bank.enrol(await the_bank.sop(), await the_bank.customer(rm), stranger)
    assert outcome == Refused((NotEnrolled.NO_FOLLOW,))


async def test_not_into_marketing_without_consent(the_bank: Bank):
    rm = await the_bank.rm()
    customer = await the_bank.customer(rm, consents=False)
    outcome = await the_bank.enrol(await the_bank.sop(), customer, rm)
    assert outcome == Refused((NotEnrolled.NO_CONSENT,))
    service = await the_bank.sop(marketing=False)
    assert isinstance(await the_bank.enrol(service, customer, rm), Enrolment)


async def test_not_twice_at_a_time(the_bank: Bank):
    rm, customer, sop = await the_bank.enrolled()
    assert await the_bank.enrol(sop, customer, rm) == Refused((NotEnrolled.ALREADY_IN,))


async def test_again_in_a_next_round_once_it_is_over(the_bank: Bank):
    rm, customer, sop = await the_bank.enrolled()
    await the_bank.send()
    await the_bank.platform.press_send()
    await the_bank.collect()
    again = await the_bank.enrol(sop, customer, rm)
    assert isinstance(again, Enrolment)
    assert again.round == 2


async def test_a_trigger_told_twice_enrols_once(the_bank: Bank):
    rm = await the_bank.rm()
    customer = await the_bank.customer(rm)
    await the_bank.sop(trigger=Trigger.FOLLOW_ADDED)
    await the_bank.sop(trigger=Trigger.MANUAL)
    await the_bank.sop(trigger=Trigger.FOLLOW_ADDED, state=SopState.DRAFT)
    now = the_bank.clock()
    for _ in range(2):
        async with the_bank.sessions.begin() as session:
            await enrolment.on_trigger(session, Trigger.FOLLOW_ADDED, customer.id, rm.id, now)
        async with the_bank.sessions.begin() as session:
            await enrolment.leave_all(session, customer.id, rm.id, "客户关系已解除", now)
    [entered] = await the_bank.rows(Enrolment)
    assert (entered.round, entered.state) == (1, EnrolmentState.LEFT)
    assert await the_bank.states() == {TouchState.CANCELLED: 1}


async def hold(bank: Bank, customer: Customer, matures_on: date) -> None:
    """The customer holds a product that matures on that day."""
    async with bank.sessions.begin() as session:
        session.add(
            Holding(
                customer_id=customer.id,
                product_code="P1",
                amount_cents=5_000_000,
                bought_on=matures_on - timedelta(days=90),
                matures_on=matures_on,
            )
        )


async def by_date(bank: Bank) -> int:
    """The tick that enrols by date."""
    async with bank.sessions.begin() as session:
        return await triggers.enrol_by_date(session, bank.clock())


async def test_a_maturing_product_enrols_within_the_first_steps_lead(the_bank: Bank):
    rm = await the_bank.rm()
    customer = await the_bank.customer(rm)
    await the_bank.sop(trigger=Trigger.MATURITY, days=(-7, -1, 1))
    matures_on = local_day(the_bank.clock()) + timedelta(days=8)
    await hold(the_bank, customer, matures_on)
    assert await by_date(the_bank) == 0
    the_bank.clock.forward(timedelta(days=1))
    assert await by_date(the_bank) == 1
    assert await by_date(the_bank) == 0
    days = [local_day(touch.due_at) - matures_on for touch in await the_bank.touches()]
    assert days == [timedelta(days=-7), timedelta(days=-1), timedelta(days=1)]
    [entered] = await the_bank.rows(Enrolment)
    assert entered.round == matures_on.toordinal()


async def test_the_rm_who_has_followed_longest_runs_it(the_bank: Bank):
    rm, newcomer = await the_bank.rm(), await the_bank.rm(name="赵磊")
    customer = await the_bank.customer(rm)
    async with the_bank.sessions.begin() as session:
        session.add(
            Follow(
                staff_id=newcomer.id,
                customer_id=customer.id,
                state=FollowState.ACTIVE,
                added_at=the_bank.clock(),
            )
        )
    await the_bank.sop(trigger=Trigger.MATURITY, days=(-7,))
    await hold(the_bank, customer, local_day(the_bank.clock()) + timedelta(days=3))
    assert await by_date(the_bank) == 1
    [entered] = await the_bank.rows(Enrolment)
    assert entered.staff_id == rm.id


async def test_an_assessment_that_runs_out_enrols(the_bank: Bank):
    rm = await the_bank.rm()
    now = the_bank.clock()
    await the_bank.customer(rm, assessed_at=now - timedelta(days=365 - 20))
    await the_bank.customer(rm, assessed_at=now - timedelta(days=365 - 60))
    await the_bank.customer(rm, assessed_at=now - timedelta(days=500))
    await the_bank.customer(rm, risk=None)
    await the_bank.sop(trigger=Trigger.ASSESSMENT_EXPIRY, days=(-30, -7), marketing=False)
    assert await by_date(the_bank) == 1
    assert await by_date(the_bank) == 0
    [entered] = await the_bank.rows(Enrolment)
    assert local_day(entered.starts_at) == local_day(now) + timedelta(days=20)
