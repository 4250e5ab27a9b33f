"""Every event of customers, groups, tags, links and apps, in the platform's own spelling."""

from datetime import timedelta
from typing import Any

import pytest

from tests.wecom.test_simulator import CHEN, CORP, HE, LI, NOON, WU, ZHOU, Platform, a_platform

COMMON = {
    "ToUserName": CORP.corp_id,
    "FromUserName": "sys",
    "CreateTime": str(int(NOON.timestamp())),
    "MsgType": "event",
}


def about(userid: str, external_userid: str, change: str, **extra: str) -> dict[str, str]:
    """A customer event, whole."""
    return {
        **COMMON,
        "Event": "change_external_contact",
        "ChangeType": change,
        "UserID": userid,
        "ExternalUserID": external_userid,
        **extra,
    }


async def test_a_customer_adds_a_member():
    async with a_platform() as platform:
        wish = {"userid": LI, "external_userid": HE, "state": "expo-2026"}
        [event] = await platform.events("add_contact", **wish)
        assert event.pop("WelcomeCode")
        assert event == about(LI, HE, "add_external_contact", State="expo-2026")


async def test_half_an_add_carries_the_code_and_the_whole_one_none():
    async with a_platform() as platform:
        half = {"userid": LI, "external_userid": HE, "half": True, "state": "s"}
        [event] = await platform.events("add_contact", **half)
        assert event.pop("WelcomeCode")
        assert event == about(LI, HE, "add_half_external_contact", State="s")
        assert (await platform.api("externalcontact/get", external_userid=HE))["errcode"] == 84061
        [event] = await platform.events("add_contact", userid=LI, external_userid=HE)
        assert event == about(LI, HE, "add_external_contact", State="s")
        assert (await platform.control("add_contact", **half))["status"] == 409


async def test_no_code_for_contacts_of_wecom_nor_where_the_console_greets():
    async with a_platform() as platform:
        [event] = await platform.events("add_contact", userid=LI, name="顾航", wecom=True)
        assert event["ExternalUserID"].startswith("wo")
        assert "WelcomeCode" not in event
        await platform.control("settings", console_welcomes=[ZHOU])
        [event] = await platform.events("add_contact", userid=ZHOU, external_userid=HE)
        assert "WelcomeCode" not in event


async def test_the_member_edits_in_the_client():
    async with a_platform() as platform:
        people = {"userid": LI, "external_userid": CHEN}
        [event] = await platform.events("edit_remark", **people, remark="陈总")
        assert event == about(LI, CHEN, "edit_external_contact", State="branch-south")
        assert await platform.events("edit_remark", **people, mobiles=["13800000000"]) == []
        tags = (await platform.control("create_tag", group="意向", names=["稳健"]))["tags"]
        [event] = await platform.events("tag_customer", **people, add=[tags["稳健"]])
        assert event["ChangeType"] == "edit_external_contact"
        contact = await platform.api("externalcontact/get", external_userid=CHEN)
        follow = contact["follow_user"][0]
        assert (follow["remark"], follow["remark_mobiles"]) == ("陈总", ["13800000000"])
        assert follow["tags"] == [
            {"group_name": "意向", "tag_name": "稳健", "tag_id": tags["稳健"], "type": 1}
        ]


async def test_either_side_deletes_the_other():
    async with a_platform() as platform:
        by_member = {"userid": LI, "external_userid": CHEN, "by": "member"}
        assert await platform.events("delete_follow", **by_member) == [
            about(LI, CHEN, "del_external_contact")
        ]
        by_customer = {"userid": LI, "external_userid": WU}
        assert await platform.events("delete_follow", **by_customer) == [
            about(LI, WU, "del_follow_user")
        ]


async def handed_over(platform: Platform, customer: str = WU) -> dict[str, Any]:
    """Ask for a customer of Li to go to Zhou."""
    body = {"handover_userid": LI, "takeover_userid": ZHOU, "external_userid": [customer]}
    return await platform.api("externalcontact/transfer_customer", body)


async def test_a_handover_is_a_deletion_and_an_addition_a_day_later():
    async with a_platform() as platform:
        await handed_over(platform)
        platform.now += timedelta(hours=24)
        gone, come = await platform.events("settle")
    assert (gone["ChangeType"], gone["UserID"], gone["Source"]) == (
        "del_external_contact",
        LI,
        "DELETE_BY_TRANSFER",
    )
    assert (come["ChangeType"], come["UserID"]) == ("add_external_contact", ZHOU)
    assert "WelcomeCode" not in come


@pytest.mark.parametrize("reason", ["customer_refused", "customer_limit_exceed"])
async def test_a_handover_fails_and_names_the_taker(reason: str):
    async with a_platform() as platform:
        await handed_over(platform)
        [event] = await platform.events("finish_transfer", external_userid=WU, reason=reason)
        assert event == about(ZHOU, WU, "transfer_fail", FailReason=reason)


