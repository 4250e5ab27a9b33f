"""Customers, greetings and the callbacks that tell about them."""

from datetime import timedelta

from tests.wecom.test_simulator import CHEN, CORP, HE, LI, NOON, WU, ZHOU, a_platform, fields


async def test_customers_are_listed_with_their_followers():
    async with a_platform() as platform:
        members = await platform.api("externalcontact/get_follow_user_list")
        assert members["follow_user"] == [LI, ZHOU]
        mine = await platform.api("externalcontact/list", userid=LI)
        assert mine["external_userid"] == [CHEN, WU]
        chen = await platform.api("externalcontact/get", external_userid=CHEN)
        assert [row["userid"] for row in chen["follow_user"]] == [LI, ZHOU]
        assert chen["follow_user"][0]["state"] == "branch-south"
        assert "next_cursor" not in chen
        assert (await platform.api("externalcontact/get", external_userid=HE))["errcode"] == 84061
        assert (await platform.api("externalcontact/get", external_userid="wm"))["errcode"] == 40096


async def test_a_member_without_customers_is_an_error():
    async with a_platform() as platform:
        await platform.control("delete_follow", userid=ZHOU, external_userid=CHEN)
        assert (await platform.api("externalcontact/list", userid=ZHOU))["errcode"] == 84061


async def test_relations_come_page_by_page():
    async with a_platform() as platform:
        seen, cursor = [], ""
        while True:
            body = {"userid_list": [LI, ZHOU], "limit": 2, "cursor": cursor}
            page = await platform.api("externalcontact/batch/get_by_user", body)
            seen += [row["follow_info"]["userid"] for row in page["external_contact_list"]]
            cursor = page["next_cursor"]
            if not cursor:
                break
    assert seen == [LI, LI, ZHOU]


async def test_a_remark_by_api_makes_no_callback_and_one_in_the_client_does():
    async with a_platform() as platform:
        body = {"userid": LI, "external_userid": CHEN, "remark": "陈总"}
        assert (await platform.api("externalcontact/remark", body))["errcode"] == 0
        empty = {"userid": LI, "external_userid": CHEN}
        assert (await platform.api("externalcontact/remark", empty))["errcode"] == 40058
        await platform.control("settle")
        assert platform.receiver.xml == []
        await platform.control("edit_remark", userid=LI, external_userid=CHEN, remark="陈先生")
        event = fields(platform.receiver.xml[0])
    assert event["ChangeType"] == "edit_external_contact"
    assert (event["UserID"], event["ExternalUserID"], event["State"]) == (LI, CHEN, "branch-south")


async def test_a_new_customer_rings_with_state_and_welcome_code():
    async with a_platform() as platform:
        added = await platform.control(
            "add_contact", userid=LI, external_userid=HE, state="expo]]>2026"
        )
        event = fields(platform.receiver.xml[0])
    assert event == {
        "ToUserName": CORP.corp_id,
        "FromUserName": "sys",
        "CreateTime": str(int(NOON.timestamp())),
        "MsgType": "event",
        "Event": "change_external_contact",
        "ChangeType": "add_external_contact",
        "UserID": LI,
        "ExternalUserID": HE,
        "State": "expo]]>2026",
        "WelcomeCode": added["welcome_code"],
    }


async def test_a_greeting_goes_out_once_within_twenty_seconds():
    async with a_platform() as platform:
        added = await platform.control("add_contact", userid=LI, external_userid=HE)
        link = {"title": "服务介绍", "url": "https://bank.example/s"}
        body = {
            "welcome_code": added["welcome_code"],
            "text": {"content": "您好，我是李敏。"},
            "attachments": [{"msgtype": "link", "link": link}],
        }
        path = "externalcontact/send_welcome_msg"
        platform.now += timedelta(seconds=20)
        assert (await platform.api(path, body))["errcode"] == 0
        assert (await platform.api(path, body))["errcode"] == 41051
        assert await platform.ledger() == [
            (HE, "您好，我是李敏。", "welcome"),
            (HE, "[链接] 服务介绍", "welcome"),
        ]


