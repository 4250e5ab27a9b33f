"""微信客服 on the simulated platform: who may answer whom, when, how often, and what is told."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser import DESK as DESK_VIEW
from tests.wecom.test_simulator import CHEN, LI, NOON, WU, ZHOU, Platform, a_platform
from wecom.events import ServiceBell, parse

DESK = "wkDesk"


class Service:
    """One account with Li as servicer, as the product and as people see it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.cursor = ""

    async def writes(self, text: str = "您好", who: str = CHEN) -> str:
        """The customer writes; returns the msgid."""
        wish = {"open_kfid": DESK, "external_userid": who, "text": text}
        return str((await self.hand("service_write", **wish))["msgid"])

    async def hand(self, verb: str, **wish: Any) -> dict[str, Any]:
        """A person's hand, whose act must be possible."""
        done = await self.platform.control(verb, **wish)
        assert done["ok"], done
        return done

    async def send(self, text: str = "收到", who: str = CHEN, **extra: Any) -> dict[str, Any]:
        """The product answers."""
        body = {"touser": who, "open_kfid": DESK, "msgtype": "text", "text": {"content": text}}
        return await self.platform.api("kf/send_msg", {**body, **extra})

    async def on_event(self, code: str, text: str = "欢迎咨询") -> dict[str, Any]:
        """The product answers an event by its code."""
        body = {"code": code, "msgtype": "text", "text": {"content": text}}
        return await self.platform.api("kf/send_msg_on_event", body)

    async def pull(self, **extra: Any) -> dict[str, Any]:
        """One page with the newest token, after what was pulled before."""
        body = {"open_kfid": DESK, "cursor": self.cursor, "token": self.token(), **extra}
        page = await self.platform.api("kf/sync_msg", body)
        self.cursor = page.get("next_cursor", self.cursor)
        return page

    async def news(self) -> list[dict[str, Any]]:
        """What the next page holds."""
        return list((await self.pull())["msg_list"])

    async def events(self) -> list[dict[str, Any]]:
        """The events on the next page."""
        return [row["event"] for row in await self.news() if row["msgtype"] == "event"]

    async def state(self, who: str = CHEN) -> int:
        """The session's state."""
        body = {"open_kfid": DESK, "external_userid": who}
        return int((await self.platform.api("kf/service_state/get", body))["service_state"])

    async def move(self, state: int, servicer: str = "", who: str = CHEN) -> dict[str, Any]:
        """Hand the session on by API."""
        body = {"open_kfid": DESK, "external_userid": who, "service_state": state}
        if servicer:
            body["servicer_userid"] = servicer
        return await self.platform.api("kf/service_state/trans", body)

    def token(self) -> str:
        """The token of the newest bell."""
        bells = [parse(xml) for xml in self.platform.receiver.xml if "kf_msg_or_event" in xml]
        last = bells[-1] if bells else None
        return last.token if isinstance(last, ServiceBell) else ""


@asynccontextmanager
async def a_service() -> AsyncIterator[Service]:
    """A platform whose corp has one service account."""
    async with a_platform() as platform:
        service = Service(platform)
        await service.hand("service_account", name="理财顾问", open_kfid=DESK, servicers=[LI])
        yield service


async def test_a_customer_comes_by_a_link_and_is_welcomed_once():
    async with a_service() as service:
        platform = service.platform
        body = {"open_kfid": DESK, "scene": "autumn-letter"}
        url = (await platform.api("kf/add_contact_way", body))["url"]
        entered = await service.hand("service_enter", url=f"{url}&scene_param=p%2D7", name="周先生")
        customer = entered["external_userid"]
        [event] = await service.events()
        assert (event["event_type"], event["external_userid"]) == ("enter_session", customer)
        assert (event["scene"], event["scene_param"]) == ("autumn-letter", "p-7")

        assert (await service.on_event(event["welcome_code"]))["errcode"] == 0
        assert (await service.on_event(event["welcome_code"]))["errcode"] == 41050
        assert await platform.ledger() == [(customer, "欢迎咨询", "service")]
        again = await service.hand("service_enter", open_kfid=DESK, external_userid=customer)
        context = {"external_userid_list": [customer, "wmGone"], "need_enter_session_context": 1}
        known = await platform.api("kf/customer/batchget", context)
    assert again["welcome_code"] == ""
    assert known["invalid_external_userid"] == ["wmGone"]
    assert known["customer_list"][0]["nickname"] == "周先生"


