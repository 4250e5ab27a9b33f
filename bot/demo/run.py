"""`siyu demo`: one process with the embedded database, the simulated platform and the product."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr
from sqlmodel import select

from bank.calendar import local_day
from bank.database import open_engine, open_sessions, utc_now
from bank.models import Staff
from bank.settings import Settings
from bot.app import Parts
from bot.demo.bank import SEED, load
from bot.demo.files import keep_all
from bot.demo.world import seeded_world
from bot.serve import serving, until_stopped
from content.files import LocalFileStore
from migrations import migrate
from wecom.simulator import Corp, World, make_simulator

HOST = "127.0.0.1"
# The platform of the demo; nothing of it opens anything outside this machine.
CORP = Corp(
    corp_id="wwsiyudemobank0001",
    agent_id=1000002,
    secret="demo-secret-of-the-simulated-app",
    token="demoCallbackToken",
    aes_key="sIyUdEmOsIyUdEmOsIyUdEmOsIyUdEmOsIyUdEmOsIy",
    archive_secret="demo-secret-of-the-archive",
    name="云州银行",
)
# Of the bank's own web pages, where link cards lead.
LINK_HOST = "yunzhou.example"
ROBOT_TOKEN = "demoRobotToken"
ROBOT_AES_KEY = "rObOtDeMorObOtDeMorObOtDeMorObOtDeMorObOtD0"
# As a bank would have it from the regulator; the demo bank has filed nothing.
FILING_NUMBER = "演示备案号"
# Bells a second apart are distinct events, as on the platform, where they are 15 s apart.
BELL_SECONDS = 1.0


def demo_settings(base: Settings, port: int) -> Settings:
    """The settings of a bank whose WeCom is the simulator on the same port."""
    address = f"http://{HOST}:{port}"
    platform = f"{address}/simulator"
    return base.model_copy(
        update={
            "demo": True,
            "public_url": address,
            "link_hosts": [LINK_HOST],
            "wecom_base_url": platform,
            "wecom_oauth_url": platform,
            "wecom_login_url": platform,
            "wecom_jssdk_url": f"{platform}/jssdk.js",
            "wecom_corp_id": CORP.corp_id,
            "wecom_agent_id": CORP.agent_id,
            "wecom_secret": SecretStr(CORP.secret),
            "wecom_token": SecretStr(CORP.token),
            "wecom_aes_key": SecretStr(CORP.aes_key),
            "archive_url": f"{platform}/archive",
            "archive_secret": SecretStr(CORP.archive_secret),
        }
    )


@asynccontextmanager
async def demo(
    settings: Settings, port: int, *, now: Callable[[], datetime] = utc_now
) -> AsyncIterator[Parts]:
    """The whole demo, serving; a second start finds everything as it was left."""
    settings = _with_assistants(settings)
    await asyncio.to_thread(migrate, settings.database_url)
    world = await prepared(settings, now())
    simulator = make_simulator(
        world,
        corp=CORP,
        callback_url=f"{settings.public_url}/wecom/callback",
        sidebar_url=f"{settings.public_url}/sidebar?demo={{member}}",
        now=now,
        snapshot=snapshot(settings),
        archive_bell_seconds=BELL_SECONDS,
    )
    world.robot.url = f"{settings.public_url}/wecom/aibot"
    world.robot.token, world.robot.aes_key = ROBOT_TOKEN, ROBOT_AES_KEY
    async with serving(settings, HOST, port, mounted={"/simulator/": simulator}, now=now) as parts:
        yield parts


def _with_assistants(settings: Settings) -> Settings:
    """The bank answers in 微信客服 by itself, and has an internal robot."""
    keys = {
        "robot_token": SecretStr(ROBOT_TOKEN),
        "robot_aes_key": SecretStr(ROBOT_AES_KEY),
    }
    given = {"service_automatic": True, "ai_filing_number": FILING_NUMBER, **keys}
    return settings.model_copy(update=given)


def snapshot(settings: Settings) -> Path:
    """Where the simulated platform keeps its state between runs."""
    return settings.home / "simulator.json"


async def prepared(settings: Settings, now: datetime) -> World:
    """The bank's data and the platform's world, loaded once and found again afterwards."""
    engine = open_engine(settings.database_url)
    try:
        async with open_sessions(engine).begin() as session:
            empty = (await session.execute(select(Staff.id).limit(1))).first() is None
            if empty:
                snapshot(settings).unlink(missing_ok=True)
                await load(session, local_day(now), SEED, settings)
                await keep_all(LocalFileStore(settings.home / "files"))
            if snapshot(settings).exists():
                return World.load(snapshot(settings))
            return await seeded_world(session)
    finally:
        await engine.dispose()


async def run_demo(settings: Settings, port: int) -> None:
    """Serve the demo until it is stopped."""
    async with demo(settings, port):
        await until_stopped()
