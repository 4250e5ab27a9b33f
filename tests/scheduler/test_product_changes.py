"""After a change of rating nothing planned or handed about the product still goes out (C-03)."""

from datetime import timedelta

from scheduler.models import TouchState
from scheduler.touches import DEAD_MATERIAL
from tests.builders import a_product
from tests.content.worlds import re_rated
from tests.scheduler.worlds import Bank


async def test_a_planned_touch_is_refused_with_the_reason(the_bank: Bank) -> None:
    """The customer's C3 would still do for R3: the material itself is no longer right."""
    async with the_bank.sessions.begin() as session:
        product = await a_product(session, rating=2)
    await the_bank.enrolled_with(await the_bank.material(products=[product], risk=2), days=(0, 3))
    assert await the_bank.states() == {TouchState.PLANNED: 2}
    async with the_bank.sessions.begin() as session:
        await re_rated(session, product, 3, the_bank.clock())
    # The sender looks every minute; the touch of in three days needs no waiting either.
    the_bank.clock.forward(timedelta(seconds=60))
    sent = await the_bank.send()
    assert sent.handed == 0
    refused = [(touch.state, touch.reasons) for touch in await the_bank.touches()]
    assert refused == [(TouchState.REFUSED, [DEAD_MATERIAL])] * 2
    the_bank.clock.forward(timedelta(days=4))
    await the_bank.send()
    assert await the_bank.platform.press_send() == 0
    assert await the_bank.platform.seen() == []


async def test_a_task_that_waits_for_the_rm_is_taken_back(the_bank: Bank) -> None:
    async with the_bank.sessions.begin() as session:
        product = await a_product(session, rating=2)
    await the_bank.enrolled_with(await the_bank.material(products=[product], risk=2))
    assert (await the_bank.send()).handed == 1
    async with the_bank.sessions.begin() as session:
        await re_rated(session, product, 3, the_bank.clock())
    the_bank.clock.forward(timedelta(seconds=60))
    await the_bank.send()
    await the_bank.collect()
    assert await the_bank.platform.press_send() == 0, "the task is recalled at WeCom"
    assert (await the_bank.touch()).state is TouchState.REFUSED
