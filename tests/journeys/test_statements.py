"""How often the database is asked: no more with more customers, more talk, more material."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.database import ring
from bank.models import Staff
from bot.bench.watching import Watched, watched
from bot.chat import conversations
from bot.chat.conversations import Line
from bot.chat.nudging import NUDGE
from bot.chat.sidebar_materials import LISTED
from bot.models import Speaker
from content.models import Kind
from customers.models import Customer
from knowledge.indexing import BELL as LIBRARY_BELL
from knowledge.models import Suggestion, SuggestionState
from knowledge.suggestions import BELL
from tests.builders import a_customer, a_follow, a_product, an_approved_material
from tests.town import Town

ASKED = "我赎回的钱几天能到账啊"
# From the claim of a message to its stored suggestion, and the look for the next message.
A_SUGGESTION = 15
# Signing in, the chat, its suggestions and what may be sent of them.
THE_SIDEBAR = 13
QUIET = b": here\n\n"
WRITING = ("INSERT", "SELECT pg_notify")


async def asks(town: Town, customer: Customer, text: str, rm: Staff) -> None:
    """A customer's message is in the conversation."""
    town.clock.forward(timedelta(seconds=15))
    async with town.parts.sessions.begin() as session:
        sent = town.clock()
        line = Line(f"{customer.id}{sent}", rm.id, customer.id, Speaker.CUSTOMER, text, sent)
        await conversations.append(session, line, sent)


async def grows(town: Town, session: AsyncSession) -> None:
    """Twelve customers of the same RM who all have asked, twenty materials, products."""
    for number in range(20):
        about = await a_product(session, rating=2, name=f"安心添利{number}号")
        await an_approved_material(
            session,
            title=f"赎回到账说明之{number}",
            body=f"第{number}种情形：赎回的资金在确认后的两个交易日内到账。",
            questions=(f"赎回的钱几天到账第{number}种",),
            products=[about],
        )
    customers = [await a_customer(session, risk=3) for _ in range(12)]
    for customer in customers:
        await a_follow(session, town.rm, customer)
    await session.commit()
    await learns(town)
    for customer in customers:
        await asks(town, customer, ASKED, town.rm)
    assert await town.parts.dispatcher.answer_new(town.clock()) == 12


async def learns(town: Town) -> None:
    """The index takes in what there is."""
    async with town.parts.sessions.begin() as session:
        await town.parts.index.catch_up(session, town.clock())


async def counted(town: Town, act: Callable[[], Awaitable[object]]) -> Watched:
    """What was asked of the database meanwhile."""
    with watched(town.parts.sessions) as seen:
        await act()
    return seen


async def suggested(town: Town) -> Watched:
    """One message becomes a suggestion."""
    await asks(town, town.customer, ASKED, town.rm)

    async def answer() -> None:
        assert await town.parts.dispatcher.answer_new(town.clock()) == 1

    return await counted(town, answer)


async def opened(town: Town) -> Watched:
    """The RM opens the sidebar: its frame, then what to say to this customer."""
    sidebar, contact = await town.sidebar(), town.customer.external_userid

    async def look() -> None:
        await sidebar.text(f"/sidebar?demo={town.rm.userid}&customer={contact}")
        assert 'data-state="offered"' in await sidebar.text(f"/sidebar/{contact}/suggest")

    await look()  # The platform's ticket is fetched once.
    return await counted(town, look)


@pytest.fixture
async def answered(town: Town, session: AsyncSession) -> Town:
    """One approved material, and a first suggestion made of it."""
    await an_approved_material(session, products=[await a_product(session, rating=2)], risk=2)
    await session.commit()
    await learns(town)
    await suggested(town)
    [made] = await town.all(Suggestion)
    assert made.state is SuggestionState.OFFERED
    return town


async def test_a_suggestion_asks_the_database_as_often_whatever_there_is(
    answered: Town, session: AsyncSession
) -> None:
    before = await suggested(answered)
    await grows(answered, session)
    after = await suggested(answered)
    assert len(after.statements) == len(before.statements) == A_SUGGESTION
    assert after.commits == before.commits == 3
    made = await answered.all(Suggestion)
    assert [each.state for each in made] == [SuggestionState.OFFERED] * len(made)


