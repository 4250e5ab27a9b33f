"""What is asked of the database while something is measured, and the processor time it takes."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import psutil
from sqlalchemy import Engine, event

from bank.database import Sessions
from bot.bench.processes import postgres_in


@dataclass(frozen=True)
class Statement:
    """One statement: its words, when it was sent (`perf_counter`), and by which task."""

    sql: str
    at: float
    task: int

    def begins(self, words: str | tuple[str, ...]) -> bool:
        """Whether it is of that kind."""
        return self.sql.lstrip().startswith(words)


@dataclass
class Watched:
    """What was sent to the database, in order."""

    statements: list[Statement] = field(default_factory=list)
    commits: int = 0

    def note(self, *told: Any) -> None:
        """One more statement is on its way."""
        task = id(asyncio.current_task())
        self.statements.append(Statement(str(told[2]), perf_counter(), task))

    def note_commit(self, *_: Any) -> None:
        """A transaction ends well."""
        self.commits += 1


@contextmanager
def watched(sessions: Sessions) -> Iterator[Watched]:
    """Every statement of these sessions' engine until the block is left."""
    seen, engine = Watched(), _engine_of(sessions)
    event.listen(engine, "before_cursor_execute", seen.note)
    event.listen(engine, "commit", seen.note_commit)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", seen.note)
        event.remove(engine, "commit", seen.note_commit)


def _engine_of(sessions: Sessions) -> Engine:
    engine: Engine = sessions.kw["bind"].sync_engine
    return engine


@dataclass(frozen=True)
class Spent:
    """Seconds of processor time so far: of this process, and of the PostgreSQL in that folder."""

    product: float
    database: float

    @classmethod
    def until_now(cls, data: Path) -> "Spent":
        """What was spent until now."""
        return cls(process_time(), _of(postgres_in(data)))

    def since(self, before: "Spent") -> "Spent":
        """What was spent between the two."""
        return Spent(self.product - before.product, self.database - before.database)


def _of(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system
    return total
