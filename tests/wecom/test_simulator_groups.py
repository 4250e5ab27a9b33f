"""Customer groups over the server API: read with a lag, joined by code, counted, given away."""

from datetime import timedelta
from typing import Any

import pytest

from tests.wecom.test_simulator import CHEN, HE, LI, NOON, WU, ZHOU, Platform, a_platform
from wecom.simulator import App, Member

AREA = "externalcontact/groupchat"
CREATED = int(NOON.timestamp())


async def a_group(platform: Platform, **wish: Any) -> str:
    """A group of Li's with Chen in it."""
    usual = {"owner": LI, "name": "财富沙龙", "customers": [CHEN]}
    return str((await platform.control("create_group", **{**usual, **wish}))["chat_id"])


async def read(platform: Platform, chat_id: str, **body: Any) -> dict[str, Any]:
    """The group as the platform shows it."""
    answer = await platform.api(f"{AREA}/get", {"chat_id": chat_id, **body})
    return dict(answer["group_chat"])


async def listed(platform: Platform, secret: str = "app-secret", **body: Any) -> list[str]:
    """The groups of a listing."""
    answer = await platform.api(f"{AREA}/list", {"limit": 100, **body}, secret=secret)
    return [row["chat_id"] for row in answer["group_chat_list"]]


async def test_a_group_is_read_with_its_members():
    async with a_platform() as platform:
        chat_id = await a_group(platform)
        group = await read(platform, chat_id, need_name=1)
    assert (group["name"], group["owner"], group["create_time"]) == ("财富沙龙", LI, CREATED)
    owner, customer = group["member_list"]
    assert (owner["userid"], owner["type"], owner["name"]) == (LI, 1, "李敏")
    assert customer == {
        "userid": CHEN,
        "type": 2,
        "join_time": CREATED,
        "join_scene": 1,
        "invitor": {"userid": LI},
        "group_nickname": "",
        "name": "陈思远",
    }
    assert len(group["member_version"]) == 32


async def test_details_follow_the_event_after_two_seconds():
    async with a_platform() as platform:
        chat_id = await a_group(platform)
        [event] = await platform.events("join_group", chat_id=chat_id, userids=[WU])
        early = await read(platform, chat_id)
        assert early["member_version"] == event["LastMemVer"]
        assert [row["userid"] for row in early["member_list"]] == [LI, CHEN]
        platform.now += timedelta(seconds=2)
        settled = await read(platform, chat_id)
        assert settled["member_version"] == event["CurMemVer"]
        assert [row["userid"] for row in settled["member_list"]] == [LI, CHEN, WU]


async def test_groups_are_listed_by_owner_a_page_at_a_time():
    async with a_platform() as platform:
        mine = [await a_group(platform, name=f"群{number}") for number in range(3)]
        theirs = await a_group(platform, owner=ZHOU)
        assert await listed(platform) == [*mine, theirs]
        assert await listed(platform, owner_filter={"userid_list": [ZHOU]}) == [theirs]
        first = await platform.api(f"{AREA}/list", {"limit": 3})
        body = {"limit": 3, "cursor": first["next_cursor"]}
        second = await platform.api(f"{AREA}/list", body)
        assert [row["chat_id"] for row in second["group_chat_list"]] == [theirs]
        assert "next_cursor" not in second
        await platform.control("dismiss_group", chat_id=theirs)
        assert await listed(platform) == mine
        assert (await platform.api(f"{AREA}/get", {"chat_id": theirs}))["errcode"] == 40050


async def test_groups_of_owners_out_of_range_are_silently_missing():
    app = App(1000003, "other-secret", "otherToken", "a" * 43, visible=frozenset({ZHOU}))
    async with a_platform(apps=(app,)) as platform:
        await a_group(platform)
        theirs = await a_group(platform, owner=ZHOU)
        assert await listed(platform, "other-secret") == [theirs]
        everybody = {"userid_list": [LI, ZHOU]}
        assert await listed(platform, "other-secret", owner_filter=everybody) == [theirs]


async def test_without_owners_a_thousand_members_are_too_many():
    async with a_platform() as platform:
        platform.world.seed([Member(f"m{n}", "成员") for n in range(1000)], [], [])
        assert (await platform.api(f"{AREA}/list", {"limit": 10}))["errcode"] == 81017
        assert await listed(platform, owner_filter={"userid_list": [LI]}) == []
        too_many = {"userid_list": [f"m{n}" for n in range(101)]}
        answer = await platform.api(f"{AREA}/list", {"limit": 10, "owner_filter": too_many})
        assert answer["errcode"] == 40058


