"""Codes, links, tags and handovers over the server API, and the rules of the first greeting."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.wecom.test_simulator import CHEN, HE, LI, NOON, WU, ZHOU, Platform, a_platform, a_world
from wecom.simulator import App, Member, World

ADD = "externalcontact/add_contact_way"
WELCOME = "externalcontact/send_welcome_msg"
TEXT = {"content": "您好，我是您的客户经理。"}


async def a_way(platform: Platform, **body: Any) -> dict[str, Any]:
    """A code of Li's."""
    usual = {"type": 1, "scene": 2, "user": [LI], "state": "expo-2026"}
    return await platform.api(ADD, {**usual, **body})


async def test_whoever_scans_a_code_brings_its_state():
    async with a_platform() as platform:
        way = await a_way(platform)
        async with platform.http.get(way["qr_code"]) as response:
            assert response.content_type == "image/svg+xml"
        [event] = await platform.events("scan", config_id=way["config_id"], external_userid=HE)
        assert event["State"] == "expo-2026"
        contact = await platform.api("externalcontact/get", external_userid=HE)
        follow = contact["follow_user"][0]
        assert (follow["state"], follow["add_way"]) == ("expo-2026", 1)


async def test_a_code_of_several_members_takes_turns():
    async with a_platform() as platform:
        way = await a_way(platform, type=2, user=[LI, ZHOU])
        scanned = [
            await platform.control("scan", config_id=way["config_id"], name=f"客户{number}")
            for number in range(4)
        ]
    assert [one["userid"] for one in scanned] == [LI, ZHOU, LI, ZHOU]


async def test_codes_are_read_changed_listed_and_deleted():
    async with a_platform() as platform:
        way = {"config_id": (await a_way(platform))["config_id"]}
        await platform.api("externalcontact/update_contact_way", {**way, "remark": "六月展会"})
        read = (await platform.api("externalcontact/get_contact_way", way))["contact_way"]
        assert (read["remark"], read["state"], read["user"]) == ("六月展会", "expo-2026", [LI])
        path = "externalcontact/list_contact_way"
        assert (await platform.api(path, {}))["contact_way"] == [way]
        later = {"start_time": int(NOON.timestamp()) + 1}
        assert (await platform.api(path, later))["contact_way"] == []
        await platform.api("externalcontact/del_contact_way", way)
        assert (await platform.api("externalcontact/get_contact_way", way))["errcode"] == 41044
        gone = await platform.control("scan", **way, name="迟到")
        assert (gone["status"], gone["error"]) == (409, "二维码已失效")


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"type": 2, "user": [f"u{n}" for n in range(101)]}, 41041),
        ({"user": ["Asleep"]}, 41054),
        ({"user": []}, 40058),
        ({"user": ["Nobody"]}, 60111),
        ({"state": "长" * 31}, 40058),
        ({"scene": 3}, 40058),
    ],
)
async def test_codes_the_platform_refuses(body: dict[str, Any], errcode: int):
    world = a_world().seed([Member("Asleep", "未激活", activated=False)], [], [])
    async with a_platform(world) as platform:
        assert (await a_way(platform, **body))["errcode"] == errcode


async def test_a_restart_finds_groups_tags_codes_links_and_handovers(tmp_path: Path):
    snapshot = tmp_path / "world.json"
    async with a_platform(snapshot=snapshot) as platform:
        group = await platform.control("create_group", owner=LI, name="沙龙", customers=[CHEN])
        await platform.control("join_group", chat_id=group["chat_id"], userids=[WU])
        await platform.control("message", **{"from": LI, "to": group["chat_id"], "text": "好"})
        await platform.control("create_tag", group="等级", names=["甲"])
        await a_way(platform)
        await platform.api(
            "externalcontact/groupchat/add_join_way",
            {"scene": 2, "chat_id_list": [group["chat_id"]]},
        )
        link = {"link_name": "官网", "range": {"user_list": [LI]}}
        await platform.api("externalcontact/customer_acquisition/create_link", link)
        await platform.control("agree_archive", userid=LI, external_userid=CHEN)
        await transfer(platform)
        await platform.control("resign", userid=ZHOU)
        before = (await platform.get("control/state"))["world"]
    async with a_platform(World.load(snapshot), snapshot=snapshot) as platform:
        assert (await platform.get("control/state"))["world"] == before
        assert len(platform.world.group_chat(group["chat_id"])) == 1


