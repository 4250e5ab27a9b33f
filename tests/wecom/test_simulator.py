"""The simulated platform behind real HTTP: tokens, tickets, sign-in, faults, the snapshot."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from defusedxml.ElementTree import fromstring
from wechatpy.enterprise.crypto import WeChatCrypto

from wecom.simulator import App, Contact, Corp, FollowRelation, Member, World, make_simulator

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
CORP = Corp(
    corp_id="wx5823bf96d3bd56c7",
    agent_id=1000002,
    secret="app-secret",
    token="QDG6eK",
    aes_key="jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
    archive_secret="archive-secret",
    name="江南银行",
)
LI, ZHOU = "LiMin", "ZhouYan"
CHEN, WU, HE = "wmChen", "wmWu", "wmHe"


def a_world() -> World:
    """Two members; Chen follows both of them, Wu only Li, He nobody."""
    long_ago = NOON - timedelta(days=40)
    return World().seed(
        [Member(LI, "李敏", "城南支行", "客户经理"), Member(ZHOU, "周岩", "城北支行", "客户经理")],
        [
            Contact(CHEN, "陈思远", 1, "#4d9e8f"),
            Contact(WU, "吴晓岚", 2, "#c58c4a"),
            Contact(HE, "何立", 1, "#8a6fc0"),
        ],
        [
            FollowRelation(LI, CHEN, long_ago, state="branch-south"),
            FollowRelation(ZHOU, CHEN, long_ago + timedelta(days=1)),
            FollowRelation(LI, WU, long_ago),
        ],
    )


class Receiver:
    """The product's callback address: opens every callback with the official crypto."""

    def __init__(self, app: App | None = None) -> None:
        self.token = app.token if app else CORP.token
        self.aes_key = app.aes_key if app else CORP.aes_key
        self.xml: list[str] = []
        self.answers: list[int] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.open = self.most_open = 0

    async def receive(self, request: web.Request) -> web.Response:
        query = request.query
        crypto = WeChatCrypto(self.token, self.aes_key, CORP.corp_id)
        keys = query["msg_signature"], query["timestamp"], query["nonce"]
        if request.method == "GET":
            echo = crypto.check_signature(*keys, query["echostr"])
            return web.Response(text=str(echo))
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        await self.hold.wait()
        self.open -= 1
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.xml.append(crypto.decrypt_message(await request.text(), *keys))
        return web.Response(status=status)

    def take(self) -> list[dict[str, Any]]:
        """The events since the last look, as mappings."""
        taken = [fields(xml) for xml in self.xml]
        self.xml.clear()
        return taken


def fields(xml: str) -> dict[str, Any]:
    """The elements of an event; one with children is a list of their texts."""
    return {
        element.tag: [child.text for child in element] if len(element) else element.text or ""
        for element in fromstring(xml)
    }


class Platform:
    """A running simulator as the product's server, a test's hands and a browser see it."""

    def __init__(self, http: aiohttp.ClientSession, base: str, world: World) -> None:
        self.http, self.base, self.world = http, base, world
        self.now = NOON
        self.receiver = Receiver()
        self.others: dict[int, Receiver] = {}

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """A GET call without a token."""
        async with self.http.get(f"{self.base}/{path}", params=query) as response:
            return dict(await response.json())

    async def token(self, secret: str = CORP.secret) -> str:
        """The app's access token."""
        query = {"corpid": CORP.corp_id, "corpsecret": secret}
        answer = await self.get("cgi-bin/gettoken", **query)
        return str(answer["access_token"])

    async def api(
        self, path: str, body: Any = None, *, secret: str = CORP.secret, **query: str
    ) -> dict[str, Any]:
        """A call with a valid token; a POST when it has a body."""
        query["access_token"] = await self.token(secret)
        url = f"{self.base}/cgi-bin/{path}"
        if body is None:
            return await self.get(f"cgi-bin/{path}", **query)
        data = web.json_response(body, dumps=_plain_utf8).body
        async with self.http.post(url, params=query, data=data) as response:
            return dict(await response.json())

    async def control(self, verb: str, **wish: Any) -> dict[str, Any]:
        """Make people act or things fail; then wait until every callback was delivered."""
        async with self.http.post(f"{self.base}/control/{verb}", json=wish) as response:
            answer = {"status": response.status, **await response.json()}
        await self.http.post(f"{self.base}/control/settle")
        return answer

    async def events(self, verb: str, **wish: Any) -> list[dict[str, Any]]:
        """Make people act; the events that brings."""
        self.receiver.xml.clear()
        answer = await self.control(verb, **wish)
        assert answer["status"] == 200, answer
        return self.receiver.take()

    async def ledger(self) -> list[tuple[str, str, str]]:
        """What customers saw: customer, text, by which way."""
        rows = (await self.get("control/ledger"))["ledger"]
        return [(row["external_userid"], row["text"], row["via"]) for row in rows]