async def a_join_way(platform: Platform, *chat_ids: str, **body: Any) -> dict[str, Any]:
    """A code into these groups."""
    usual = {"scene": 2, "chat_id_list": list(chat_ids), "state": "salon"}
    return await platform.api(f"{AREA}/add_join_way", {**usual, **body})


async def test_a_code_leads_into_a_group_and_leaves_its_state():
    async with a_platform() as platform:
        chat_id = await a_group(platform)
        way = {"config_id": (await a_join_way(platform, chat_id))["config_id"]}
        [event] = await platform.events("scan_group", **way, external_userid=HE)
        assert event["JoinScene"] == "3"
        platform.now += timedelta(seconds=3)
        newcomer = (await read(platform, chat_id))["member_list"][-1]
        assert (newcomer["userid"], newcomer["join_scene"], newcomer["state"]) == (HE, 3, "salon")
        assert "invitor" not in newcomer
        again = await platform.control("scan_group", **way, external_userid=HE)
        assert again["status"] == 409
        shown = (await platform.api(f"{AREA}/get_join_way", way))["join_way"]
        assert (shown["state"], shown["chat_id_list"]) == ("salon", [chat_id])
        await platform.api(
            f"{AREA}/update_join_way", {**way, "scene": 2, "chat_id_list": [chat_id]}
        )
        assert (await platform.api(f"{AREA}/get_join_way", way))["join_way"]["state"] == ""
        await platform.api(f"{AREA}/del_join_way", way)
        assert (await platform.api(f"{AREA}/get_join_way", way))["errcode"] == 41044


async def test_a_full_group_opens_the_next_one():
    async with a_platform() as platform:
        await platform.control("settings", group_size=2)
        chat_id = await a_group(platform)
        body = {"auto_create_room": 1, "room_base_name": "沙龙", "room_base_id": 2}
        way = await a_join_way(platform, chat_id, **body)
        events = await platform.events("scan_group", config_id=way["config_id"], name="何")
        assert [event["ChangeType"] for event in events] == ["create", "update"]
        group = await read(platform, events[0]["ChatId"])
        assert (group["name"], group["owner"]) == ("沙龙2", LI)


async def test_codes_lead_into_five_groups_at_most():
    async with a_platform() as platform:
        chat_ids = [await a_group(platform) for _ in range(6)]
        assert (await a_join_way(platform, *chat_ids))["errcode"] == 41091
        assert (await a_join_way(platform, "wrNobody"))["errcode"] == 40050


async def test_a_greeting_waits_for_the_owner_to_switch_it_on():
    async with a_platform() as platform:
        chat_id = await a_group(platform)
        area = "externalcontact/group_welcome_template"
        made = await platform.api(f"{area}/add", {"text": {"content": "欢迎%NICKNAME%！"}})
        template = {"template_id": made["template_id"]}
        await platform.control("join_group", chat_id=chat_id, userids=[WU])
        assert await platform.ledger() == []
        await platform.control("group_welcome", chat_id=chat_id, **template)
        await platform.control("join_group", chat_id=chat_id, userids=[HE])
        rows = (await platform.get("control/ledger"))["ledger"]
        assert [(row["text"], row["via"], row["seen_by"]) for row in rows] == [
            ("欢迎何立！", "welcome", [CHEN, WU, HE])
        ]
        await platform.api(f"{area}/edit", {**template, "text": {"content": "您好"}})
        assert (await platform.api(f"{area}/get", template))["text"] == {"content": "您好"}
        await platform.api(f"{area}/del", template)
        assert (await platform.api(f"{area}/get", template))["errcode"] == 40058


async def test_what_is_said_in_a_group_is_seen_by_who_was_there_and_archived():
    async with a_platform() as platform:
        chat_id = await a_group(platform, members=[ZHOU])
        await platform.control("message", **{"from": LI, "to": chat_id, "text": "周六见"})
        await platform.control("leave_group", chat_id=chat_id, userids=[CHEN])
        refused = await platform.control("message", **{"from": CHEN, "to": chat_id, "text": "？"})
        assert refused["status"] == 409
        await platform.control("join_group", chat_id=chat_id, userids=[WU])
        await platform.control("message", **{"from": WU, "to": chat_id, "text": "好的"})
        rows = (await platform.get("control/ledger", chat_id=chat_id))["ledger"]
        assert [(row["userid"], row["via"], row["seen_by"]) for row in rows] == [
            (LI, "group", [CHEN]),
            (WU, "group", []),
        ]
        mine = (await platform.get("control/ledger", external_userid=CHEN))["ledger"]
        assert [row["text"] for row in mine] == ["周六见"]
        headers = {"Authorization": "Bearer archive-secret"}
        url = f"{platform.base}/archive/messages"
        async with platform.http.get(url, params={"seq": "0"}, headers=headers) as response:
            first, second = ((await response.json())["chatdata"]) or []
    assert first["message"]["roomid"] == second["message"]["roomid"] == chat_id
    assert first["message"]["tolist"] == [ZHOU, CHEN]
    assert (second["message"]["from"], second["message"]["tolist"]) == (WU, [LI, ZHOU])


