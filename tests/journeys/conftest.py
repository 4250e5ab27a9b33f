"""The town every journey happens in."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page
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


@pytest.fixture
def faults() -> list[str]:
    """What the pages complained of; a test that provokes a refusal takes it out."""
    return []


@pytest.fixture
async def page(chromium: Browser, faults: list[str]) -> AsyncIterator[Page]:
    """A window of the usual size, in which nothing may go wrong unseen."""
    context = await chromium.new_context(viewport=DESK, locale="zh-CN")
    opened = await context.new_page()
    opened.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    await context.close()
    assert faults == []
