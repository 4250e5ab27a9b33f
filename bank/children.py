"""Processes we start for a piece of work, and never leave behind."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def a_child(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, quiet: bool = False
) -> AsyncIterator[Process]:
    """The process, its input and output ours; killed when whoever waits for it goes away.

    `env` None means our own environment; `quiet` drops its error output, which is ours otherwise.
    Ctrl+C reaches us alone: we end it.
    """
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL if quiet else None,
        env=env,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            if child.returncode is None:
                child.kill()
                await child.wait()
