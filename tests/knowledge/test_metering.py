"""Tokens a day for the whole bank: counted in the database, for all processes, shown."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.database import open_engine, open_sessions
from bank.models import Role
from knowledge.metering import MOST_TOLD, Meter
from knowledge.models import ModelDay
from knowledge.writer import OpenAIWriter, most_tokens
from tests.builders import a_staff
from tests.knowledge.wire import FAITHFUL, Bench, Model

WORDING = 5_000  # more than one wording sets aside


class Metered:
    """The bench with a writer whose tokens are counted."""

    def __init__(self, bench: Bench, model: Model, writer: OpenAIWriter, meter: Meter) -> None:
        self.bench, self.model, self.writer, self.meter = bench, model, writer, meter

    async def asks(self) -> str:
        """A suggestion, two minutes later; who wrote it."""
        self.bench.product.clock.forward(timedelta(minutes=2))
        return (await self.bench.suggest(writer=self.writer)).writer

    async def days(self) -> list[ModelDay]:
        """What was counted, the newest day first."""
        async with self.bench.product.parts.sessions() as session:
            rows = (await session.execute(select(ModelDay))).scalars()
            return sorted(rows, key=lambda one: one.day, reverse=True)

    def within(self, tokens: int) -> None:
        """The budget of a day."""
        parts = self.bench.product.parts
        self.writer.meter = Meter(parts.sessions, tokens, self.bench.product.clock)


@pytest.fixture
async def metered(bench: Bench, model: Model, writer: OpenAIWriter) -> Metered:
    parts = bench.product.parts
    meter = Meter(parts.sessions, 10**6, bench.product.clock)
    writer.meter = meter
    model.writes((FAITHFUL, 1))
    return Metered(bench, model, writer, meter)


async def test_what_the_endpoint_says_it_took_is_counted(metered: Metered) -> None:
    metered.model.usage = {"prompt_tokens": 300, "completion_tokens": 45, "total_tokens": 345}
    assert await metered.asks() == "openai:m"
    [day] = await metered.days()
    assert (day.tokens, day.askings, day.turned_away) == (345, 1, 0)


@pytest.mark.parametrize("told", [None, {"total_tokens": 0}, {"total_tokens": -9}, {}])
async def test_where_it_does_not_say_what_was_set_aside_stays(
    metered: Metered, told: dict[str, int] | None
) -> None:
    metered.model.usage = told
    assert await metered.asks() == "openai:m"
    [day] = await metered.days()
    assert day.tokens == most_tokens(metered.model.asked[0]["messages"][1]["content"])


async def test_a_wild_figure_does_not_use_the_day_up(metered: Metered) -> None:
    metered.model.usage = {"total_tokens": 10**15}
    await metered.asks()
    [day] = await metered.days()
    assert day.tokens == MOST_TOLD


async def test_a_model_that_fails_has_taken_its_tokens(metered: Metered) -> None:
    metered.model.hangs = True
    assert await metered.asks() == "quoting"
    [day] = await metered.days()
    assert (day.askings, day.tokens > 0) == (1, True)


async def test_beyond_the_budget_passages_are_quoted_until_midnight(metered: Metered) -> None:
    metered.model.usage = {"total_tokens": 700}
    metered.within(2_500)
    written = [await metered.asks() for _ in range(6)]
    assert set(written[:2]) == {"openai:m"}
    assert written[-1] == "quoting"
    [day] = await metered.days()
    assert day.tokens <= 2_500
    assert (day.askings, day.turned_away) == (written.count("openai:m"), written.count("quoting"))
    assert len(metered.model.asked) == day.askings
    metered.bench.product.clock.forward(timedelta(days=1))
    assert await metered.asks() == "openai:m"
    assert [one.turned_away for one in await metered.days()] == [0, day.turned_away]


async def test_a_suggestion_that_is_rolled_back_has_taken_its_tokens(
    metered: Metered, session: AsyncSession
) -> None:
    await metered.asks()
    await session.rollback()
    [day] = await metered.days()
    assert day.tokens > 0


async def test_processes_at_once_never_pass_the_budget_together(
    database: str, metered: Metered
) -> None:
    engines = [open_engine(database) for _ in range(4)]
    meters = [Meter(open_sessions(each), 10_000, metered.bench.product.clock) for each in engines]
    asked = [meter.reserve(300) for meter in meters for _ in range(25)]
    given = [one for one in await asyncio.gather(*asked) if one is not None]
    [day] = await metered.days()
    assert len(given) == 33
    assert (day.tokens, day.turned_away) == (9_900, 67)
    for engine in engines:
        await engine.dispose()


async def test_without_a_database_no_model_is_asked(metered: Metered, database: str) -> None:
    nowhere = open_engine(database.replace("/siyu", "/nowhere").rsplit("/", 1)[0] + "/nowhere")
    metered.writer.meter = Meter(open_sessions(nowhere), 10**6, metered.bench.product.clock)
    assert await metered.asks() == "quoting"
    assert metered.model.asked == []
    await nowhere.dispose()


async def test_the_page_says_what_was_taken_and_that_the_day_is_used_up(metered: Metered) -> None:
    compliance = await a_staff(metered.bench.session, Role.COMPLIANCE)
    await metered.bench.session.commit()
    desk = await metered.bench.product.client(compliance)
    assert "还没有用过模型" in await (await desk.get("/service/model")).text()
    metered.model.usage = {"total_tokens": 1_234}
    await metered.asks()
    page = await (await desk.get("/service/model")).text()
    assert "1,234" in page
    assert "50,000,000" in page
    assert "今日额度已用完" not in page
    metered.within(1_300)
    assert await metered.asks() == "quoting"
    assert "今日额度已用完" in await (await desk.get("/service/model")).text()
