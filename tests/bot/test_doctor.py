"""`siyu doctor`: the set-up mistakes people make, each told apart and with what to click."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

import psycopg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from bank.database import plain_url
from bank.models import Role
from bank.settings import Settings, WeComApp
from bot.demo.run import demo_settings
from bot.doctor import Finding, Health, address, examine, inside, platform
from bot.inbound.keys import accepted_keys
from bot.loops import note_callbacks
from tests.builders import MONDAY, a_staff
from tests.conftest import Clock
from tests.town import Town, a_town
from wecom.callback import CallbackKeys, open_echo, seal

Answer = Callable[[str], web.Response]


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    async with a_town(settings, clock, session) as built:
        yield built


@pytest.fixture
def joined(town: Town, settings: Settings) -> Settings:
    """The settings of a bank whose WeCom is the simulator."""
    return demo_settings(settings, town.server.port or 0)


async def found(settings: Settings, subject: str, now: datetime = MONDAY) -> Finding:
    """What the doctor says of one subject."""
    return next(f for f in await examine(settings, now) if f.subject.en == subject)


async def test_a_healthy_bank_lacks_nothing_but_a_public_address(joined: Settings) -> None:
    findings = await examine(joined, MONDAY)
    # The servers of tests do not flush, and the doctor sees it.
    assert [f.subject.en for f in findings if not f.good] == ["database", "public address"]
    assert {f.subject.en for f in findings if f.health is Health.OK} >= {
        "schema",
        "clock",
        "callback address",
        "callback delivery",
        "WeCom credentials",
        "customer contacts",
        "visible range",
        "conversation archive",
        "archive seats",
    }


async def test_every_finding_speaks_both_languages(settings: Settings) -> None:
    for finding in await examine(settings, MONDAY):
        words = [finding.subject, finding.says] + ([finding.todo] if finding.todo else [])
        for each in words:
            assert each.en.isascii() or "→" in each.en or "保存" in each.en or "企业" in each.en
            assert any("\u4e00" <= letter <= "\u9fff" for letter in each.zh), each


# What stands between WeCom and us, and how the doctor tells it from the others.
IN_BETWEEN: dict[str, tuple[Answer, str]] = {
    "another word": (lambda _: web.Response(text="hello"), "another text comes instead"),
    "quotes": (lambda echo: web.Response(text=f'"{echo}"'), "as JSON or in quotes"),
    "JSON": (lambda echo: web.json_response({"echostr": echo}), "as JSON or in quotes"),
    "a line break": (lambda echo: web.Response(text=f"{echo}\n"), "BOM, space or line break"),
    "a BOM": (lambda echo: web.Response(text=f"\ufeff{echo}"), "BOM, space or line break"),
    "a login page": (
        lambda _: web.Response(text="<html>登录</html>", content_type="text/html"),
        "a web page comes instead",
    ),
    "a redirect": (
        lambda _: web.Response(status=302, headers={"Location": "https://sso.bank/"}),
        "redirected to https://sso.bank/",
    ),
    "another program": (lambda _: web.Response(status=404), "HTTP 404 and not the echo"),
    "other keys": (lambda _: web.Response(status=403), "does not accept the Token"),
}


@pytest.mark.parametrize("obstacle", IN_BETWEEN)
async def test_a_wrong_echo_is_told_by_its_kind(settings: Settings, obstacle: str) -> None:
    answer, says = IN_BETWEEN[obstacle]
    keys = accepted_keys(settings)

    async def stand_in_between(request: web.Request) -> web.Response:
        return answer(open_echo(keys, request.query))

    app = web.Application()
    app.router.add_get("/wecom/callback", stand_in_between)
    async with TestServer(app) as server:
        public = settings.model_copy(update={"public_url": str(server.make_url("")).rstrip("/")})
        echo = next(
            f for f in await address.look(public, MONDAY) if f.subject.en == "callback address"
        )
    assert not echo.good
    assert says in echo.says.en
    assert echo.todo
    assert "接收消息" in echo.todo.zh or "反向代理" in echo.todo.zh


async def test_a_wrong_port_is_told_from_a_wrong_answer(settings: Settings) -> None:
    nobody = settings.model_copy(update={"public_url": f"http://127.0.0.1:{unused_port()}"})
    _, echo, push = await address.look(nobody, MONDAY)
    assert "nobody answers at 127.0.0.1" in echo.says.en
    assert "nobody answers" in push.says.en


async def test_a_proxy_that_lets_only_the_echo_through_is_found(settings: Settings) -> None:
    keys = accepted_keys(settings)

    async def echo_alone(request: web.Request) -> web.Response:
        return web.Response(text=open_echo(keys, request.query))

    app = web.Application()
    app.router.add_get("/wecom/callback", echo_alone)
    async with TestServer(app) as server:
        public = settings.model_copy(update={"public_url": str(server.make_url("")).rstrip("/")})
        _, echo, push = await address.look(public, MONDAY)
    assert echo.good
    assert "HTTP 405" in push.says.en


@pytest.mark.parametrize("key", ["A" * 42, "A" * 44, " " + "A" * 42, "A" * 42 + "="])
async def test_a_wrong_aes_key_is_seen_before_anything_is_called(
    settings: Settings, key: str
) -> None:
    wrong = settings.model_copy(update={"wecom_aes_key": SecretStr(key)})
    pair = await found(wrong, "callback keys")
    assert not pair.good
    assert "43" in pair.says.en
    assert key.strip() not in " ".join(pair.lines())  # a key is never printed


async def test_the_receiver_of_callbacks_is_the_corp_id(settings: Settings) -> None:
    wrong = settings.model_copy(update={"wecom_corp_id": "1000002"})
    corp = await found(wrong, "corp id")
    assert corp.todo
    assert "每条回调的接收方" in corp.todo.zh


ANOTHER_KEY = "B" * 43


@pytest.mark.parametrize(
    ("aes_key", "corp_id", "says", "click"),
    [
        (ANOTHER_KEY, "", "cannot be opened", "EncodingAESKey"),
        ("", "ww0000000000000009", "another receiver: ww0000000000000009", "企业ID"),
    ],
)
async def test_what_wecom_tried_in_vain_is_told(
    town: Town, joined: Settings, aes_key: str, corp_id: str, says: str, click: str
) -> None:
    theirs = CallbackKeys(
        joined.wecom_token.get_secret_value(),
        aes_key or joined.wecom_aes_key.get_secret_value(),
        corp_id or joined.wecom_corp_id,
    )
    query, body = seal(theirs, "<xml/>", "nonce", int(MONDAY.timestamp()))
    async with town.http.post(f"{town.base}/wecom/callback", params=query, data=body) as answer:
        assert answer.status == 403
        assert await answer.read() == b""
    await note_callbacks(town.parts)
    refused = await found(joined, "callbacks refused")
    assert says in refused.says.en
    assert refused.todo
    assert click in refused.todo.zh


async def test_scanners_are_no_alarm(town: Town, joined: Settings) -> None:
    for _ in range(3):
        await town.http.post(f"{town.base}/wecom/callback", data=b"<xml/>")
    await note_callbacks(town.parts)
    refused = await found(joined, "callbacks refused")
    assert refused.health is Health.NOTE
    assert refused.says.en.startswith("3 with another signature")


async def test_further_apps_are_looked_at_too(settings: Settings) -> None:
    more = WeComApp(agent_id=1000009, token=SecretStr("t"), aes_key=SecretStr("short"))
    findings = await inside.look(settings.model_copy(update={"wecom_more_apps": [more]}))
    assert [f.good for f in findings if f.subject.en == "callback keys"] == [True, False]


@pytest.mark.parametrize(
    ("errcode", "subject", "click"),
    [
        (60020, "WeCom credentials", "企业可信IP"),
        (40001, "WeCom credentials", "自建应用"),
        (48002, "customer contacts", "可调用接口的应用"),
    ],
)
async def test_a_refusal_says_what_to_click(
    town: Town, joined: Settings, errcode: int, subject: str, click: str
) -> None:
    path = {
        "WeCom credentials": "getcallbackip",
        "customer contacts": "get_follow_user_list",
    }[subject]
    await town.control("faults", api=[{"path": path, "times": 99, "answer": errcode}])
    finding = await found(joined, subject)
    assert not finding.good
    assert finding.todo
    assert click in finding.todo.zh
    assert click in finding.todo.en


async def test_the_address_to_trust_is_the_one_wecom_saw(town: Town, joined: Settings) -> None:
    await town.control("faults", api=[{"path": "getcallbackip", "times": 99, "answer": 60020}])
    refused = await found(joined, "WeCom credentials")
    assert refused.todo
    assert "127.0.0.1" in refused.todo.zh


async def test_a_wrong_secret_hides_what_it_would_hide(joined: Settings) -> None:
    wrong = joined.model_copy(update={"wecom_secret": SecretStr("canary-secret")})
    findings = await platform.look(wrong, MONDAY)
    assert not findings[0].good
    assert all("canary-secret" not in line for f in findings for line in f.lines())
    assert {"customer contacts", "visible range"}.isdisjoint(f.subject.en for f in findings)


async def test_an_rm_out_of_the_visible_range_is_named(
    joined: Settings, session: AsyncSession
) -> None:
    await a_staff(session, Role.RM, name="赵远")
    await session.commit()
    visible = await found(joined, "visible range")
    assert "赵远" in visible.says.zh
    assert visible.todo
    assert "可见范围" in visible.todo.zh


async def test_an_archive_without_seats_is_said_so(
    town: Town, joined: Settings, session: AsyncSession
) -> None:
    await town.control("settings", archive_seats=[])
    seats = await found(joined, "archive seats")
    assert seats.says.en == "nobody has one"
    assert seats.todo
    assert "开启范围" in seats.todo.zh


@pytest.mark.parametrize(
    ("errcode", "click"), [(301042, "可信IP地址"), (301053, "会话内容存档"), (40001, "专用 Secret")]
)
async def test_an_archive_that_refuses_says_what_to_click(
    settings: Settings, errcode: int, click: str
) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"errcode": errcode, "errmsg": "no"})

    app = web.Application()
    app.router.add_get("/messages", refuse)
    async with TestServer(app) as server:
        url = str(server.make_url(""))
        archive = await found(
            settings.model_copy(update={"archive_url": url}), "conversation archive"
        )
    assert archive.todo
    assert click in archive.todo.zh


async def test_a_clock_that_is_off_is_measured_against_wecoms(joined: Settings) -> None:
    late = await found(joined, "clock", MONDAY + timedelta(minutes=7))
    assert not late.good
    assert "+420 s" in late.says.en


async def test_vectors_in_the_database_are_looked_at_and_refused_with_what_to_do(
    settings: Settings, database: str
) -> None:
    assert (await found(settings, "vectors")).says.en == "FAISS in this process"
    ours = settings.model_copy(update={"vectors": "pgvector"})
    with psycopg.connect(plain_url(database), autocommit=True) as connection:
        connection.execute("CREATE ROLE doctor_app LOGIN")
    try:
        address = database.replace("//postgres:", "//doctor_app:", 1)
        refused = await found(ours.model_copy(update={"database_url": address}), "vectors")
        assert refused.health is Health.FAIL
        assert refused.todo is not None
        assert "SIYU_VECTORS=faiss" in refused.todo.zh
    finally:
        with psycopg.connect(plain_url(database), autocommit=True) as connection:
            connection.execute("DROP ROLE doctor_app")
    assert (await found(ours, "vectors")).says.en == "pgvector in the database"