async def test_the_sidebar_sends_into_the_open_group():
    async with a_platform() as platform:
        chat_id = await a_group(platform)
        url = f"{platform.base}/bridge/send"

        async def send(member: str) -> str:
            params = {"msgtype": "text", "text": {"content": "活动地址已更新"}}
            wish = {"member": member, "customer": chat_id, "params": params}
            async with platform.http.post(url, json=wish) as response:
                return str((await response.json())["err_msg"])

        assert await send(LI) == "sendChatMessage:ok"
        assert (await send(ZHOU)).startswith("sendChatMessage:fail")
        rows = (await platform.get("control/ledger", chat_id=chat_id))["ledger"]
        assert [(row["text"], row["seen_by"]) for row in rows] == [("活动地址已更新", [CHEN])]


async def test_consent_of_a_group():
    async with a_platform() as platform:
        chat_id = await a_group(platform)
        answer = await platform.api("msgaudit/check_room_agree", {"roomid": chat_id})
        assert [row["agree_status"] for row in answer["agreeinfo"]] == ["Agree"]
        nobody = await platform.api("msgaudit/check_room_agree", {"roomid": "wr0"})
        assert nobody["errcode"] == 301059


async def test_groups_are_counted_by_owner_and_by_day():
    async with a_platform() as platform:
        chat_id = await a_group(platform)
        await platform.control("message", **{"from": CHEN, "to": chat_id, "text": "您好"})
        body = {
            "day_begin_time": CREATED,
            "day_end_time": CREATED + 86400,
            "owner_filter": {"userid_list": [LI]},
        }
        [item] = (await platform.api(f"{AREA}/statistic", body))["items"]
        expected = {
            "new_chat_cnt": 1,
            "chat_total": 1,
            "chat_has_msg": 1,
            "new_member_cnt": 1,
            "member_total": 2,
            "member_has_msg": 1,
            "msg_total": 1,
        }
        assert item == {"owner": LI, "data": expected}
        days = (await platform.api(f"{AREA}/statistic_group_by_day", body))["items"]
        assert [day["data"]["msg_total"] for day in days] == [1, 0]
        too_long = {**body, "day_end_time": CREATED + 32 * 86400}
        assert (await platform.api(f"{AREA}/statistic", too_long))["errcode"] == 40058


@pytest.mark.parametrize(
    ("path", "leaves", "errcode"),
    [("transfer", False, 90500), ("onjob_transfer", True, 90502)],
)
async def test_the_two_ways_to_give_groups_away_do_not_mix(path: str, leaves: bool, errcode: int):
    async with a_platform() as platform:
        chat_id = await a_group(platform)
        if leaves:
            await platform.control("resign", userid=LI)
        body = {"chat_id_list": [chat_id, "wr0"], "new_owner": ZHOU}
        failed = (await platform.api(f"{AREA}/{path}", body))["failed_chat_list"]
        assert [row["errcode"] for row in failed] == [errcode, 90501]


async def test_groups_of_who_has_left_get_another_owner():
    async with a_platform() as platform:
        chat_id = await a_group(platform)
        await platform.control("resign", userid=LI)
        assert await listed(platform, status_filter=1) == [chat_id]
        body = {"chat_id_list": [chat_id], "new_owner": ZHOU}
        assert (await platform.api(f"{AREA}/transfer", body))["failed_chat_list"] == []
        events = [event["UpdateDetail"] for event in await platform.events("settle")]
        assert events == ["add_member", "change_owner"]
        assert await listed(platform, status_filter=3) == [chat_id]


async def test_a_group_in_service_changes_hands_twice_in_ninety_days():
    async with a_platform() as platform:
        chat_id = await a_group(platform)
        codes = []
        for owner in (ZHOU, LI, ZHOU):
            body = {"chat_id_list": [chat_id], "new_owner": owner}
            failed = (await platform.api(f"{AREA}/onjob_transfer", body))["failed_chat_list"]
            codes.append(failed[0]["errcode"] if failed else 0)
        body = {"chat_id_list": [chat_id], "new_owner": LI}
        failed = (await platform.api(f"{AREA}/onjob_transfer", body))["failed_chat_list"]
        assert failed[0]["errcode"] == 90504
    assert codes == [0, 0, 90509]
