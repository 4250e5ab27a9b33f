"""The client against a small platform that answers over real HTTP, well or badly."""

import asyncio
import json
import logging
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from wecom import errors
from wecom.client import WeComClient
from wecom.errors import (
    Busy,
    CredentialWrong,
    MassSendCancelled,
    MassSendDispatching,
    MessageRefused,
    NotConnected,
    OutcomeUnknown,
    Outsider,
    RateLimited,
    RelationGone,
    TokenDead,
    TooManyAtOnce,
    UnknownRefusal,
    Unreachable,
    UnreadableAnswer,
    WeComError,
    error_for,
)
from wecom.messages import (
    Contact,
    File,
    Follow,
    Image,
    Link,
    MassSend,
    MassSendCreated,
    MassSendRecord,
    MassSendResult,
    MassSendTask,
    MiniProgram,
    SendStatus,
    Tag,
    Text,
    TextCard,
)
from wecom.tokens import Grant, TokenSource

SECRET = "canary-of-the-secret"
TOKEN = "canary-of-the-token"
AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
SECOND = 1700000000
CREATE = "externalcontact/add_msg_template"
FOLLOWERS = "externalcontact/get_follow_user_list"
MESSAGE = MassSend("zhangsan", ("wm1", "wm2"), "固收周报已更新")


@dataclass
class Seen:
    """A request as it reached the platform."""

    path: str
    query: dict[str, str]
    raw: bytes
    content_type: str

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


Reply = dict[str, Any] | str | Callable[[Seen], dict[str, Any]]


@dataclass
class Platform:
    """WeCom's side of the wire: per path the replies in order, the last one again and again.

    A reply is the JSON to answer (errcode 0 unless it says otherwise), a function of the request,
    or the name of a way to fail: hang, drop, half, page, list, 502, redirect.
    """

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    server: BaseTestServer = field(init=False)

    def count(self, path: str) -> int:
        return Counter(request.path for request in self.seen)[path]

    def last(self, path: str) -> Seen:
        return [request for request in self.seen if request.path == path][-1]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/cgi-bin/")
        assert request.method in ("GET", "POST")
        seen = Seen(path, dict(request.query), await request.read(), request.content_type)
        self.seen.append(seen)
        replies = self.replies.get(path) or [self.token if path == "gettoken" else {}]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, str):
            return await self.misbehave(request, reply)
        answer = reply(seen) if callable(reply) else reply
        return web.json_response({"errcode": 0, "errmsg": "ok"} | answer)

    def token(self, seen: Seen) -> dict[str, Any]:
        number = self.count("gettoken")
        return {"access_token": f"{TOKEN}-{number}", "expires_in": 7200}

    async def misbehave(self, request: web.Request, how: str) -> web.StreamResponse:
        if how == "hang":
            await self.released.wait()
        if how in ("hang", "drop"):
            return self.gone(request)
        if how == "half":
            response = web.StreamResponse(headers={"Content-Length": "500"})
            await response.prepare(request)
            await response.write(b'{"errcode": 0, "msgid": "ms')
            self.gone(request)
            return response
        if how == "redirect":
            return web.Response(status=302, headers={"Location": "/cgi-bin/elsewhere"})
        bodies = {"page": (200, "<html>busy</html>"), "list": (200, "[]"), "502": (502, "{}")}
        status, text = bodies[how]
        return web.Response(status=status, text=text)

    @staticmethod
    def gone(request: web.Request) -> web.Response:
        if request.transport:
            request.transport.close()
        return web.Response()


class Watch:
    """A counter of seconds that moves when told, and notes who wanted to wait."""

    def __init__(self) -> None:
        self.second = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.second

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    fake = Platform()
    app = web.Application(client_max_size=32 << 20)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    async with TestServer(app) as fake.server:
        yield fake
        fake.released.set()


@pytest.fixture
def client(http: aiohttp.ClientSession, platform: Platform, watch: Watch) -> WeComClient:
    return client_of(http, platform, watch)


def client_of(http: aiohttp.ClientSession, platform: Platform, watch: Watch) -> WeComClient:
    return WeComClient(
        http,
        base_url=str(platform.server.make_url("/")),
        corp_id="wwBANK",
        agent_id=1000002,
        secret=SECRET,
        now=watch.now,
        sleep=watch.sleep,
        timeout=0.3,
    )