async def test_no_statement_of_a_suggestion_reads_a_whole_table(
    answered: Town, session: AsyncSession
) -> None:
    await grows(answered, session)
    seen = await suggested(answered)
    reading = [one.sql for one in seen.statements if not one.begins(WRITING)]
    assert len(reading) > 8
    assert [sql for sql in reading if not re.search(r"\sWHERE\s", sql)] == []


async def test_many_waiting_messages_are_taken_up_one_by_one_at_the_same_price(
    answered: Town, session: AsyncSession
) -> None:
    await grows(answered, session)
    one = await suggested(answered)
    for _ in range(4):
        await asks(answered, answered.customer, ASKED, answered.rm)

    async def answer() -> None:
        assert await answered.parts.dispatcher.answer_new(answered.clock()) == 4

    four = await counted(answered, answer)
    idle = await counted(answered, lambda: answered.parts.dispatcher.answer_new(answered.clock()))
    each = len(one.statements) - len(idle.statements)
    assert len(four.statements) == 4 * each + len(idle.statements)


async def test_opening_the_sidebar_asks_the_database_as_often_whatever_there_is(
    answered: Town, session: AsyncSession
) -> None:
    before = await opened(answered)
    await grows(answered, session)
    for _ in range(5):
        await suggested(answered)
    after = await opened(answered)
    assert len(after.statements) == len(before.statements) == THE_SIDEBAR


async def a_page(town: Town) -> str:
    """The address of the live stream of a page that has just been opened."""
    sidebar, contact = await town.sidebar(), town.customer.external_userid
    page = await sidebar.text(f"/sidebar/{contact}/suggest")
    [stream] = re.findall(r'sse-connect="([^"]+)"', page)
    return str(stream)


async def first_of(town: Town, stream: str) -> bytes:
    """What a stream says first."""
    sidebar = await town.sidebar()
    async with await sidebar.get(stream) as answer:
        return await answer.content.readuntil(b"\n\n")


async def test_a_page_is_not_read_twice_where_nothing_has_happened(answered: Town) -> None:
    assert await first_of(answered, await a_page(answered)) == QUIET


async def test_what_happened_before_the_stream_stood_is_told(answered: Town) -> None:
    stream = await a_page(answered)
    with answered.parts.bells.ear(BELL) as ear:
        await suggested(answered)
        await ear.get()
    assert await first_of(answered, stream) == NUDGE
    assert await first_of(answered, await a_page(answered)) == QUIET


async def test_material_that_goes_before_the_stream_stood_is_told(answered: Town) -> None:
    stream = await a_page(answered)
    with answered.parts.bells.ear(LIBRARY_BELL) as ear:
        async with answered.parts.sessions.begin() as session:
            await ring(session, LIBRARY_BELL)
        await ear.get()
    assert await first_of(answered, stream) == NUDGE


@pytest.mark.parametrize("mark", ["", "another-0", "%s-x", "%s--1", "%s-99999999"])
async def test_a_moment_nobody_here_remembers_is_told_of(answered: Town, mark: str) -> None:
    known = answered.parts.bells.mark.partition("-")[0]
    stream = (await a_page(answered)).partition("?")[0]
    told = mark.replace("%s", known)
    assert await first_of(answered, f"{stream}?since={told}") == NUDGE


@pytest.mark.parametrize("tab", ["scripts", "materials"])
async def test_a_tab_of_the_library_reads_no_more_of_a_larger_one(
    answered: Town, session: AsyncSession, tab: str
) -> None:
    sidebar, contact = await answered.sidebar(), answered.customer.external_userid
    shown: list[str] = []

    async def look() -> None:
        shown.append(await sidebar.text(f"/sidebar/{contact}/{tab}"))

    for kind in (Kind.SCRIPT, Kind.EDUCATION):
        await an_approved_material(session, title=f"第一份{kind.label}", kind=kind)
    await session.commit()
    before = await counted(answered, look)
    for kind in (Kind.SCRIPT, Kind.EDUCATION):
        for number in range(LISTED + 5):
            await an_approved_material(session, title=f"{kind.label}{number}", kind=kind)
    await session.commit()
    after = await counted(answered, look)
    assert len(after.statements) == len(before.statements)
    few, many = (page.count("选用</button>") for page in shown)
    assert 1 <= few < LISTED
    assert many == LISTED
