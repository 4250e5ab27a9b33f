"""The town every journey happens in."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page
from sqlalchemy.ext.asyncio import AsyncSession

from bank.settings import Settings
from tests.browser import DESK
from tests.conftest import Clock
from tests.town import Town, a_town

PATIENCE_MS = 15_000


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform, one RM, one customer, nothing said yet."""
    async with a_town(settings, clock, session) as made:
        yield made


# A tab left before its answer came is given up by the page itself; a lost network says more.
GIVEN_UP = ("htmx:afterRequest,", "htmx:sendAbort,")


@pytest.fixture
def faults() -> list[str]:
    """What the pages complained of; a test that provokes a refusal takes it out."""
    return []


@pytest.fixture
async def page(chromium: Browser, faults: list[str]) -> AsyncIterator[Page]:
    """A window of the usual size, in which nothing may go wrong unseen."""
    context = await chromium.new_context(viewport=DESK, locale="zh-CN")
    opened = await context.new_page()

    def complained(line: ConsoleMessage) -> None:
        if line.type == "error" and not line.text.startswith(GIVEN_UP):
            faults.append(line.text)

    opened.on("console", complained)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    await context.close()
    assert faults == []