async def test_the_number_of_codes_is_limited():
    async with a_platform() as platform:
        await platform.control("settings", contact_ways=1)
        assert [(await a_way(platform))["errcode"] for _ in range(2)] == [0, 41045]


async def test_links_are_counted():
    async with a_platform() as platform:
        area = "externalcontact/customer_acquisition"
        body = {"link_name": "官网", "range": {"user_list": [LI, ZHOU]}}
        link = {"link_id": (await platform.api(f"{area}/create_link", body))["link"]["link_id"]}
        await platform.control("tap_link", **link, external_userid=HE, channel="banner")
        await platform.control("message", **{"from": HE, "to": LI, "text": "您好"})
        customers = (await platform.api(f"{area}/customer", link))["customer_list"]
        assert customers == [
            {"external_userid": HE, "userid": LI, "chat_status": 1, "state": "banner"}
        ]
        quota = await platform.api("externalcontact/customer_acquisition_quota")
        assert (quota["total"], quota["balance"]) == (1000, 999)
        start = int(NOON.timestamp())
        period = {"start_time": start, "end_time": start + 86400}
        counted = await platform.api(f"{area}/statistic", {**link, **period})
        assert (counted["click_link_customer_cnt"], counted["new_customer_cnt"]) == (1, 1)
        assert (await platform.api(f"{area}/list_link", {}))["link_id_list"] == [link["link_id"]]
        changed = {"link_name": "手机银行", "range": {"user_list": [ZHOU]}}
        await platform.api(f"{area}/update_link", {**link, **changed})
        read = await platform.api(f"{area}/get", link)
        assert (read["link"]["link_name"], read["range"]["user_list"]) == ("手机银行", [ZHOU])
        await platform.api(f"{area}/delete_link", link)
        assert (await platform.api(f"{area}/get", link))["errcode"] == 40058


async def test_tags_by_api():
    async with a_platform() as platform:
        area = "externalcontact"
        body = {"group_name": "风险等级", "tag": [{"name": "稳健", "order": 2}, {"name": "进取"}]}
        made = (await platform.api(f"{area}/add_corp_tag", body))["tag_group"]
        assert (await platform.api(f"{area}/add_corp_tag", body))["errcode"] == 40071
        first, second = (tag["id"] for tag in made["tag"])
        people = {"userid": LI, "external_userid": CHEN}
        mark = f"{area}/mark_tag"
        await platform.api(mark, {**people, "add_tag": [first, second]})
        await platform.api(mark, {**people, "remove_tag": [second]})
        assert (await platform.api(mark, people))["errcode"] == 40063
        assert (await platform.api(mark, {**people, "add_tag": ["et0"]})).get("errcode") == 40068
        stranger = {"userid": ZHOU, "external_userid": WU, "add_tag": [first]}
        assert (await platform.api(mark, stranger))["errcode"] == 84061
        mine = await platform.api(f"{area}/batch/get_by_user", {"userid_list": [LI]})
        tags = {
            row["external_contact"]["external_userid"]: row["follow_info"]["tag_id"]
            for row in mine["external_contact_list"]
        }
        assert tags == {CHEN: [first], WU: []}
        await platform.api(f"{area}/edit_corp_tag", {"id": first, "name": "保守"})
        listed = await platform.api(f"{area}/get_corp_tag_list", {"tag_id": [first]})
        assert [tag["name"] for tag in listed["tag_group"][0]["tag"]] == ["保守"]
        both = {"tag_id": [first], "group_id": [made["group_id"]]}
        listed = await platform.api(f"{area}/get_corp_tag_list", both)
        assert len(listed["tag_group"][0]["tag"]) == 2
        await platform.api(f"{area}/del_corp_tag", {"group_id": [made["group_id"]]})
        assert (await platform.api(f"{area}/get_corp_tag_list", {}))["tag_group"] == []
        await platform.control("settings", corp_tags=1)
        assert (await platform.api(f"{area}/add_corp_tag", body))["errcode"] == 40126


async def transfer(platform: Platform, **body: Any) -> list[int]:
    """Hand customers of Li over to Zhou; the errcode of each, or of the call."""
    usual = {"handover_userid": LI, "takeover_userid": ZHOU, "external_userid": [WU]}
    answer = await platform.api("externalcontact/transfer_customer", {**usual, **body})
    return [row["errcode"] for row in answer.get("customer", [answer])]


