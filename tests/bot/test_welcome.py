"""A new customer is welcomed: once, within 20 seconds, in approved words, whatever else goes on."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from time import perf_counter
from typing import Any

import pytest
import structlog
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from attribution.models import Touchpoint, TrackedLink
from bank.models import Role
from bank.settings import Settings
from bot.inbound import inbox
from bot.models import InboundEvent, InboundState, Welcome, WelcomeState
from bot.welcoming import welcome_rows, welcome_text
from bot.welcoming.welcome import LEASE, Greeter
from bot.welcoming.welcome_media import warm
from bot.welcoming.welcome_outcomes import LATE
from content.models import Kind, Material, State, Version
from outbound.models import OutboundMessage, UploadedMedia
from tests.builders import a_product, a_staff, an_approved_material
from tests.conftest import Clock
from tests.sendables import an_office_of, live
from tests.town import Town, a_town

log = structlog.get_logger("tests")

HELLO = "您好，我是您的客户经理{客户经理}，以后理财方面的问题可以随时问我。"
SEEN = "您好，我是您的客户经理王敏，以后理财方面的问题可以随时问我。"
SEND = "externalcontact/send_welcome_msg"


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform; the bank has chosen its welcome."""
    async with a_town(settings, clock, session) as made:
        hello = await a_script(session, "欢迎语")
        await welcome_text.choose(session, None, hello.material_id, by="hq", now=clock())
        await session.commit()
        yield made


async def a_script(session: AsyncSession, title: str, body: str = HELLO, **options: Any) -> Version:
    return await an_approved_material(
        session, title=title, body=body, questions=(), kind=Kind.SCRIPT, **options
    )


async def comes(town: Town, name: str = "赵先生", **wish: Any) -> str:
    """A customer adds the RM, and the callback has arrived; returns who it is."""
    made = await town.control("add_contact", userid=town.rm.userid, name=name, **wish)
    await town.control("settle")
    return str(made["external_userid"])


def greeter_of(town: Town) -> Greeter:
    """The product's own greeter, whose pauses pass at once."""

    async def pause(seconds: float) -> None:
        town.clock.forward(timedelta(seconds=seconds))

    return replace(town.parts.greeter, sleep=pause)


async def saw(town: Town, who: str) -> list[str]:
    """What this customer really saw."""
    async with town.http.get(
        f"{town.platform}/control/ledger", params={"external_userid": who}
    ) as response:
        return [line["text"] for line in (await response.json())["ledger"]]


async def the_welcome(town: Town) -> Welcome:
    [welcome] = await town.all(Welcome)
    assert isinstance(welcome, Welcome)
    return welcome


async def test_a_new_customer_is_welcomed_once_in_the_banks_words(town: Town) -> None:
    who = await comes(town)
    assert await greeter_of(town).greet_new() == 1
    assert await greeter_of(town).greet_new() == 0
    assert await saw(town, who) == [SEEN]
    welcome = await the_welcome(town)
    assert (welcome.state, welcome.attempts) == (WelcomeState.SENT, 1)
    assert welcome.settled_at == town.clock()


async def test_the_code_itself_is_not_kept(town: Town) -> None:
    made = await town.control("add_contact", userid=town.rm.userid, name="赵先生")
    await town.control("settle")
    await greeter_of(town).greet_new()
    welcome = await the_welcome(town)
    assert made["welcome_code"] not in repr(welcome.model_dump())


async def test_what_the_customer_saw_becomes_a_touchpoint_once_they_are_known(town: Town) -> None:
    who = await comes(town)
    await greeter_of(town).greet_new()
    async with town.parts.sessions.begin() as session:
        assert await welcome_rows.note_seen(session, town.clock()) == 0
    await town.works()
    for noted in (1, 0):
        async with town.parts.sessions.begin() as session:
            assert await welcome_rows.note_seen(session, town.clock()) == noted
    [touchpoint] = await town.all(Touchpoint)
    welcome = await the_welcome(town)
    assert (touchpoint.source_id, touchpoint.version_id) == (str(welcome.id), welcome.version_id)
    assert touchpoint.staff_id == town.rm.id
    assert await saw(town, who) == [SEEN]


