"""渠道活码: one for each RM and channel, made once at WeCom whatever happens on the way."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import AuditEntry, Role, Staff
from bank.settings import Settings
from bot import intents
from bot.models import ContactWay, IntentState, PlatformIntent, WayState
from bot.welcoming import contact_ways, welcome_text
from bot.welcoming.contact_ways import NotMade
from bot.welcoming.way_maker import LATER, LOOKED_UP, NOT_ENABLED, TOO_OFTEN, WayMaker
from content.models import Kind
from customers.models import Customer, Follow
from tests.builders import a_staff, an_approved_material
from tests.conftest import Clock
from tests.town import Town, a_town

ADD = "externalcontact/add_contact_way"
GET = "externalcontact/get_contact_way"
LOBBY = "大堂易拉宝"


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform."""
    async with a_town(settings, clock, session) as made:
        yield made


def maker(town: Town) -> WayMaker:
    return town.parts.way_maker


async def make(town: Town, *rms: Staff, channel: str = LOBBY) -> int | NotMade:
    """Somebody asks for codes, and the request is committed."""
    async with town.parts.sessions.begin() as session:
        return await contact_ways.make(
            session,
            rms or [town.rm],
            channel,
            None,
            skip_verify=True,
            by="hq",
            now=town.clock(),
        )


async def the_way(town: Town) -> ContactWay:
    [way] = await town.all(ContactWay)
    assert isinstance(way, ContactWay)
    return way


async def at_the_platform(town: Town) -> dict[str, Any]:
    """The codes as the platform has them, by config id."""
    async with town.http.get(f"{town.platform}/control/state") as response:
        ways: dict[str, Any] = (await response.json())["world"]["contact_ways"]
        return ways


async def fails(town: Town, path: str, answer: str | int, times: int = 1) -> None:
    await town.control("faults", api=[{"path": path, "times": times, "answer": answer}])


async def test_a_code_is_made_for_the_rm_and_the_channel(town: Town) -> None:
    assert await make(town) == 1
    waiting = await the_way(town)
    assert (waiting.state, waiting.config_id) == (WayState.MAKING, None)
    assert await maker(town).work() == 1
    way = await the_way(town)
    assert (way.state, way.failure) == (WayState.LIVE, "")
    assert way.qr_code.startswith("http")
    [(config_id, made)] = (await at_the_platform(town)).items()
    assert (config_id, made["state"], made["users"]) == (way.config_id, way.key, [town.rm.userid])
    assert await maker(town).work() == 0


async def test_the_key_is_short_and_says_nothing(town: Town, session: AsyncSession) -> None:
    rms = [await a_staff(session, Role.RM) for _ in range(50)]
    await session.commit()
    assert await make(town, *rms) == 50
    keys = {way.key for way in await town.all(ContactWay)}
    assert len(keys) == 50
    assert max(map(len, keys)) <= 30


async def test_a_channel_has_one_code_for_each_rm(town: Town, session: AsyncSession) -> None:
    other = await a_staff(session, Role.RM)
    await session.commit()
    assert await make(town) == 1
    assert await make(town, town.rm, other) == 1
    assert await make(town, channel="社区宣讲") == 1


@pytest.mark.parametrize("channel", ["", "  ", "长" * 31])
async def test_a_channel_needs_a_name_that_fits(town: Town, channel: str) -> None:
    refused = await make(town, channel=channel)
    assert isinstance(refused, NotMade)
    assert "channel" in refused.errors
    assert await town.all(ContactWay) == []


async def test_the_source_of_a_customer_is_known(town: Town) -> None:
    await make(town)
    await maker(town).work()
    way = await the_way(town)
    made = await town.control("scan", config_id=way.config_id, name="赵先生")
    await town.control("settle")
    await town.works()
    async with town.parts.sessions() as session:
        query = (
            select(Follow.source)
            .join(Customer)
            .where(Customer.external_userid == made["external_userid"])
        )
        source = (await session.execute(query)).scalar_one()
        assert await contact_ways.channel_of(session, source) == LOBBY
        assert await contact_ways.channel_of(session, "someone else's") is None