async def test_a_taker_with_too_many_customers_makes_it_fail():
    async with a_platform() as platform:
        await platform.control("settings", customers_a_member=1)
        await handed_over(platform)
        [event] = await platform.events("clock", forward_seconds=86400)
        assert event["FailReason"] == "customer_limit_exceed"


async def test_consent_to_archiving_brings_a_code():
    async with a_platform() as platform:
        await platform.control("settings", ask_consent=True)
        await platform.control("add_contact", userid=LI, external_userid=HE)
        [event] = await platform.events("agree_archive", userid=LI, external_userid=HE)
        assert event.pop("WelcomeCode")
        assert event == about(LI, HE, "msg_audit_approved")


async def test_what_the_product_does_by_api_makes_no_callback():
    async with a_platform() as platform:
        added = await platform.api(
            "externalcontact/add_corp_tag", {"group_name": "风险", "tag": [{"name": "平衡"}]}
        )
        tag = added["tag_group"]["tag"][0]["id"]
        people = {"userid": LI, "external_userid": CHEN}
        await platform.api("externalcontact/mark_tag", {**people, "add_tag": [tag]})
        await platform.api("externalcontact/remark", {**people, "remark": "陈先生"})
        await platform.api("externalcontact/edit_corp_tag", {"id": tag, "name": "稳健"})
        await platform.api("externalcontact/del_corp_tag", {"tag_id": [tag]})
        link = await platform.api(
            "externalcontact/customer_acquisition/create_link",
            {"link_name": "官网", "range": {"user_list": [LI]}},
        )
        gone = {"link_id": link["link"]["link_id"]}
        await platform.api("externalcontact/customer_acquisition/delete_link", gone)
        assert await platform.events("settle") == []


def of_group(chat_id: str, change: str, **extra: Any) -> dict[str, Any]:
    """A group event, whole."""
    head = {**COMMON, "Event": "change_external_chat", "ChatId": chat_id, "ChangeType": change}
    return {**head, **extra}


async def test_a_group_is_made_changed_and_dismissed():
    async with a_platform() as platform:
        wish = {"owner": LI, "name": "财富沙龙", "customers": [CHEN]}
        [made] = await platform.events("create_group", **wish)
        chat_id = made["ChatId"]
        assert made == of_group(chat_id, "create")
        [joined] = await platform.events("join_group", chat_id=chat_id, userids=[WU, ZHOU])
        last, current = joined.pop("LastMemVer"), joined.pop("CurMemVer")
        assert len(last) == len(current) == 32
        assert joined == of_group(
            chat_id,
            "update",
            UpdateDetail="add_member",
            JoinScene="0",
            QuitScene="0",
            MemChangeCnt="2",
            MemChangeList=[WU, ZHOU],
        )
        [left] = await platform.events("leave_group", chat_id=chat_id, userids=[WU], removed=True)
        assert (left["UpdateDetail"], left["QuitScene"]) == ("del_member", "1")
        assert left["LastMemVer"] == current
        changed = await platform.events(
            "change_group", chat_id=chat_id, name="沙龙二期", notice="周六见", owner=ZHOU
        )
        assert [event["UpdateDetail"] for event in changed] == [
            "change_name",
            "change_notice",
            "change_owner",
        ]
        assert all(event["MemChangeCnt"] == "0" for event in changed)
        assert await platform.events("dismiss_group", chat_id=chat_id) == [
            of_group(chat_id, "dismiss")
        ]


async def test_older_tenants_do_not_list_who_joined():
    async with a_platform() as platform:
        await platform.control("settings", group_member_list=False)
        group = await platform.control("create_group", owner=LI, name="沙龙")
        [event] = await platform.events("join_group", chat_id=group["chat_id"], userids=[WU])
        assert event["MemChangeCnt"] == "1"
        assert not {"MemChangeList", "LastMemVer", "CurMemVer"} & event.keys()


async def test_tags_are_made_renamed_shuffled_and_deleted_in_the_console():
    async with a_platform() as platform:

        async def told(verb: str, **wish: Any) -> list[tuple[str, str, str]]:
            events = await platform.events(verb, **wish)
            assert all(event["Event"] == "change_external_tag" for event in events)
            assert all(event["StrategyId"] == "0" for event in events)
            return [(e["ChangeType"], e.get("TagType", "–"), e["Id"]) for e in events]

        made = await told("create_tag", group="风险等级", names=["稳健", "进取"])
        (_, _, group), (_, _, first), (_, _, second) = made
        assert [(change, kind) for change, kind, _ in made] == [
            ("create", "tag_group"),
            ("create", "tag"),
            ("create", "tag"),
        ]
        assert await told("rename_tag", id=first, name="保守") == [("update", "tag", first)]
        assert await told("shuffle_tags", id=group) == [("shuffle", "–", group)]
        assert await told("delete_tag", id=first) == [("delete", "tag", first)]
        assert await told("delete_tag", id=second) == [
            ("delete", "tag", second),
            ("delete", "tag_group", group),
        ]