# ------------------------------------------------------------------------------------ which words


async def test_the_rms_own_welcome_goes_before_the_banks(town: Town, session: AsyncSession) -> None:
    own = await a_script(session, "王敏的欢迎语", "您好，我是王敏。")
    await welcome_text.choose(
        session, town.rm.id, own.material_id, by=town.rm.userid, now=town.clock()
    )
    await session.commit()
    who = await comes(town)
    await greeter_of(town).greet_new()
    assert await saw(town, who) == ["您好，我是王敏。"]


async def test_taking_back_ones_choice_leaves_the_banks(town: Town, session: AsyncSession) -> None:
    own = await a_script(session, "王敏的欢迎语", "您好，我是王敏。")
    for material_id in (own.material_id, None):
        await welcome_text.choose(
            session, town.rm.id, material_id, by=town.rm.userid, now=town.clock()
        )
    await session.commit()
    who = await comes(town)
    await greeter_of(town).greet_new()
    assert await saw(town, who) == [SEEN]


async def test_only_live_words_fit_for_a_stranger_are_sent(
    town: Town, session: AsyncSession
) -> None:
    product = await a_product(session)
    sayings = {
        "没有已上线的版本": await a_script(session, "已下线", state=State.WITHDRAWN),
        "涉及产品": await a_script(session, "讲产品", products=[product], risk=2),
        "不适用于单聊": await a_script(session, "只用于群", channels=("group",)),
        "占位符": await a_script(session, "叫得出名字", "您好，{客户称呼}，我是{客户经理}。"),
        "保本": await a_script(session, "承诺", "您好，我们的产品保本保收益，稳赚不赔。"),
    }
    for said, version in sayings.items():
        await welcome_text.choose(
            session, town.rm.id, version.material_id, by=town.rm.userid, now=town.clock()
        )
        await session.commit()
        town.clock.forward(timedelta(seconds=30))
        who = await comes(town)
        await greeter_of(town).greet_new()
        welcome = max(await town.all(Welcome), key=lambda row: row.received_at)
        assert welcome.state is WelcomeState.NO_MATERIAL, said
        assert said in welcome.reason
        assert await saw(town, who) == []


async def test_nothing_chosen_is_said_so(town: Town, session: AsyncSession) -> None:
    await welcome_text.choose(session, None, None, by="hq", now=town.clock())
    await session.commit()
    await comes(town)
    await greeter_of(town).greet_new()
    welcome = await the_welcome(town)
    assert (welcome.state, welcome.reason) == (
        WelcomeState.NO_MATERIAL,
        welcome_text.NOT_CHOSEN,
    )


async def test_a_member_who_is_not_on_our_staff_welcomes_nobody(
    town: Town, session: AsyncSession
) -> None:
    (await session.merge(town.rm)).enabled = False
    await session.commit()
    who = await comes(town)
    await greeter_of(town).greet_new()
    assert (await the_welcome(town)).reason == welcome_text.NOT_STAFF
    assert await saw(town, who) == []


# ------------------------------------------------------------------------------ time and refusals


async def test_without_a_code_there_is_nothing_to_do(town: Town) -> None:
    await comes(town, welcome_code=False)
    assert await greeter_of(town).greet_new() == 0
    assert await town.all(Welcome) == []


async def test_what_came_too_late_is_counted_and_not_tried(town: Town) -> None:
    who = await comes(town)
    town.clock.forward(timedelta(seconds=18))
    assert await greeter_of(town).greet_new() == 0
    welcome = await the_welcome(town)
    assert (welcome.state, welcome.reason) == (WelcomeState.EXPIRED, LATE)
    assert await saw(town, who) == []


