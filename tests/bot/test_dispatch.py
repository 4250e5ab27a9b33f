"""Events and messages to their handlers: each once, in order, and none in the way of another."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from attribution.models import Touchpoint
from bank.models import Role, Staff
from bank.settings import Settings
from bot.app import open_parts
from bot.chat.customer_chat import pull_archive
from bot.inbound.behind import ALREADY_SEEN
from bot.inbound.dispatch import Dispatcher
from bot.inbound.inbox import text_of
from bot.models import InboundEvent, InboundState, Message
from customers.models import Customer, Follow, FollowState
from knowledge.models import Suggestion, SuggestionState
from knowledge.writer import Draft, Source, quote
from tests.builders import MONDAY, a_customer, a_follow, a_staff, an_approved_material
from tests.conftest import Clock, Product
from tests.town import Town, a_town
from wecom.archive import ArchiveClient

ASKED = "我赎回的钱几天能到账啊"
STRANGER = "wmSTRANGER00000000000000000001"
GONE = "not handled: nobody of ours serves this contact any more"


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform, one RM, one customer, one approved answer."""
    await an_approved_material(session)
    async with a_town(settings, clock, session) as made:
        await made.works()
        yield made


class BreaksAt:
    """A writer that breaks at one question and quotes at all others."""

    name = "breaking"

    def __init__(self, word: str) -> None:
        self.word, self.asked = word, 0

    async def draft(self, question: str, sources: Sequence[Source]) -> Draft:
        """Break, or quote."""
        self.asked += self.word in question
        if self.word in question:
            raise RuntimeError(question)
        return quote(sources)


async def messages(town: Town) -> dict[str, Message]:
    return {message.text: message for message in await town.all(Message)}


# ------------------------------------------------------------------------- messages that wait


async def test_a_message_that_cannot_be_answered_blocks_nobody_and_is_given_up(
    town: Town, session: AsyncSession
) -> None:
    hard, easy = "赎回几天到账，急急急", ASKED
    writer = BreaksAt("急急急")
    dispatcher = replace(town.parts.dispatcher, writer=writer)
    await town.writes(hard)
    await town.writes(easy)
    await dispatcher.handle_new(town.clock())
    assert await dispatcher.answer_new(town.clock()) == 1
    [suggestion] = await town.all(Suggestion)
    assert suggestion.question == easy
    for _ in range(5):
        town.clock.forward(timedelta(minutes=2))
        assert await dispatcher.answer_new(town.clock()) == 0
    assert writer.asked == 3
    given_up = (await messages(town))[hard]
    assert (given_up.answered, given_up.attempts) == (True, 3)
    assert given_up.failure == "RuntimeError"
    admin = await a_staff(session, Role.ADMIN)
    await session.commit()
    page = await (await town.client(admin)).text("/system/inbound")
    assert str(given_up.id) in page
    assert "RuntimeError" in page
    assert hard not in page


async def test_a_try_that_works_forgets_the_failure_before_it(town: Town) -> None:
    await town.writes(ASKED)
    await town.parts.dispatcher.handle_new(town.clock())
    broken = replace(town.parts.dispatcher, writer=BreaksAt("到账"))
    assert await broken.answer_new(town.clock()) == 0
    assert (await messages(town))[ASKED].failure == "RuntimeError"
    town.clock.forward(timedelta(minutes=1))
    assert await town.parts.dispatcher.answer_new(town.clock()) == 1
    assert (await messages(town))[ASKED].failure == ""


async def test_a_message_whose_tries_all_died_with_their_process_is_given_up(town: Town) -> None:
    await town.writes(ASKED)
    await town.parts.dispatcher.handle_new(town.clock())
    for tries in (1, 2, 3):
        async with town.parts.sessions.begin() as other:
            message = (await other.execute(select(Message))).scalar_one()
            # As a process leaves it that was killed while it made the suggestion.
            message.attempts, message.lease_until = tries, town.clock() + timedelta(seconds=60)
        assert await town.parts.dispatcher.answer_new(town.clock()) == 0
        town.clock.forward(timedelta(seconds=61))
    assert await town.parts.dispatcher.answer_new(town.clock()) == 0
    message = (await messages(town))[ASKED]
    assert (message.answered, message.failure) == (True, "ProcessDied")


