"""A real Chromium for tests and pictures."""

from playwright.async_api import ViewportSize

from bot.bench.browser import a_browser

__all__ = ["DESK", "a_browser"]

DESK: ViewportSize = {"width": 1440, "height": 900}
