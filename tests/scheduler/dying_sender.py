"""A sender in a process of its own that kills itself: `DATABASE PLATFORM POINT MOMENT`."""

import asyncio
import os
import signal
import sys
from datetime import datetime

import aiohttp
from pydantic import SecretStr

from bank.database import open_engine, open_sessions
from bank.settings import Settings
from scheduler.sending import send_due
from wecom.answer import Answer
from wecom.calls import Calls
from wecom.client import WeComClient


class DoomedCalls:
    """Dies around the call that creates the task."""

    def __init__(self, calls: Calls, point: str) -> None:
        self.calls, self.point = calls, point

    async def post(self, path: str, fields: dict[str, object], *, once: bool = False) -> Answer:
        """SIGKILL before the call, or once it was answered."""
        if self.point == "called":
            await self.calls.post(path, fields, once=once)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("a killed process goes on")


async def main(database: str, platform: str, point: str, moment: str) -> None:
    """Send what is due, and die."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        wecom_corp_id="wx5823bf96d3bd56c7",
        wecom_agent_id=1000002,
        wecom_secret=SecretStr("app-secret"),
    )
    async with aiohttp.ClientSession() as http:
        wecom = WeComClient(
            http,
            base_url=platform,
            corp_id=settings.wecom_corp_id,
            agent_id=settings.wecom_agent_id,
            secret=settings.wecom_secret.get_secret_value(),
            now=lambda: 0.0,
        )
        wecom.calls = DoomedCalls(wecom.calls, point)  # type: ignore[assignment]
        sessions = open_sessions(open_engine(database))
        await send_due(sessions, wecom, settings, datetime.fromisoformat(moment))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
