"""Two platforms for the same calls: the simulator, and answers as the manual prints them."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from wecom.client import WeComClient
from wecom.intents import Intents
from wecom.simulator import Contact, Corp, FollowRelation, Member, World, make_simulator

RECORDED = Path(__file__).parent / "recorded"
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
CORP = Corp(
    corp_id="wx5823bf96d3bd56c7",
    agent_id=1000002,
    secret="app-secret",
    token="QDG6eK",
    aes_key="jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
    archive_secret="archive-secret",
)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@dataclass
class Door:
    """A platform, our client of it, and the names of people there."""

    client: WeComClient
    http: aiohttp.ClientSession
    base: str
    world: World | None = None
    member: str = "LiMin"
    other: str = "ZhouYan"
    customer: str = "wmChen"

    @property
    def simulated(self) -> bool:
        """Whether somebody lives behind this door."""
        return self.world is not None

    async def hand(self, verb: str, **wish: object) -> dict[str, Any]:
        """Somebody at the platform does something; what is recorded has happened already."""
        if not self.simulated:
            return {"external_userid": self.customer, "welcome_code": "CODE", "chat_id": "wrGroup"}
        async with self.http.post(f"{self.base}/control/{verb}", json=wish) as response:
            answer = await response.json()
            assert response.status == 200, answer
        return dict(answer)

    async def lose(self, path: str) -> None:
        """The next call there is carried out and its answer lost."""
        await self.hand("faults", api=[{"path": path, "times": 1, "answer": "lost"}])

    async def group(self) -> str:
        """A customer group of the member."""
        made = await self.hand(
            "create_group", owner=self.member, name="稳健理财交流群", customers=[self.customer]
        )
        if self.simulated:
            await self.hand("clock", forward_seconds=10)
        return str(made["chat_id"])

    async def service(self) -> str:
        """A 微信客服 account the member answers for."""
        made = await self.hand("service_account", name="在线客服", servicers=[self.member])
        return str(made.get("open_kfid", "wkAccount"))


@asynccontextmanager
async def simulator(
    *, intents: Intents | None = None, now: Callable[[], datetime] = lambda: NOON
) -> AsyncIterator[Door]:
    """The simulator with two members and two customers."""
    long_ago = NOON - timedelta(days=40)
    world = World().seed(
        [Member("LiMin", "李敏"), Member("ZhouYan", "周岩")],
        [Contact("wmChen", "陈思远", 1), Contact("wmWu", "吴晓岚", 2)],
        [
            FollowRelation("LiMin", "wmChen", long_ago, state="branch-south"),
            FollowRelation("LiMin", "wmWu", long_ago),
        ],
    )
    app = make_simulator(
        world,
        corp=CORP,
        callback_url="http://127.0.0.1:9/callback",
        sidebar_url="about:blank",
        now=now,
        retry_seconds=0.0,
    )
    async with _served(app, world, intents) as door:
        yield door


@asynccontextmanager
async def recorded() -> AsyncIterator[Door]:
    """Every call answered as the official manual prints it."""
    answers: dict[str, Any] = {}
    for file in sorted(RECORDED.glob("*.json")):
        answers |= json.loads(file.read_text())

    async def answer(request: web.Request) -> web.Response:
        path = request.path.removeprefix("/cgi-bin/")
        if path == "media/get":
            return web.Response(body=PNG, content_type="image/png")
        return web.json_response(answers[path])

    app = web.Application(client_max_size=32 << 20)
    app.router.add_route("*", "/{path:.*}", answer)
    async with _served(app, None) as door:
        yield door


@asynccontextmanager
async def _served(
    app: web.Application, world: World | None, intents: Intents | None = None
) -> AsyncIterator[Door]:
    async def at_once(seconds: float) -> None:
        assert seconds >= 0

    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        base = str(server.make_url("")).rstrip("/")
        client = WeComClient(
            http,
            base_url=base,
            corp_id=CORP.corp_id,
            agent_id=CORP.agent_id,
            secret=CORP.secret,
            now=lambda: 0.0,
            sleep=at_once,
            intents=intents,
        )
        yield Door(client, http, base, world)
