"""RMs are told what waits for them: seldom, on a card, and not again today if they say so."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from bank.settings import Settings
from bot import cards
from bot.models import CardKind, InboundEvent, InboundState, MemberCard
from scheduler import reminders
from scheduler.models import Reminder, TouchState
from scheduler.reminders import NO_MORE_TODAY, RM, tell
from tests.builders import MONDAY, a_staff
from tests.conftest import Clock
from tests.scheduler.worlds import Bank
from tests.town import Town, a_town
from wecom.simulator.api_call import PLATFORM
from wecom.simulator.platform import Platform
from wecom.simulator.state import AppMessage

MONDAY_MIDNIGHT = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)  # 24:00 in Shanghai


# ------------------------------------------------------------------------------------ told


def told(bank: Bank, rm: Staff) -> list[dict[str, Any]]:
    """The cards on this RM's desktop, oldest first."""
    return [m.body for m in bank.platform.world.app_messages if m.userid == rm.userid]


async def one_more(bank: Bank, rm: Staff, sop: Any) -> None:
    """Another customer of the RM is due, and the sender runs."""
    await bank.enrol(sop, await bank.customer(rm), rm)
    await bank.send()


async def test_the_card_says_what_waits_and_where(the_bank: Bank) -> None:
    rm = await the_bank.rm()
    sop = await the_bank.sop()
    for _ in range(2):
        await the_bank.enrol(sop, await the_bank.customer(rm), rm)
    await the_bank.send()
    [card] = told(the_bank, rm)
    assert card["main_title"] == {
        "title": "有新的客户触达待您确认",
        "desc": "2 位客户的内容已放入“群发助手”，请核对后发送。",
    }
    assert [button["text"] for button in card["button_list"]] == ["今日不再提醒"]
    assert card["jump_list"][0]["url"].endswith("/touches?state=handed")


async def test_once_in_half_an_hour_however_many_tasks_there_are(the_bank: Bank) -> None:
    rm, _, sop = await the_bank.enrolled()
    await the_bank.send()
    for minutes, cards_by_then in ((10, 1), (19, 1), (1, 2), (29, 2), (1, 3)):
        the_bank.clock.forward(timedelta(minutes=minutes))
        await one_more(the_bank, rm, sop)
        assert len(told(the_bank, rm)) == cards_by_then
    assert len(the_bank.platform.tasks) == 6


async def test_every_rm_is_told_of_their_own(the_bank: Bank) -> None:
    first, _, sop = await the_bank.enrolled()
    second = await the_bank.rm(name="赵磊")
    await one_more(the_bank, second, sop)
    assert len(told(the_bank, first)) == len(told(the_bank, second)) == 1


async def test_nobody_is_told_of_nothing(the_bank: Bank) -> None:
    await the_bank.rm()
    await the_bank.send()
    assert the_bank.platform.world.app_messages == []


async def test_of_two_senders_one_tells(the_bank: Bank) -> None:
    rm = await the_bank.rm()
    waiting = {RM(rm.id, rm.userid): 3}
    bank = the_bank
    await asyncio.gather(
        *(tell(bank.sessions, bank.wecom, bank.settings, waiting, bank.clock()) for _ in range(3))
    )
    assert len(told(the_bank, rm)) == 1


async def test_a_card_that_does_not_arrive_costs_nothing(the_bank: Bank) -> None:
    rm, _, sop = await the_bank.enrolled()
    await the_bank.platform.control("faults", api=[{"path": "message/send", "answer": 40058}])
    await the_bank.send()
    assert (told(the_bank, rm), len(the_bank.platform.tasks)) == ([], 1)
    the_bank.clock.forward(timedelta(minutes=30))
    await one_more(the_bank, rm, sop)
    assert len(told(the_bank, rm)) == 1


async def test_who_wants_no_more_today_is_told_tomorrow_and_loses_no_task(the_bank: Bank) -> None:
    rm, _, sop = await the_bank.enrolled()
    await the_bank.send()
    async with the_bank.sessions.begin() as session:
        await reminders.silence(session, rm.id, the_bank.clock())
    the_bank.clock.at(MONDAY_MIDNIGHT - timedelta(hours=6))
    await one_more(the_bank, rm, sop)
    assert (len(told(the_bank, rm)), len(the_bank.platform.tasks)) == (1, 2)
    assert await the_bank.states() == {TouchState.HANDED: 2}
    the_bank.clock.at(MONDAY + timedelta(days=1))
    await one_more(the_bank, rm, sop)
    assert len(told(the_bank, rm)) == 2


# --------------------------------------------------------------------------------- pressed


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform; the RM has just been told."""
    async with a_town(settings, clock, session) as made:
        await tells(made)
        yield made


async def tells(town: Town) -> None:
    """Something waits for the RM."""
    parts, rm = town.parts, RM(town.rm.id, town.rm.userid)
    await tell(parts.sessions, parts.wecom, parts.settings, {rm: 2}, town.clock())


def platform(town: Town) -> Platform:
    """The simulated platform, to look behind its pages."""
    [mounted] = [app for app in town.app._subapps if PLATFORM in app]
    return mounted[PLATFORM]


def desktop(town: Town) -> list[AppMessage]:
    """The RM's cards, oldest first."""
    return [m for m in platform(town).world.app_messages if m.userid == town.rm.userid]