async def test_the_welcome_waits_twenty_seconds():
    async with a_service() as service:
        code = (await service.hand("service_enter", open_kfid=DESK, external_userid=CHEN))[
            "welcome_code"
        ]
        service.platform.now += timedelta(seconds=21)
        assert (await service.on_event(code))["errcode"] == 41050
        assert (await service.on_event("made-up"))["errcode"] == 40058


async def test_the_bell_names_no_sender_and_carries_no_words():
    async with a_service() as service:
        await service.writes("我想问一下转账限额")
        [xml] = service.platform.receiver.xml
    assert "FromUserName" not in xml
    assert "转账限额" not in xml
    assert re.findall(r"<(\w+)>", xml) == [
        "xml",
        "ToUserName",
        "CreateTime",
        "MsgType",
        "Event",
        "Token",
        "OpenKfId",
    ]


async def test_a_pull_gives_everything_but_our_own_words():
    async with a_service() as service:
        msgid = await service.writes("在吗")
        await service.hand(
            "service_write",
            open_kfid=DESK,
            external_userid=CHEN,
            msgtype="image",
            body={"media_id": "m1"},
        )
        assert (await service.send())["errcode"] == 0
        rows = await service.news()
        assert await service.news() == []
    assert [(row["msgtype"], row["origin"]) for row in rows] == [("text", 3), ("image", 3)]
    assert rows[0] == {
        "msgid": msgid,
        "open_kfid": DESK,
        "external_userid": CHEN,
        "send_time": int(NOON.timestamp()),
        "origin": 3,
        "msgtype": "text",
        "text": {"content": "在吗"},
    }


async def test_pages_may_be_empty_and_not_the_last():
    async with a_service() as service:
        for number in range(3):
            await service.writes(f"第{number}条")
        await service.hand("service_settings", empty_pages=1)
        empty = await service.pull(limit=2)
        first, second = await service.pull(limit=2), await service.pull(limit=2)
    assert (empty["msg_list"], empty["has_more"]) == ([], 1)
    assert [len(page["msg_list"]) for page in (first, second)] == [2, 1]
    assert [page["has_more"] for page in (first, second)] == [1, 0]


async def test_tokens_die_after_ten_minutes_and_pulls_without_one_are_few():
    async with a_service() as service:
        await service.writes()
        token = service.token()
        service.platform.now += timedelta(minutes=11)
        assert (await service.pull(token=token))["errcode"] == 95007
        assert (await service.pull(token="made-up"))["errcode"] == 95007
        await service.hand("service_settings", untokened_a_minute=1)
        assert (await service.pull(token=""))["errcode"] == 0
        assert (await service.pull(token=""))["errcode"] == 45009
        service.platform.now += timedelta(minutes=1)
        assert (await service.pull(token=""))["errcode"] == 0


async def test_the_first_pull_reaches_three_days_back():
    async with a_service() as service:
        await service.writes("很久以前")
        service.platform.now += timedelta(days=4)
        await service.writes("今天")
        assert [row["text"]["content"] for row in await service.news()] == ["今天"]


async def test_a_cursor_belongs_to_its_account():
    async with a_service() as service:
        await service.hand("service_account", name="投诉受理", open_kfid="wkOther")
        await service.writes()
        await service.pull()
        other = {"open_kfid": "wkOther", "cursor": service.cursor}
        assert (await service.platform.api("kf/sync_msg", other))["errcode"] == 40058
        assert (await service.pull(open_kfid="wkGone"))["errcode"] == 95004


