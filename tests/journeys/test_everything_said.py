"""Whatever customers saw from us, by whichever door, has exactly one row that says why."""

from collections import Counter as Tally
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.calendar import at_local, local_day
from bank.models import Role
from bank.settings import Settings
from bot.service import words
from bot.welcoming import welcome_text
from content.models import Kind, Version
from knowledge.models import Suggestion, SuggestionState
from outbound import records
from outbound.models import Door, OutboundMessage, OutboundState
from scheduler import enrolment, results, sending
from scheduler.models import Sop, SopState, Step, Trigger
from tests.bot.servicing import Counter, a_counter
from tests.builders import a_staff, an_approved_material
from tests.conftest import Clock

HELLO = "您好，我是您的客户经理{客户经理}，以后理财方面的问题可以随时问我。"
CARE = "{客户称呼}您好，我是{客户经理}，资金安排有疑问可以随时留言。"


@pytest.fixture
async def counter(
    settings: Settings, clock: Clock, session: AsyncSession
) -> AsyncIterator[Counter]:
    """A bank that welcomes, touches, answers beside the chat and in 微信客服."""
    async with a_counter(settings, clock, session) as made:
        hello = await an_approved_material(
            session, title="欢迎语", body=HELLO, questions=(), kind=Kind.SCRIPT
        )
        await welcome_text.choose(session, None, hello.material_id, by="hq", now=clock())
        await session.commit()
        yield made


async def rows(counter: Counter) -> list[OutboundMessage]:
    """Everything written down."""
    return list(await counter.town.all(OutboundMessage))


async def ledger(counter: Counter) -> Tally[tuple[str, str]]:
    """What customers really saw from the bank: who, and which words."""
    async with counter.town.http.get(f"{counter.town.platform}/control/ledger") as response:
        lines = (await response.json())["ledger"]
    return Tally((line["external_userid"], line["text"]) for line in lines)


async def said(counter: Counter) -> Tally[tuple[str, str]]:
    """What the rows say customers have."""
    sent = [row for row in await rows(counter) if row.state is OutboundState.SENT]
    assert all(records.hash_of(row.text) == row.text_hash for row in sent)
    return Tally((row.contact, row.text) for row in sent)


async def replies(counter: Counter, *, edit: str = "") -> None:
    """The customer writes, the RM sends what was suggested."""
    town = counter.town
    await town.writes("我赎回的钱几天能到账啊")
    await town.works()
    offered = [s for s in await town.all(Suggestion) if s.state is SuggestionState.OFFERED]
    rm, suggestion = await town.sidebar(), offered[-1]
    path = f"/sidebar/suggestions/{suggestion.id}"
    answer = await rm.post(f"{path}/clear", {"text": edit + suggestion.draft})
    await town.rm_says((await answer.json())["text"])
    await rm.post(f"{path}/sent")


async def welcomes(counter: Counter) -> None:
    """Somebody new adds the RM."""
    made = await counter.town.control("add_contact", userid=counter.town.rm.userid, name="赵先生")
    assert made
    await counter.town.control("settle")

    async def pause(seconds: float) -> None:
        counter.clock.forward(timedelta(seconds=seconds))

    await replace(counter.town.parts.greeter, sleep=pause).greet_new()
    await counter.town.works()


async def a_sop(counter: Counter, session: AsyncSession, version: Version) -> Sop:
    """A running SOP of one marketing step."""
    owner = await a_staff(session, Role.HQ)
    sop = Sop(
        code="S-SAID", name="关怀", kind="新客", goal="回复率", trigger=Trigger.MANUAL,
        control_percent=0, marketing=True, state=SopState.RUNNING, owner_id=owner.id,
        created_at=counter.clock(),
    )  # fmt: skip
    session.add(sop)
    await session.flush()
    session.add(
        Step(sop_id=sop.id, position=1, day=0, at=time(10), material_id=version.material_id)
    )
    await session.commit()
    return sop


