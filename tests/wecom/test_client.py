"""The client against a small platform: what it asks, what it repeats, what it never does twice."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from tests.wecom.wire import (
    AT,
    CREATE,
    FAILURES,
    FOLLOWERS,
    MESSAGE,
    SECOND,
    Platform,
    Reply,
    Watch,
    client_of,
    refused,
)
from wecom.attachments import File, Image, Link, MiniProgram
from wecom.client import WeComClient
from wecom.contacts import Contact, Follow, Tag
from wecom.errors import (
    Busy,
    MassSendCancelled,
    MassSendDispatching,
    MessageRefused,
    NotConnected,
    OutcomeUnknown,
    Outsider,
    RateLimited,
    RelationGone,
    TooManyAtOnce,
    Unreachable,
    UnreadableAnswer,
)
from wecom.mass_sends import (
    MassSend,
    MassSendCreated,
    MassSendRecord,
    MassSendResult,
    MassSendTask,
    SendStatus,
)
from wecom.messages import Text, TextCard
from wecom.sign_in import SignedIn
from wecom.to_customers import ToCustomers


class TestTrouble:
    @pytest.mark.parametrize("failure", FAILURES)
    async def test_a_question_is_repeated_three_times_and_no_more(
        self, client: WeComClient, platform: Platform, watch: Watch, failure: str
    ) -> None:
        platform.replies[FOLLOWERS] = [failure]
        with pytest.raises(Unreachable):
            await client.contacts.follow_users()
        assert platform.count(FOLLOWERS) == 4
        assert platform.count("elsewhere") == 0
        assert len(watch.waits) == 3

    async def test_waits_grow_and_differ_from_one_caller_to_the_next(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(-1)]
        for _ in range(2):
            with pytest.raises(Busy):
                await client.contacts.follow_users()
        one, other = watch.waits[:3], watch.waits[3:]
        assert one != other
        for waits in (one, other):
            assert all(
                low <= wait <= 3 * low for low, wait in zip((0.25, 0.5, 1), waits, strict=True)
            )

    async def test_a_busy_platform_recovers(self, client: WeComClient, platform: Platform) -> None:
        platform.replies[FOLLOWERS] = [refused(-1), "502", {"follow_user": ["zhangsan"]}]
        assert await client.contacts.follow_users() == ["zhangsan"]

    @pytest.mark.parametrize("failure", [*FAILURES, refused(-1), refused(6000), {"msgid": None}])
    async def test_a_create_without_a_clear_answer_is_unknown_and_made_once(
        self, client: WeComClient, platform: Platform, failure: Reply
    ) -> None:
        platform.replies[CREATE] = [failure]
        with pytest.raises(OutcomeUnknown) as caught:
            await ToCustomers(client).mass_send(MESSAGE)
        assert caught.value.call == CREATE
        assert platform.count(CREATE) == 1

    @pytest.mark.parametrize(
        ("path", "act"),
        [
            ("externalcontact/send_welcome_msg", lambda c: ToCustomers(c).welcome("CODE", "您好")),
            ("externalcontact/remind_groupmsg_send", lambda c: c.mass_sends.remind("msg1")),
            ("message/send", lambda c: c.messages.send(["zhangsan"], Text("有新任务"))),
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
            await ToCustomers(client).mass_send(MESSAGE)
        platform.replies.clear()
        # A kept-alive connection found closed leaves doubt; one that never opened does not.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
            other = client_of(http, platform, watch)
            await other.contacts.follow_users()
            await platform.server.close()
            with pytest.raises(NotConnected):
                await ToCustomers(other).mass_send(MESSAGE)
        assert platform.count(CREATE) == 0
        assert watch.waits == []

    async def test_a_rate_limit_closes_the_call_until_it_is_over(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(45009), {"follow_user": ["zhangsan"]}]
        with pytest.raises(RateLimited) as first:
            await client.contacts.follow_users()
        watch.second = 20.0
        with pytest.raises(RateLimited) as second:
            await client.contacts.follow_users()
        assert (first.value.retry_after, second.value.retry_after) == (60.0, 40.0)
        assert platform.count(FOLLOWERS) == 1
        assert await client.contacts.of_member("zhangsan") == []
        watch.second = 60.0
        assert await client.contacts.follow_users() == ["zhangsan"]

    async def test_too_many_at_once_asks_for_a_short_pause(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[CREATE] = [refused(45033)]
        with pytest.raises(TooManyAtOnce) as caught:
            await ToCustomers(client).mass_send(MESSAGE)
        assert caught.value.retry_after == 2.0

    async def test_a_refusal_is_not_repeated(self, client: WeComClient, platform: Platform) -> None:
        platform.replies["externalcontact/get"] = [refused(84061)]
        with pytest.raises(RelationGone) as caught:
            await client.contacts.get("wm1")
        assert (caught.value.errcode, caught.value.call) == (84061, "externalcontact/get")
        assert platform.count("externalcontact/get") == 1

    @pytest.mark.parametrize("answer", [{"follow_user": "zhangsan"}, {"follow_user": [1]}])
    async def test_another_shape_than_documented_is_said(
        self, client: WeComClient, platform: Platform, answer: dict[str, Any]
    ) -> None:
        platform.replies[FOLLOWERS] = [answer]
        with pytest.raises(UnreadableAnswer, match="follow_user"):
            await client.contacts.follow_users()


class TestCustomers:
    async def test_members_who_serve_customers(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[FOLLOWERS] = [{"follow_user": ["zhangsan", "lisi"]}]
        assert await client.contacts.follow_users() == ["zhangsan", "lisi"]

    async def test_customers_of_a_member(self, client: WeComClient, platform: Platform) -> None:
        path = "externalcontact/list"
        platform.replies[path] = [{"external_userid": ["wm1"]}, refused(84061), refused(60111)]
        assert await client.contacts.of_member("zhangsan") == ["wm1"]
        assert platform.last(path).query["userid"] == "zhangsan"
        assert await client.contacts.of_member("lisi") == []
        with pytest.raises(RelationGone):
            await client.contacts.of_member("nobody")

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
        assert await client.contacts.get("wm1") == Contact(
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
        assert not set("陈姐") & set(repr(await client.contacts.get("wm1")))

    async def test_pages_that_never_end_are_not_read_for_ever(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["externalcontact/get_groupmsg_task"] = [
            {"task_list": [], "next_cursor": "c"}
        ]
        with pytest.raises(UnreadableAnswer, match="cursor"):
            await client.mass_sends.tasks("msg1")


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
        assert await ToCustomers(client).mass_send(message) == MassSendCreated("msg1", ("wm2",))
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
        assert await client.mass_sends.listed(AT - timedelta(days=1), AT) == [
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
        await client.mass_sends.listed(AT, AT, creator="lisi")
        assert platform.last(path).body["creator"] == "lisi"

    async def test_only_a_month_of_aware_time_can_be_listed(self, client: WeComClient) -> None:
        with pytest.raises(ValueError, match="31 days"):
            await client.mass_sends.listed(AT - timedelta(days=32), AT)
        with pytest.raises(ValueError, match="31 days"):
            await client.mass_sends.listed(AT, AT - timedelta(seconds=1))
        with pytest.raises(ValueError, match="aware"):
            await client.mass_sends.listed(AT.replace(tzinfo=None), AT)

    async def test_one_still_being_handed_out_says_when_to_ask_again(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["externalcontact/get_groupmsg_list_v2"] = [refused(41063)]
        with pytest.raises(MassSendDispatching) as caught:
            await client.mass_sends.listed(AT, AT)
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
        assert await client.mass_sends.tasks("msg1") == [
            MassSendTask("zhangsan", True, AT),
            MassSendTask("lisi", False, None),
        ]
        assert await client.mass_sends.results("msg1", "zhangsan") == [
            MassSendResult("wm0", "zhangsan", SendStatus.UNSENT, None),
            MassSendResult("wm1", "zhangsan", SendStatus.SENT, AT),
            MassSendResult("wm2", "zhangsan", SendStatus.NOT_FRIEND, None),
            MassSendResult("wm3", "zhangsan", SendStatus.QUOTA_USED, None),
        ]
        with pytest.raises(UnreadableAnswer, match="status"):
            await client.mass_sends.results("msg1", "zhangsan")

    async def test_cancelling_twice_is_no_error_but_reading_a_cancelled_one_is(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["externalcontact/cancel_groupmsg_send"] = ["drop", refused(41093)]
        platform.replies["externalcontact/get_groupmsg_task"] = [refused(41093)]
        await client.mass_sends.cancel("msg1")
        assert platform.last("externalcontact/cancel_groupmsg_send").body == {"msgid": "msg1"}
        with pytest.raises(MassSendCancelled):
            await client.mass_sends.tasks("msg1")

    async def test_a_reminder(self, client: WeComClient, platform: Platform) -> None:
        await client.mass_sends.remind("msg1")
        assert platform.last("externalcontact/remind_groupmsg_send").body == {"msgid": "msg1"}


class TestMembers:
    async def test_a_welcome(self, client: WeComClient, platform: Platform) -> None:
        card = MiniProgram("理财", "m1", "wxapp", "pages/index.html")
        await ToCustomers(client).welcome("CODE", "您好", (card,))
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
        await client.messages.send(["zhangsan"], Text("有新任务"))
        assert platform.last("message/send").body == {
            "touser": "zhangsan",
            "agentid": 1000002,
            "msgtype": "text",
            "text": {"content": "有新任务"},
        }
        await client.messages.send(["zhangsan"], TextCard("待确认", "3 位客户", "https://b/1"))
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
            await client.messages.send(["ZhangSan"], Text("有新任务"))

    async def test_who_signed_in(self, client: WeComClient, platform: Platform) -> None:
        platform.replies["auth/getuserinfo"] = [{"userid": "zhangsan"}, {"openid": "o1"}]
        assert await client.sign_in.member_of_code("C1") == SignedIn("zhangsan")
        assert platform.last("auth/getuserinfo").query["code"] == "C1"
        with pytest.raises(Outsider):
            await client.sign_in.member_of_code("C2")

    async def test_a_file_with_a_chinese_name_survives_a_second_attempt(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["media/upload"] = ["502", {"media_id": "m1", "type": "file"}]
        data = bytes(range(256)) * 8
        assert await client.media.upload("file", '周报"1".pdf', data) == "m1"
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
            await client.media.upload(kind, name, b"x" * size)
        assert platform.seen == []