def says(town: Town, message: AppMessage) -> str:
    """What the card's button says now; empty while it can be pressed."""
    return platform(town).world.cards.face(message.msgid, message.userid).replace_name


async def presses(town: Town, message: AppMessage) -> None:
    """The RM presses 「今日不再提醒」, and the product has heard of it."""
    town.clock.forward(timedelta(seconds=1))
    await town.control("press_card", userid=message.userid, msgid=message.msgid, key=NO_MORE_TODAY)
    await heard(town)


async def heard(town: Town) -> None:
    await town.control("settle")
    await town.works()


async def silent_until(town: Town) -> datetime | None:
    [reminder] = await town.all(Reminder)
    until: datetime | None = reminder.silent_until
    return until


async def test_a_press_ends_the_reminders_of_this_local_day(town: Town) -> None:
    [card] = desktop(town)
    await presses(town, card)
    assert says(town, card) == "11月23日不再提醒"
    assert await silent_until(town) == MONDAY_MIDNIGHT
    town.clock.at(MONDAY_MIDNIGHT - timedelta(seconds=1))
    await tells(town)
    assert len(desktop(town)) == 1
    town.clock.at(MONDAY_MIDNIGHT)
    await tells(town)
    assert len(desktop(town)) == 2


async def test_the_press_is_kept_with_the_card(town: Town) -> None:
    assert await town.all(MemberCard) == []
    [card] = desktop(town)
    await presses(town, card)
    [kept] = await town.all(MemberCard)
    assert (kept.kind, kept.userids) == (CardKind.TASKS, [town.rm.userid])
    assert (kept.pressed_by, kept.button) == (town.rm.userid, NO_MORE_TODAY)
    assert kept.sent_at == MONDAY


async def test_the_same_press_handled_again_the_next_day_silences_no_other_day(town: Town) -> None:
    [card] = desktop(town)
    await presses(town, card)
    town.clock.at(MONDAY_MIDNIGHT + timedelta(hours=9))
    async with town.parts.sessions.begin() as session:
        [event] = await town.all(InboundEvent)
        again = await session.get_one(InboundEvent, event.id)
        again.state, again.lease_until = InboundState.NEW, None
    await town.works()
    assert await silent_until(town) == MONDAY_MIDNIGHT
    assert says(town, card) == "11月23日不再提醒"


async def test_an_older_card_pressed_today_silences_today(town: Town) -> None:
    town.clock.forward(timedelta(minutes=30))
    await tells(town)
    older, newer = desktop(town)
    town.clock.at(MONDAY + timedelta(days=1))
    await presses(town, older)
    assert (says(town, older), says(town, newer)) == ("11月24日不再提醒", "")
    assert await silent_until(town) == MONDAY_MIDNIGHT + timedelta(days=1)


async def test_somebody_elses_press_changes_nothing(town: Town, session: AsyncSession) -> None:
    other = await a_staff(session, Role.RM, name="赵强")
    await session.commit()
    [card] = desktop(town)
    await forged(town, other.userid, card.body["task_id"])
    [event] = await town.all(InboundEvent)
    assert (event.outcome, await silent_until(town)) == (cards.STRANGER, None)
    await presses(town, card)
    assert await silent_until(town) == MONDAY_MIDNIGHT


@pytest.mark.parametrize(
    "task_id",
    [
        "tasks-",
        "tasks-1-2",
        "tasks-00000000-0000-4000-8000-000000000000-1795399200",
        "tasks-{rm}-never",
        "tasks-{rm}-9999999999",
    ],
)
async def test_a_card_we_did_not_send_is_not_one_of_ours(town: Town, task_id: str) -> None:
    await forged(town, town.rm.userid, task_id.format(rm=town.rm.id))
    [event] = await town.all(InboundEvent)
    assert (event.outcome, await silent_until(town)) == (cards.UNKNOWN, None)


async def forged(town: Town, userid: str, task_id: str) -> None:
    """A press the simulator's people cannot make, as a callback of its own."""
    body = (
        f"<xml><ToUserName>{town.parts.settings.wecom_corp_id}</ToUserName>"
        f"<FromUserName>{userid}</FromUserName><CreateTime>{int(MONDAY.timestamp())}</CreateTime>"
        "<MsgType>event</MsgType><Event>template_card_event</Event>"
        f"<EventKey>{NO_MORE_TODAY}</EventKey><TaskId>{task_id}</TaskId>"
        "<CardType>button_interaction</CardType></xml>"
    )
    await town.parts.inbox.put(body, "", town.clock(), kind="template_card_event")
    await town.works()