async def test_while_another_app_is_sending_it_is_tried_again(town: Town) -> None:
    await town.control("faults", welcome_races=3)
    who = await comes(town)
    await greeter_of(town).greet_new()
    welcome = await the_welcome(town)
    assert (welcome.state, welcome.attempts) == (WelcomeState.SENT, 4)
    assert await saw(town, who) == [SEEN]


async def test_trying_again_ends_with_the_20_seconds(town: Town) -> None:
    await town.control("faults", welcome_races=1000)
    await comes(town)
    began = town.clock()
    await greeter_of(town).greet_new()
    welcome = await the_welcome(town)
    assert welcome.state is WelcomeState.EXPIRED
    assert "另一个应用" in welcome.reason
    assert town.clock() - began <= timedelta(seconds=20)


@pytest.mark.parametrize(
    ("errcode", "state"),
    [
        (41050, WelcomeState.EXPIRED),
        (41051, WelcomeState.TAKEN),
        (60020, WelcomeState.REFUSED),
        (45009, WelcomeState.REFUSED),
    ],
)
async def test_a_final_refusal_is_not_repeated(
    town: Town, errcode: int, state: WelcomeState
) -> None:
    await town.control("faults", api=[{"path": SEND, "times": 1, "answer": errcode}])
    await comes(town)
    await greeter_of(town).greet_new()
    welcome = await the_welcome(town)
    assert (welcome.state, welcome.attempts) == (state, 1)
    assert str(errcode) in welcome.reason


async def test_with_the_archive_on_the_welcome_waits_for_the_customers_consent(
    town: Town, session: AsyncSession
) -> None:
    await town.control("settings", ask_consent=True)
    who = await comes(town)
    await greeter_of(town).greet_new()
    assert (await the_welcome(town)).state is WelcomeState.AWAITING_CONSENT
    assert await greeter_of(town).greet_new() == 0
    town.clock.forward(timedelta(minutes=5))
    await town.control("agree_archive", userid=town.rm.userid, external_userid=who)
    await town.control("settle")
    await greeter_of(town).greet_new()
    welcome = await the_welcome(town)
    assert (welcome.state, welcome.reason) == (WelcomeState.SENT, "")
    assert await saw(town, who) == [SEEN]


# ------------------------------------------------------------------------- lost answers, crashes


async def test_a_lost_answer_is_asked_for_again_and_called_unknown(town: Town) -> None:
    await town.control("faults", api=[{"path": SEND, "times": 1, "answer": "lost"}])
    who = await comes(town)
    await greeter_of(town).greet_new()
    welcome = await the_welcome(town)
    assert (welcome.state, welcome.attempts) == (WelcomeState.UNKNOWN, 2)
    assert await saw(town, who) == [SEEN]


async def test_a_call_that_never_arrived_is_made_again(town: Town) -> None:
    await town.control("faults", api=[{"path": SEND, "times": 2, "answer": "502"}])
    who = await comes(town)
    await greeter_of(town).greet_new()
    assert (await the_welcome(town)).state is WelcomeState.SENT
    assert await saw(town, who) == [SEEN]


async def test_when_no_answer_ever_comes_it_ends_unknown(town: Town) -> None:
    await town.control("faults", api=[{"path": SEND, "times": 100, "answer": "502"}])
    who = await comes(town)
    await greeter_of(town).greet_new()
    assert (await the_welcome(town)).state is WelcomeState.UNKNOWN
    assert await saw(town, who) == []


async def test_another_process_goes_on_with_the_welcome_of_a_dead_one(town: Town) -> None:
    who = await comes(town)
    await greeter_of(town).take_up(16)
    assert (await the_welcome(town)).state is WelcomeState.SENDING
    assert await greeter_of(town).greet_new() == 0
    town.clock.forward(LEASE)
    assert await greeter_of(town).greet_new() == 1
    welcome = await the_welcome(town)
    assert (welcome.state, welcome.attempts) == (WelcomeState.SENT, 2)
    assert await saw(town, who) == [SEEN]


