"""Right of way: work that may wait a moment lets pass what cannot.

A welcome lives twenty seconds, an edited remark can be read later. While a welcome is being made,
the handling of events begins nothing new; what is under way goes on.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# However busy the welcomes are, events go on at this pace.
PATIENCE_SECONDS = 0.5


class RightOfWay:
    """Of one process: taken by what is urgent, waited for by the rest."""

    def __init__(self) -> None:
        self._urgent = 0
        self._free = asyncio.Event()
        self._free.set()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """While the block runs, who waits for `free` waits."""
        self._urgent += 1
        self._free.clear()
        try:
            yield
        finally:
            self._urgent -= 1
            if not self._urgent:
                self._free.set()

    async def free(self) -> None:
        """Return once nothing urgent is under way, and after half a second anyway."""
        if not self._free.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._free.wait()
