"""What WeCom is asked to create is written down first, and looked up when its answer is lost."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta

import pytest
from sqlmodel import col, select

from bank.database import Sessions
from bot.intents import CONTACT_WAY, NOT_LISTED, SEVERAL, LookedUp, WrittenIntents, look_up
from bot.models import IntentState, PlatformIntent
from tests.conftest import Clock
from tests.wecom.doors import Door, simulator
from wecom.client import WeComClient
from wecom.contact_ways import ContactWay
from wecom.errors import ContactWayRefused, OutcomeUnknown
from wecom.intents import IntentState as Outcome
from wecom.join_ways import JoinWay
from wecom.mass_sends import MassSend
from wecom.messages import Text
from wecom.moments import Moment
from wecom.rules import Rule
from wecom.to_customers import ToCustomers

WAY = ContactWay(("LiMin",), "hz-01", "大堂")
Act = Callable[[WeComClient], Awaitable[object]]
CREATIONS: dict[str, Act] = {
    "add_contact_way": lambda client: client.contact_ways.create(WAY),
    "add_moment_task": lambda client: ToCustomers(client).moment(
        Moment("周报", senders=("LiMin",))
    ),
    "create_link": lambda client: client.links.create("三月沙龙", ["LiMin"]),
    "add_corp_tag": lambda client: client.tags.create(["稳健型"], group_name="风险偏好"),
    "add_intercept_rule": lambda client: client.rules.create(Rule("承诺", ("保本",), ("LiMin",))),
}


@pytest.fixture
async def door(sessions: Sessions, clock: Clock) -> AsyncIterator[Door]:
    """The simulator, and a client of it that writes its intents."""
    async with simulator(intents=WrittenIntents(sessions, clock), now=clock) as one:
        yield one


async def the_intents(sessions: Sessions) -> list[PlatformIntent]:
    """All intents, oldest first."""
    async with sessions() as session:
        query = select(PlatformIntent).order_by(col(PlatformIntent.created_at))
        return list((await session.execute(query)).scalars())


class TestWritten:
    async def test_a_creation_is_an_intent_and_then_done(
        self, door: Door, sessions: Sessions, clock: Clock
    ) -> None:
        made = await door.client.contact_ways.create(WAY)
        [row] = await the_intents(sessions)
        assert (row.call, row.state, row.result) == (CONTACT_WAY, IntentState.DONE, made.config_id)
        assert row.facts == {"state": "hz-01", "members": ["LiMin"], "remark": "大堂"}
        assert (row.created_at, row.settled_at) == (clock(), clock())

    async def test_it_is_committed_before_the_call(self, sessions: Sessions, clock: Clock) -> None:
        found: list[IntentState] = []

        class Watching(WrittenIntents):
            """Looks into the table before the call leaves."""

            async def open(self, call: str, facts: Mapping[str, object]) -> str:
                """As before, with a look."""
                key = await super().open(call, facts)
                found.extend(row.state for row in await the_intents(sessions))
                return key

        async with simulator(intents=Watching(sessions, clock)) as other:
            await other.client.contact_ways.create(WAY)
        assert found == [IntentState.INTENT]

    async def test_a_refusal_is_written_down(self, door: Door, sessions: Sessions) -> None:
        await door.hand("settings", contact_ways=0)
        with pytest.raises(ContactWayRefused):
            await door.client.contact_ways.create(WAY)
        [row] = await the_intents(sessions)
        assert row.state == IntentState.REFUSED
        assert "41045" in row.result

    async def test_a_mass_send_keeps_the_intent_of_the_scheduler_alone(
        self, door: Door, sessions: Sessions
    ) -> None:
        await ToCustomers(door.client).mass_send(MassSend("LiMin", ("wmChen",), "周报"))
        assert await the_intents(sessions) == []


class TestLookedUp:
    @pytest.mark.parametrize("path", CREATIONS)
    async def test_what_was_created_without_an_answer_is_found(
        self, door: Door, sessions: Sessions, clock: Clock, path: str
    ) -> None:
        await door.lose(path)
        with pytest.raises(OutcomeUnknown):
            await CREATIONS[path](door.client)
        [row] = await the_intents(sessions)
        assert row.state == IntentState.UNKNOWN
        clock.forward(timedelta(minutes=2))
        assert await look_up(sessions, door.client, clock()) == LookedUp(done=1)
        [row] = await the_intents(sessions)
        assert row.state == IntentState.DONE
        assert row.result
        assert await look_up(sessions, door.client, clock()) == LookedUp()

    @pytest.mark.parametrize("path", CREATIONS)
    async def test_what_was_never_created_is_abandoned_after_ten_minutes(
        self, door: Door, sessions: Sessions, clock: Clock, path: str
    ) -> None:
        await door.hand("faults", api=[{"path": path, "times": 1, "answer": "502"}])
        with pytest.raises(OutcomeUnknown):
            await CREATIONS[path](door.client)
        clock.forward(timedelta(minutes=2))
        assert await look_up(sessions, door.client, clock()) == LookedUp(waiting=1)
        clock.forward(timedelta(minutes=8))
        assert await look_up(sessions, door.client, clock()) == LookedUp(abandoned=1)

    async def test_a_crash_between_intent_and_call_is_settled_too(
        self, door: Door, sessions: Sessions, clock: Clock
    ) -> None:
        await WrittenIntents(sessions, clock).open(CONTACT_WAY, {"state": "hz-09"})
        assert await look_up(sessions, door.client, clock()) == LookedUp()
        clock.forward(timedelta(minutes=10))
        assert await look_up(sessions, door.client, clock()) == LookedUp(abandoned=1)

    async def test_one_that_is_known_to_be_anothers_is_not_taken(
        self, door: Door, sessions: Sessions, clock: Clock
    ) -> None:
        await door.client.contact_ways.create(WAY)
        await WrittenIntents(sessions, clock).open(CONTACT_WAY, {"state": WAY.state})
        clock.forward(timedelta(minutes=10))
        assert await look_up(sessions, door.client, clock()) == LookedUp(abandoned=1)

    async def test_two_that_fit_wait_for_a_person(
        self, door: Door, sessions: Sessions, clock: Clock
    ) -> None:
        for _ in range(2):
            await door.lose("add_contact_way")
            with pytest.raises(OutcomeUnknown):
                await door.client.contact_ways.create(WAY)
        clock.forward(timedelta(minutes=2))
        assert await look_up(sessions, door.client, clock()) == LookedUp(unknown=2)
        assert {row.result for row in await the_intents(sessions)} == {SEVERAL}

    async def test_what_wecom_does_not_list_waits_for_a_person(
        self, door: Door, sessions: Sessions, clock: Clock
    ) -> None:
        chat_id = await door.group()
        for path, act in (
            ("add_join_way", lambda: door.client.groups.create_join_way(JoinWay((chat_id,)))),
            ("message/send", lambda: door.client.messages.send(["LiMin"], Text("有新任务"))),
        ):
            await door.lose(path)
            with pytest.raises(OutcomeUnknown):
                await act()
        await WrittenIntents(sessions, clock).open("message/send", {"members": ["LiMin"]})
        clock.forward(timedelta(minutes=2))
        assert await look_up(sessions, door.client, clock()) == LookedUp(unknown=1)
        rows = await the_intents(sessions)
        assert {row.state for row in rows} == {IntentState.UNKNOWN}
        assert NOT_LISTED in {row.result for row in rows}

    async def test_a_platform_that_does_not_answer_changes_nothing(
        self, door: Door, sessions: Sessions, clock: Clock
    ) -> None:
        await WrittenIntents(sessions, clock).open(CONTACT_WAY, {"state": "hz-09"})
        clock.forward(timedelta(minutes=20))
        await door.hand("faults", api=[{"path": "list_contact_way", "times": -1, "answer": "502"}])
        assert await look_up(sessions, door.client, clock()) == LookedUp(waiting=1)
        [row] = await the_intents(sessions)
        assert (row.state, row.attempts) == (IntentState.INTENT, 1)

    async def test_a_late_sender_knows_better_than_a_look_up(
        self, door: Door, sessions: Sessions, clock: Clock
    ) -> None:
        intents = WrittenIntents(sessions, clock)
        key = await intents.open(CONTACT_WAY, {"state": "hz-09"})
        clock.forward(timedelta(minutes=20))
        await look_up(sessions, door.client, clock())
        await intents.settle(key, Outcome.UNKNOWN, "lost")
        assert (await the_intents(sessions))[0].state == IntentState.ABANDONED
        await intents.settle(key, Outcome.DONE, "config-1")
        assert (await the_intents(sessions))[0].state == IntentState.DONE