async def test_a_link_tells_of_its_customers():
    async with a_platform() as platform:
        link = await platform.api(
            "externalcontact/customer_acquisition/create_link",
            {"link_name": "官网", "range": {"user_list": [LI]}, "skip_verify": True},
        )
        link_id = link["link"]["link_id"]
        wish = {"link_id": link_id, "external_userid": HE, "channel": "官网" * 20}
        opened, added = await platform.events("tap_link", **wish)
        assert (opened["Event"], opened["ChangeType"]) == ("customer_acquisition", "open_profile")
        assert opened["LinkId"] == link_id
        assert len(added["State"].encode()) <= 64
        speech = {"from": HE, "to": LI, "text": "您好"}
        first = [e for e in await platform.events("message", **speech) if "ChangeType" in e]
        again = [e for e in await platform.events("message", **speech) if "ChangeType" in e]
        assert [e["ChangeType"] for e in first + again] == [
            "customer_start_chat",
            "message_from_customer",
        ]
        assert again[0]["ChatSeq"] == "2"
        path = "externalcontact/customer_acquisition/get_chat_info"
        body = {"chat_key": again[0]["ChatKey"]}
        info = await platform.api(path, body)
        assert (info["userid"], info["external_userid"]) == (LI, HE)
        assert info["chat_info"]["recv_msg_cnt"] == 2
        assert (await platform.api(path, body))["errcode"] == 40058


async def test_the_balance_of_the_links_runs_out():
    async with a_platform() as platform:
        await platform.control("settings", link_quota=20)
        link = await platform.api(
            "externalcontact/customer_acquisition/create_link",
            {"link_name": "官网", "range": {"user_list": [LI]}},
        )
        wish = {"link_id": link["link"]["link_id"], "name": "新客"}
        changes = [e["ChangeType"] for e in await platform.events("tap_link", **wish)]
        assert changes == ["open_profile", "add_external_contact", "balance_low"]
        for _ in range(18):
            await platform.control("tap_link", **wish)
        assert (await platform.events("tap_link", **wish))[-1]["ChangeType"] == "balance_exhausted"
        assert (await platform.control("tap_link", **wish))["status"] == 409
        [event] = await platform.events("acquisition_event", change_type="balance_increased")
        assert event["ChangeType"] == "balance_increased"


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"text": "今天有哪些待办？"}, {"MsgType": "text", "Content": "今天有哪些待办？"}),
        ({"msgtype": "image", "PicUrl": "http://p/1", "MediaId": "m"}, {"PicUrl": "http://p/1"}),
        ({"msgtype": "voice", "MediaId": "m"}, {"MediaId": "m", "Format": "amr"}),
        ({"msgtype": "video", "MediaId": "m", "ThumbMediaId": "t"}, {"ThumbMediaId": "t"}),
        (
            {"msgtype": "location", "Location_X": 23.1, "Location_Y": 113.3, "Label": "珠江新城"},
            {"Location_X": "23.1", "Scale": "15", "Label": "珠江新城", "AppType": "wxwork"},
        ),
        ({"msgtype": "link", "Title": "周报", "Url": "http://a/"}, {"Title": "周报"}),
        ({"msgtype": "file", "MediaId": "m", "FileName": "a.xlsx"}, {"FileName": "a.xlsx"}),
    ],
)
async def test_a_member_writes_to_the_app(wish: dict[str, Any], expected: dict[str, str]):
    async with a_platform() as platform:
        [message] = await platform.events("app_message", userid=LI, **wish)
    assert (message["FromUserName"], message["AgentID"]) == (LI, str(CORP.agent_id))
    assert message["MsgId"].isdigit()
    assert expected.items() <= message.items()


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"event": "subscribe", "userid": LI}, {"FromUserName": LI}),
        ({"event": "unsubscribe", "userid": LI}, {"FromUserName": LI}),
        ({"event": "enter_agent", "userid": LI}, {"EventKey": ""}),
        ({"event": "click", "userid": LI, "EventKey": "today"}, {"EventKey": "today"}),
        ({"event": "view", "userid": LI, "EventKey": "http://a/"}, {"EventKey": "http://a/"}),
        (
            {"event": "LOCATION", "userid": LI, "Latitude": 23.1, "Longitude": 113.3},
            {"Latitude": "23.1", "Longitude": "113.3", "Precision": "30.0", "AppType": "wxwork"},
        ),
        (
            {"event": "batch_job_result", "JobId": "job-1", "JobType": "replace_user"},
            {"FromUserName": "sys", "BatchJob": ["job-1", "replace_user", "0", "ok"]},
        ),
        ({"event": "low_active"}, {"FromUserName": "sys"}),
        ({"event": "close_inactive_agent"}, {"Event": "close_inactive_agent"}),
    ],
)
async def test_things_happen_to_the_app(wish: dict[str, Any], expected: dict[str, Any]):
    async with a_platform() as platform:
        [event] = await platform.events("app_event", **wish)
    assert (event["MsgType"], event["Event"]) == ("event", wish["event"])
    assert event["AgentID"] == str(CORP.agent_id)
    assert expected.items() <= event.items()