async def test_what_a_dead_process_left_too_late_is_unknown(town: Town) -> None:
    who = await comes(town)
    await greeter_of(town).take_up(16)
    town.clock.forward(timedelta(minutes=1))
    assert await greeter_of(town).greet_new() == 0
    assert (await the_welcome(town)).state is WelcomeState.UNKNOWN
    assert await saw(town, who) == []


async def test_doubled_callbacks_and_two_processes_send_once(town: Town) -> None:
    await town.control("faults", callbacks={"duplicate": 5, "copies": 4})
    people = [await comes(town, f"客户{number}") for number in range(5)]
    one, two = greeter_of(town), greeter_of(town)
    tried = await asyncio.gather(one.greet_new(), two.greet_new())
    assert sum(tried) == 5
    assert [await saw(town, who) for who in people] == [[SEEN]] * 5
    assert {w.state for w in await town.all(Welcome)} == {WelcomeState.SENT}


async def test_the_same_code_in_another_event_is_the_same_welcome(town: Town) -> None:
    who = await comes(town)
    [event] = await town.all(InboundEvent)
    body = inbox.text_of(event, town.parts.seal)
    second = int(town.clock().timestamp())
    again = body.replace(str(second), str(second + 1))
    assert again != body
    await town.parts.inbox.put(
        again.encode(), event.order_key, town.clock(), kind=event.kind, urgent=True
    )
    assert await greeter_of(town).greet_new() == 1
    assert len(await town.all(Welcome)) == 1
    assert await saw(town, who) == [SEEN]


async def test_an_event_that_cannot_be_read_is_in_nobodys_way(
    town: Town, session: AsyncSession
) -> None:
    await town.parts.inbox.put(b"<xml>", "", town.clock(), urgent=True)
    who = await comes(town)
    assert await greeter_of(town).greet_new() == 1
    assert await saw(town, who) == [SEEN]


async def test_events_are_urgent_no_more_once_both_paths_are_done(town: Town) -> None:
    await comes(town)
    await greeter_of(town).greet_new()
    await town.works()
    await greeter_of(town).greet_new()
    await comes(town, "钱女士")
    await greeter_of(town).greet_new()
    came = [event for event in await town.all(InboundEvent) if "contact" in event.kind]
    assert [event.urgent for event in sorted(came, key=lambda event: event.id)] == [False, True]


# ----------------------------------------------------------------------------------- beside a jam


async def test_welcomes_go_out_while_ordinary_events_wait_for_slow_reads(town: Town) -> None:
    """Two hundred events are stuck behind reads that hang; twenty customers come after them."""
    for number in range(200):
        await town.control(
            "add_contact", userid=town.rm.userid, name=f"旧客{number}", welcome_code=False
        )
    await town.control(
        "faults",
        api=[{"path": "externalcontact/get", "times": -1, "answer": "hang", "seconds": 2}],
    )
    await town.control("settle")
    jam = asyncio.create_task(town.parts.dispatcher.handle_new(town.clock()))
    people = [await comes(town, f"新客{number}") for number in range(20)]
    began = perf_counter()
    assert await greeter_of(town).greet_new() == 20
    took = perf_counter() - began
    assert [await saw(town, who) for who in people] == [[SEEN]] * 20
    async with town.parts.sessions() as session:
        waiting = select(func.count()).where(col(InboundEvent.state) == InboundState.NEW)
        left = (await session.execute(waiting)).scalar_one()
    assert not jam.done()
    assert left > 200
    jam.cancel()
    await asyncio.gather(jam, return_exceptions=True)
    log.info("welcomes_beside_a_jam", welcomes=20, seconds=round(took, 2), waiting=left)


async def test_the_loop_hears_the_bell(town: Town) -> None:
    with town.parts.bells.ear(inbox.BELL) as ear:
        loop = asyncio.create_task(town.parts.greeter.keep_greeting(ear))
        who = await comes(town)
        async with asyncio.timeout(10):
            while not await saw(town, who):
                pass
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
    assert await saw(town, who) == [SEEN]


