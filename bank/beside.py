"""Work that goes on beside a block."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from typing import Any

# A cancellation that comes at a bad moment ends as a fault of what was waited for, and a loop goes
# on after a fault: it is repeated until the work has ended.
AGAIN_SECONDS = 1.0


@asynccontextmanager
async def beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these until the block is left; then they are cancelled, and have ended when we go on.

    The fault of one that ended by itself is raised then.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        await _ended(tasks)
        faults = [fault for task in tasks if not task.cancelled() and (fault := task.exception())]
    if faults:
        raise faults[0]


async def _ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel these until every one of them has ended."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=AGAIN_SECONDS)