def _plain_utf8(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@asynccontextmanager
async def a_platform(
    world: World | None = None,
    *,
    snapshot: Path | None = None,
    sidebar_url: str = "about:blank",
    prefix: str = "",
    apps: tuple[App, ...] = (),
    callback_timeout_seconds: float = 5.0,
) -> AsyncIterator[Platform]:
    """A simulator and a callback address, each on its own port.

    Other apps are called back at `/wecom/callback/{agent_id}`, heard by `platform.others`.
    """
    world = world or a_world()
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        platform = Platform(http, "", world)
        product = web.Application()
        product.router.add_route("*", "/wecom/callback", platform.receiver.receive)
        platform.others = {app.agent_id: Receiver(app) for app in apps}
        for agent_id, receiver in platform.others.items():
            product.router.add_route("*", f"/wecom/callback/{agent_id}", receiver.receive)
        callbacks = TestServer(product)
        await callbacks.start_server()
        for app in apps:
            app.callback_url = str(callbacks.make_url(f"/wecom/callback/{app.agent_id}"))
        simulator = make_simulator(
            world,
            corp=replace(CORP, apps=apps),
            callback_url=str(callbacks.make_url("/wecom/callback")),
            sidebar_url=sidebar_url,
            now=lambda: platform.now,
            snapshot=snapshot,
            archive_bell_seconds=0,
            retry_seconds=0,
            callback_timeout_seconds=callback_timeout_seconds,
        )
        server = TestServer(_mounted(simulator, prefix))
        await server.start_server()
        platform.base = str(server.make_url(prefix or "/")).rstrip("/")
        try:
            yield platform
        finally:
            await server.close()
            await callbacks.close()


def _mounted(simulator: web.Application, prefix: str) -> web.Application:
    if not prefix:
        return simulator
    site = web.Application()
    site.add_subapp(prefix, simulator)
    return site


async def test_the_token_stays_the_same_while_it_is_valid():
    async with a_platform() as platform:
        first = await platform.token()
        platform.now += timedelta(minutes=119)
        assert await platform.token() == first
        platform.now += timedelta(minutes=2)
        assert await platform.token() != first


async def test_wrong_credentials_are_named():
    async with a_platform() as platform:
        wrong_corp = await platform.get("cgi-bin/gettoken", corpid="ww0", corpsecret="app-secret")
        wrong_secret = await platform.get(
            "cgi-bin/gettoken", corpid=CORP.corp_id, corpsecret="guess"
        )
    assert (wrong_corp["errcode"], wrong_secret["errcode"]) == (40013, 40001)
    assert "hint: [" in wrong_secret["errmsg"]
    assert "devtool/query?e=40001" in wrong_secret["errmsg"]


async def test_dead_tokens_are_told_apart():
    async with a_platform() as platform:
        path = "cgi-bin/externalcontact/get_follow_user_list"
        token = await platform.token()
        assert (await platform.get(path))["errcode"] == 41001
        assert (await platform.get(path, access_token="made-up"))["errcode"] == 40014
        platform.now += timedelta(hours=3)
        assert (await platform.get(path, access_token=token))["errcode"] == 42001
        fresh = await platform.token()
        await platform.control("invalidate_token")
        assert (await platform.get(path, access_token=fresh))["errcode"] == 40014
        assert await platform.token() != fresh


async def test_the_two_tickets_differ():
    async with a_platform() as platform:
        corp = await platform.api("get_jsapi_ticket")
        app = await platform.api("ticket/get", type="agent_config")
        again = await platform.api("ticket/get", type="agent_config")
    assert corp["ticket"] != app["ticket"] == again["ticket"]


async def test_escaped_and_broken_bodies_are_refused_as_the_platform_does():
    async with a_platform() as platform:
        token = await platform.token()
        url = f"{platform.base}/cgi-bin/externalcontact/remark?access_token={token}"
        answers = []
        for body in (b'{"remark":"\\u9648"}', b'{"remark":', b'{"remark":"a\\u0007"}'):
            async with platform.http.post(url, data=body) as response:
                answers.append(await response.json())
    assert [answer["errcode"] for answer in answers] == [40033, 40035, 40096]
    assert "Warning: wrong json format." in answers[1]["errmsg"]


async def test_a_member_signs_in_by_choosing_himself():
    async with a_platform() as platform:
        query = {
            "login_type": "CorpApp",
            "appid": CORP.corp_id,
            "agentid": str(CORP.agent_id),
            "redirect_uri": "https://bank.example/signed-in?from=wecom",
            "state": "xyz",
        }
        page = f"{platform.base}/wwlogin/sso/login"
        async with platform.http.get(page, params=query) as response:
            html = await response.text()
        assert "选择您的身份" in html
        assert html.index("城南支行") < html.index("李敏") < html.index("城北支行")

        async with platform.http.get(
            page, params={**query, "member": LI}, allow_redirects=False
        ) as response:
            back = urlsplit(response.headers["Location"])
        returned = parse_qs(back.query)
        assert (back.hostname, returned["state"], returned["from"]) == (
            "bank.example",
            ["xyz"],
            ["wecom"],
        )
        code = returned["code"][0]
        who = await platform.api("auth/getuserinfo", code=code)
        assert (who["errcode"], who["userid"]) == (0, LI)
        assert (await platform.api("auth/getuserinfo", code=code))["errcode"] == 42022
        assert (await platform.api("auth/getuserinfo", code="made-up"))["errcode"] == 40029


async def test_a_sign_in_code_dies_after_five_minutes():
    async with a_platform() as platform:
        code = await code_from_client(platform, LI)
        platform.now += timedelta(minutes=5, seconds=1)
        assert (await platform.api("auth/getuserinfo", code=code))["errcode"] == 42003


async def test_the_client_knows_who_sits_at_the_desktop():
    async with a_platform() as platform:
        url = f"{platform.base}/connect/oauth2/authorize"
        query = {"appid": CORP.corp_id, "redirect_uri": "https://bank.example/", "state": "s"}
        async with platform.http.get(url, params=query) as response:
            assert "请在企业微信客户端打开链接" in await response.text()
        async with platform.http.get(url, params={**query, "appid": "ww0"}) as response:
            assert response.status == 400
        code = await code_from_client(platform, ZHOU)
        assert (await platform.api("auth/getuserinfo", code=code))["userid"] == ZHOU


async def code_from_client(platform: Platform, userid: str) -> str:
    """Sit down at a member's desktop and open the product there."""
    await platform.http.post(f"{platform.base}/play/member", json={"userid": userid})
    query = {"appid": CORP.corp_id, "redirect_uri": "https://bank.example/", "state": "s"}
    url = f"{platform.base}/connect/oauth2/authorize"
    async with platform.http.get(url, params=query, allow_redirects=False) as response:
        return parse_qs(urlsplit(response.headers["Location"]).query)["code"][0]


async def test_calls_fail_on_demand():
    async with a_platform() as platform:
        path = "externalcontact/get_follow_user_list"
        await platform.control(
            "faults",
            api=[
                {"path": path, "times": 2, "answer": 45009},
                {"path": path, "times": 1, "answer": "500"},
            ],
        )
        codes = [(await platform.api(path))["errcode"] for _ in range(2)]
        token = await platform.token()
        url = f"{platform.base}/cgi-bin/{path}?access_token={token}"
        async with platform.http.get(url) as response:
            assert response.status == 500
        assert [*codes, (await platform.api(path))["errcode"]] == [45009, 45009, 0]


async def test_a_lost_answer_hides_what_was_done():
    async with a_platform() as platform:
        body = {"sender": LI, "external_userid": [WU], "text": {"content": "利率提醒"}}
        path = "externalcontact/add_msg_template"
        await platform.control("faults", api=[{"path": path, "answer": "lost"}])
        try:
            await platform.api(path, body)
        except aiohttp.ClientError:
            pass
        else:
            raise AssertionError("the answer arrived")
        assert [task.text for task in platform.world.tasks.values()] == ["利率提醒"]


async def test_a_hanging_call_does_not_hold_up_the_shutdown():
    async with a_platform() as platform:
        await platform.control("faults", api=[{"path": "gettoken", "answer": "hang"}])
        hanging = asyncio.create_task(platform.token())
        while platform.world and (await platform.get("control/state"))["faults"]["api"][0]["times"]:
            pass
    error = (await asyncio.gather(hanging, return_exceptions=True))[0]
    assert isinstance(error, aiohttp.ClientError)


async def test_unknown_addresses_answer_like_the_platform():
    async with a_platform() as platform:
        assert (await platform.get("cgi-bin/externalcontact/no_such_call"))["errcode"] == 40066


async def test_a_restart_finds_the_world_as_it_was(tmp_path: Path):
    snapshot = tmp_path / "platform" / "world.json"
    async with a_platform(snapshot=snapshot) as platform:
        token = await platform.token()
        await platform.control("message", **{"from": CHEN, "to": LI, "text": "存款利率是多少？"})
        await platform.control("delete_follow", userid=LI, external_userid=WU)
        task = await platform.api(
            "externalcontact/add_msg_template",
            {"sender": LI, "external_userid": [CHEN], "text": {"content": "新品通知"}},
        )
        before = (await platform.get("control/state"))["world"]
    async with a_platform(World.load(snapshot), snapshot=snapshot) as platform:
        assert (await platform.get("control/state"))["world"] == before
        assert await platform.token() == token
        await platform.control("confirm_task", msgid=task["msgid"], userid=LI)
        assert await platform.ledger() == [(CHEN, "新品通知", "mass_send")]
        assert platform.world.seed([], [], [FollowRelation(LI, WU, NOON)]).follow(LI, WU) is None


async def test_no_snapshot_means_an_empty_world(tmp_path: Path):
    assert World.load(tmp_path / "nothing.json") == World()


async def test_it_works_below_any_prefix():
    async with a_platform(prefix="/simulator/") as platform:
        assert (await platform.api("externalcontact/list", userid=LI))["errcode"] == 0
        contact = await platform.api("externalcontact/get", external_userid=CHEN)
        avatar = contact["external_contact"]["avatar"]
        assert avatar.startswith(f"{platform.base}/avatar/")
        async with platform.http.get(avatar) as response:
            assert (response.status, response.content_type) == (200, "image/svg+xml")
        async with platform.http.get(f"{platform.base}/?member={ZHOU}") as response:
            assert response.url.path == "/simulator/play"
            assert '"/simulator/static/play.js"' in await response.text()
            assert f'"member": "{ZHOU}"' in await response.text()
            assert response.cookies["sim_member"]["path"] == "/simulator"
