"""A real Chromium for tests and pictures."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from playwright.async_api import Browser, Download, ViewportSize, async_playwright

from bot.bench.browser import QUIET, a_browser, chromium

__all__ = ["DESK", "a_browser", "browsing_at", "joined", "taken"]

DESK: ViewportSize = {"width": 1440, "height": 900}


@contextmanager
def browsing_at(folder: Path) -> Iterator[str]:
    """A Chromium that many may join, one after the other; yields where it listens."""
    config = folder / "browser.json"
    config.write_text(json.dumps({"executablePath": chromium(), "headless": True, "args": QUIET}))
    command = [sys.executable, "-m", "playwright", "launch-server", "--browser", "chromium"]
    # In a group of its own: who starts the browser is a child of the process started here.
    with subprocess.Popen(
        [*command, "--config", str(config)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            os.killpg(server.pid, signal.SIGTERM)


@asynccontextmanager
async def joined(address: str) -> AsyncIterator[Browser]:
    """That Chromium with nothing open; what is opened in it is gone in the end."""
    async with async_playwright() as tools:
        browser = await tools.chromium.connect(address)
        yield browser
        await browser.close()


async def taken(download: Download, folder: Path) -> Path:
    """What was downloaded, in that folder: a browser that was joined keeps its own."""
    path = folder / download.suggested_filename
    await download.save_as(path)
    return path