async def touches(counter: Counter, session: AsyncSession) -> None:
    """A marketing touch goes the whole road."""
    version = await an_approved_material(session, title="关怀", body=CARE, questions=())
    sop = await a_sop(counter, session, version)
    town, parts = counter.town, counter.town.parts
    async with parts.sessions.begin() as opened:
        now = counter.clock()
        await enrolment.enrol(opened, sop, town.customer.id, town.rm.id, now, now)
    counter.clock.at(at_local(local_day(counter.clock()), time(10, 30)))
    await sending.send_due(parts.sessions, parts.wecom, parts.settings, counter.clock())
    [task] = counter.platform.world.tasks.values()
    await town.control("confirm_task", msgid=task.msgid, userid=town.rm.userid)
    await results.collect(parts.sessions, parts.wecom, counter.clock())


async def test_every_text_customers_saw_has_exactly_one_row(
    counter: Counter, session: AsyncSession
) -> None:
    await welcomes(counter)
    await replies(counter)
    await replies(counter, edit="李女士，")
    await counter.writes()
    await counter.works()
    await counter.writes("你是机器人吗")
    await counter.works()
    await counter.writes("转人工")
    await counter.works()
    await touches(counter, session)
    saw = await ledger(counter)
    assert sum(saw.values()) == 7
    assert await said(counter) == saw
    doors = Tally(row.door for row in await rows(counter) if row.state is OutboundState.SENT)
    assert doors == {Door.WELCOME: 1, Door.SIDEBAR: 2, Door.SERVICE: 3, Door.TOUCH: 1}
    assert all(row.staff_id for row in await rows(counter) if row.door is not Door.SERVICE)


async def test_what_is_asked_truthfully_is_answered_truthfully_and_kept(counter: Counter) -> None:
    await counter.writes("你是真人吗？")
    await counter.works()
    [row] = await rows(counter)
    assert row.text == words.introduction("云州银行")
    assert "不是真人客服" in row.text
    assert (row.writer, row.state) == ("fixed", OutboundState.SENT)


async def test_an_automatic_answer_is_marked_and_says_where_it_comes_from(
    counter: Counter,
) -> None:
    await counter.writes()
    await counter.works()
    [row] = await rows(counter)
    assert row.text.startswith("【AI生成】")
    assert (row.ai_assisted, row.ai_marked, len(row.versions)) == (True, True, 1)
    assert row.contact == counter.who


async def test_after_the_stop_nothing_is_let_through(
    counter: Counter, session: AsyncSession
) -> None:
    """The kill switch, through the one door: stopped at once, whatever was under way."""
    hq = await a_staff(session, Role.HQ)
    await session.commit()
    await counter.writes()
    await counter.hears()
    before, desk = await ledger(counter), await counter.town.client(hq)
    pressed = counter.clock()
    assert (await desk.post("/service/stop")).status == 303
    await counter.assistant.work(counter.clock())
    counter.clock.at(pressed + timedelta(seconds=5))
    await counter.writes("赎回几天能到账呢")
    await counter.works()
    assert await ledger(counter) == before
    assert [row for row in await rows(counter) if row.state is not OutboundState.REFUSED] == []


async def test_without_a_filing_number_there_are_no_automatic_answers(
    settings: Settings, clock: Clock, session: AsyncSession
) -> None:
    async with a_counter(settings, clock, session, ai_filing_number=" ") as counter:
        await counter.writes()
        await counter.works()
        assert counter.got() == []
        assert await counter.note() == words.OFF


async def test_td_ends_marketing_and_no_service(counter: Counter, session: AsyncSession) -> None:
    await counter.town.writes("TD")
    await counter.town.works()
    version = await an_approved_material(session, title="关怀", body=CARE, questions=())
    sop = await a_sop(counter, session, version)
    parts, town = counter.town.parts, counter.town
    async with parts.sessions.begin() as opened:
        now = counter.clock()
        made: Any = await enrolment.enrol(opened, sop, town.customer.id, town.rm.id, now, now)
    assert made.reasons
    await replies(counter)
    assert await said(counter) == await ledger(counter)
