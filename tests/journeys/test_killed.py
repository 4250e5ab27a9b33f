"""Kill -9 between callback and processing: what was answered 200 is there, and is handled once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import unused_port
from sqlmodel import select

from bank.database import Sessions, utc_now
from bank.settings import Settings
from bot.app import open_parts
from bot.models import InboundEvent, InboundState
from tests.conftest import Clock
from wecom.callback import CallbackKeys, seal

ROOT = Path(__file__).parents[2]


def environment(settings: Settings) -> dict[str, str]:
    """The settings as a production process reads them."""
    return {
        **os.environ,
        "SIYU_HOME": str(settings.home),
        "SIYU_DATABASE_URL": settings.database_url,
        "SIYU_WECOM_CORP_ID": settings.wecom_corp_id,
        "SIYU_WECOM_TOKEN": settings.wecom_token.get_secret_value(),
        "SIYU_WECOM_AES_KEY": settings.wecom_aes_key.get_secret_value(),
    }


@asynccontextmanager
async def a_web_process(settings: Settings) -> AsyncIterator[tuple[subprocess.Popen[bytes], str]]:
    """`siyu serve --role web`: it stores callbacks and handles none."""
    port = unused_port()
    command = [sys.executable, "-m", "bot", "serve", "--role", "web", "--port", str(port)]
    base = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(settings), stderr=subprocess.DEVNULL
    ) as process:
        try:
            await answers(f"{base}/healthz", process)
            yield process, base
        finally:
            process.kill()


async def answers(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the process can be reached."""
    async with aiohttp.ClientSession() as http:
        while process.poll() is None:
            try:
                async with http.get(url):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
    raise AssertionError("the process stopped before it answered")


def callback(settings: Settings, number: int) -> tuple[dict[str, str], bytes]:
    """A signed, encrypted event of its own."""
    keys = CallbackKeys(
        token=settings.wecom_token.get_secret_value(),
        aes_key=settings.wecom_aes_key.get_secret_value(),
        corp_id=settings.wecom_corp_id,
    )
    plain = (
        f"<xml><ToUserName>{settings.wecom_corp_id}</ToUserName><FromUserName>sys</FromUserName>"
        f"<CreateTime>17{number:08d}</CreateTime><MsgType>event</MsgType>"
        f"<Event>something_new_{number}</Event></xml>"
    )
    return seal(keys, plain, f"nonce{number}", int(utc_now().timestamp()))


async def send_until_killed(
    settings: Settings, base: str, process: subprocess.Popen[bytes], kill_after: int
) -> int:
    """Ten senders at once; kill -9 once that many were answered; how many were in the end."""
    acknowledged = 0
    numbers = iter(range(10_000))

    async def sender(http: aiohttp.ClientSession) -> None:
        nonlocal acknowledged
        for number in numbers:
            query, body = callback(settings, number)
            try:
                async with http.post(f"{base}/wecom/callback", params=query, data=body) as answer:
                    acknowledged += answer.status == 200
            except aiohttp.ClientError:
                return
            if acknowledged == kill_after:
                os.kill(process.pid, signal.SIGKILL)

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(sender(http) for _ in range(10)))
    return acknowledged


@pytest.mark.parametrize("kill_after", [1, 57, 230])
async def test_kill_9_between_callback_and_processing_loses_nothing(
    settings: Settings, sessions: Sessions, clock: Clock, kill_after: int
) -> None:
    async with a_web_process(settings) as (process, base):
        acknowledged = await send_until_killed(settings, base, process, kill_after)
    async with sessions() as session:
        stored = (await session.execute(select(InboundEvent))).scalars().all()
    assert acknowledged >= kill_after
    assert len(stored) >= acknowledged
    assert {event.state for event in stored} == {InboundState.NEW}
    async with open_parts(settings, now=clock) as parts:
        assert await parts.dispatcher.handle_new(clock()) == len(stored)
        assert await parts.dispatcher.handle_new(clock()) == 0
    async with sessions() as session:
        handled = (await session.execute(select(InboundEvent))).scalars().all()
    assert {(event.state, event.attempts) for event in handled} == {(InboundState.DONE, 1)}