async def test_a_script_that_needs_the_customers_name_is_not_offered(
    town: Town, session: AsyncSession
) -> None:
    await a_script(session, "叫得出名字", "您好，{客户称呼}。")
    await an_approved_material(session, title="常见问题")
    offered = await welcome_text.choices(session, town.rm.branch_id, town.clock())
    assert [title for _, title in offered] == ["欢迎语"]
    [material] = [m for m in await town.all(Material) if m.title == "欢迎语"]
    assert offered[0][0] == str(material.id)


async def test_a_choice_stands_in_the_audit_book(town: Town, session: AsyncSession) -> None:
    auditor = await a_staff(session, Role.AUDITOR)
    await session.commit()
    book = await (await town.client(auditor)).text("/system/audit")
    assert "选定欢迎语" in book


# ------------------------------------------------------------- a welcome that is more than words


async def bubbles(town: Town, who: str) -> list[tuple[str, str]]:
    """What this customer saw: what it is, and the SHA-256 of its file."""
    async with town.http.get(
        f"{town.platform}/control/ledger", params={"external_userid": who}
    ) as response:
        lines = (await response.json())["ledger"]
    return [(line["msgtype"], line["sha256"]) for line in lines]


async def a_poster_welcomes(town: Town, session: AsyncSession) -> Version:
    """The bank's own welcome is a poster with a text."""
    poster = await live(await an_office_of(session, town.parts.files), Kind.IMAGE)
    await welcome_text.choose(session, None, poster.material_id, by="hq", now=town.clock())
    await session.commit()
    return poster


async def test_a_poster_welcomes_with_its_text_and_its_approved_bytes(
    town: Town, session: AsyncSession
) -> None:
    poster = await a_poster_welcomes(town, session)
    parts = town.parts
    assert await warm(parts.sessions, parts.wecom, parts.stock, town.clock()) == 1
    who = await comes(town)
    assert await greeter_of(town).greet_new() == 1
    assert poster.file_id is not None
    approved = hashlib.sha256(await parts.files.read(poster.file_id)).hexdigest()
    assert await bubbles(town, who) == [("text", ""), ("image", approved)]
    [said] = await town.all(OutboundMessage)
    assert said.attachments[0]["sha256"] == approved


async def test_an_article_welcomes_with_a_link_of_this_customer(
    town: Town, session: AsyncSession
) -> None:
    article = await live(await an_office_of(session, town.parts.files), Kind.ARTICLE)
    await welcome_text.choose(session, None, article.material_id, by="hq", now=town.clock())
    await session.commit()
    who = await comes(town)
    assert await greeter_of(town).greet_new() == 1
    [link] = await town.all(TrackedLink)
    [welcome] = await town.all(Welcome)
    assert (link.source, link.source_id) == ("welcome", str(welcome.id))
    assert (link.contact, link.customer_id, link.staff_id) == (who, None, town.rm.id)
    assert (await town.control("open_link", external_userid=who))["url"].endswith(link.code)


async def test_the_phone_of_the_welcome_shows_the_poster(town: Town, session: AsyncSession) -> None:
    poster = await a_poster_welcomes(town, session)
    hq = await a_staff(session, Role.HQ)
    await session.commit()
    page = await (await town.client(hq)).text("/welcomes")
    assert f'class="sent-image" src="/content/files/{poster.file_id}"' in page
    shown = await (await town.client(hq)).get(f"/content/files/{poster.file_id}")
    assert shown.status == 200


async def test_a_media_id_wecom_has_lost_is_uploaded_again_within_the_twenty_seconds(
    town: Town, session: AsyncSession
) -> None:
    await a_poster_welcomes(town, session)
    parts = town.parts
    await warm(parts.sessions, parts.wecom, parts.stock, town.clock())
    async with parts.sessions.begin() as own:
        await own.execute(update(UploadedMedia).values(media_id="lost"))
    who = await comes(town)
    await greeter_of(town).greet_new()
    assert [kind for kind, _ in await bubbles(town, who)] == ["text", "image"]
    assert (await the_welcome(town)).state is WelcomeState.SENT