async def results(platform: Platform, area: str = "externalcontact") -> dict[str, int]:
    """How each handover stands."""
    body = {"handover_userid": LI, "takeover_userid": ZHOU}
    answer = await platform.api(f"{area}/transfer_result", body)
    return {row["external_userid"]: row["status"] for row in answer["customer"]}


async def test_customers_are_handed_over_in_service():
    async with a_platform() as platform:
        words = "您好，您的服务升级，由周岩继续为您服务。"
        codes = await transfer(
            platform, external_userid=[WU, HE, "wmNobody"], transfer_success_msg=words
        )
        assert codes == [0, 40131, 40096]
        assert await transfer(platform) == [40129]
        assert await transfer(platform, takeover_userid=LI) == [40130]
        assert await transfer(platform, takeover_userid="Nobody") == [60111]
        assert await results(platform) == {WU: 2}
        await platform.control("clock", forward_seconds=86400)
        assert await results(platform) == {WU: 1}
        assert platform.world.follow(LI, WU) is None
        assert platform.world.follow(ZHOU, WU)
        assert await platform.ledger() == [(WU, words, "transfer")]


async def test_a_customer_is_handed_over_twice_in_ninety_days():
    async with a_platform() as platform:
        there = {"handover_userid": LI, "takeover_userid": ZHOU}
        back = {"handover_userid": ZHOU, "takeover_userid": LI}
        codes = []
        for pair in (there, back, there):
            codes += await transfer(platform, **pair)
            await platform.control("clock", forward_seconds=86400)
        await platform.control("clock", forward_seconds=90 * 86400)
        codes += await transfer(platform, **there)
    assert codes == [0, 0, 40128, 0]


async def test_the_customers_of_who_has_left_wait_for_somebody():
    async with a_platform() as platform:
        path = "externalcontact/resigned/transfer_customer"
        body = {"handover_userid": LI, "takeover_userid": ZHOU, "external_userid": [WU]}
        assert (await platform.api(path, body))["errcode"] == 40097
        await platform.control("resign", userid=LI)
        members = await platform.api("externalcontact/get_follow_user_list")
        assert members["follow_user"] == [ZHOU]
        unassigned = await platform.api("externalcontact/get_unassigned_list", {"page_size": 1})
        assert unassigned["info"] == [
            {
                "handover_userid": LI,
                "external_userid": CHEN,
                "dimission_time": int(NOON.timestamp()),
            }
        ]
        assert unassigned["is_last_page"] is False
        assert (await platform.api(path, body))["customer"] == [
            {"external_userid": WU, "errcode": 0}
        ]
        await platform.control("finish_transfer", external_userid=WU)
        assert await results(platform, "externalcontact/resigned") == {WU: 1}
        unassigned = await platform.api("externalcontact/get_unassigned_list", {})
        assert [row["external_userid"] for row in unassigned["info"]] == [CHEN]


async def greet(platform: Platform, code: str) -> int:
    """The errcode of a greeting."""
    answer = await platform.api(WELCOME, {"welcome_code": code, "text": TEXT})
    return int(answer["errcode"])


async def test_another_app_may_be_greeting_right_now():
    async with a_platform() as platform:
        await platform.control("faults", welcome_races=2)
        code = (await platform.control("add_contact", userid=LI, external_userid=HE))[
            "welcome_code"
        ]
        assert [await greet(platform, code) for _ in range(4)] == [41096, 41096, 0, 41051]


async def test_of_two_apps_with_one_code_one_greets():
    other = App(1000003, "other-secret", "otherToken", "a" * 43)
    async with a_platform(apps=(other,)) as platform:
        code = (await platform.control("add_contact", userid=LI, external_userid=HE))[
            "welcome_code"
        ]
        assert await greet(platform, code) == 0
        body = {"welcome_code": code, "text": TEXT}
        assert (await platform.api(WELCOME, body, secret="other-secret"))["errcode"] == 41051
        assert len(await platform.ledger()) == 1