async def test_five_answers_for_each_word_of_the_customer():
    async with a_service() as service:
        await service.writes()
        answers = [(await service.send(f"第{n}条"))["errcode"] for n in range(6)]
        await service.writes("还在吗")
        answers.append((await service.send())["errcode"])
    assert answers == [0] * 5 + [95001, 0]


async def test_after_forty_eight_hours_nothing_goes_out():
    async with a_service() as service:
        await service.writes()
        service.platform.now += timedelta(hours=48)
        assert (await service.send())["errcode"] == 0
        service.platform.now += timedelta(seconds=1)
        assert (await service.send())["errcode"] == 95002
        assert await service.state() == 4


async def test_before_the_customer_writes_nothing_can_be_sent():
    async with a_service() as service:
        await service.hand("service_enter", open_kfid=DESK, external_userid=CHEN)
        assert await service.state() == 4
        assert (await service.send())["errcode"] == 95018


@pytest.mark.parametrize(
    ("extra", "errcode"),
    [
        ({"msgid": "a" * 33}, 40058),
        ({"msgid": "有空格"}, 40058),
        ({"text": "长" * 683}, 45002),
        ({"msgtype": "image", "image": {"media_id": "gone"}}, 40007),
        ({"msgtype": "dance", "dance": {}}, 40058),
        ({"touser": "wmNobody"}, 40096),
        ({"open_kfid": ""}, 95000),
        ({"open_kfid": "wkGone"}, 95004),
        ({"msgtype": "msgmenu", "msgmenu": {"list": [{"type": "jump"}]}}, 95009),
        (
            {
                "msgtype": "msgmenu",
                "msgmenu": {"list": [{"type": "click", "click": {"content": "a"}}] * 11},
            },
            95008,
        ),
    ],
)
async def test_messages_the_platform_refuses(extra: dict[str, Any], errcode: int):
    async with a_service() as service:
        await service.writes()
        assert (await service.send(**extra))["errcode"] == errcode


async def test_a_msgid_is_used_once_in_an_account():
    async with a_service() as service:
        await service.writes()
        first = await service.send(msgid="answer-1")
        assert (first["errcode"], first["msgid"]) == (0, "answer-1")
        assert (await service.send(msgid="answer-1"))["errcode"] == 40058


async def test_accepted_is_not_delivered():
    async with a_service() as service:
        await service.writes()
        await service.news()
        await service.hand("service_settings", failing=[6])
        sent = await service.send(msgid="lost-1")
        [event] = await service.events()
        assert await service.platform.ledger() == []
        await service.hand("service_reject", open_kfid=DESK, external_userid=CHEN, rejects=True)
        refused = await service.send(msgid="lost-2")
        events = await service.events()
    assert (sent["errcode"], refused["errcode"]) == (0, 0)
    assert (event["event_type"], event["fail_msgid"], event["fail_type"]) == (
        "msg_send_fail",
        "lost-1",
        6,
    )
    assert [(e["event_type"], e.get("fail_type")) for e in events] == [
        ("reject_customer_msg_switch_change", None),
        ("msg_send_fail", 10),
    ]


@pytest.mark.parametrize(
    ("road", "allowed"),
    [((), {1, 2, 3}), ((1,), {2, 3}), ((2,), {3}), ((3,), {3, 4}), ((3, 4), set())],
)
async def test_only_documented_steps_between_states(road: tuple[int, ...], allowed: set[int]):
    async with a_service() as service:
        taken = set()
        for number, wanted in enumerate((0, 1, 2, 3, 4)):
            who = f"wm{number}"
            await service.hand("service_enter", open_kfid=DESK, external_userid=who)
            await service.writes(who=who)
            for step in road:
                assert (await service.move(step, LI, who))["errcode"] == 0
            answer = await service.move(wanted, LI, who)
            if answer["errcode"] == 0:
                taken.add(wanted)
            else:
                assert answer["errcode"] == 95016
    assert taken == allowed


