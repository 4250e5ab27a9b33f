"""Events that only ask to look end with the look before them; no change is ever lost by it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from bank.settings import Settings
from bot.inbound.behind import ALREADY_SEEN
from bot.models import InboundEvent, InboundState
from customers.models import Follow, FollowState, GroupMember
from tests.conftest import Clock
from tests.town import Town, a_town
from wecom.client import WeComClient
from wecom.contacts import Contact

CORP = "wx5823bf96d3bd56c7"
EDIT, LEAVE = "edit_external_contact", "del_follow_user"
numbers = count(1)


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform, which calls back only where a test lets it."""
    async with a_town(settings, clock, session) as made:
        await made.control("faults", callbacks={"drop_rate": 1.0})
        yield made


async def told(town: Town, change: str = EDIT) -> None:
    """A callback about the customer is stored."""
    contact = str(town.customer.external_userid)
    second = int(town.clock().timestamp()) + next(numbers)
    body = (
        f"<xml><ToUserName>{CORP}</ToUserName><FromUserName>sys</FromUserName>"
        f"<CreateTime>{second}</CreateTime><MsgType>event</MsgType>"
        f"<Event>change_external_contact</Event><ChangeType>{change}</ChangeType>"
        f"<UserID>{town.rm.userid}</UserID><ExternalUserID>{contact}</ExternalUserID></xml>"
    )
    kind = f"change_external_contact.{change}"
    await town.parts.inbox.put(body, contact, town.clock(), kind=kind)


async def remark(town: Town, words: str) -> None:
    people = {"userid": town.rm.userid, "external_userid": town.customer.external_userid}
    await town.control("edit_remark", **people, remark=words)


async def outcomes(town: Town) -> list[str]:
    events = sorted(await town.all(InboundEvent), key=lambda event: event.id)
    return [event.outcome for event in events]


async def test_fifty_edits_of_one_customer_cost_one_question(town: Town) -> None:
    for number in range(50):
        await remark(town, f"第 {number} 次")
        await told(town)
    assert await town.parts.dispatcher.handle_new(town.clock()) == 1
    assert Counter(await outcomes(town)) == {"relation updated": 1, ALREADY_SEEN: 49}
    [follow] = await town.all(Follow)
    assert follow.remark == "第 49 次"


async def test_an_edit_behind_a_deletion_keeps_its_turn(town: Town) -> None:
    for change in (EDIT, EDIT, LEAVE, EDIT):
        await told(town, change)
    await town.parts.dispatcher.handle_new(town.clock())
    first, second, left, last, *_ = await outcomes(town)
    assert (first, second, left) == ("relation updated", ALREADY_SEEN, "relation ended")
    assert last == "not handled: the relation is over already"
    [follow] = await town.all(Follow)
    assert follow.state is FollowState.REMOVED_BY_CUSTOMER


async def test_of_a_question_without_answer_nothing_ends(town: Town) -> None:
    broken = {"path": "externalcontact/get", "times": 1, "answer": 45009}
    await town.control("faults", api=[broken])
    for _ in range(3):
        await told(town)
    await town.parts.dispatcher.handle_new(town.clock())
    events = await town.all(InboundEvent)
    assert {event.state for event in events} == {InboundState.NEW}
    assert sorted(event.attempts for event in events) == [0, 0, 1]


class Meddled:
    """WeCom's customers; right after each answer something changes and is called back."""

    def __init__(self, town: Town, times: int) -> None:
        self.town, self.left, self.asked = town, times, 0

    async def get(self, external_userid: str) -> Contact:
        """Answer, and then change what was answered."""
        self.asked += 1
        answer = await self.town.parts.wecom.contacts.get(external_userid)
        if self.left:
            self.left -= 1
            await remark(self.town, f"之后 {self.left}")
            await told(self.town)
        return answer


class Platform:
    """A client whose customers are meddled with."""

    def __init__(self, contacts: Meddled) -> None:
        self.contacts = contacts

    def __getattr__(self, name: str) -> Any:
        return getattr(self.contacts.town.parts.wecom, name)


async def test_what_changes_after_the_answer_is_asked_for_again(town: Town) -> None:
    contacts = Meddled(town, times=3)
    dispatcher = replace(town.parts.dispatcher, wecom=cast("WeComClient", Platform(contacts)))
    for _ in range(5):
        await told(town)
    await dispatcher.handle_new(town.clock())
    assert contacts.asked == 4
    [follow] = await town.all(Follow)
    assert follow.remark == "之后 0"


async def test_in_any_order_of_changes_and_looks_the_last_change_is_known(town: Town) -> None:
    """A change is told of after it happened; whatever is handled in between, it is not lost."""
    loop = asyncio.get_running_loop()

    async def story(acts: list[str]) -> None:
        last = ""
        for act in acts:
            if act == "change":
                last = f"第 {next(numbers)} 次"
                await remark(town, last)
            elif act == "tell":
                await told(town)
            else:
                await town.parts.dispatcher.handle_some(town.clock())
        await told(town)
        await town.parts.dispatcher.handle_new(town.clock())
        [follow] = await town.all(Follow)
        assert not last or follow.remark == last
        assert {event.state for event in await town.all(InboundEvent)} == {InboundState.DONE}

    @trying(
        max_examples=30,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.lists(st.sampled_from(("change", "tell", "look")), max_size=10))
    def stories(acts: list[str]) -> None:
        asyncio.run_coroutine_threadsafe(story(acts), loop).result()

    await asyncio.to_thread(stories)


async def test_changes_of_a_group_end_with_one_question_and_each_leaving_is_kept(
    town: Town,
) -> None:
    await town.control("faults", clear=True)
    names = [f"wmGUEST{number:025d}" for number in range(4)]
    people = [{"external_userid": name, "name": "客人"} for name in names]
    await town.control("seed", contacts=people)
    facts = {"owner": town.rm.userid, "name": "理财沙龙", "customers": names}
    chat = (await town.control("create_group", **facts))["chat_id"]
    await town.control("settle")
    town.clock.forward(timedelta(seconds=5))
    await town.works()
    for number, name in enumerate(names[:3]):
        town.clock.forward(timedelta(seconds=5))
        leaving = {"chat_id": chat, "userids": [name], "removed": number == 1}
        await town.control("leave_group", **leaving)
    await town.control("settle")
    town.clock.forward(timedelta(seconds=5))
    await town.works()
    assert Counter(await outcomes(town)) == {"group taken in": 2, ALREADY_SEEN: 2}
    seats = {seat.member_id: seat for seat in await town.all(GroupMember)}
    assert seats[names[3]].left_at is None
    assert [seats[name].quit_scene for name in names[:3]] == [0, 1, 0]
    assert len({seats[name].left_at for name in names[:3]}) == 3


async def test_bells_that_wait_together_are_answered_by_one_look(town: Town) -> None:
    for _ in range(5):
        second = int(town.clock().timestamp()) + next(numbers)
        body = (
            f"<xml><ToUserName>{CORP}</ToUserName><FromUserName>sys</FromUserName>"
            f"<CreateTime>{second}</CreateTime><MsgType>event</MsgType>"
            "<Event>msgaudit_notify</Event><AgentID>2000004</AgentID></xml>"
        )
        await town.parts.inbox.put(body, "", town.clock(), kind="msgaudit_notify")
    await town.parts.dispatcher.handle_new(town.clock())
    found = Counter(await outcomes(town))
    assert found == {"handled: 0 messages from the archive": 1, ALREADY_SEEN: 4}