async def test_a_late_or_beaten_greeting_is_refused():
    async with a_platform() as platform:
        path, text = "externalcontact/send_welcome_msg", {"content": "您好"}
        late = await platform.control("add_contact", userid=LI, name="孙宁")
        platform.now += timedelta(seconds=21)
        body = {"welcome_code": late["welcome_code"], "text": text}
        assert (await platform.api(path, body))["errcode"] == 41050
        beaten = await platform.control("add_contact", userid=LI, external_userid=HE)
        await platform.control("message", **{"from": HE, "to": LI, "text": "在吗"})
        body = {"welcome_code": beaten["welcome_code"], "text": text}
        assert (await platform.api(path, body))["errcode"] == 41051
        assert (await platform.api(path, {"text": text}))["errcode"] == 41049


async def test_a_console_welcome_leaves_no_code():
    async with a_platform() as platform:
        await platform.control("add_contact", userid=LI, external_userid=HE, welcome_code=False)
        assert "WelcomeCode" not in fields(platform.receiver.xml[0])


async def test_a_customer_who_leaves_is_told_and_cannot_be_reached():
    async with a_platform() as platform:
        await platform.control("delete_follow", userid=LI, external_userid=WU)
        assert fields(platform.receiver.xml[0])["ChangeType"] == "del_follow_user"
        refused = await platform.control("message", **{"from": LI, "to": WU, "text": "您好"})
        assert refused["status"] == 409
        assert await platform.ledger() == []


async def test_both_sides_are_archived_and_the_bell_rings():
    async with a_platform() as platform:
        await platform.control("message", **{"from": CHEN, "to": LI, "text": "有稳健的产品吗？"})
        await platform.control("message", **{"from": LI, "to": CHEN, "text": "有的，我发您看看。"})
        bell = fields(platform.receiver.xml[0])
        assert (bell["Event"], bell["AgentID"]) == ("msgaudit_notify", "2000004")
        assert len(platform.receiver.xml) == 2
        headers = {"Authorization": f"Bearer {CORP.archive_secret}"}
        url = f"{platform.base}/archive/messages"
        async with platform.http.get(url, params={"seq": "0"}, headers=headers) as response:
            rows = (await response.json())["chatdata"]
        async with platform.http.get(url, params={"seq": "1"}, headers=headers) as response:
            assert [row["seq"] for row in (await response.json())["chatdata"]] == [2]
        async with platform.http.get(url, params={"seq": "0"}) as response:
            assert (await response.json())["errcode"] == 40001
    assert [row["seq"] for row in rows] == [1, 2]
    first, second = (row["message"] for row in rows)
    assert (first["from"], first["tolist"]) == (CHEN, [LI])
    assert (second["from"], second["tolist"]) == (LI, [CHEN])
    assert first["text"] == {"content": "有稳健的产品吗？"}
    assert first["msgtime"] == int(NOON.timestamp() * 1000)


async def test_callbacks_are_retried_three_times_and_then_given_up():
    async with a_platform() as platform:
        platform.receiver.answers = [503, 404]
        await platform.control("edit_remark", userid=LI, external_userid=CHEN, remark="甲")
        platform.receiver.answers = [500, 500, 500, 500]
        await platform.control("edit_remark", userid=LI, external_userid=CHEN, remark="乙")
        log = (await platform.get("control/state"))["deliveries"]
    assert [row["answers"] for row in log] == [[503, 404, 200], [500, 500, 500, 500]]
    assert [row["outcome"] for row in log] == ["delivered", "failed"]


async def test_callbacks_are_lost_doubled_and_reordered_on_demand():
    async with a_platform() as platform:

        async def edit(*names: str) -> None:
            for name in names:
                await platform.http.post(
                    f"{platform.base}/control/edit_remark",
                    json={"userid": LI, "external_userid": CHEN, "remark": name},
                )
                platform.now += timedelta(seconds=1)

        await platform.control("faults", callbacks={"drop": 1})
        await edit("甲")
        await platform.control("settle")
        assert platform.receiver.xml == []
        await platform.control("faults", callbacks={"duplicate": 1})
        await edit("乙")
        await platform.control("settle")
        assert len(platform.receiver.xml) == 2
        assert len(set(platform.receiver.xml)) == 1
        platform.receiver.xml.clear()
        await platform.control("faults", callbacks={"reorder": 1})
        await edit("丙", "丁")
        await platform.control("settle")
        times = [int(fields(xml)["CreateTime"]) for xml in platform.receiver.xml]
    assert times == sorted(times, reverse=True)
    assert len(times) == 2


async def test_the_console_checks_the_callback_address():
    async with a_platform() as platform:
        url = f"{platform.base}/control/verify_callback"
        async with platform.http.post(url) as response:
            assert await response.json() == {"ok": True}
