"""微信客服 without a person: what is answered, from where, and what a person must answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.settings import Settings
from bot.models import ServiceMessage, ServiceSpeaker
from bot.service import words
from content.models import State, Version
from tests.bot.servicing import Counter, a_counter, a_kf_material
from tests.builders import a_product, an_approved_material
from tests.conftest import Clock


@pytest.fixture
async def counter(
    settings: Settings, clock: Clock, session: AsyncSession
) -> AsyncIterator[Counter]:
    """A counter that answers."""
    async with a_counter(settings, clock, session) as made:
        yield made


async def test_a_question_is_answered_from_approved_material_and_marked(counter: Counter) -> None:
    await counter.writes()
    await counter.works()
    [answer] = counter.got()
    assert answer.startswith("【AI生成】您好，赎回申请确认后")
    assert "《赎回多久到账》" in answer
    assert "转人工" in answer
    assert counter.state() == 1
    [_, ours] = await counter.messages()
    assert (ours.speaker, len(ours.version_ids)) == (ServiceSpeaker.ROBOT, 1)
    assert ours.confidence is not None
    assert ours.confidence >= 0.8


@pytest.mark.parametrize("allowed", [True, False])
async def test_nothing_is_answered_while_it_is_off(
    settings: Settings, clock: Clock, session: AsyncSession, allowed: bool
) -> None:
    """Off at the account, or off in the settings: the message is kept, and nothing is moved."""
    async with a_counter(settings, clock, session, service_automatic=allowed) as counter:
        await counter.switch(on=not allowed)
        await counter.writes()
        await counter.works()
        assert counter.got() == []
        assert counter.state() == 0
        assert await counter.note() == words.OFF


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("转人工", "客户要求人工服务"),
        ("我要找客户经理", "客户要求人工服务"),
        ("我要投诉你们", "客户投诉或表达不满"),
        ("帮我把钱转账给我儿子", "涉及资金操作"),
        ("我的余额还有多少", "涉及客户本人的账户信息"),
        ("我银行卡丢了怎么办", "涉及账户安全"),
        ("我今年78岁了，字看不清", "客户可能需要特别照顾"),
        ("推荐一款理财吧", "涉及投资建议或市场判断"),
        ("食堂的红烧肉是谁烧的", "没有把握足够高的已审核资料"),
        ("赎回几天到账？风险测评在哪里做？", words.SEVERAL),
    ],
)
async def test_what_a_person_must_answer_is_handed_over_in_one_step(
    counter: Counter, text: str, reason: str
) -> None:
    await counter.writes(text)
    await counter.works()
    assert counter.got() == [words.HANDOVER]
    assert counter.state() == 2
    assert (await counter.note()).startswith(reason)
    [card] = await counter.cards()
    assert card.userids == [counter.town.rm.userid]


async def test_a_picture_goes_to_a_person(counter: Counter) -> None:
    await counter.writes("", msgtype="image", body={"media_id": "any"})
    await counter.works()
    assert counter.state() == 2
    assert await counter.note() == words.NOT_TEXT


async def test_a_question_after_the_handover_is_left_to_the_person(counter: Counter) -> None:
    await counter.writes("转人工")
    await counter.works()
    await counter.writes()
    await counter.works()
    assert counter.got() == [words.HANDOVER]
    assert await counter.note() == words.WAITS


async def test_two_reasons_at_once_are_one_handover(counter: Counter) -> None:
    await counter.writes("转人工")
    await counter.writes("我要投诉")
    await counter.works()
    assert counter.got() == [words.HANDOVER]
    assert len(await counter.cards()) == 1


async def test_who_asks_whether_a_machine_answers_is_told_so(counter: Counter) -> None:
    await counter.writes("你是真人吗？")
    await counter.works()
    [said] = counter.got()
    assert "人工智能程序自动答复" in said
    assert "不是真人客服" in said


async def test_thanks_need_no_answer_and_no_person(counter: Counter) -> None:
    await counter.writes("好的，谢谢您")
    await counter.works()
    assert counter.got() == []
    assert counter.state() == 0
    assert await counter.note() == words.COURTESY


async def test_material_for_other_channels_or_with_products_is_never_said(
    settings: Settings, clock: Clock, session: AsyncSession
) -> None:
    async with a_counter(settings, clock, session) as counter:
        product = await a_product(session, rating=1, name="现金管理一号")
        asked = ("现金管理一号怎么买", "现金管理一号起点多少")
        await a_kf_material(session, title="现金管理一号", questions=asked, products=[product])
        await an_approved_material(session, title="网点几点开门", questions=("网点几点上班",))
        await session.commit()
        for question in (*asked, "网点几点上班"):
            await counter.writes(question)
            await counter.works()
            assert counter.got()[-1] == words.HANDOVER
            await counter.hand(
                "service_accept", external_userid=counter.who, servicer=counter.town.rm.userid
            )
            await counter.hand("service_end", external_userid=counter.who)
            await counter.works()


async def test_material_withdrawn_between_draft_and_sending_is_not_sent(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await counter.writes()
    await counter.hears()
    await decide_only(counter)
    async with counter.town.parts.sessions.begin() as session:
        for version in await counter.town.all(Version):
            (await session.get_one(Version, version.id)).state = State.WITHDRAWN
    await counter.assistant.work(counter.clock())
    assert counter.got() == [words.HANDOVER]
    assert words.WITHDRAWN in [m.failure for m in await counter.messages()]


async def test_a_switch_thrown_between_draft_and_sending_holds(counter: Counter) -> None:
    await counter.writes()
    await counter.hears()
    await decide_only(counter)
    await counter.switch(on=False)
    await counter.assistant.work(counter.clock())
    assert counter.got() == []
    assert words.STOPPED in [m.failure for m in await counter.messages()]


async def test_a_question_taken_back_is_not_answered(counter: Counter) -> None:
    msgid = await counter.writes()
    await counter.hears()
    await decide_only(counter)
    await counter.hand("service_recall", msgid=msgid)
    await counter.works()
    assert counter.got() == []
    [theirs, _] = await counter.messages()
    assert (theirs.text, theirs.failure) == ("", words.RECALLED)


async def test_an_answer_is_sent_once_however_often_a_process_dies(counter: Counter) -> None:
    """The message went out, and nobody wrote down that it did."""
    await counter.writes()
    await counter.works()
    [_, ours] = await counter.messages()
    async with counter.town.parts.sessions.begin() as session:
        row = await session.get_one(ServiceMessage, ours.id)
        row.answered, row.lease_until = False, None
    await counter.assistant.work(counter.clock())
    assert len(counter.got()) == 1
    [_, ours] = await counter.messages()
    assert (ours.answered, ours.failure) == (True, "")


async def test_several_processes_answer_once(counter: Counter) -> None:
    await counter.writes()
    await counter.hears()
    await asyncio.gather(*(counter.assistant.work(counter.clock()) for _ in range(4)))
    assert len(counter.got()) == 1


@pytest.mark.parametrize("answer", ["lost", "half", "reset", "503", "-1"])
async def test_a_platform_that_fails_delays_the_answer_and_never_doubles_it(
    counter: Counter, answer: str
) -> None:
    await counter.writes()
    await counter.hears()
    await counter.town.control("faults", api=[{"path": "kf/send_msg", "answer": answer}])
    await counter.assistant.work(counter.clock())
    counter.clock.forward(timedelta(minutes=2))
    await counter.assistant.work(counter.clock())
    assert len(counter.got()) == 1
    [_, ours] = await counter.messages()
    assert (ours.answered, ours.failure) == (True, "")


@pytest.mark.parametrize("path", ["kf/send_msg", "kf/service_state/trans", "message/send"])
async def test_a_handover_that_fails_half_way_is_finished_later(
    counter: Counter, path: str
) -> None:
    await counter.writes("转人工")
    await counter.hears()
    await counter.town.control("faults", api=[{"path": path, "answer": "lost"}])
    await counter.assistant.work(counter.clock())
    counter.clock.forward(timedelta(minutes=2))
    await counter.assistant.work(counter.clock())
    assert counter.got() == [words.HANDOVER]
    assert counter.state() == 2
    on_desk = [m for m in counter.platform.world.app_messages if m.msgtype == "template_card"]
    assert len(on_desk) == 1


async def test_who_waited_too_long_gets_a_person(counter: Counter) -> None:
    await counter.writes()
    counter.clock.forward(timedelta(minutes=11))
    await counter.works()
    assert counter.got() == [words.HANDOVER]
    assert await counter.note() == words.TOO_LATE


async def test_after_48_hours_nothing_is_said(counter: Counter) -> None:
    await counter.writes()
    counter.clock.forward(timedelta(hours=49))
    await counter.works()
    assert counter.got() == []


async def test_the_last_of_five_is_kept_for_the_handover(counter: Counter) -> None:
    await counter.writes()
    await counter.works()
    async with counter.town.parts.sessions.begin() as session:
        chat = await session.get_one(type(await counter.chat()), (await counter.chat()).id)
        chat.sent_since = 4
        [theirs, _] = await counter.messages()
        again = ServiceMessage(**theirs.model_dump(exclude={"id", "msgid", "answered"}), msgid="x")
        session.add(again)
    await counter.assistant.work(counter.clock())
    assert counter.got()[-1] == words.HANDOVER
    assert counter.state() == 2


async def test_a_message_that_did_not_arrive_says_why(counter: Counter) -> None:
    await counter.town.control("service_settings", failing=[10])
    await counter.writes()
    await counter.works()
    await counter.town.control("settle")
    await counter.works()
    [_, ours] = await counter.messages()
    assert ours.failure == "未送达：客户拒收"


async def test_nobody_receiving_is_said_on_the_session(counter: Counter) -> None:
    await counter.hand("service_receiving", servicer=counter.town.rm.userid, receiving=False)
    await counter.writes("转人工")
    await counter.works()
    assert counter.state() == 2
    assert "没有正在接待的客服人员" in (await counter.chat()).handover_reason


async def decide_only(counter: Counter) -> None:
    """A process that dies between writing down what to say and saying it."""
    assistant = counter.assistant
    claimed = await assistant._claim(ServiceSpeaker.CUSTOMER, counter.clock())
    assert claimed is not None
    await assistant._decide(claimed, counter.clock())
