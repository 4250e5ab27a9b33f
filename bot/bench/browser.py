"""A real Chromium, for measuring pages and for the tests of pages."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser

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


class NoBrowserError(RuntimeError):
    """Pages need playwright (pip install 'siyu[dev]') and a chromium or google-chrome on PATH."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def chromium() -> str:
    """The browser on PATH."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise NoBrowserError


@asynccontextmanager
async def a_browser() -> "AsyncIterator[Browser]":
    """A headless Chromium, closed in the end."""
    # Only who measures or tests pages has it: the product runs without.
    try:
        from playwright.async_api import async_playwright
    except ImportError as missing:
        raise NoBrowserError from missing
    async with async_playwright() as tools:
        browser = await tools.chromium.launch(
            executable_path=chromium(), headless=True, args=list(QUIET)
        )
        try:
            yield browser
        finally:
            await browser.close()
