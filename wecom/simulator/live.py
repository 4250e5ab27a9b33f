"""Who is watching: open pages that want to know when the world has changed."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager


class Live:
    """Tells every open page what changed; a page that reads too slowly only misses repeats."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[str]] = set()
        self.closing = asyncio.Event()
        self.dirty = asyncio.Event()

    def announce(self, kind: str, userid: str = "", external_userid: str = "") -> None:
        """Say that something of this kind changed for these two; also marks the snapshot stale."""
        self.dirty.set()
        news = json.dumps({"kind": kind, "userid": userid, "external_userid": external_userid})
        for watcher in self._watchers:
            if not watcher.full():
                watcher.put_nowait(news)

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[str]]:
        """A queue of news for as long as the page is open."""
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=100)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def close(self) -> None:
        """Let every open stream and every hanging call end."""
        self.closing.set()
        for watcher in self._watchers:
            if not watcher.full():
                watcher.put_nowait("")
