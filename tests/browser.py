"""A real Chromium for tests and pictures."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, ViewportSize, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing here but pages of this machine: no updates, no sign-in, no protocol that needs a network.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK: ViewportSize = {"width": 1440, "height": 900}


class NoBrowserError(RuntimeError):
    """No chromium, chromium-browser or google-chrome on PATH; `make setup` says how to get one."""


def chromium() -> str:
    """The browser on PATH."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise NoBrowserError(str(NoBrowserError.__doc__))


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """A headless Chromium, closed in the end."""
    async with async_playwright() as tools:
        browser = await tools.chromium.launch(
            executable_path=chromium(), headless=True, args=list(QUIET)
        )
        try:
            yield browser
        finally:
            await browser.close()