async def test_no_suggestion_is_made_once_the_relation_is_over(town: Town) -> None:
    await town.writes(ASKED)
    await town.parts.dispatcher.handle_new(town.clock())
    async with town.parts.sessions.begin() as other:
        (await other.execute(select(Follow))).scalar_one().state = FollowState.REMOVED_BY_CUSTOMER
    await town.parts.dispatcher.answer_new(town.clock())
    assert await town.all(Suggestion) == []
    assert (await messages(town))[ASKED].answered


# --------------------------------------------------------------------------------- the archive


async def a_stranger(town: Town) -> None:
    """A customer of the RM whose callback never came."""
    relation = {"userid": town.rm.userid, "external_userid": STRANGER}
    follow = relation | {"created_at": MONDAY.isoformat()}
    await town.control(
        "seed", contacts=[{"external_userid": STRANGER, "name": "新客"}], follows=[follow]
    )


async def stranger_writes(town: Town, words: str) -> None:
    town.clock.forward(timedelta(seconds=15))
    await town.control("message", **{"from": STRANGER, "to": town.rm.userid, "text": words})
    await town.control("settle")


async def test_a_customer_whose_callback_was_lost_is_fetched_and_answered(town: Town) -> None:
    await a_stranger(town)
    await stranger_writes(town, ASKED)
    await town.works()
    [suggestion] = await town.all(Suggestion)
    fetched = next(c for c in await town.all(Customer) if c.external_userid == STRANGER)
    assert suggestion.customer_id == fetched.id


async def test_a_stranger_who_is_gone_again_is_no_failure(town: Town) -> None:
    await a_stranger(town)
    gone = {"path": "externalcontact/get", "times": 3, "answer": 84061}
    await town.control("faults", api=[gone])
    await stranger_writes(town, ASKED)
    await town.works()
    events = await town.all(InboundEvent)
    assert {e.state for e in events} == {InboundState.DONE}
    assert GONE in [e.outcome for e in events]


async def test_a_contact_wecom_does_not_show_is_quarantined_and_stops_nobody(
    town: Town, session: AsyncSession
) -> None:
    await a_stranger(town)
    refusing = {"path": "externalcontact/get", "times": 3, "answer": 48002}
    await town.control("faults", api=[refusing])
    await stranger_writes(town, "我是谁，赎回几天到账")
    await town.writes(ASKED)
    await town.works()
    assert [s.question for s in await town.all(Suggestion)] == [ASKED]
    for _ in range(3):
        town.clock.forward(timedelta(minutes=1))
        await town.works()
    [kept] = [e for e in await town.all(InboundEvent) if e.state is InboundState.QUARANTINED]
    assert "48002" in kept.outcome
    assert "赎回" not in text_of(kept, town.parts.seal)
    admin = await a_staff(session, Role.ADMIN)
    await session.commit()
    desk = await town.client(admin)
    assert (await desk.post(f"/system/inbound/{kept.id}/replay")).status == 303
    await town.works()
    assert len(await town.all(Suggestion)) == 2


async def test_an_outage_of_wecom_quarantines_nothing(town: Town) -> None:
    await a_stranger(town)
    limited = {"path": "externalcontact/get", "times": 5, "answer": 45009}
    await town.control("faults", api=[limited])
    await stranger_writes(town, ASKED)
    for _ in range(6):
        await town.works()
        town.clock.forward(timedelta(minutes=10))
    [waiting] = [e for e in await town.all(InboundEvent) if e.state is not InboundState.DONE]
    assert (waiting.state, waiting.attempts) == (InboundState.NEW, 6)
    assert "45009" in waiting.outcome or "RateLimited" in waiting.outcome


