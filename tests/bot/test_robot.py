"""The internal robot: colleagues ask, approved passages answer, any process goes on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Staff
from bank.settings import Settings
from bot import robot
from bot.models import RobotAnswer
from bot.robot import ROBOT, Robot
from content.models import State, Version
from knowledge.writer import Draft, Sentence, Source
from tests.bot.servicing import ROBOT_KEY, ROBOT_TOKEN, Counter, a_counter
from tests.conftest import Clock
from wecom.aibot import Asker, StreamPoll, StreamText


@pytest.fixture
async def counter(
    settings: Settings, clock: Clock, session: AsyncSession
) -> AsyncIterator[Counter]:
    """The town with the robot's address registered."""
    async with a_counter(settings, clock, session) as made:
        await made.town.control(
            "robot_settings",
            url=f"{made.town.base}/wecom/aibot",
            token=ROBOT_TOKEN,
            aes_key=ROBOT_KEY,
            poll_seconds=0.05,
        )
        await made.hears()
        yield made


async def asks(counter: Counter, text: str = "赎回几天到账", **wish: Any) -> dict[str, Any]:
    """The RM asks the robot, and reads on to the end."""
    return await counter.town.control("ask_robot", userid=counter.town.rm.userid, text=text, **wish)


async def test_the_address_is_verified(counter: Counter) -> None:
    assert (await counter.town.control("robot_verify"))["verified"]


async def test_an_answer_quotes_approved_material_with_title_and_validity(
    counter: Counter,
) -> None:
    told = await asks(counter)
    assert told["finished"]
    assert told["polls"] == 0
    assert "资金一般在下一个工作日到账" in told["content"]
    assert "来源：《赎回多久到账》V1，有效期至 2027-05-22" in told["content"]


async def test_what_the_library_does_not_hold_is_said_so(counter: Counter) -> None:
    told = await asks(counter, "食堂的红烧肉是谁烧的")
    assert told["content"] == robot.NOTHING


async def test_withdrawn_material_is_quoted_no_more(counter: Counter) -> None:
    async with counter.town.parts.sessions.begin() as session:
        for version in await counter.town.all(Version):
            (await session.get_one(Version, version.id)).state = State.WITHDRAWN
    assert (await asks(counter))["content"] == robot.NOTHING


async def test_the_same_message_twice_is_answered_the_same(counter: Counter) -> None:
    told = await asks(counter, twice=True)
    first, second = told["replies"]
    assert first == second
    assert len(await counter.town.all(RobotAnswer)) == 1


async def test_who_opens_the_chat_is_welcomed(counter: Counter) -> None:
    told = await counter.town.control("robot_enter", userid=counter.town.rm.userid)
    assert told["content"] == robot.WELCOME


async def test_only_enabled_staff_of_our_list_is_answered(counter: Counter) -> None:
    async with counter.town.parts.sessions.begin() as session:
        (await session.get_one(Staff, counter.town.rm.id)).enabled = False
    assert (await asks(counter))["content"] == robot.NOT_STAFF


async def test_personal_data_is_masked_before_it_is_kept(counter: Counter) -> None:
    await asks(counter, "赎回几天到账，客户手机13812345678")
    [row] = await counter.town.all(RobotAnswer)
    assert "13812345678" not in row.question


async def test_a_forged_question_gets_nothing(counter: Counter) -> None:
    address = f"{counter.town.base}/wecom/aibot?msg_signature=x&timestamp=1&nonce=2"
    async with counter.town.http.post(address, json={"encrypt": "AAAA"}) as answer:
        assert (answer.status, await answer.text()) == (403, "")


async def test_without_a_token_there_is_no_robot(
    settings: Settings, clock: Clock, session: AsyncSession
) -> None:
    async with (
        a_counter(settings, clock, session, robot_token=SecretStr("")) as counter,
        counter.town.http.get(f"{counter.town.base}/wecom/aibot?echostr=x") as answer,
    ):
        assert answer.status == 404


class SlowWriter:
    """A model that words its answer when it is let."""

    name = "openai:slow"

    def __init__(self) -> None:
        self.asked, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def draft(self, question: str, sources: Sequence[Source]) -> Draft:
        self.asked.set()
        await self.may_go_on.wait()
        words = "赎回申请确认后，资金一般在下一个工作日到账。"
        return Draft((Sentence(words, sources[0]),), self.name)


def with_writer(counter: Counter, writer: SlowWriter) -> Robot:
    """The robot of a bank with a wording model, which does not wait for it at first."""
    parts = counter.town.parts
    made = robot.robot_of(counter.settings, parts.sessions, parts.index, writer)
    assert made is not None
    made.patience = 0.0
    return made


class UntilFetched:
    """The robot, whose model goes on only once the platform has come for more."""

    def __init__(self, made: Robot, go_on: asyncio.Event) -> None:
        self._made, self._go_on = made, go_on

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    async def reply(self, said: Any, now: datetime) -> Any:
        answer = await self._made.reply(said, now)
        if isinstance(said, StreamPoll):
            self._go_on.set()
        return answer


async def test_a_models_answer_is_streamed_and_may_be_fetched_from_any_process(
    counter: Counter,
) -> None:
    writer = SlowWriter()
    made = with_writer(counter, writer)
    counter.town.app._state[ROBOT] = UntilFetched(made, writer.may_go_on)
    asking = asyncio.create_task(asks(counter))
    async with asyncio.timeout(10):
        await writer.asked.wait()
        rows = await counter.town.all(RobotAnswer)
        poll = StreamPoll(Asker("m", "r", counter.town.rm.userid, ""), rows[0].stream_id)
        elsewhere = with_writer(counter, SlowWriter())
        assert await elsewhere.reply(poll, counter.clock()) == StreamText(
            rows[0].stream_id, robot.THINKING, finish=False
        )
        told = await asking
    assert told["polls"] > 0
    assert "资金一般在下一个工作日到账" in told["content"]
    await made.close()


async def test_what_a_dead_process_left_unfinished_is_quoted_by_another(
    counter: Counter,
) -> None:
    writer = SlowWriter()
    made = with_writer(counter, writer)
    counter.town.app._state[ROBOT] = made
    asking = asyncio.create_task(asks(counter))
    async with asyncio.timeout(10):
        await writer.asked.wait()
        counter.clock.forward(timedelta(minutes=1))
        told = await asking
    assert "来源：《赎回多久到账》" in told["content"]
    await made.close()
