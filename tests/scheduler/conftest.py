"""The simulated platform behind real HTTP, and a bank whose people exist on both sides."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from bank.database import Sessions
from bank.settings import Settings
from tests.conftest import Clock
from tests.scheduler.worlds import Bank, Platform
from wecom.client import WeComClient
from wecom.simulator import Corp, World, make_simulator


@pytest.fixture
async def platform(settings: Settings, clock: Clock) -> AsyncIterator[Platform]:
    """The platform, empty, on the test's clock; nobody listens to its callbacks."""
    world = World()
    simulator = make_simulator(
        world,
        corp=Corp(
            corp_id=settings.wecom_corp_id,
            agent_id=settings.wecom_agent_id,
            secret=settings.wecom_secret.get_secret_value(),
            token=settings.wecom_token.get_secret_value(),
            aes_key=settings.wecom_aes_key.get_secret_value(),
            archive_secret="archive-secret",
        ),
        callback_url="http://127.0.0.1:9/wecom/callback",
        sidebar_url="about:blank",
        now=clock,
        retry_seconds=0.0,
    )
    server = TestServer(simulator)
    await server.start_server()
    async with aiohttp.ClientSession() as http:
        yield Platform(http, str(server.make_url("")).rstrip("/"), world)
    await server.close()


@pytest.fixture
def wecom(platform: Platform, settings: Settings) -> WeComClient:
    """Our app at that platform; it never waits."""

    async def at_once(seconds: float) -> None:
        assert seconds >= 0

    def stopwatch() -> float:
        return 0.0

    return WeComClient(
        platform.http,
        base_url=platform.base,
        corp_id=settings.wecom_corp_id,
        agent_id=settings.wecom_agent_id,
        secret=settings.wecom_secret.get_secret_value(),
        now=stopwatch,
        sleep=at_once,
    )


@pytest.fixture
def the_bank(
    sessions: Sessions, platform: Platform, wecom: WeComClient, settings: Settings, clock: Clock
) -> Bank:
    """The bank: arrange its world, run its ticks, look at what customers saw."""
    return Bank(sessions, platform, wecom, settings, clock)
