"""What is logged: names of events and ids; never a word, a number, a name or a secret."""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from bank import logs
from bank.settings import Settings
from bot.loops import _safely
from bot.models import Message
from knowledge.models import Suggestion
from knowledge.writer import Draft, Source
from tests.builders import an_approved_material
from tests.conftest import Clock
from tests.town import Town, a_town

MOBILE, CARD, WORDS = "13812345678", "6222020200112233446", "我想问问赎回的金丝雀"
SECRET = "canary-app-secret"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Every secret is a canary."""
    return settings.model_copy(update={"wecom_secret": SecretStr(SECRET)})


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform."""
    async with a_town(settings, clock, session) as made:
        yield made


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything the process writes to stderr, as production sets it up."""
    handlers, written = logging.getLogger().handlers, io.StringIO()
    before, handlers[:] = handlers[:], []
    with redirect_stderr(written):
        logs.set_up("json")
        yield written
    structlog.reset_defaults()
    handlers[:] = before


class Fails:
    """A writer whose failure quotes what it was asked."""

    name = "failing"

    async def draft(self, question: str, sources: Sequence[Source]) -> Draft:
        """Fail loudly."""
        raise RuntimeError(f"cannot word {question} from {sources}")


async def test_a_whole_journey_with_its_failures_logs_no_word_and_no_secret(
    town: Town, session: AsyncSession, logged: io.StringIO
) -> None:
    await an_approved_material(session)
    await session.commit()
    asked = f"我赎回的钱几天能到账啊，{WORDS}，电话{MOBILE}，卡号{CARD}"
    await town.control("faults", callbacks={"duplicate": 2})
    await town.writes(asked)
    await town.works()
    await replace(town.parts.dispatcher, writer=Fails()).answer_new(town.clock())
    await town.writes("赎回几天到账" + asked)
    await town.parts.dispatcher.handle_new(town.clock())
    await replace(town.parts.dispatcher, writer=Fails()).answer_new(town.clock())
    await town.parts.inbox.put(f"<broken>{asked}", "", town.clock())
    await town.parts.dispatcher.handle_new(town.clock())
    await town.control("faults", api=[{"path": "archive/messages", "times": 9, "answer": "500"}])
    await town.parts.dispatcher.pull_without_bell(town.clock())
    await town.control("faults", clear=True)
    await town.control("invalidate_token")
    await town.http.post(
        f"{town.base}/wecom/callback?msg_signature=x&timestamp=1&nonce=2", data=asked
    )
    town.clock.forward(timedelta(minutes=1))
    await town.works()
    rm = await town.sidebar()
    contact = town.customer.external_userid
    await rm.post(f"/sidebar/{contact}/ask", {"question": asked})
    for suggestion in await town.all(Suggestion):
        await rm.post(f"/sidebar/suggestions/{suggestion.id}/clear", {"text": asked})
    await rm.get(f"/sidebar/{contact}/suggest?q={MOBILE}")
    said = logged.getvalue()
    assert "event_handled" in said
    assert "answer_failed" in said
    assert len(await town.all(Message)) == 2
    for canary in (
        MOBILE,
        CARD,
        "金丝雀",
        "赎回",
        town.customer.name,
        town.rm.name,
        SECRET,
        "archive-secret",
        "access_token",
        "QDG6eK",
        "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
    ):
        assert canary not in said, canary


async def test_a_fault_of_the_database_is_logged_without_the_row_it_quotes(
    town: Town, logged: io.StringIO
) -> None:
    async def keep(_: object) -> None:
        async with town.parts.sessions.begin() as session:
            row = {"words": f"{WORDS}{MOBILE}"}
            await session.execute(text("SELECT CAST(:words AS integer)"), row)

    await _safely(town.parts, keep)  # type: ignore[arg-type]
    logging.getLogger("a.library").error("it broke", exc_info=fault())
    first, second = logged.getvalue().splitlines()[0], logged.getvalue()
    line = json.loads(first)
    assert line["event"] == "loop_failed"
    assert "test_privacy.py" in line["exception"]
    assert "psycopg" in line["exception"]
    assert "it broke" in second
    assert MOBILE not in second
    assert "金丝雀" not in second


def fault() -> Exception:
    """As a library raises it, with a cause that quotes."""
    try:
        try:
            raise psycopg.DataError(f"Failing row contains ({WORDS}, {MOBILE})")
        except psycopg.Error as cause:
            raise SQLAlchemyError(f"parameters: {MOBILE}") from cause
    except SQLAlchemyError as error:
        return error


async def test_metrics_count_and_name_nobody(town: Town, session: AsyncSession) -> None:
    await an_approved_material(session)
    await session.commit()
    await town.writes(f"我赎回的钱几天能到账啊，电话{MOBILE}")
    await town.works()
    async with town.http.get(f"{town.base}/metrics") as answer:
        said = await answer.text()
    for series in (
        'siyu_events_total{outcome="stored"}',
        'siyu_events_total{outcome="handled"}',
        'siyu_messages_total{outcome="answered"}',
        'siyu_suggestions_total{state="offered"}',
    ):
        assert series in said
    assert MOBILE not in said
    assert str(town.customer.id) not in said


async def test_readiness_says_what_is_missing(town: Town, session: AsyncSession) -> None:
    async def ready() -> tuple[int, dict[str, object]]:
        async with town.http.get(f"{town.base}/readyz") as answer:
            return answer.status, await answer.json()

    status, state = await ready()
    assert (status, state["database"], state["migrations"]) == (503, True, True)
    assert state["index"] is False
    await town.works()
    assert (await ready())[0] == 200, "an empty library is ready"
    await session.execute(text("ALTER TABLE alembic_version RENAME TO elsewhere"))
    await session.commit()
    status, state = await ready()
    assert (status, state["database"], state["migrations"]) == (503, True, False)
