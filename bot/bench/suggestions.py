"""From a customer's stored message to a stored suggestion, with libraries of growing size."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from uuid import UUID

import psutil
import uvloop
from prometheus_client import REGISTRY
from sqlalchemy import func
from sqlmodel import col, select

from bank.database import Sessions, ring, utc_now
from bank.settings import Settings
from bot import loops
from bot.app import Parts, open_parts
from bot.bench import shelf
from bot.bench.machine import percentile
from bot.bench.watching import Spent, Watched, watched
from bot.chat import conversations
from bot.chat.conversations import Line
from bot.chat.customer_chat import QUESTION_BELL
from bot.models import Message, Speaker
from knowledge import suggestions
from knowledge.indexing import LibraryIndex
from knowledge.models import Suggestion
from migrations import migrate

PATIENCE_SECONDS = 30.0
# What the product measures of itself, in the order of the road.
MEASURED = ("search", "match", "draft", "check")
CLAIMS, STORES = "UPDATE message SET lease_until", "INSERT INTO suggestion"


@dataclass(frozen=True)
class Plan:
    """Sizes of the library in passages, growing, and how many questions are asked at each."""

    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)
    questions: int = 140
    warm_up: int = 5


@dataclass(frozen=True)
class Each:
    """What one of many waiting messages costs; processor time of this process and PostgreSQL."""

    statements: float
    transactions: float
    product_cpu_ms: float
    database_cpu_ms: float


@dataclass(frozen=True)
class Figures:
    """One size: seconds to build, to learn and to restore what was saved; ms to answer."""

    passages: int
    rows: int  # of the index: titles, passages and example questions
    build_seconds: float
    learn_seconds: float
    restore_seconds: float
    one_more_ms: float
    memory_mib: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    slowest_ms: float
    parts_ms: dict[str, float]  # on average
    each: Each
    outcomes: dict[str, int]


@dataclass(frozen=True)
class Suggesting:
    """All sizes, smallest first."""

    plan: Plan
    sizes: list[Figures]


class SuggestionsMissing(RuntimeError):
    """Fewer suggestions are stored than questions were asked."""


class IndexNotFoundAgain(RuntimeError):
    """The saved index was not taken up again."""


def measure(settings: Settings, plan: Plan) -> Suggesting:
    """Every size on that empty bank, on the loops of a worker process."""
    migrate(settings.database_url)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return Suggesting(plan, runner.run(_measure(settings, plan)))


async def _measure(settings: Settings, plan: Plan) -> list[Figures]:
    house, stocked, figures = None, 0, []
    for size in plan.sizes:
        # A folder for each size: nothing is found again, everything is built.
        at_size = settings.model_copy(update={"home": settings.home / str(size)})
        materials = shelf.holding(size)
        async with open_parts(at_size) as parts:
            async with parts.sessions.begin() as session:
                house = house or await shelf.a_house(session, utc_now())
                await shelf.stock(session, house, stocked, materials, utc_now())
            stocked = materials + 1
            data = settings.home / "postgres"
            figures.append(await _at_size(at_size, parts, house, size, data, plan))
    return figures


async def _at_size(
    settings: Settings, parts: Parts, house: shelf.House, size: int, data: Path, plan: Plan
) -> Figures:
    build = await _catch_up(parts)
    materials = shelf.holding(size)
    async with parts.sessions.begin() as session:
        await shelf.stock(session, house, materials, materials + 1, utc_now())
    one_more = await _catch_up(parts)
    began = perf_counter()
    await loops.learn(parts)
    learn = perf_counter() - began
    restore = await _restored(settings, parts)
    memory = psutil.Process().memory_info().rss / 2**20
    async with loops.running_loops(settings, parts, "worker"):
        await _ask(parts, house, f"warm-{size}", plan.warm_up)
        before = _made()
        with watched(parts.sessions) as seen:
            asked = await _ask(parts, house, f"asked-{size}", plan.questions)
        made = {part: 1000 * (now - before[part]) / len(asked) for part, now in _made().items()}
    took = sorted(each.ms for each in asked)
    outcomes = await _outcomes(parts.sessions, plan.questions)
    return Figures(
        passages=size,
        rows=sum(rows for _, rows in parts.index.hybrid.held_by),
        build_seconds=build,
        learn_seconds=learn,
        restore_seconds=restore,
        one_more_ms=one_more * 1000,
        memory_mib=memory,
        p50_ms=percentile(took, 0.5),
        p95_ms=percentile(took, 0.95),
        p99_ms=percentile(took, 0.99),
        slowest_ms=took[-1],
        parts_ms=_parts(asked, seen, made),
        each=await _queued(parts, house, f"queued-{size}", plan.questions, data),
        outcomes=outcomes,
    )


async def _catch_up(parts: Parts) -> float:
    began = perf_counter()
    async with parts.sessions.begin() as session:
        await parts.index.catch_up(session, utc_now())
    return perf_counter() - began


async def _restored(settings: Settings, parts: Parts) -> float:
    """Seconds until a process that starts again has the saved index."""
    began = perf_counter()
    again = LibraryIndex(parts.index.encoder, settings.home / "index", parts.index.store)
    async with parts.sessions() as session:
        await again.restore(session)
    if again.seq != parts.index.seq:
        raise IndexNotFoundAgain(IndexNotFoundAgain.__doc__)
    return perf_counter() - began


@dataclass(frozen=True)
class Asked:
    """When a message was committed and when its suggestion was heard of."""

    began: float
    heard: float

    @property
    def ms(self) -> float:
        """Milliseconds between the two."""
        return (self.heard - self.began) * 1000


async def _ask(parts: Parts, house: shelf.House, name: str, count: int) -> list[Asked]:
    """One message after the other, each when the one before has its suggestion."""
    asked = []
    with parts.bells.ear(suggestions.BELL) as ear:
        for number, text in enumerate(islice(cycle(shelf.asked()), count)):
            customer = house.customers[number % len(house.customers)]
            await store(parts.sessions, house.rm, customer, f"{name}-{number}", text, utc_now())
            began = perf_counter()
            await asyncio.wait_for(ear.get(), PATIENCE_SECONDS)
            asked.append(Asked(began, perf_counter()))
    return asked


def _made() -> dict[str, float]:
    """Seconds spent so far on each part the product itself measures."""
    name = "siyu_suggestion_seconds_sum"
    return {part: REGISTRY.get_sample_value(name, {"part": part}) or 0.0 for part in MEASURED}


def _parts(asked: Sequence[Asked], seen: Watched, made: dict[str, float]) -> dict[str, float]:
    """Milliseconds of a suggestion on average: before it is claimed, part by part, stored, else."""
    wait = store = 0.0
    for each in asked:
        stored = next(s for s in seen.statements if s.at > each.began and s.begins(STORES))
        mine = [s for s in seen.statements if s.task == stored.task and s.at < stored.at]
        wait += max(0.0, [s.at for s in mine if s.begins(CLAIMS)][-1] - each.began)
        store += each.heard - stored.at
    means = {"wait": 1000 * wait / len(asked), **made, "store": 1000 * store / len(asked)}
    return means | {"rest": sum(each.ms for each in asked) / len(asked) - sum(means.values())}


async def _queued(parts: Parts, house: shelf.House, name: str, count: int, data: Path) -> Each:
    """So many messages answered in one go, and nothing else done meanwhile."""
    for number, text in enumerate(islice(cycle(shelf.asked()), count)):
        customer = house.customers[number % len(house.customers)]
        await store(parts.sessions, house.rm, customer, f"{name}-{number}", text, utc_now())
    before = Spent.until_now(data)
    with watched(parts.sessions) as seen:
        await parts.dispatcher.answer_new(utc_now())
    spent = Spent.until_now(data).since(before)
    return Each(
        statements=len(seen.statements) / count,
        transactions=seen.commits / count,
        product_cpu_ms=1000 * spent.product / count,
        database_cpu_ms=1000 * spent.database / count,
    )


async def store(
    sessions: Sessions, rm: UUID, customer: UUID, msgid: str, text: str, now: datetime
) -> None:
    """A customer's message is stored, and the worker hears of it."""
    async with sessions.begin() as session:
        line = Line(msgid, rm, customer, Speaker.CUSTOMER, text, now)
        await conversations.append(session, line, now)
        await ring(session, QUESTION_BELL)


async def _outcomes(sessions: Sessions, newest: int) -> dict[str, int]:
    """What became of the newest questions; raises SuggestionsMissing if there are not as many."""
    query = select(Suggestion.state).order_by(col(Suggestion.created_at).desc()).limit(newest)
    async with sessions() as session:
        states = [str(state) for state in (await session.execute(query)).scalars()]
        messages = await session.execute(select(func.count()).select_from(Message))
        stored = await session.execute(select(func.count()).select_from(Suggestion))
        if messages.scalar_one() != stored.scalar_one():
            raise SuggestionsMissing(SuggestionsMissing.__doc__)
    return dict(Counter(states))
