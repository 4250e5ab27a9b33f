"""Mass sends that wait for a person, messages to members, files that die."""

import io
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from tests.wecom.test_simulator import CHEN, CORP, HE, LI, NOON, WU, ZHOU, Platform, a_platform

TEXT = {"content": "本周理财日历"}


async def a_task(platform: Platform, **body: Any) -> dict[str, Any]:
    """Create a mass send with the usual text."""
    return await platform.api("externalcontact/add_msg_template", {"text": TEXT, **body})


async def results(platform: Platform, msgid: str, userid: str = LI) -> dict[str, int]:
    """What became of each customer."""
    answer = await platform.api(
        "externalcontact/get_groupmsg_send_result", {"msgid": msgid, "userid": userid}
    )
    return {row["external_userid"]: row["status"] for row in answer["send_list"]}


async def test_nothing_leaves_before_the_member_presses_send():
    async with a_platform() as platform:
        task = await a_task(platform, sender=LI, external_userid=[CHEN, WU, HE, "wmNobody"])
        assert task["fail_list"] == [HE, "wmNobody"]
        assert await results(platform, task["msgid"]) == {CHEN: 0, WU: 0}
        await platform.control("settle")
        assert (await platform.ledger(), platform.receiver.xml) == ([], [])

        await platform.control("confirm_task", msgid=task["msgid"], userid=LI)
        assert await results(platform, task["msgid"]) == {CHEN: 1, WU: 1}
        assert [row[0] for row in await platform.ledger()] == [CHEN, WU]
        state = await platform.api("externalcontact/get_groupmsg_task", {"msgid": task["msgid"]})
    assert state["task_list"] == [{"userid": LI, "status": 2, "send_time": int(NOON.timestamp())}]


async def test_who_left_or_had_enough_gets_nothing():
    async with a_platform() as platform:
        await platform.control("settings", mass_send_quota="daily")
        first = await a_task(platform, sender=ZHOU, external_userid=[CHEN])
        await platform.control("confirm_task", msgid=first["msgid"], userid=ZHOU)
        second = await a_task(platform, sender=LI)
        await platform.control("delete_follow", userid=LI, external_userid=WU)
        await platform.control("confirm_task", msgid=second["msgid"], userid=LI)
        assert await results(platform, second["msgid"]) == {CHEN: 3, WU: 2}
        platform.now += timedelta(days=1)
        third = await a_task(platform, sender=LI, external_userid=[CHEN])
        await platform.control("confirm_task", msgid=third["msgid"], userid=LI)
        assert await results(platform, third["msgid"]) == {CHEN: 1}


@pytest.mark.parametrize(("mode", "allowed"), [("daily", 1), ("weekly", 7), ("monthly", 31)])
async def test_quota_counts_customers_in_the_period(mode: str, allowed: int):
    async with a_platform() as platform:
        await platform.control("settings", mass_send_quota=mode)
        statuses = []
        for _ in range(allowed + 1):
            task = await a_task(platform, sender=LI, external_userid=[CHEN])
            await platform.control("confirm_task", msgid=task["msgid"], userid=LI)
            statuses += (await results(platform, task["msgid"])).values()
    assert statuses == [1] * allowed + [3]


async def test_without_a_sender_the_last_to_talk_gets_the_task():
    async with a_platform() as platform:
        await platform.control("message", **{"from": CHEN, "to": LI, "text": "您好"})
        task = await a_task(platform, external_userid=[CHEN])
        assert await results(platform, task["msgid"]) == {CHEN: 0}


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"external_userid": [HE]}, 41048),
        ({"sender": "", "external_userid": [CHEN]}, 40058),
        ({}, 40058),
        ({"sender": "Nobody"}, 40003),
        ({"sender": LI, "text": {"content": ""}}, 40063),
        ({"sender": LI, "text": {"content": "长" * 1334}}, 45002),
        ({"sender": LI, "attachments": [{"msgtype": "image", "image": {"media_id": "x"}}]}, 40007),
        ({"sender": LI, "attachments": [{"msgtype": "sound"}]}, 41065),
        ({"sender": LI, "chat_type": "group", "chat_id_list": ["wr1"]}, 41048),
    ],
)
async def test_tasks_the_platform_refuses(body: dict[str, Any], errcode: int):
    async with a_platform() as platform:
        assert (await a_task(platform, **body))["errcode"] == errcode


