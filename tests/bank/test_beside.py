"""Work beside a block ends with it, whatever it makes of being cancelled."""

import asyncio

import pytest

from bank import beside as module
from bank.beside import beside


async def test_it_goes_on_until_the_block_is_left() -> None:
    done: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            done.append("ended")

    async with beside(work(), work()):
        await asyncio.sleep(0)
        assert done == []
    assert done == ["ended", "ended"]


async def test_a_loop_that_takes_a_cancellation_for_a_fault_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)
    rounds: list[str] = []

    async def stubborn() -> None:
        while len(rounds) < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                rounds.append("went on")

    async with beside(stubborn()):
        await asyncio.sleep(0)
    assert len(rounds) == 3


async def test_the_fault_of_one_that_ended_by_itself_is_raised_and_the_others_have_ended() -> None:
    ended: list[str] = []

    async def fails() -> None:
        raise LookupError("gone")

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waits")

    with pytest.raises(LookupError):
        async with beside(fails(), waits()):
            await asyncio.sleep(0)
    assert ended == ["waits"]


async def test_the_fault_of_the_block_comes_first() -> None:
    async def fails() -> None:
        raise LookupError("gone")

    async def block() -> None:
        async with beside(fails()):
            await asyncio.sleep(0)
            raise KeyError("block")

    with pytest.raises(KeyError):
        await block()
