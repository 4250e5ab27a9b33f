"""Cards that act: pressed once, by those who got them, and saying what happened."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from bank.settings import Settings
from bot import cards, member_cards
from bot.models import CardKind, InboundEvent, InboundState, MemberCard
from tests.bot.servicing import Counter, a_counter
from tests.builders import a_staff
from tests.conftest import Clock
from wecom.cards import Button, ButtonCard, Title
from wecom.simulator import Member


@pytest.fixture
async def counter(
    settings: Settings, clock: Clock, session: AsyncSession
) -> AsyncIterator[Counter]:
    """A counter that answers."""
    async with a_counter(settings, clock, session) as made:
        yield made


async def a_waiting_customer(counter: Counter, session: AsyncSession) -> Staff:
    """A customer in the queue, and a second servicer; both servicers have the card."""
    other = await a_staff(session, Role.RM, name="赵强")
    await session.commit()
    counter.platform.world.members[other.userid] = Member(other.userid, other.name)
    account = counter.hall.accounts["wkTownDesk"]
    account.servicers[other.userid] = True
    await counter.writes("转人工")
    await counter.works()
    return other


async def presses(counter: Counter, userid: str, **wish: Any) -> None:
    """A member presses 「我来接待」, and the product handles it."""
    [card] = await counter.cards()
    await counter.town.control("press_card", userid=userid, task_id=card.task_id, key="take")
    await counter.town.control("settle")
    await counter.works()


def says(counter: Counter, userid: str) -> str:
    """What the button of the member's card says now."""
    [message] = [
        m
        for m in counter.platform.world.app_messages
        if m.userid == userid and m.msgtype == "template_card"
    ]
    return counter.platform.world.cards.face(message.msgid, userid).replace_name


async def test_the_press_gives_the_customer_to_the_one_who_pressed(
    counter: Counter, session: AsyncSession
) -> None:
    other = await a_waiting_customer(counter, session)
    rm = counter.town.rm
    await presses(counter, rm.userid)
    chat = await counter.chat()
    assert (counter.state(), chat.state, chat.servicer) == (3, 3, rm.userid)
    assert says(counter, rm.userid) == says(counter, other.userid) == "王敏已接待"
    [card] = await counter.cards()
    assert (card.pressed_by, card.button) == (rm.userid, "take")


async def test_of_two_the_first_press_wins(counter: Counter, session: AsyncSession) -> None:
    other = await a_waiting_customer(counter, session)
    [card] = await counter.cards()
    for userid in (counter.town.rm.userid, other.userid):
        await counter.town.control("press_card", userid=userid, task_id=card.task_id, key="take")
    await counter.town.control("settle")
    await asyncio.gather(counter.works(), counter.works())
    chat = await counter.chat()
    [card] = await counter.cards()
    assert chat.servicer == card.pressed_by != ""
    assert counter.hall.session("wkTownDesk", counter.who).servicer == card.pressed_by


async def test_the_same_press_twice_does_nothing_twice(
    counter: Counter, session: AsyncSession
) -> None:
    await a_waiting_customer(counter, session)
    await counter.town.control("faults", callbacks={"duplicate": 5})
    await presses(counter, counter.town.rm.userid)
    await presses_again(counter)
    assert (await counter.chat()).servicer == counter.town.rm.userid


async def presses_again(counter: Counter) -> None:
    """The stored callback is handled once more, as after a crash."""
    async with counter.town.parts.sessions.begin() as session:
        for event in await counter.town.all(InboundEvent):
            if event.kind == "template_card_event":
                row = await session.get_one(InboundEvent, event.id)
                row.state, row.lease_until = InboundState.NEW, None
    await counter.works()


async def test_who_is_not_receiving_is_told_and_another_may_press(
    counter: Counter, session: AsyncSession
) -> None:
    other = await a_waiting_customer(counter, session)
    await counter.hand("service_receiving", servicer=other.userid, receiving=False)
    await presses(counter, other.userid)
    told = [m for m in counter.platform.world.app_messages if m.userid == other.userid]
    assert "停止接待" in str(told[-1].body)
    await presses(counter, counter.town.rm.userid)
    assert (await counter.chat()).servicer == counter.town.rm.userid


async def test_a_customer_taken_in_the_client_is_not_taken_again(
    counter: Counter, session: AsyncSession
) -> None:
    other = await a_waiting_customer(counter, session)
    await counter.hand("service_accept", external_userid=counter.who, servicer=other.userid)
    await presses(counter, counter.town.rm.userid)
    assert (await counter.chat()).servicer == other.userid
    assert says(counter, counter.town.rm.userid) == "已由赵强接待"


async def test_a_card_we_never_sent_is_kept_and_said_so(counter: Counter) -> None:
    rm, wecom = counter.town.rm.userid, counter.town.parts.wecom
    card = ButtonCard(Title("来自别处"), (Button("好", "ok"),), task_id="elsewhere-1")
    await wecom.messages.send([rm], card)
    await counter.town.control("press_card", userid=rm, task_id="elsewhere-1", key="ok")
    await counter.town.control("settle")
    await counter.works()
    outcomes = [e.outcome for e in await counter.town.all(InboundEvent)]
    assert outcomes == [cards.UNKNOWN]
    assert says(counter, rm) == "卡片已失效"


async def test_a_card_is_written_down_before_it_is_sent(counter: Counter) -> None:
    parts, rm = counter.town.parts, counter.town.rm.userid
    card = ButtonCard(Title("客户流失提醒"), (Button("已知悉", "seen"),), task_id="churn-1")
    await counter.town.control("faults", api=[{"path": "message/send", "answer": "60020"}])
    with pytest.raises(Exception, match="60020"):
        await member_cards.send(
            parts.sessions, parts.wecom, CardKind.CHURN, "1", [rm], card, counter.clock()
        )
    [row] = await counter.town.all(MemberCard)
    assert (row.task_id, row.pressed_at) == ("churn-1", None)