async def test_a_task_made_by_api_names_no_creator():
    async with a_platform() as platform:
        await platform.control("settings", dispatch_seconds=60)
        task = await a_task(platform, sender=LI)
        start = int(NOON.timestamp())
        body = {"chat_type": "single", "start_time": start - 60, "end_time": start + 600}
        path = "externalcontact/get_groupmsg_list_v2"
        assert (await platform.api(path, body))["errcode"] == 41063
        platform.now += timedelta(seconds=60)
        listed = await platform.api(path, body)
        assert (await platform.api(path, {**body, "end_time": start - 61}))["errcode"] == 41052
        assert (await platform.api(path, {**body, "filter_type": 1}))["group_msg_list"] == []
    assert listed["group_msg_list"] == [
        {
            "msgid": task["msgid"],
            "create_time": start,
            "create_type": 0,
            "text": TEXT,
            "attachments": [],
        }
    ]


async def test_the_fourth_reminder_of_a_day_is_refused():
    async with a_platform() as platform:
        task = await a_task(platform, sender=LI)
        path, body = "externalcontact/remind_groupmsg_send", {"msgid": task["msgid"]}
        codes = [(await platform.api(path, body))["errcode"] for _ in range(4)]
        platform.now += timedelta(hours=24)
        codes.append((await platform.api(path, body))["errcode"])
        assert (await platform.api(path, {"msgid": "msgNo"}))["errcode"] == 41046
    assert codes == [0, 0, 0, 41094, 0]


async def test_a_cancelled_task_cannot_be_sent_but_what_was_sent_stays():
    async with a_platform() as platform:
        await platform.control("message", **{"from": CHEN, "to": ZHOU, "text": "您好"})
        task = await a_task(platform, external_userid=[CHEN, WU])
        body = {"msgid": task["msgid"]}
        await platform.control("confirm_task", msgid=task["msgid"], userid=ZHOU)
        assert (await platform.api("externalcontact/cancel_groupmsg_send", body))["errcode"] == 0
        refused = await platform.control("confirm_task", msgid=task["msgid"], userid=LI)
        assert (refused["status"], refused["error"]) == (409, "任务已被企业停止")
        again = await platform.api("externalcontact/get_groupmsg_task", body)
        assert again["errcode"] == 41093
        assert await platform.ledger() == [(CHEN, TEXT["content"], "mass_send")]


async def a_group(platform: Platform) -> str:
    """A group of Li's with Chen and Wu in it."""
    wish = {"owner": LI, "name": "财富沙龙", "customers": [CHEN, WU]}
    return str((await platform.control("create_group", **wish))["chat_id"])


async def test_a_mass_send_into_groups_is_the_owners_and_uses_the_groups_quota():
    async with a_platform() as platform:
        await platform.control("settings", mass_send_quota="daily")
        chat_id = await a_group(platform)
        body = {"chat_type": "group", "sender": LI, "chat_id_list": [chat_id, "wr0"]}
        task = await a_task(platform, **body)
        assert task["fail_list"] == ["wr0"]
        await platform.control("confirm_task", msgid=task["msgid"], userid=LI)
        path, asked = "externalcontact/get_groupmsg_send_result", {"userid": LI}
        [row] = (await platform.api(path, {**asked, "msgid": task["msgid"]}))["send_list"]
        assert (row["chat_id"], row["status"]) == (chat_id, 1)
        second = await a_task(platform, chat_type="group", sender=LI)
        await platform.control("confirm_task", msgid=second["msgid"], userid=LI)
        [row] = (await platform.api(path, {**asked, "msgid": second["msgid"]}))["send_list"]
        assert row["status"] == 3
        rows = (await platform.get("control/ledger", chat_id=chat_id))["ledger"]
        assert [(r["via"], r["seen_by"]) for r in rows] == [("mass_send", [CHEN, WU])]
        assert (await a_task(platform, chat_type="group"))["errcode"] == 40058
        assert (await a_task(platform, chat_type="group", sender=ZHOU))["errcode"] == 41048


async def test_tags_narrow_a_mass_send():
    async with a_platform() as platform:
        tags = (await platform.control("create_tag", group="等级", names=["甲", "乙"]))["tags"]
        place = (await platform.control("create_tag", group="区域", names=["南"]))["tags"]
        chen = {"userid": LI, "external_userid": CHEN, "add": [tags["甲"], place["南"]]}
        await platform.control("tag_customer", **chen)
        await platform.control("tag_customer", userid=LI, external_userid=WU, add=[tags["乙"]])

        async def reached(*groups: list[str]) -> list[str]:
            filtered = {"group_list": [{"tag_list": group} for group in groups]}
            task = await a_task(platform, sender=LI, tag_filter=filtered)
            return list(await results(platform, task["msgid"]))

        assert await reached(list(tags.values())) == [CHEN, WU]
        assert await reached(list(tags.values()), [place["南"]]) == [CHEN]


