"""A thousand virtual days: the platform stays quick, its logs and its state stay short."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.wecom.test_simulator import CHEN, LI, NOON, WU, Platform, a_platform, a_world
from wecom.simulator import World
from wecom.simulator.state import Message

DAYS, A_DAY = 1000, 30


def a_long_history() -> World:
    """Tens of thousands of messages between two people over a thousand days."""
    world = a_world()
    for number in range(DAYS * A_DAY):
        world.messages.append(
            Message(
                seq=number + 1,
                msgid=f"m{number}",
                userid=LI,
                external_userid=CHEN if number % 3 else WU,
                from_customer=bool(number % 2),
                msgtype="text",
                body={"content": f"第 {number} 句"},
                via="chat",
                at=NOON - timedelta(days=DAYS) + timedelta(days=number // A_DAY),
            )
        )
    return world


async def a_day(platform: Platform) -> None:
    """A customer asks, the member answers, a mass send goes out, a night passes."""
    for wish in ({"from": CHEN, "to": LI, "text": "在吗"}, {"from": LI, "to": CHEN, "text": "在"}):
        await platform.http.post(f"{platform.base}/control/message", json=wish)
    task = await platform.api(
        "externalcontact/add_msg_template", {"sender": LI, "text": {"content": "日历"}}
    )
    confirmed: dict[str, Any] = {"msgid": task["msgid"], "userid": LI}
    await platform.http.post(f"{platform.base}/control/confirm_task", json=confirmed)
    await platform.control("clock", forward_seconds=86400)


async def test_days_pass_on_top_of_a_thousand_others():
    async with a_platform(a_long_history()) as platform:
        for _ in range(30):
            await a_day(platform)
        assert len(platform.world.messages) == DAYS * A_DAY + 30 * 4
        assert len(platform.world.chat(LI, CHEN)) == 20 * DAYS + 30 * 3
        assert platform.world.last_to_chat(CHEN) == LI
        state = await platform.get("control/state")
        assert state["counts"]["messages"] == len(platform.world.messages)
        assert len(state["world"]["messages"]) == 200
        assert len(state["deliveries"]) <= 500
        assert len((await platform.get("control/calls"))["calls"]) <= 500


async def test_what_two_said_is_found_as_it_grows():
    world = a_long_history()
    assert len(world.chat(LI, WU)) == DAYS * A_DAY // 3
    last = world.messages[-1]
    world.messages.append(replace(last, seq=last.seq + 1, external_userid=WU))
    assert world.chat(LI, WU)[-1].seq == last.seq + 1
