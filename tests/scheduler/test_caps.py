"""No customer gets more marketing than the caps allow, on any local day, in any local month."""

import random
from collections import Counter
from datetime import date, timedelta

import pytest

from bank.calendar import local, local_day
from scheduler import touch_reading
from scheduler.models import TouchState
from tests.scheduler.worlds import Bank


@pytest.mark.parametrize("seed", [7, 11])
async def test_nobody_is_ever_above_the_caps(the_bank: Bank, seed: int):
    """Three SOPs at odds with each other, an RM who confirms when they like, five weeks."""
    dice = random.Random(seed)
    rm = await the_bank.rm()
    customers = [await the_bank.customer(rm) for _ in range(2)]
    for _ in range(3):
        sop = await the_bank.sop(days=sorted(dice.sample(range(34), 6)))
        for customer in customers:
            await the_bank.enrol(sop, customer, rm)
    for _ in range(35 * 2):
        the_bank.clock.forward(timedelta(hours=dice.choice((9, 12, 15))))
        await the_bank.send()
        if dice.random() < 0.6:
            await the_bank.platform.press_send()
        await the_bank.collect()

    days: Counter[tuple[str, date]] = Counter()
    months: Counter[tuple[str, int]] = Counter()
    for contact, _, at in await the_bank.platform.seen():
        days[contact, local_day(at)] += 1
        months[contact, local(at).month] += 1
    assert days
    assert max(days.values()) == 1
    assert max(months.values()) <= 4


async def test_what_is_left_of_the_month_counts_down(the_bank: Bank):
    rm, customer, _ = await the_bank.enrolled()
    settings, now = the_bank.settings, the_bank.clock()
    async with the_bank.sessions() as session:
        assert await touch_reading.marketing_left(session, customer.id, settings, now) == 4
    await the_bank.send()
    async with the_bank.sessions() as session:
        assert await touch_reading.marketing_left(session, customer.id, settings, now) == 3
        [line] = await touch_reading.of_chat(session, rm.id, customer.id)
    assert (line.state, line.sop_name, line.step_position) == (TouchState.HANDED, "新客陪伴", 1)
    assert rm.name in line.text