async def test_nothing_is_said_before_the_customer_agreed_to_archiving():
    async with a_platform() as platform:
        await platform.control("settings", ask_consent=True, archive_seats=[LI])
        added = await platform.control("add_contact", userid=LI, external_userid=HE)
        assert await greet(platform, added["welcome_code"]) == 41053
        await platform.control("message", **{"from": HE, "to": LI, "text": "不想被记录"})
        platform.now += timedelta(minutes=5)
        asked = {"info": [{"userid": LI, "exteranalopenid": HE}]}
        path = "msgaudit/check_single_agree"
        row = (await platform.api(path, asked))["agreeinfo"][0]
        assert (row["agree_status"], row["exteranalopenid"]) == ("Disagree", HE)
        agreed = await platform.control("agree_archive", userid=LI, external_userid=HE)
        row = (await platform.api(path, asked))["agreeinfo"][0]
        assert (row["agree_status"], row["status_change_time"]) == (
            "Agree",
            int(platform.now.timestamp()),
        )
        assert agreed["welcome_code"] == ""
        assert (await platform.api("msgaudit/get_permit_user_list", {"type": 2}))["ids"] == [LI]


async def test_consent_opens_the_greeting():
    async with a_platform() as platform:
        await platform.control("settings", ask_consent=True)
        added = await platform.control("add_contact", userid=LI, external_userid=HE)
        platform.now += timedelta(seconds=30)
        agreed = await platform.control("agree_archive", userid=LI, external_userid=HE)
        assert await greet(platform, added["welcome_code"]) == 41050
        assert await greet(platform, agreed["welcome_code"]) == 0


async def archived(platform: Platform) -> list[str]:
    """The texts in the archive."""
    headers = {"Authorization": "Bearer archive-secret"}
    url = f"{platform.base}/archive/messages"
    async with platform.http.get(url, params={"seq": "0"}, headers=headers) as response:
        rows = (await response.json())["chatdata"]
    return [row["message"]["text"]["content"] for row in rows]


async def test_only_seats_and_customers_who_agreed_are_archived():
    async with a_platform() as platform:
        await platform.control("settings", ask_consent=True, archive_seats=[LI])
        say = {"to": LI, "text": "甲"}
        await platform.control("message", **{**say, "from": CHEN})
        await platform.control("agree_archive", userid=LI, external_userid=CHEN)
        await platform.control("message", **{**say, "from": CHEN, "text": "乙"})
        await platform.control("message", **{**say, "from": WU, "text": "丙"})
        await platform.control("message", **{"from": CHEN, "to": ZHOU, "text": "丁"})
        assert await archived(platform) == ["乙"]


async def test_the_archives_own_secret_may_ask_about_consent_and_nothing_else():
    async with a_platform() as platform:
        seats = await platform.api("msgaudit/get_permit_user_list", {}, secret="archive-secret")
        assert seats["ids"] == [LI, ZHOU]
        path = "externalcontact/get_follow_user_list"
        assert (await platform.api(path, secret="archive-secret"))["errcode"] == 48002


async def test_a_customer_who_opens_a_page_is_no_member():
    async with a_platform() as platform:
        url = f"{platform.base}/connect/oauth2/authorize"
        query = {
            "appid": "wx5823bf96d3bd56c7",
            "redirect_uri": "https://bank.example/",
            "customer": CHEN,
        }
        async with platform.http.get(url, params=query, allow_redirects=False) as response:
            code = response.headers["Location"].split("code=")[1].split("&")[0]
        who = await platform.api("auth/getuserinfo", code=code)
    assert who["external_userid"] == CHEN
    assert who["openid"]
    assert "userid" not in who


async def test_sensitive_fields_need_the_members_consent():
    world = a_world().seed(
        [Member("Gu", "顾航", mobile="13900000000", email="gu@b.example")], [], []
    )
    async with a_platform(world) as platform:
        await platform.http.post(f"{platform.base}/play/member", json={"userid": "Gu"})
        query = {"appid": "wx5823bf96d3bd56c7", "redirect_uri": "https://bank.example/"}
        url = f"{platform.base}/connect/oauth2/authorize"
        codes = []
        for scope in ("snsapi_base", "snsapi_privateinfo"):
            async with platform.http.get(
                url, params={**query, "scope": scope}, allow_redirects=False
            ) as response:
                codes.append(response.headers["Location"].split("code=")[1].split("&")[0])
        plain = await platform.api("auth/getuserinfo", code=codes[0])
        assert "user_ticket" not in plain
        private = await platform.api("auth/getuserinfo", code=codes[1])
        ticket = {"user_ticket": private["user_ticket"]}
        detail = await platform.api("auth/getuserdetail", ticket)
        assert (detail["userid"], detail["mobile"]) == ("Gu", "13900000000")
        platform.now += timedelta(minutes=31)
        assert (await platform.api("auth/getuserdetail", ticket))["errcode"] == 84015
