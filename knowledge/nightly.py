"""The matching of the night, a part of the run at a time, out of the way of whoever waits.

A run reads the whole library and every customer and computes for minutes. In a process that answers
all answers would wait for that, so it has a process of its own, at the lowest priority; where there
is little to match, starting one would cost more than the matching.
"""

import asyncio
import os
import sys
from collections.abc import Collection
from datetime import datetime
from typing import Literal
from uuid import UUID

import structlog
from pydantic import BaseModel
from threadpoolctl import threadpool_limits

from bank import logs
from bank.children import a_child
from bank.database import Sessions, open_engine, open_sessions
from bank.settings import Settings
from knowledge import matches
from knowledge.encoder import load_encoder

log = structlog.get_logger("knowledge")

# Portions in one go; the next tick goes on.
A_PART = 40
LOWEST = 19


class MatchingStopped(RuntimeError):
    """The process of the matching ended before its part was done; the next one goes on from there.

    It has told why on the error output.
    """


class Errand(BaseModel, frozen=True):
    """What the process of its own is told, on its input: an address may hold a password."""

    database_url: str
    encoder: str
    now: datetime
    log_format: Literal["console", "json"]
    steps: frozenset[UUID]


async def match(
    sessions: Sessions, settings: Settings, now: datetime, steps: Collection[UUID] = ()
) -> int:
    """Go on with the run of the night, or begin it; how many customers were matched.

    `steps` are the materials that touch sequences send.
    """
    async with sessions() as session:
        if not await matches.is_due(session, now):
            return 0
        small = await matches.is_small(session, now)
    if small:
        return await _part(sessions, settings.encoder, now, steps)
    return await _apart(
        Errand(
            database_url=settings.database_url,
            encoder=settings.encoder,
            now=now,
            log_format=settings.log_format,
            steps=frozenset(steps),
        )
    )


async def _part(sessions: Sessions, encoder: str, now: datetime, steps: Collection[UUID]) -> int:
    loaded = await asyncio.to_thread(load_encoder, encoder)
    return await matches.run(sessions, loaded, now, steps=steps, portions=A_PART)


async def _apart(errand: Errand) -> int:
    """Run it to its end in a process of its own; who is cancelled takes the process along."""
    async with a_child([sys.executable, "-m", __name__]) as child:
        told, _ = await child.communicate(errand.model_dump_json().encode())
    if child.returncode:
        raise MatchingStopped(MatchingStopped.__doc__)
    return int(told)


async def _run(errand: Errand) -> int:
    engine = open_engine(errand.database_url)
    try:
        return await _part(open_sessions(engine), errand.encoder, errand.now, errand.steps)
    finally:
        await engine.dispose()


def main() -> int:
    """The process of its own: does the errand on its input and prints how many were matched."""
    os.nice(LOWEST)
    errand = Errand.model_validate_json(sys.stdin.buffer.read())
    logs.set_up(errand.log_format)
    try:
        with threadpool_limits(1, user_api="blas"):
            sys.stdout.write(str(asyncio.run(_run(errand))))
    except Exception:
        log.exception("matching_stopped")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
