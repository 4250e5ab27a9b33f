"""What can wait lets pass what cannot, and not for ever."""

import asyncio

import pytest

from bot.inbound import right_of_way
from bot.inbound.right_of_way import RightOfWay


async def test_nothing_new_begins_while_something_urgent_is_under_way():
    way = RightOfWay()
    with way.taken(), way.taken():
        waiting = asyncio.create_task(way.free())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_without_anything_urgent_nobody_waits():
    free = asyncio.create_task(RightOfWay().free())
    await asyncio.sleep(0)
    assert free.done()


async def test_events_go_on_however_long_the_welcomes_take(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(right_of_way, "PATIENCE_SECONDS", 0.01)
    way = RightOfWay()
    with way.taken():
        await way.free()