async def test_who_scans_a_code_is_welcomed_in_its_own_words(
    town: Town, session: AsyncSession
) -> None:
    lobby = await an_approved_material(
        session, title="大堂欢迎语", body="欢迎来到大堂，我是{客户经理}。", kind=Kind.SCRIPT
    )
    other = await an_approved_material(session, title="欢迎语", body="您好。", kind=Kind.SCRIPT)
    await welcome_text.choose(
        session, town.rm.id, other.material_id, by=town.rm.userid, now=town.clock()
    )
    await session.commit()
    await make(town)
    await maker(town).work()
    async with town.parts.sessions.begin() as changing:
        way = (await changing.execute(select(ContactWay))).scalar_one()
        await contact_ways.change_welcome(
            changing, way, lobby.material_id, by="hq", now=town.clock()
        )
    made = await town.control("scan", config_id=way.config_id, name="赵先生")
    await town.control("settle")
    await town.parts.greeter.greet_new()
    seen = await town.seen(Customer(name="", external_userid=made["external_userid"]))
    assert seen == ["欢迎来到大堂，我是王敏。"]


# --------------------------------------------------------------------------- refusals, lost answers


@pytest.mark.parametrize(
    ("errcode", "words"),
    [
        (41045, "50 万"),
        (41054, "尚未激活"),
        (84074, "客户联系权限"),
        (60011, "可见范围"),
        (60111, "没有这位成员"),
    ],
)
async def test_a_refusal_is_said_in_words_and_can_be_retried(
    town: Town, errcode: int, words: str
) -> None:
    await fails(town, ADD, errcode)
    await make(town)
    await maker(town).work()
    way = await the_way(town)
    assert way.state is WayState.FAILED
    assert words in way.failure
    assert str(errcode) in way.failure
    async with town.parts.sessions.begin() as session:
        failed = await session.get_one(ContactWay, way.id)
        assert await contact_ways.retry(session, failed, by="hq", now=town.clock())
    await maker(town).work()
    again = await the_way(town)
    assert (again.state, again.key) == (WayState.LIVE, way.key)
    assert len(await at_the_platform(town)) == 1


async def test_one_refusal_holds_up_no_other_code(town: Town, session: AsyncSession) -> None:
    stranger = await a_staff(session, Role.RM, name="没有开通")
    await session.commit()
    await make(town, stranger, town.rm)
    await maker(town).work()
    states = {way.staff_id: way.state for way in await town.all(ContactWay)}
    assert states == {stranger.id: WayState.FAILED, town.rm.id: WayState.LIVE}


async def test_while_wecom_asks_for_patience_the_code_waits(town: Town) -> None:
    await fails(town, ADD, 45009)
    await make(town)
    await maker(town).work()
    way = await the_way(town)
    assert (way.state, way.failure) == (WayState.MAKING, TOO_OFTEN)


async def test_a_disabled_rm_gets_no_code(town: Town, session: AsyncSession) -> None:
    await make(town)
    (await session.merge(town.rm)).enabled = False
    await session.commit()
    await maker(town).work()
    way = await the_way(town)
    assert (way.state, way.failure) == (WayState.FAILED, NOT_ENABLED)


async def test_a_lost_answer_is_looked_up_and_nothing_is_made_twice(town: Town) -> None:
    await fails(town, ADD, "lost")
    await make(town)
    await maker(town).work()
    assert (await the_way(town)).failure == LOOKED_UP
    await maker(town).work()
    town.clock.forward(timedelta(minutes=2))
    await intents.look_up(town.parts.sessions, town.parts.wecom, town.clock())
    await maker(town).work()
    way = await the_way(town)
    assert (way.state, way.failure) == (WayState.LIVE, "")
    assert list(await at_the_platform(town)) == [way.config_id]


