"""The small platform, a watch that moves when told, and a client of both."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.wecom.wire import Platform, Watch, a_platform, client_of
from wecom.client import WeComClient


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with a_platform() as running:
        yield running


@pytest.fixture
def client(http: aiohttp.ClientSession, platform: Platform, watch: Watch) -> WeComClient:
    return client_of(http, platform, watch)
