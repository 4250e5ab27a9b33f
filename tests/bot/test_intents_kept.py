"""How long the book of creations keeps its lines: 30 days when done, for ever when open."""

from datetime import timedelta

import pytest

from bank.database import Sessions
from bot import intents
from bot.intents import CONTACT_WAY, KEPT, MOST_ATTEMPTS, WrittenIntents
from bot.models import IntentState, PlatformIntent
from tests.bot.test_intents import the_intents
from tests.conftest import Clock
from wecom.intents import IntentState as Outcome

CARD = "message/send"


@pytest.fixture
def book(sessions: Sessions, clock: Clock) -> WrittenIntents:
    """The book of creations."""
    return WrittenIntents(sessions, clock)


async def forgets(sessions: Sessions, clock: Clock) -> int:
    """The hourly round."""
    async with sessions.begin() as session:
        return await intents.forget_done(session, clock())


async def made(book: WrittenIntents, call: str, state: Outcome | None = Outcome.DONE) -> str:
    """Something was asked for, with this outcome or none yet."""
    key = await book.open(call, {"state": "hz-01"})
    if state is not None:
        await book.settle(key, state, "made-1")
    return key


async def test_what_is_done_is_kept_for_thirty_days(
    book: WrittenIntents, sessions: Sessions, clock: Clock
) -> None:
    await made(book, CARD)
    clock.forward(KEPT)
    assert await forgets(sessions, clock) == 0
    await made(book, CARD)
    clock.forward(timedelta(seconds=1))
    assert await forgets(sessions, clock) == 1
    assert len(await the_intents(sessions)) == 1


async def test_what_a_person_may_have_to_look_at_stays(
    book: WrittenIntents, sessions: Sessions, clock: Clock
) -> None:
    for state in (Outcome.DONE, Outcome.UNKNOWN, Outcome.REFUSED, None):
        await made(book, CARD, state)
    clock.forward(timedelta(days=365))
    assert await forgets(sessions, clock) == 1
    assert [row.state for row in await the_intents(sessions)] == [
        IntentState.UNKNOWN,
        IntentState.REFUSED,
        IntentState.INTENT,
    ]


async def test_what_tells_ours_from_the_one_being_looked_up_stays_as_long(
    book: WrittenIntents, sessions: Sessions, clock: Clock
) -> None:
    await made(book, CONTACT_WAY)
    await made(book, CARD)
    lost = await made(book, CONTACT_WAY, None)
    clock.forward(timedelta(days=31))
    assert await forgets(sessions, clock) == 1
    assert {row.call for row in await the_intents(sessions)} == {CONTACT_WAY}
    async with sessions.begin() as session:
        given_up = await session.get_one(PlatformIntent, lost)
        given_up.state, given_up.attempts = IntentState.UNKNOWN, MOST_ATTEMPTS
    assert await forgets(sessions, clock) == 1
    assert [str(row.id) for row in await the_intents(sessions)] == [lost]