async def test_a_person_takes_over_answers_and_ends():
    async with a_service() as service:
        who = {"open_kfid": DESK, "external_userid": CHEN}
        await service.writes("请转人工")
        queue = await service.move(2)
        assert (await service.on_event(queue["msg_code"], "正在为您排队"))["errcode"] == 0
        assert (await service.send())["errcode"] == 95018
        await service.news()

        await service.hand("service_accept", **who, servicer=LI)
        await service.hand("service_answer", **who, servicer=LI, text="我是李敏，您请说")
        code = (await service.hand("service_end", **who))["msg_code"]
        assert (await service.on_event(code, "感谢您的咨询"))["errcode"] == 0
        rows = await service.news()
        seen = [text for _, text, _ in await service.platform.ledger()]
        await service.writes("再问一句")
        assert await service.state() == 0
    changes = [row["event"]["change_type"] for row in rows if row["msgtype"] == "event"]
    assert changes == [1, 3]
    [answer] = [row for row in rows if row["msgtype"] == "text"]
    assert (answer["origin"], answer["servicer_userid"]) == (5, LI)
    assert seen == ["正在为您排队", "我是李敏，您请说", "感谢您的咨询"]


async def test_a_code_works_only_in_the_state_it_was_given_for():
    async with a_service() as service:
        await service.writes()
        code = (await service.move(2))["msg_code"]
        await service.move(3, LI)
        assert (await service.on_event(code))["errcode"] == 95018


async def test_state_three_needs_a_servicer_who_receives():
    async with a_service() as service:
        await service.writes()
        assert (await service.move(3))["errcode"] == 95014
        assert (await service.move(3, ZHOU))["errcode"] == 95014
        added = await service.platform.api(
            "kf/servicer/add", {"open_kfid": DESK, "userid_list": [ZHOU, "Nobody"]}
        )
        await service.hand("service_receiving", open_kfid=DESK, servicer=ZHOU, receiving=False)
        assert (await service.move(3, ZHOU))["errcode"] == 95019
        listed = await service.platform.api("kf/servicer/list", open_kfid=DESK)
    assert [row["errcode"] for row in added["result_list"]] == [0, 40003]
    assert listed["servicer_list"] == [
        {"userid": LI, "status": 0},
        {"userid": ZHOU, "status": 1},
    ]


async def test_a_servicer_writes_into_an_ended_session_and_has_it_again():
    async with a_service() as service:
        who = {"open_kfid": DESK, "external_userid": WU}
        await service.writes(who=WU)
        await service.move(3, LI, WU)
        await service.hand("service_end", **who)
        await service.news()
        await service.hand("service_answer", **who, servicer=LI, text="补充一句")
        [event] = await service.events()
        assert await service.state(WU) == 3
    assert (event["change_type"], event["new_servicer_userid"]) == (4, LI)


async def test_people_take_words_back_within_two_minutes():
    async with a_service() as service:
        msgid = await service.writes("发错了")
        await service.news()
        await service.hand("service_recall", msgid=msgid)
        [event] = await service.events()
        late = await service.writes("也发错了")
        service.platform.now += timedelta(minutes=3)
        refused = await service.platform.control("service_recall", msgid=late)
    assert (event["event_type"], event["recall_msgid"]) == ("user_recall_msg", msgid)
    assert refused["status"] == 409


