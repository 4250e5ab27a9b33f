"""微信客服 is pulled: once for each message, in whatever order bells and processes come."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.settings import Settings
from bot.models import ServiceAccount, ServiceSpeaker
from bot.service import chat as service_chat
from bot.service import words
from tests.bot.servicing import DESK, Counter, a_counter
from tests.conftest import Clock


@pytest.fixture
async def counter(
    settings: Settings, clock: Clock, session: AsyncSession
) -> AsyncIterator[Counter]:
    """A counter that answers."""
    async with a_counter(settings, clock, session) as made:
        yield made


async def test_an_empty_page_is_not_the_end(counter: Counter) -> None:
    await counter.writes()
    await counter.town.control("service_settings", empty_pages=3)
    await counter.hears()
    assert len(await counter.messages()) == 1


async def test_a_stale_token_is_left_out(counter: Counter) -> None:
    await counter.writes()
    counter.clock.forward(timedelta(minutes=11))
    await counter.hears()
    assert len(await counter.messages()) == 1


async def test_a_lost_bell_costs_a_minute(counter: Counter) -> None:
    await counter.town.control("faults", callbacks={"drop": 9})
    await counter.writes()
    await counter.hears()
    assert await counter.messages() == []
    parts = counter.town.parts
    for _ in range(2):
        await service_chat.pull_without_bell(
            parts.sessions, parts.wecom, counter.settings, counter.clock()
        )
    assert len(await counter.messages()) == 1


async def test_many_processes_store_each_message_once(counter: Counter) -> None:
    for number in range(12):
        await counter.writes(f"第{number}个问题")
    await counter.town.control("service_settings", untokened_a_minute=1000)
    await asyncio.gather(*(counter.pulls() for _ in range(6)), counter.hears())
    assert [m.text for m in await counter.messages()] == [f"第{n}个问题" for n in range(12)]


async def test_a_page_that_comes_twice_changes_nothing(counter: Counter) -> None:
    """As after a restore of the cursor alone."""
    await counter.writes()
    await counter.hears()
    async with counter.town.parts.sessions.begin() as session:
        (await session.get_one(ServiceAccount, DESK)).cursor = ""
    assert await counter.pulls() == 0
    assert len(await counter.messages()) == 1


async def test_who_enters_is_told_that_a_machine_answers(counter: Counter) -> None:
    await counter.hand("service_enter", external_userid=counter.who)
    await counter.hears()
    [welcome] = counter.got()
    assert "智能助手" in welcome
    assert "转人工" in welcome
    assert (await counter.chat()).sent_since == 0


async def test_a_welcome_after_20_seconds_is_not_tried(counter: Counter) -> None:
    await counter.hand("service_enter", external_userid=counter.who)
    counter.clock.forward(timedelta(seconds=20))
    await counter.hears()
    assert counter.got() == []
    assert [m.failure for m in await counter.messages()] == [words.LATE_WELCOME]


async def test_no_machine_is_announced_where_none_answers(counter: Counter) -> None:
    await counter.switch(on=False)
    await counter.hand("service_enter", external_userid=counter.who)
    await counter.hears()
    assert counter.got() == []


async def test_what_a_servicer_says_is_kept_as_a_persons(counter: Counter) -> None:
    rm = counter.town.rm.userid
    await counter.writes("转人工")
    await counter.works()
    await counter.hand("service_accept", external_userid=counter.who, servicer=rm)
    await counter.hand(
        "service_answer", external_userid=counter.who, servicer=rm, text="您好，我是王敏"
    )
    await counter.works()
    last = (await counter.messages())[-1]
    assert (last.speaker, last.text) == (ServiceSpeaker.SERVICER, "您好，我是王敏")
    chat = await counter.chat()
    assert (chat.state, chat.servicer) == (3, rm)
    await counter.hand("service_end", external_userid=counter.who)
    await counter.works()
    assert (await counter.chat()).state == 4
    await counter.writes()
    await counter.works()
    assert counter.got()[-1].startswith("【AI生成】")


async def test_a_message_taken_back_loses_its_text(counter: Counter) -> None:
    msgid = await counter.writes("我的卡号是6222020200112233446")
    await counter.hears()
    await counter.hand("service_recall", msgid=msgid)
    await counter.hears()
    [message] = await counter.messages()
    assert (message.text, message.failure) == ("", words.RECALLED)


async def test_the_platforms_name_for_a_customer_is_learnt(counter: Counter) -> None:
    await counter.writes()
    await counter.hears()
    assert (await counter.chat()).nickname == counter.town.customer.name


async def test_accounts_are_learnt_and_start_switched_off(counter: Counter) -> None:
    await counter.town.control("service_account", name="信用卡客服", open_kfid="wkCards")
    parts = counter.town.parts
    assert await service_chat.learn_accounts(parts.sessions, parts.wecom) == 2
    accounts = {a.open_kfid: a for a in await counter.town.all(ServiceAccount)}
    assert (accounts["wkCards"].name, accounts["wkCards"].automatic) == ("信用卡客服", False)
    assert accounts[DESK].automatic


STEPS = ("ask", "ask", "odd", "thanks", "person", "pause", "days", "accept", "answer", "end")


@pytest.mark.parametrize("seed", range(6))
async def test_no_walk_breaks_a_rule_of_the_platform(counter: Counter, seed: int) -> None:
    """Never an answer outside state 0 or 1, never a sixth message, never one after 48 hours."""
    chance = random.Random(seed)
    for _ in range(25):
        await step(counter, chance.choice(STEPS))
        if chance.random() < 0.7:
            await asyncio.gather(*(counter.works() for _ in range(chance.randint(1, 2))))
    counter.clock.forward(timedelta(minutes=1))
    await counter.works()
    assert broken(counter) == []
    assert any("kf/send_msg" in path for path, _ in counter.platform.gate.counts)
    assert_answers_obey(counter)
    waiting = [m for m in await counter.messages() if not m.answered]
    assert waiting == []


def broken(counter: Counter) -> list[int]:
    """What the platform refused of our messages: 48 hours, five messages, a wrong state."""
    counts = counter.platform.gate.counts
    paths = ("kf/send_msg", "/cgi-bin/kf/send_msg")
    return [n for n in (95001, 95002, 95018) for path in paths if counts[path, n]]


def assert_answers_obey(counter: Counter) -> None:
    """Read from the platform's own record of the chat."""
    ours = since = 0
    wrote_at = None
    for item in counter.hall.chat(DESK, counter.who):
        if item.origin == 3:
            wrote_at, since = item.at, 0
        elif item.origin == 0:
            ours, since = ours + 1, since + 1
            assert wrote_at is not None
            assert item.at - wrote_at <= timedelta(hours=48)
            assert since <= 5
    marked = [t for t in counter.got() if t not in (words.HANDOVER,) and "自动答复" not in t]
    assert all(text.startswith("【AI生成】") for text in marked)


async def step(counter: Counter, name: str) -> None:
    """Something happens at the counter; what is impossible now does not."""
    rm, who = counter.town.rm.userid, counter.who
    match name:
        case "ask":
            await counter.writes()
        case "odd":
            await counter.writes("食堂的红烧肉是谁烧的")
        case "thanks":
            await counter.writes("谢谢")
        case "person":
            await counter.writes("转人工")
        case "pause":
            counter.clock.forward(timedelta(minutes=5))
        case "days":
            counter.clock.forward(timedelta(hours=47, minutes=59))
        case "accept" if counter.state() == 2:
            await counter.hand("service_accept", external_userid=who, servicer=rm)
        case "answer" if counter.state() == 3:
            await counter.hand("service_answer", external_userid=who, servicer=rm, text="您好")
        case "end" if counter.state() == 3:
            await counter.hand("service_end", external_userid=who)
