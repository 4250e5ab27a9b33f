"""The town every journey happens in."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.settings import Settings
from tests.conftest import Clock
from tests.town import Town, a_town


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform, one RM, one customer, nothing said yet."""
    async with a_town(settings, clock, session) as made:
        yield made