async def test_a_friend_of_a_member_who_is_not_on_our_list_is_left_alone(town: Town) -> None:
    await town.control(
        "seed",
        members=[{"userid": "cleaner", "name": "保洁"}],
        contacts=[{"external_userid": STRANGER, "name": "邻居"}],
        follows=[
            {
                "userid": "cleaner",
                "external_userid": STRANGER,
                "created_at": MONDAY.isoformat(),
            }
        ],
    )
    await town.control("message", **{"from": STRANGER, "to": "cleaner", "text": "在吗"})
    await town.writes(ASKED)
    await town.works()
    assert [m.text for m in await town.all(Message)] == [ASKED]
    assert all(e.state is InboundState.DONE for e in await town.all(InboundEvent))


class Sidecar:
    """An archive that holds whatever it is given, and answers when it is let to."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = [{"seq": at} | row for at, row in enumerate(rows, 1)]
        self.asked, self.open = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.set()
        await self.open.wait()
        after, limit = int(request.query["seq"]), int(request.query["limit"])
        rows = [row for row in self.rows if row["seq"] > after][:limit]
        return web.json_response({"errcode": 0, "errmsg": "ok", "chatdata": rows})


@asynccontextmanager
async def archive_of(sidecar: Sidecar) -> AsyncIterator[ArchiveClient]:
    app = web.Application()
    app.router.add_get("/messages", sidecar.handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        yield ArchiveClient(http, str(server.make_url("")), "secret")


def said(customer: Customer, rm: Staff, words: Any, msgid: Any) -> dict[str, Any]:
    message = {
        "msgid": msgid,
        "action": "send",
        "from": customer.external_userid,
        "tolist": [rm.userid],
        "msgtime": int(MONDAY.timestamp() * 1000),
        "msgtype": "text",
        "text": {"content": words},
    }
    return {"msgid": msgid, "message": message}


async def an_rm_with_a_customer(session: AsyncSession) -> tuple[Staff, Customer]:
    rm = await a_staff(session, Role.RM)
    customer = await a_customer(session)
    await a_follow(session, rm, customer)
    await session.commit()
    return rm, customer


async def test_odd_messages_are_kept_or_quarantined_and_the_cursor_goes_on(
    product: Product, session: AsyncSession
) -> None:
    rm, customer = await an_rm_with_a_customer(session)
    sidecar = Sidecar(
        said(customer, rm, "带\0零", "m1"),
        said(customer, rm, "半个\ud83d字", "m2"),
        said(customer, rm, None, "m3"),
        said(customer, rm, "没有编号", None),
        {"msgid": "m5", "message": "不是对象"},
        said(customer, rm, "编号带\0零", "m\0" + "6"),
        said(customer, rm, ASKED, "m7"),
    )
    now = product.clock()
    async with archive_of(sidecar) as archive:
        await pull_archive(product.parts.sessions, archive, now)
        dispatcher = replace(product.parts.dispatcher, archive=archive)
        for _ in range(4):
            await dispatcher.handle_new(now)
            now += timedelta(minutes=1)
    stored = {m.msgid: m.text for m in (await session.execute(select(Message))).scalars()}
    assert stored["m7"] == ASKED
    assert stored["m1"] == "带\ufffd零"
    events = (await session.execute(select(InboundEvent))).scalars().all()
    assert {event.state for event in events} == {InboundState.QUARANTINED}
    kept = {text_of(event, product.parts.seal) for event in events}
    # What is half a character or no text is kept where it can be stored, and set aside where not.
    unstored = {f"archive:{seq}" for seq in (2, 3) if f"m{seq}" not in stored}
    assert kept == {"archive:4", "archive:5", "archive:6"} | unstored
    assert all(event.outcome for event in events)


async def test_a_slow_archive_locks_nothing(product: Product, session: AsyncSession) -> None:
    rm, customer = await an_rm_with_a_customer(session)
    sidecar = Sidecar(said(customer, rm, ASKED, "m1"))
    sidecar.open.clear()
    async with archive_of(sidecar) as archive:
        pulling = asyncio.create_task(
            pull_archive(product.parts.sessions, archive, product.clock())
        )
        await sidecar.asked.wait()
        await session.execute(text("LOCK TABLE cursor IN ACCESS EXCLUSIVE MODE NOWAIT"))
        await session.rollback()
        sidecar.open.set()
        assert await pulling == 1


async def test_two_processes_that_pull_at_once_store_each_message_once(
    product: Product, session: AsyncSession
) -> None:
    rm, customer = await an_rm_with_a_customer(session)
    rows = [said(customer, rm, f"{ASKED}{n}", f"m{n}") for n in range(40)]
    async with archive_of(Sidecar(*rows)) as archive:
        pulls = [pull_archive(product.parts.sessions, archive, product.clock()) for _ in range(4)]
        assert sum(await asyncio.gather(*pulls)) == 40
    stored = (await session.execute(select(Message.msgid))).scalars().all()
    assert len(stored) == len(set(stored)) == 40


async def test_what_an_unreachable_archive_holds_comes_later(town: Town) -> None:
    await town.control("faults", api=[{"path": "archive/messages", "times": 9, "answer": "500"}])
    await town.writes(ASKED)
    await town.works()
    await town.control("faults", clear=True)
    assert await town.parts.dispatcher.pull_without_bell(town.clock()) in (0, 1)
    await town.works()
    assert [s.question for s in await town.all(Suggestion)] == [ASKED]


# ------------------------------------------------------------------------------ late callbacks


async def test_a_late_callback_of_a_relation_that_is_over_revives_nothing(
    town: Town, session: AsyncSession
) -> None:
    other = await a_staff(session, Role.RM, name="赵强")
    await session.commit()
    # WeCom knows the customer, but not with this RM any more.
    contact = town.customer.external_userid
    await town.control("seed", members=[{"userid": other.userid, "name": other.name}])
    body = (
        f"<xml><ToUserName>{'wx5823bf96d3bd56c7'}</ToUserName><FromUserName>sys</FromUserName>"
        "<CreateTime>1700000000</CreateTime><MsgType>event</MsgType>"
        "<Event>change_external_contact</Event><ChangeType>add_external_contact</ChangeType>"
        f"<UserID>{other.userid}</UserID><ExternalUserID>{contact}</ExternalUserID></xml>"
    )
    await town.parts.inbox.put(body, str(contact), town.clock())
    await town.works()
    [event] = await town.all(InboundEvent)
    assert event.outcome == "not handled: the relation is over already"
    assert [f.staff_id for f in await town.all(Follow)] == [town.rm.id]


# ------------------------------------------------------------------------------- two processes


async def test_two_processes_handle_and_answer_everything_once(
    town: Town, settings: Settings
) -> None:
    for number in range(12):
        await town.writes(f"{ASKED}{'啊' * number}")
    for number in range(30):
        body = (
            "<xml><ToUserName>wx5823bf96d3bd56c7</ToUserName><FromUserName>sys</FromUserName>"
            f"<CreateTime>17{number:08d}</CreateTime><MsgType>event</MsgType>"
            f"<Event>something_new_{number}</Event></xml>"
        )
        await town.parts.inbox.put(body, f"wm{number % 3}", town.clock())
    now = town.clock()
    async with AsyncExitStack() as stack:
        second = await stack.enter_async_context(open_parts(settings, now=town.clock))
        async with second.sessions.begin() as session:
            await second.index.catch_up(session, now)
        ours = town.parts.dispatcher
        theirs: Dispatcher = replace(second.dispatcher, wecom=ours.wecom, archive=ours.archive)
        both = (ours, theirs)
        handled = await asyncio.gather(*(one.handle_new(now) for one in both))
        await asyncio.gather(*(one.handle_new(now) for one in both))
        answered = await asyncio.gather(*(one.answer_new(now) for one in both))
    events = await town.all(InboundEvent)
    assert sum(handled) == sum(event.attempts for event in events)
    assert {event.state for event in events} == {InboundState.DONE}
    assert {event.attempts for event in events if event.outcome != ALREADY_SEEN} == {1}
    assert {event.attempts for event in events if event.outcome == ALREADY_SEEN} <= {0, 1}
    assert sum(answered) == len(await town.all(Message)) == 12
    assert len(await town.all(Suggestion)) == 12
    assert len(await town.all(Touchpoint)) == 12
    assert {s.state for s in await town.all(Suggestion)} == {SuggestionState.OFFERED}