def refused(code: int) -> dict[str, Any]:
    return {"errcode": code, "errmsg": "no"}


FAILURES = ["hang", "drop", "half", "page", "list", "502", "redirect"]


class TestToken:
    async def test_fifty_callers_share_one_fetch(
        self, client: WeComClient, platform: Platform
    ) -> None:
        await asyncio.gather(*(client.follow_users() for _ in range(50)))
        assert platform.count("gettoken") == 1
        assert platform.count(FOLLOWERS) == 50
        assert platform.last("gettoken").query == {"corpid": "wwBANK", "corpsecret": SECRET}

    async def test_it_is_renewed_before_it_expires(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        await client.follow_users()
        watch.second = 6899.0
        await client.follow_users()
        assert platform.count("gettoken") == 1
        watch.second = 6900.0
        await client.follow_users()
        assert platform.count("gettoken") == 2
        assert platform.last(FOLLOWERS).query["access_token"] == f"{TOKEN}-2"

    async def test_a_dead_token_is_replaced_and_the_call_made_again(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(42001), {"follow_user": ["zhangsan"]}]
        assert await client.follow_users() == ["zhangsan"]
        assert (platform.count("gettoken"), platform.count(FOLLOWERS)) == (2, 2)

    async def test_fifty_callers_with_a_dead_token_fetch_one_new(
        self, client: WeComClient, platform: Platform
    ) -> None:
        # The platform may hand out the same letters again: what counts is when they were fetched.
        platform.replies["gettoken"] = [{"access_token": TOKEN, "expires_in": 7200}]
        platform.replies[FOLLOWERS] = [
            lambda _: refused(40014) if platform.count("gettoken") == 1 else {}
        ]
        await asyncio.gather(*(client.follow_users() for _ in range(50)))
        assert platform.count("gettoken") == 2

    async def test_a_late_complaint_about_an_old_token_leaves_the_new_one(
        self, watch: Watch
    ) -> None:
        async def same_letters() -> Grant:
            return Grant(TOKEN, 7200)

        source = TokenSource(same_letters, now=watch.now)
        old = await source.current()
        source.invalidate(old)
        new = await source.current()
        source.invalidate(old)
        assert await source.current() is new is not old

    async def test_a_platform_that_takes_no_token_is_asked_twice_and_no_more(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(40014)]
        with pytest.raises(TokenDead):
            await client.follow_users()
        assert (platform.count("gettoken"), platform.count(FOLLOWERS)) == (2, 2)

    async def test_a_create_with_a_dead_token_is_made_again_because_nothing_happened(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[CREATE] = [refused(40014), {"msgid": "msg1"}]
        assert (await client.create_mass_send(MESSAGE)).msgid == "msg1"

    async def test_a_wrong_secret_is_not_tried_again_and_again(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies["gettoken"] = [refused(40001)]
        calls = [client.follow_users() for _ in range(50)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {CredentialWrong}
        with pytest.raises(CredentialWrong):
            await client.follow_users()
        assert platform.count("gettoken") == 1
        watch.second = 30.0
        with pytest.raises(CredentialWrong):
            await client.follow_users()
        assert platform.count("gettoken") == 2

    async def test_a_caller_who_gives_up_does_not_take_the_token_from_the_others(
        self, client: WeComClient, platform: Platform
    ) -> None:
        asked = asyncio.Event()

        def token(seen: Seen) -> dict[str, Any]:
            asked.set()
            return platform.token(seen)

        platform.replies["gettoken"] = [token]
        first = asyncio.create_task(client.follow_users())
        second = asyncio.create_task(client.follow_users())
        await asked.wait()
        first.cancel()
        assert await second == []
        assert platform.count("gettoken") == 1

    async def test_tickets_are_cached_each_for_itself(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies["get_jsapi_ticket"] = [{"ticket": "page", "expires_in": 7200}]
        platform.replies["ticket/get"] = [{"ticket": "agent", "expires_in": 7200}]
        for _ in range(3):
            assert await client.jsapi_ticket() == "page"
            assert await client.agent_ticket() == "agent"
        assert platform.last("ticket/get").query["type"] == "agent_config"
        assert (platform.count("get_jsapi_ticket"), platform.count("ticket/get")) == (1, 1)
        watch.second = 7000.0
        await client.agent_ticket()
        assert platform.count("ticket/get") == 2


class TestTrouble:
    @pytest.mark.parametrize("failure", FAILURES)
    async def test_a_question_is_repeated_three_times_and_no_more(
        self, client: WeComClient, platform: Platform, watch: Watch, failure: str
    ) -> None:
        platform.replies[FOLLOWERS] = [failure]
        with pytest.raises(Unreachable):
            await client.follow_users()
        assert platform.count(FOLLOWERS) == 4
        assert platform.count("elsewhere") == 0
        assert len(watch.waits) == 3

    async def test_waits_grow_and_differ_from_one_caller_to_the_next(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(-1)]
        for _ in range(2):
            with pytest.raises(Busy):
                await client.follow_users()
        one, other = watch.waits[:3], watch.waits[3:]
        assert one != other
        for waits in (one, other):
            assert all(
                low <= wait <= 3 * low for low, wait in zip((0.25, 0.5, 1), waits, strict=True)
            )

    async def test_a_busy_platform_recovers(self, client: WeComClient, platform: Platform) -> None:
        platform.replies[FOLLOWERS] = [refused(-1), "502", {"follow_user": ["zhangsan"]}]
        assert await client.follow_users() == ["zhangsan"]

    @pytest.mark.parametrize("failure", [*FAILURES, refused(-1), refused(6000), {"msgid": None}])
    async def test_a_create_without_a_clear_answer_is_unknown_and_made_once(
        self, client: WeComClient, platform: Platform, failure: Reply
    ) -> None:
        platform.replies[CREATE] = [failure]
        with pytest.raises(OutcomeUnknown) as caught:
            await client.create_mass_send(MESSAGE)
        assert caught.value.call == CREATE
        assert platform.count(CREATE) == 1

    @pytest.mark.parametrize(
        ("path", "act"),
        [
            ("externalcontact/send_welcome_msg", lambda c: c.send_welcome("CODE", "您好")),
            ("externalcontact/remind_groupmsg_send", lambda c: c.remind_mass_send("msg1")),
            ("message/send", lambda c: c.notify_member("zhangsan", "有新任务")),
        ],
    )
    async def test_what_a_person_would_see_twice_is_made_once(
        self, client: WeComClient, platform: Platform, path: str, act: Callable[[WeComClient], Any]
    ) -> None:
        platform.replies[path] = ["drop"]
        with pytest.raises(OutcomeUnknown):
            await act(client)
        assert platform.count(path) == 1

    async def test_a_create_that_never_left_is_not_unknown(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies["gettoken"] = ["502"]
        with pytest.raises(Unreachable):
            await client.create_mass_send(MESSAGE)
        platform.replies.clear()
        # A kept-alive connection found closed leaves doubt; one that never opened does not.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
            other = client_of(http, platform, watch)
            await other.follow_users()
            await platform.server.close()
            with pytest.raises(NotConnected):
                await other.create_mass_send(MESSAGE)
        assert platform.count(CREATE) == 0
        assert watch.waits == []

    async def test_a_rate_limit_closes_the_call_until_it_is_over(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(45009), {"follow_user": ["zhangsan"]}]
        with pytest.raises(RateLimited) as first:
            await client.follow_users()
        watch.second = 20.0
        with pytest.raises(RateLimited) as second:
            await client.follow_users()
        assert (first.value.retry_after, second.value.retry_after) == (60.0, 40.0)
        assert platform.count(FOLLOWERS) == 1
        assert await client.contacts_of("zhangsan") == []
        watch.second = 60.0
        assert await client.follow_users() == ["zhangsan"]

    async def test_too_many_at_once_asks_for_a_short_pause(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[CREATE] = [refused(45033)]
        with pytest.raises(TooManyAtOnce) as caught:
            await client.create_mass_send(MESSAGE)
        assert caught.value.retry_after == 2.0

    async def test_a_refusal_is_not_repeated(self, client: WeComClient, platform: Platform) -> None:
        platform.replies["externalcontact/get"] = [refused(84061)]
        with pytest.raises(RelationGone) as caught:
            await client.contact("wm1")
        assert (caught.value.errcode, caught.value.call) == (84061, "externalcontact/get")
        assert platform.count("externalcontact/get") == 1

    @pytest.mark.parametrize("answer", [{"follow_user": "zhangsan"}, {"follow_user": [1]}])
    async def test_another_shape_than_documented_is_said(
        self, client: WeComClient, platform: Platform, answer: dict[str, Any]
    ) -> None:
        platform.replies[FOLLOWERS] = [answer]
        with pytest.raises(UnreadableAnswer, match="follow_user"):
            await client.follow_users()


class TestSecrets:
    @pytest.mark.parametrize("reply", [*FAILURES, -1, 40014, 45009, 84061, 40001, 99999])
    @pytest.mark.parametrize("path", ["gettoken", FOLLOWERS, CREATE])
    async def test_neither_token_nor_secret_is_in_any_error_or_log(
        self,
        client: WeComClient,
        platform: Platform,
        caplog: pytest.LogCaptureFixture,
        path: str,
        reply: str | int,
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="aiohttp.client")
        caplog.set_level(logging.DEBUG, logger="wecom")
        told = f"bad {TOKEN}-1 {SECRET}, hint: [{TOKEN}], https://x/?access_token={TOKEN}"
        platform.replies[path] = [
            reply if isinstance(reply, str) else {"errcode": reply, "errmsg": told}
        ]
        act = client.create_mass_send(MESSAGE) if path == CREATE else client.follow_users()
        with pytest.raises(WeComError) as caught:
            await act
        shown = everything_shown(caught.value) + caplog.text + repr(client)
        assert "canary" not in shown
        assert "access_token=" not in shown

    def test_the_hint_id_is_all_that_stays_of_what_wecom_wrote(self) -> None:
        error = error_for(
            84061,
            "not external contact, hint: [1571278460_17_5fe1], from ip: 10.0.0.7, more info at "
            "https://open.work.weixin.qq.com/devtool/query?e=84061",
            call="externalcontact/get",
        )
        assert error.hint == "1571278460_17_5fe1"
        assert str(error) == (
            "The member and the customer are no longer connected; refresh the relation, drop the "
            "task. (call=externalcontact/get errcode=84061 hint=1571278460_17_5fe1)"
        )


def everything_shown(error: BaseException) -> str:
    """What the chattiest error page prints: the whole chain, with the variables of every frame."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [
        (name, value)
        for link in chain(told)
        for frame in link.stack
        # The frames of this file hold the canaries themselves.
        if frame.filename != __file__
        for name, value in (frame.locals or {}).items()
    ]
    lines = [line for link in chain(told) for line in link.format_exception_only()]
    return f"{error!r} {error} {error.args} {vars(error)} {lines} {frames}"


def chain(
    told: traceback.TracebackException | None,
) -> list[traceback.TracebackException]:
    if told is None:
        return []
    return [told, *chain(told.__cause__), *chain(told.__context__)]


KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, WeComError)
]


class TestErrors:
    def test_the_tree_in_the_docstring_names_every_class_once(self) -> None:
        drawn = (errors.__doc__ or "").partition("Each docstring")[0]
        words = Counter(word for line in drawn.splitlines() for word in line.split())
        assert [kind.__name__ for kind in KINDS if words[kind.__name__] != 1] == []

    def test_no_number_means_two_things(self) -> None:
        assert sum(map(len, errors._CODES.values())) == len(errors._KIND_OF)
        assert error_for(123456, "").__class__ is UnknownRefusal

    def test_every_error_says_what_it_is(self) -> None:
        assert all((kind.__doc__ or "").strip().endswith(".") for kind in KINDS)


class TestCustomers:
    async def test_members_who_serve_customers(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[FOLLOWERS] = [{"follow_user": ["zhangsan", "lisi"]}]
        assert await client.follow_users() == ["zhangsan", "lisi"]

    async def test_customers_of_a_member(self, client: WeComClient, platform: Platform) -> None:
        path = "externalcontact/list"
        platform.replies[path] = [{"external_userid": ["wm1"]}, refused(84061), refused(60111)]
        assert await client.contacts_of("zhangsan") == ["wm1"]
        assert platform.last(path).query["userid"] == "zhangsan"
        assert await client.contacts_of("lisi") == []
        with pytest.raises(RelationGone):
            await client.contacts_of("nobody")

    async def test_a_customer_with_all_pages_of_followers(
        self, client: WeComClient, platform: Platform
    ) -> None:
        person = {"external_userid": "wm1", "name": "陈女士", "gender": 2, "avatar": "http://a"}
        first = {
            "userid": "zhangsan",
            "remark": "陈姐",
            "createtime": SECOND,
            "state": "hz-01",
            "add_way": 1,
            "tags": [
                {"group_name": "风险", "tag_name": "C3", "tag_id": "et1", "type": 1},
                {"group_name": "我的", "tag_name": "爱喝茶", "type": 2},
            ],
        }
        second = {"userid": "lisi", "createtime": SECOND, "tags": None}
        platform.replies["externalcontact/get"] = [
            {"external_contact": person, "follow_user": [first], "next_cursor": "c1"},
            {"external_contact": person, "follow_user": [second]},
        ]
        assert await client.contact("wm1") == Contact(
            "wm1",
            "陈女士",
            2,
            "http://a",
            (
                Follow(
                    "zhangsan",
                    "陈姐",
                    AT,
                    "hz-01",
                    1,
                    (Tag("et1", "C3", "风险"), Tag("", "爱喝茶", "我的")),
                ),
                Follow("lisi", "", AT, "", 0, ()),
            ),
        )
        assert platform.last("externalcontact/get").query["cursor"] == "c1"
        assert not set("陈姐") & set(repr(await client.contact("wm1")))

    async def test_pages_that_never_end_are_not_read_for_ever(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["externalcontact/get_groupmsg_task"] = [
            {"task_list": [], "next_cursor": "c"}
        ]
        with pytest.raises(UnreadableAnswer, match="cursor"):
            await client.mass_send_tasks("msg1")


class TestMassSend:
    async def test_it_is_created_for_named_customers_in_plain_chinese(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[CREATE] = [{"msgid": "msg1", "fail_list": ["wm2"]}]
        message = MassSend(
            "zhangsan",
            ("wm1", "wm2"),
            "固收周报已更新",
            (Link("周报", "https://bank.example/r/1", "本周要点"), Image("m1"), File("m2")),
        )
        assert await client.create_mass_send(message) == MassSendCreated("msg1", ("wm2",))
        sent = platform.last(CREATE)
        assert sent.content_type == "application/json"
        assert "固收周报已更新".encode() in sent.raw
        assert sent.body == {
            "chat_type": "single",
            "sender": "zhangsan",
            "external_userid": ["wm1", "wm2"],
            "text": {"content": "固收周报已更新"},
            "attachments": [
                {
                    "msgtype": "link",
                    "link": {
                        "title": "周报",
                        "url": "https://bank.example/r/1",
                        "desc": "本周要点",
                    },
                },
                {"msgtype": "image", "image": {"media_id": "m1"}},
                {"msgtype": "file", "file": {"media_id": "m2"}},
            ],
        }

    async def test_they_are_listed_page_by_page(
        self, client: WeComClient, platform: Platform
    ) -> None:
        path = "externalcontact/get_groupmsg_list_v2"
        by_app = {"msgid": "msg1", "create_time": SECOND, "text": {"content": "您好"}}
        by_member = {"msgid": "msg2", "create_time": SECOND, "creator": "lisi", "attachments": []}
        platform.replies[path] = [
            {"group_msg_list": [by_app], "next_cursor": "c"},
            {"group_msg_list": [by_member], "next_cursor": ""},
        ]
        assert await client.mass_sends(AT - timedelta(days=1), AT) == [
            MassSendRecord("msg1", AT, "您好", ""),
            MassSendRecord("msg2", AT, "", "lisi"),
        ]
        assert platform.last(path).body == {
            "chat_type": "single",
            "start_time": SECOND - 86400,
            "end_time": SECOND,
            "filter_type": 2,
            "limit": 100,
            "cursor": "c",
        }
        await client.mass_sends(AT, AT, creator="lisi")
        assert platform.last(path).body["creator"] == "lisi"

    async def test_only_a_month_of_aware_time_can_be_listed(self, client: WeComClient) -> None:
        with pytest.raises(ValueError, match="31 days"):
            await client.mass_sends(AT - timedelta(days=32), AT)
        with pytest.raises(ValueError, match="31 days"):
            await client.mass_sends(AT, AT - timedelta(seconds=1))
        with pytest.raises(ValueError, match="aware"):
            await client.mass_sends(AT.replace(tzinfo=None), AT)

    async def test_one_still_being_handed_out_says_when_to_ask_again(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["externalcontact/get_groupmsg_list_v2"] = [refused(41063)]
        with pytest.raises(MassSendDispatching) as caught:
            await client.mass_sends(AT, AT)
        assert caught.value.retry_after == 60.0

    async def test_who_confirmed_and_who_received(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["externalcontact/get_groupmsg_task"] = [
            {
                "task_list": [
                    {"userid": "zhangsan", "status": 2, "send_time": SECOND},
                    {"userid": "lisi", "status": 0},
                ]
            }
        ]
        platform.replies["externalcontact/get_groupmsg_send_result"] = [
            {
                "send_list": [
                    {"external_userid": "wm0", "userid": "zhangsan", "status": 0, "send_time": 0},
                    {
                        "external_userid": "wm1",
                        "userid": "zhangsan",
                        "status": 1,
                        "send_time": SECOND,
                    },
                    {"external_userid": "wm2", "userid": "zhangsan", "status": 2},
                    {"external_userid": "wm3", "userid": "zhangsan", "status": 3},
                ]
            },
            {"send_list": [{"external_userid": "wm4", "userid": "zhangsan", "status": 4}]},
        ]
        assert await client.mass_send_tasks("msg1") == [
            MassSendTask("zhangsan", True, AT),
            MassSendTask("lisi", False, None),
        ]
        assert await client.mass_send_results("msg1", "zhangsan") == [
            MassSendResult("wm0", "zhangsan", SendStatus.UNSENT, None),
            MassSendResult("wm1", "zhangsan", SendStatus.SENT, AT),
            MassSendResult("wm2", "zhangsan", SendStatus.NOT_FRIEND, None),
            MassSendResult("wm3", "zhangsan", SendStatus.QUOTA_USED, None),
        ]
        with pytest.raises(UnreadableAnswer, match="status"):
            await client.mass_send_results("msg1", "zhangsan")

    async def test_cancelling_twice_is_no_error_but_reading_a_cancelled_one_is(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["externalcontact/cancel_groupmsg_send"] = ["drop", refused(41093)]
        platform.replies["externalcontact/get_groupmsg_task"] = [refused(41093)]
        await client.cancel_mass_send("msg1")
        assert platform.last("externalcontact/cancel_groupmsg_send").body == {"msgid": "msg1"}
        with pytest.raises(MassSendCancelled):
            await client.mass_send_tasks("msg1")

    async def test_a_reminder(self, client: WeComClient, platform: Platform) -> None:
        await client.remind_mass_send("msg1")
        assert platform.last("externalcontact/remind_groupmsg_send").body == {"msgid": "msg1"}


class TestMembers:
    async def test_a_welcome(self, client: WeComClient, platform: Platform) -> None:
        card = MiniProgram("理财", "m1", "wxapp", "pages/index.html")
        await client.send_welcome("CODE", "您好", (card,))
        assert platform.last("externalcontact/send_welcome_msg").body == {
            "welcome_code": "CODE",
            "text": {"content": "您好"},
            "attachments": [
                {
                    "msgtype": "miniprogram",
                    "miniprogram": {
                        "title": "理财",
                        "pic_media_id": "m1",
                        "appid": "wxapp",
                        "page": "pages/index.html",
                    },
                }
            ],
        }

    async def test_a_note_and_a_card_for_a_member(
        self, client: WeComClient, platform: Platform
    ) -> None:
        await client.notify_member("zhangsan", "有新任务")
        assert platform.last("message/send").body == {
            "touser": "zhangsan",
            "agentid": 1000002,
            "msgtype": "text",
            "text": {"content": "有新任务"},
        }
        await client.notify_member("zhangsan", TextCard("待确认", "3 位客户", "https://b/1"))
        assert platform.last("message/send").body["textcard"] == {
            "title": "待确认",
            "description": "3 位客户",
            "url": "https://b/1",
        }

    @pytest.mark.parametrize("unreached", ["invaliduser", "unlicenseduser"])
    async def test_a_member_who_cannot_be_reached_is_an_error(
        self, client: WeComClient, platform: Platform, unreached: str
    ) -> None:
        platform.replies["message/send"] = [{unreached: "zhangsan", "msgid": "m"}]
        with pytest.raises(MessageRefused):
            await client.notify_member("ZhangSan", "有新任务")

    async def test_who_signed_in(self, client: WeComClient, platform: Platform) -> None:
        platform.replies["auth/getuserinfo"] = [{"userid": "zhangsan"}, {"openid": "o1"}]
        assert await client.member_of_code("C1") == "zhangsan"
        assert platform.last("auth/getuserinfo").query["code"] == "C1"
        with pytest.raises(Outsider):
            await client.member_of_code("C2")

    async def test_a_file_with_a_chinese_name_survives_a_second_attempt(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["media/upload"] = ["502", {"media_id": "m1", "type": "file"}]
        data = bytes(range(256)) * 8
        assert await client.upload_media("file", '周报"1".pdf', data) == "m1"
        sent = platform.last("media/upload")
        assert sent.query["type"] == "file"
        assert sent.content_type == "multipart/form-data"
        assert 'name="media"; filename="周报\\"1\\".pdf"'.encode() in sent.raw
        assert data in sent.raw

    @pytest.mark.parametrize(
        ("kind", "name", "size"),
        [("file", "a.pdf", 5), ("voice", "a.amr", (2 << 20) + 1), ("file", "a\r\n.pdf", 9)],
    )
    async def test_a_file_wecom_would_refuse_is_not_sent(
        self, client: WeComClient, platform: Platform, kind: Any, name: str, size: int
    ) -> None:
        with pytest.raises(ValueError, match=r"bytes, got|control characters"):
            await client.upload_media(kind, name, b"x" * size)
        assert platform.seen == []


class TestLimits:
    @pytest.mark.parametrize(
        ("write", "said"),
        [
            (lambda: Text("字" * 683), "text takes 1 to 2048 bytes, got 2049"),
            (lambda: Text(""), "text takes 1 to 2048 bytes, got 0"),
            (lambda: TextCard("字" * 43, "d", "u"), "card title takes 1 to 128 bytes, got 129"),
            (lambda: TextCard("t", "字" * 171, "u"), "description takes 1 to 512 bytes, got 513"),
            (lambda: Link("t" * 129, "u"), "link title takes 1 to 128 bytes, got 129"),
            (lambda: Link("t", "u" * 2049), "link url takes 1 to 2048 bytes, got 2049"),
            (lambda: Link("t", "u", "d" * 513), "description takes 0 to 512 bytes, got 513"),
            (lambda: MiniProgram("t" * 65, "m", "a", "p"), "title takes 1 to 64 bytes, got 65"),
            (lambda: MiniProgram("t", "m", "", "p"), "app_id is empty"),
            (lambda: Image(""), "image media_id is empty"),
            (lambda: File(""), "file media_id is empty"),
            (lambda: MassSend("z", ("w",), "字" * 1334), "text takes 0 to 4000 bytes, got 4002"),
            (lambda: MassSend("z", ("w",), ""), "needs a text or an attachment"),
            (lambda: MassSend("", ("w",), "x"), "sender is empty"),
            (lambda: MassSend("z", (), "x"), "1 to 10000 customers, got 0"),
            (lambda: MassSend("z", ("w",) * 10001, "x"), "1 to 10000 customers, got 10001"),
            (
                lambda: MassSend("z", ("w",), "x", (Image("m"),) * 10),
                "at most 9 attachments, got 10",
            ),
        ],
    )
    def test_a_limit_is_said_with_what_was_given(
        self, write: Callable[[], object], said: str
    ) -> None:
        with pytest.raises(ValueError, match=said):
            write()

    def test_what_just_fits_is_taken(self) -> None:
        Text("字" * 682 + "ab")
        MassSend("z", ("w",) * 10000, "字" * 1333 + "a", (Image("m"),) * 9)
        MassSend("z", ("w",), "", (Image("m"),))