async def test_a_member_may_leave_customers_out_where_he_is_allowed_to():
    async with a_platform() as platform:
        fixed = await a_task(platform, sender=LI)
        wish = {"userid": LI, "skip": [WU]}
        assert (await platform.control("confirm_task", msgid=fixed["msgid"], **wish))[
            "status"
        ] == 409
        free = await a_task(platform, sender=LI, allow_select=True)
        await platform.control("confirm_task", msgid=free["msgid"], **wish)
        assert await results(platform, free["msgid"]) == {CHEN: 1, WU: 0}


async def test_a_members_own_mass_send_uses_the_quota_and_names_its_creator():
    async with a_platform() as platform:
        await platform.control("settings", mass_send_quota="daily")
        own = {"userid": ZHOU, "external_userids": [CHEN], "text": "端午安康"}
        await platform.control("own_mass_send", **own)
        task = await a_task(platform, sender=LI, external_userid=[CHEN])
        await platform.control("confirm_task", msgid=task["msgid"], userid=LI)
        assert await results(platform, task["msgid"]) == {CHEN: 3}
        start = int(NOON.timestamp())
        body = {"chat_type": "single", "start_time": start, "end_time": start + 60}
        path = "externalcontact/get_groupmsg_list_v2"
        listed = {
            kind: [
                row.get("creator", "")
                for row in (await platform.api(path, {**body, "filter_type": kind}))[
                    "group_msg_list"
                ]
            ]
            for kind in (0, 1, 2)
        }
        assert listed == {0: [""], 1: [ZHOU], 2: [ZHOU, ""]}


async def send(platform: Platform, **body: Any) -> dict[str, Any]:
    """Send a text to members."""
    usual = {"touser": LI, "msgtype": "text", "agentid": CORP.agent_id, "text": {"content": "待办"}}
    return await platform.api("message/send", {**usual, **body})


async def test_unknown_members_come_back_in_lower_case():
    async with a_platform() as platform:
        answer = await send(platform, touser=f"{LI.upper()}|WangWu|ZhaoLiu")
        assert (answer["errcode"], answer["invaliduser"]) == (0, "wangwu|zhaoliu")
        assert (await send(platform, touser="WangWu"))["errcode"] == 81013
        assert (await send(platform, agentid=7))["errcode"] == 40056
        assert [m.userid for m in platform.world.app_messages] == [LI]


async def test_floods_and_repeats_are_dropped_without_a_word():
    async with a_platform() as platform:
        for _ in range(2):
            await send(platform, enable_duplicate_check=1)
        assert len(platform.world.app_messages) == 1
        for number in range(40):
            assert (await send(platform, text={"content": f"第 {number} 条"}))["errcode"] == 0
        assert len(platform.world.app_messages) == 30


async def upload(platform: Platform, path: str, content: bytes, **query: str) -> dict[str, Any]:
    """Upload a picture."""
    form = aiohttp.FormData()
    form.add_field("media", io.BytesIO(content), filename="海报.png", content_type="image/png")
    query["access_token"] = await platform.token()
    url = f"{platform.base}/cgi-bin/media/{path}"
    async with platform.http.post(url, params=query, data=form) as response:
        return dict(await response.json())


async def test_a_media_id_dies_after_three_days():
    async with a_platform() as platform:
        stored = await upload(platform, "upload", b"\x89PNG picture", type="image")
        assert stored["errmsg"] == ""
        assert stored["created_at"] == str(int(NOON.timestamp()))
        token = await platform.token()
        query = {"access_token": token, "media_id": stored["media_id"]}
        url = f"{platform.base}/cgi-bin/media/get"
        async with platform.http.get(url, params=query) as response:
            assert await response.read() == b"\x89PNG picture"
            assert response.content_type == "image/png"
        image = [{"msgtype": "image", "image": {"media_id": stored["media_id"]}}]
        assert (await a_task(platform, sender=LI, attachments=image))["errcode"] == 0
        platform.now += timedelta(days=3, seconds=1)
        assert (await platform.api("media/get", media_id=stored["media_id"]))["errcode"] == 40007
        assert (await a_task(platform, sender=LI, attachments=image))["errcode"] == 40007


async def test_uploads_have_limits_and_pictures_for_good_an_address():
    async with a_platform() as platform:
        assert (await upload(platform, "upload", b"1", type="image"))["errcode"] == 40006
        assert (await upload(platform, "upload", b"123456", type="poster"))["errcode"] == 40004
        too_long = b"0" * ((2 << 20) + 1)
        assert (await upload(platform, "upload", too_long, type="voice"))["errcode"] == 45001
        stored = await upload(platform, "uploadimg", b"\x89PNG for good")
        platform.now += timedelta(days=30)
        async with platform.http.get(stored["url"]) as response:
            assert await response.read() == b"\x89PNG for good"
        image = [{"msgtype": "image", "image": {"pic_url": stored["url"]}}]
        assert (await a_task(platform, sender=LI, attachments=image))["errcode"] == 0