async def test_an_account_can_be_taken_from_the_app():
    async with a_service() as service:
        await service.writes()
        await service.hand("service_authorise", remove=[DESK])
        heard = len(service.platform.receiver.xml)
        await service.writes("没人听见")
        assert len(service.platform.receiver.xml) == heard
        assert (await service.send())["errcode"] == 48007
        listed = await service.platform.api("kf/account/list", {})
        await service.hand("service_authorise", add=[DESK])
        assert (await service.send())["errcode"] == 0
        told = [xml for xml in service.platform.receiver.xml if "kf_account_auth_change" in xml]
    assert listed["account_list"][0]["manage_privilege"] is False
    assert "<AuthDelOpenKfId><![CDATA[wkDesk]]></AuthDelOpenKfId>" in told[0]
    assert "<AuthAddOpenKfId><![CDATA[wkDesk]]></AuthAddOpenKfId>" in told[1]


async def test_accounts_are_made_and_unmade_by_api():
    async with a_service() as service:
        api = service.platform.api
        assert (await api("kf/account/add", {"name": "名" * 17}))["errcode"] == 95006
        made = await api("kf/account/add", {"name": "信用卡"})
        open_kfid = made["open_kfid"]
        assert open_kfid.startswith("wk")
        await api("kf/account/update", {"open_kfid": open_kfid, "name": "信用卡中心"})
        names = [row["name"] for row in (await api("kf/account/list", {}))["account_list"]]
        await api("kf/account/del", {"open_kfid": open_kfid})
        assert (await api("kf/account/del", {"open_kfid": open_kfid}))["errcode"] == 95004
        bad = await api("kf/add_contact_way", {"open_kfid": DESK, "scene": "有空格"})
        async with service.platform.http.get(f"{service.platform.base}/kfid/{open_kfid}") as gone:
            assert gone.status == 404
    assert names == ["理财顾问", "信用卡中心"]
    assert bad["errcode"] == 40058


async def test_a_fresh_snapshot_knows_the_service_chat(tmp_path: Any):
    async with a_service() as service:
        await service.writes("记得我吗")
        service.platform.world.save(tmp_path / "world.json")
    world = type(service.platform.world).load(tmp_path / "world.json")
    assert [item.text for item in world.service.chat(DESK, CHEN)] == ["记得我吗"]


async def test_customer_and_servicer_talk_on_the_page(chromium: Browser):
    async with a_service() as service:
        platform = service.platform
        body = {"open_kfid": DESK, "scene": "autumn-letter"}
        link = (await platform.api("kf/add_contact_way", body))["url"]
        page = await chromium.new_page(viewport=DESK_VIEW)
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console", lambda line: troubles.append(line.text) if line.type == "error" else None
        )

        await page.goto(link)
        await page.get_by_label("客户昵称").fill("周先生")
        await page.get_by_role("button", name="进入", exact=True).click()
        menu = {
            "head_content": "请问想咨询什么？",
            "list": [{"type": "click", "click": {"id": "1", "content": "转人工"}}],
        }
        [entered] = await service.events()
        customer = entered["external_userid"]
        code = {"code": entered["welcome_code"], "msgtype": "msgmenu", "msgmenu": menu}
        assert (await platform.api("kf/send_msg_on_event", code))["errcode"] == 0
        await page.locator("#phone-body").get_by_role("button", name="转人工").click()
        await expect(page.locator("#phone-body .mine")).to_contain_text("转人工")
        [chosen] = [row for row in await service.news() if row["msgtype"] == "text"]
        assert chosen["text"] == {"content": "转人工", "menu_id": "1"}
        assert (await service.move(2, who=customer))["errcode"] == 0

        await page.locator(f'[data-session="{DESK}/{customer}"]').click()
        await page.get_by_role("button", name="接入会话").click()
        await page.get_by_label("以接待人员身份输入消息").fill("周先生您好，我是李敏")
        await page.get_by_label("以接待人员身份输入消息").press("Enter")
        await expect(page.locator("#phone-body")).to_contain_text("周先生您好，我是李敏")
        await expect(page.locator("#facts")).to_contain_text("autumn-letter")
        await page.get_by_role("button", name="结束会话").click()
        await expect(page.locator("#chat-head")).to_contain_text("已结束")
    assert entered["scene"] == "autumn-letter"
    assert troubles == []