async def test_what_wecom_surely_did_not_make_is_asked_for_again(town: Town) -> None:
    await fails(town, ADD, "502")
    await make(town)
    await maker(town).work()
    assert (await the_way(town)).failure == LOOKED_UP
    town.clock.forward(timedelta(minutes=11))
    await intents.look_up(town.parts.sessions, town.parts.wecom, town.clock())
    await maker(town).work()
    assert (await the_way(town)).state is WayState.LIVE
    assert len(await at_the_platform(town)) == 1
    states = {row.state for row in await town.all(PlatformIntent)}
    assert states == {IntentState.ABANDONED, IntentState.DONE}


async def test_a_crash_after_wecom_has_answered_makes_no_second_code(town: Town) -> None:
    await make(town)
    await maker(town).work()
    way = await the_way(town)
    async with town.parts.sessions.begin() as session:
        # As a process leaves it that died between WeCom's answer and its own commit.
        lost = await session.get_one(ContactWay, way.id)
        lost.state, lost.config_id, lost.qr_code = WayState.MAKING, None, ""
    await maker(town).work()
    found = await the_way(town)
    assert (found.state, found.config_id, found.qr_code) == (
        WayState.LIVE,
        way.config_id,
        way.qr_code,
    )
    assert len(await at_the_platform(town)) == 1


async def test_when_the_look_up_itself_fails_the_code_goes_on_waiting(town: Town) -> None:
    await make(town)
    await maker(town).work()
    way = await the_way(town)
    async with town.parts.sessions.begin() as session:
        lost = await session.get_one(ContactWay, way.id)
        lost.state, lost.config_id, lost.qr_code = WayState.MAKING, None, ""
    await fails(town, GET, 45009)
    await maker(town).work()
    waiting = await the_way(town)
    assert (waiting.state, waiting.failure) == (WayState.MAKING, TOO_OFTEN)
    assert LATER != TOO_OFTEN


# ----------------------------------------------------------------------------------------- retiring


async def test_a_retired_code_is_deleted_at_the_platform(town: Town) -> None:
    await make(town)
    await maker(town).work()
    way = await the_way(town)
    async with town.parts.sessions.begin() as session:
        found = await session.get_one(ContactWay, way.id)
        assert await contact_ways.retire(session, found, by="hq", now=town.clock())
        assert not await contact_ways.retire(session, found, by="hq", now=town.clock())
    await maker(town).work()
    assert await at_the_platform(town) == {}
    over = await the_way(town)
    assert (over.state, over.qr_code, over.failure) == (WayState.RETIRED, "", "")
    async with town.parts.sessions() as session:
        assert await contact_ways.channel_of(session, way.key) == LOBBY
        actions = [row.action for row in (await session.execute(select(AuditEntry))).scalars()]
    assert actions == ["bot:contact_way:make", "bot:contact_way:retire"]
    assert await make(town) == 1


async def test_a_deletion_that_failed_is_tried_again(town: Town) -> None:
    await make(town)
    await maker(town).work()
    async with town.parts.sessions.begin() as session:
        way = (await session.execute(select(ContactWay))).scalar_one()
        await contact_ways.retire(session, way, by="hq", now=town.clock())
    await fails(town, "externalcontact/del_contact_way", 48002)
    await maker(town).work()
    assert (await the_way(town)).failure
    assert len(await at_the_platform(town)) == 1
    await maker(town).work()
    assert await at_the_platform(town) == {}


async def test_what_is_gone_at_the_platform_counts_as_deleted(town: Town) -> None:
    await make(town)
    await maker(town).work()
    way = await the_way(town)
    await town.parts.wecom.contact_ways.delete(str(way.config_id))
    async with town.parts.sessions.begin() as session:
        found = await session.get_one(ContactWay, way.id)
        await contact_ways.retire(session, found, by="hq", now=town.clock())
    await maker(town).work()
    over = await the_way(town)
    assert (over.qr_code, over.failure) == ("", "")
