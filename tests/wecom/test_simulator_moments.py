"""Moments that members publish, words the client stops, and what the day's figures say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser import DESK
from tests.wecom.test_simulator import CHEN, HE, LI, NOON, WU, ZHOU, Platform, a_platform
from tests.wecom.test_simulator_cards import a_png, uploaded

TEXT = {"content": "十一月理财日历来了"}


async def a_moment(platform: Platform, **body: Any) -> dict[str, Any]:
    """The corp asks for a moment."""
    wish = {"text": TEXT, **body}
    return await platform.api("externalcontact/add_moment_task", wish)


async def the_id(platform: Platform, jobid: str) -> str:
    """The moment of a finished job."""
    path = "externalcontact/get_moment_task_result"
    answer = await platform.api(path, jobid=jobid)
    assert answer["status"] == 3
    return str(answer["result"]["moment_id"])


async def about(platform: Platform, call: str, moment_id: str, **body: Any) -> dict[str, Any]:
    """One of the calls about a moment."""
    wish = {"moment_id": moment_id, **body}
    return await platform.api(f"externalcontact/{call}", wish)


async def test_nobody_sees_a_moment_before_the_member_publishes():
    async with a_platform() as platform:
        jobid = (await a_moment(platform))["jobid"]
        moment_id = await the_id(platform, jobid)
        asked = (await about(platform, "get_moment_task", moment_id))["task_list"]
        early = await about(platform, "get_moment_send_result", moment_id, userid=LI)
        assert await platform.ledger() == []
        await platform.control("publish_moment", moment_id=moment_id, userid=LI)
        done = (await about(platform, "get_moment_task", moment_id))["task_list"]
        seen = await about(platform, "get_moment_send_result", moment_id, userid=LI)
        again = await platform.control("publish_moment", moment_id=moment_id, userid=LI)
        ledger = await platform.ledger()
    assert moment_id.startswith("mom")
    assert asked == [{"userid": u, "publish_status": 0} for u in (LI, ZHOU)]
    assert done == [
        {"userid": LI, "publish_status": 1},
        {"userid": ZHOU, "publish_status": 0},
    ]
    assert early["errcode"] == 41062
    assert [row["external_userid"] for row in seen["customer_list"]] == [CHEN, WU]
    assert ledger == [(CHEN, TEXT["content"], "moment"), (WU, TEXT["content"], "moment")]
    assert again["status"] == 409


async def test_the_job_takes_its_time():
    async with a_platform() as platform:
        await platform.control("moment_settings", processing_seconds=30)
        jobid = (await a_moment(platform))["jobid"]
        path = "externalcontact/get_moment_task_result"
        assert (await platform.api(path, jobid=jobid))["status"] == 1
        [moment_id] = platform.world.moments.moments
        assert (await about(platform, "get_moment_task", moment_id))["errcode"] == 41079
        platform.now += timedelta(seconds=10)
        assert (await platform.api(path, jobid=jobid))["status"] == 2
        platform.now += timedelta(seconds=20)
        assert await the_id(platform, jobid) == moment_id
        platform.now += timedelta(hours=24)
        assert (await platform.api(path, jobid=jobid))["errcode"] == 40058


async def test_the_eleventh_task_of_a_minute_is_refused():
    async with a_platform() as platform:
        answers = [(await a_moment(platform))["errcode"] for _ in range(11)]
        platform.now += timedelta(minutes=1)
        answers.append((await a_moment(platform))["errcode"])
    assert answers == [0] * 10 + [41078, 0]


async def test_senders_and_tags_choose_who_sees_it():
    async with a_platform() as platform:
        group = {"group_name": "意向", "tag": [{"name": "基金"}]}
        tags = (await platform.api("externalcontact/add_corp_tag", group))["tag_group"]["tag"]
        mark = {"userid": LI, "external_userid": WU, "add_tag": [tags[0]["id"]]}
        assert (await platform.api("externalcontact/mark_tag", mark))["errcode"] == 0
        chosen = {
            "sender_list": {"user_list": [LI, "Nobody"]},
            "external_contact_list": {"tag_list": [tags[0]["id"], "etGone"]},
        }
        jobid = (await a_moment(platform, visible_range=chosen))["jobid"]
        result = (await platform.api("externalcontact/get_moment_task_result", jobid=jobid))[
            "result"
        ]
        moment_id = result["moment_id"]
        listed = await about(platform, "get_moment_customer_list", moment_id, userid=LI)
        other = await about(platform, "get_moment_customer_list", moment_id, userid=ZHOU)
    assert result["invalid_sender_list"] == {"user_list": ["Nobody"]}
    assert result["invalid_external_contact_list"] == {"tag_list": ["etGone"]}
    assert listed["customer_list"] == [{"userid": LI, "external_userid": WU}]
    assert other["errcode"] == 41061


async def test_customers_like_and_comment():
    async with a_platform() as platform:
        moment_id = await the_id(platform, (await a_moment(platform))["jobid"])
        await platform.control("publish_moment", moment_id=moment_id, userid=LI)
        below = {"moment_id": moment_id, "userid": LI}
        await platform.control("react_to_moment", **below, external_userid=CHEN)
        await platform.control("react_to_moment", **below, external_userid=WU, text="怎么买？")
        await platform.control("react_to_moment", **below, by=LI, text="我私信您")
        twice = await platform.control("react_to_moment", **below, external_userid=CHEN)
        stranger = await platform.control("react_to_moment", **below, external_userid=HE)
        found = await about(platform, "get_moment_comments", moment_id, userid=LI)
    second = int(NOON.timestamp())
    assert found["like_list"] == [{"external_userid": CHEN, "create_time": second}]
    assert found["comment_list"] == [
        {"external_userid": WU, "create_time": second},
        {"userid": LI, "create_time": second},
    ]
    assert (twice["status"], stranger["status"]) == (409, 409)


async def test_a_cancelled_moment_is_not_published_any_more():
    async with a_platform() as platform:
        moment_id = await the_id(platform, (await a_moment(platform))["jobid"])
        assert (await about(platform, "cancel_moment_task", moment_id))["errcode"] == 0
        late = await platform.control("publish_moment", moment_id=moment_id, userid=LI)
    assert late["status"] == 409


async def test_members_publish_on_their_own_too():
    async with a_platform() as platform:
        await a_moment(platform)
        own = await platform.control("own_moment", userid=LI, text="周末愉快")
        start = int(NOON.timestamp())
        span = {"start_time": start - 60, "end_time": start + 60}
        path = "externalcontact/get_moment_list"
        everything = (await platform.api(path, span))["moment_list"]
        personal = (await platform.api(path, {**span, "filter_type": 1}))["moment_list"]
        long = {"start_time": start - 31 * 86400, "end_time": start}
        assert (await platform.api(path, long))["errcode"] == 41052
        refused = await about(platform, "get_moment_task", own["moment_id"])
    assert [row["create_type"] for row in everything] == [0, 1]
    assert [(row["creator"], row["text"]["content"]) for row in personal] == [(LI, "周末愉快")]
    assert refused["errcode"] == 41067


async def test_a_moment_takes_only_files_uploaded_for_moments():
    async with a_platform() as platform:
        query = {"media_type": "image", "attachment_type": "1"}
        right = await uploaded(platform, "upload_attachment", a_png(9, 9), **query)
        wrong = await uploaded(platform, "upload", a_png(9, 9), type="image")
        answers = []
        for media_id in (right["media_id"], wrong["media_id"], "gone"):
            picture = {"msgtype": "image", "image": {"media_id": media_id}}
            answers.append((await a_moment(platform, attachments=[picture]))["errcode"])
        link = {"title": "长" * 22, "url": "https://e.com", "media_id": right["media_id"]}
        too_long = await a_moment(platform, attachments=[{"msgtype": "link", "link": link}])
        platform.now += timedelta(days=3, seconds=1)
        picture = {"msgtype": "image", "image": {"media_id": right["media_id"]}}
        answers.append((await a_moment(platform, attachments=[picture]))["errcode"])
    assert answers == [0, 41072, 40007, 40007]
    assert too_long["errcode"] == 45002


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"text": {"content": ""}}, 41089),
        ({"text": {"content": "长" * 1334}}, 45002),
        ({"text": {"content": "a" * 2001}}, 45002),
        ({"attachments": [{"msgtype": "file", "file": {}}]}, 41065),
        ({"attachments": [{"msgtype": "link", "link": {}}] * 2}, 41064),
        ({"attachments": [{"msgtype": "image", "image": {}}] * 10}, 41064),
    ],
)
async def test_moments_the_platform_refuses(body: dict[str, Any], errcode: int):
    async with a_platform() as platform:
        assert (await a_moment(platform, **body))["errcode"] == errcode


async def test_a_moment_goes_from_the_desktop_to_the_phone(chromium: Browser):
    async with a_platform() as platform:
        await a_moment(platform)
        page = await chromium.new_page(viewport=DESK)
        await page.goto(f"{platform.base}/play?member={LI}&customer={CHEN}")
        await page.locator('.rail [data-tab="moments"]').click()
        await page.get_by_role("button", name="发表", exact=True).click()
        await expect(page.locator("#panel")).to_contain_text("已发表")
        await page.get_by_label("返回").click()
        await page.locator('#phone-tabs [data-tab="stream"]').click()
        await expect(page.locator("#phone-body")).to_contain_text(TEXT["content"])
        await page.get_by_label("赞", exact=True).click()
        await page.get_by_label("评论").fill("收藏了")
        await page.get_by_label("评论").press("Enter")
        await expect(page.locator("#panel")).to_contain_text("收藏了")
        await expect(page.locator("#panel")).to_contain_text("点赞 1")


async def test_a_comment_being_written_outlives_the_news(chromium: Browser):
    async with a_platform() as platform:
        moment_id = await the_id(platform, (await a_moment(platform))["jobid"])
        await platform.control("publish_moment", moment_id=moment_id, userid=LI)
        page = await chromium.new_page(viewport=DESK)
        await page.goto(f"{platform.base}/play?member={LI}&customer={CHEN}")
        await page.get_by_label("返回").click()
        await page.locator('#phone-tabs [data-tab="stream"]').click()
        await page.get_by_label("评论").fill("收藏")
        below = {"moment_id": moment_id, "userid": LI}
        await platform.control("react_to_moment", **below, external_userid=WU, text="怎么买？")
        await expect(page.locator("#phone-body")).to_contain_text("怎么买？")
        await page.keyboard.type("了")
        await expect(page.get_by_label("评论")).to_have_value("收藏了")


async def test_the_desktop_tells_the_member_why_nothing_was_sent(chromium: Browser):
    async with a_platform() as platform:
        await ruled(platform, "add", a_rule())
        page = await chromium.new_page(viewport=DESK)
        await page.goto(f"{platform.base}/play?member={LI}&customer={CHEN}")
        box = page.get_by_label("以客户经理身份输入消息")
        await box.fill("这款稳赚不赔")
        await box.press("Enter")
        await expect(page.locator("#toast")).to_contain_text("敏感词“稳赚”")
        await expect(box).to_have_value("这款稳赚不赔")
        assert await platform.ledger() == []


def a_rule(**changed: Any) -> dict[str, Any]:
    """A rule that blocks promises for Li."""
    return {
        "rule_name": "承诺收益",
        "word_list": ["保本", "稳赚"],
        "semantics_list": [],
        "intercept_type": 1,
        "applicable_range": {"user_list": [LI]},
        **changed,
    }


async def ruled(platform: Platform, call: str, body: dict[str, Any]) -> dict[str, Any]:
    """One of the calls about rules."""
    return await platform.api(f"externalcontact/{call}_intercept_rule", body)


async def says(platform: Platform, userid: str, text: str) -> int:
    """A member writes to Chen; the HTTP status of it."""
    return int(
        (await platform.control("message", **{"from": userid, "to": CHEN, "text": text}))["status"]
    )


async def test_the_client_stops_blocked_words():
    async with a_platform() as platform:
        rule_id = (await ruled(platform, "add", a_rule()))["rule_id"]
        assert await says(platform, LI, "这款保本，放心") == 409
        assert await says(platform, LI, "过往业绩不代表未来") == 200
        assert await says(platform, ZHOU, "这款保本，放心") == 200
        await ruled(platform, "update", {"rule_id": rule_id, "intercept_type": 2})
        words = {"from": LI, "to": CHEN, "text": "这款保本，放心"}
        assert (await platform.control("message", **words))["warning"] == "保本"
        shape = {"rule_id": rule_id, "intercept_type": 1, "semantics_list": [1]}
        await ruled(platform, "update", shape)
        assert await says(platform, LI, "打我手机13800138000") == 409
        await ruled(platform, "del", {"rule_id": rule_id})
        assert await says(platform, LI, "这款保本，放心") == 200
        assert (await ruled(platform, "get", {"rule_id": rule_id}))["errcode"] == 41071


async def test_a_rule_is_listed_read_and_changed():
    async with a_platform() as platform:
        rule_id = (await ruled(platform, "add", a_rule()))["rule_id"]
        change = {
            "rule_id": rule_id,
            "rule_name": "夸大收益",
            "add_applicable_range": {"user_list": [ZHOU]},
            "remove_applicable_range": {"user_list": [LI]},
        }
        assert (await ruled(platform, "update", change))["errcode"] == 0
        listed = await platform.api("externalcontact/get_intercept_rule_list")
        rule = (await ruled(platform, "get", {"rule_id": rule_id}))["rule"]
    assert [row["rule_name"] for row in listed["rule_list"]] == ["夸大收益"]
    assert rule["applicable_range"] == {"user_list": [ZHOU], "department_list": []}
    assert rule["word_list"] == ["保本", "稳赚"]


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"rule_name": ""}, 40058),
        ({"rule_name": "名" * 21}, 40058),
        ({"word_list": ["词"] * 301}, 41068),
        ({"word_list": ["词" * 33]}, 41083),
        ({"word_list": []}, 41083),
        ({"semantics_list": [9]}, 41084),
        ({"intercept_type": 3}, 40058),
        ({"applicable_range": {}}, 40058),
        ({"applicable_range": {"user_list": ["Nobody"]}}, 40003),
        ({"applicable_range": {"department_list": list(range(1001))}}, 41076),
    ],
)
async def test_rules_the_platform_refuses(changed: dict[str, Any], errcode: int):
    async with a_platform() as platform:
        assert (await ruled(platform, "add", a_rule(**changed)))["errcode"] == errcode


async def test_a_corp_has_a_hundred_rules_with_names_of_their_own():
    async with a_platform() as platform:
        for number in range(100):
            answer = await ruled(platform, "add", a_rule(rule_name=f"规则{number}"))
            assert answer["errcode"] == 0
        assert (await ruled(platform, "add", a_rule(rule_name="多一条")))["errcode"] == 41069
        first = (await platform.api("externalcontact/get_intercept_rule_list"))["rule_list"][0]
        await ruled(platform, "del", {"rule_id": first["rule_id"]})
        assert (await ruled(platform, "add", a_rule(rule_name="规则1")))["errcode"] == 41077


async def test_the_figures_of_a_day_come_from_what_happened():
    async with a_platform() as platform:
        await platform.control("message", **{"from": CHEN, "to": LI, "text": "在吗"})
        platform.now += timedelta(minutes=4)
        await platform.control("message", **{"from": LI, "to": CHEN, "text": "在的"})
        await platform.control("message", **{"from": WU, "to": LI, "text": "您好"})
        await platform.control("add_contact", userid=LI, external_userid=HE)
        await platform.control("delete_follow", userid=LI, external_userid=WU)
        midnight = datetime(2026, 3, 1, 16, tzinfo=UTC)
        span = {"start_time": int(midnight.timestamp()), "end_time": int(NOON.timestamp())}
        path = "externalcontact/get_user_behavior_data"
        [day] = (await platform.api(path, {"userid": [LI, ZHOU], **span}))["behavior_data"]
        quiet = (await platform.api(path, {"userid": [ZHOU], **span}))["behavior_data"]
        long = {**span, "start_time": span["start_time"] - 31 * 86400}
        assert (await platform.api(path, {"userid": [LI], **long}))["errcode"] == 41052
        assert (await platform.api(path, {"userid": ["Nobody"], **span}))["errcode"] == 60111
        assert (await platform.api(path, span))["errcode"] == 40058
    assert day == {
        "stat_time": span["start_time"],
        "new_apply_cnt": 0,
        "new_contact_cnt": 1,
        "chat_cnt": 1,
        "message_cnt": 1,
        "reply_percentage": 50.0,
        "avg_reply_time": 4,
        "negative_feedback_cnt": 1,
    }
    assert "reply_percentage" not in quiet[0]


async def test_the_product_album_keeps_small_products():
    async with a_platform() as platform:

        async def album(call: str, **body: Any) -> dict[str, Any]:
            return await platform.api(f"externalcontact/{call}", body)

        query = {"media_type": "image", "attachment_type": "2"}
        media = await uploaded(platform, "upload_attachment", a_png(9, 9), **query)
        pictures = [{"type": "image", "image": {"media_id": media["media_id"]}}]
        gold = {"description": "纪念金条 10 克", "price": 800_000, "attachments": pictures}
        product_id = (await album("add_product_album", **gold))["product_id"]
        assert (await album("add_product_album", **{**gold, "price": 5_000_001}))[
            "errcode"
        ] == 41086
        assert (await album("add_product_album", **{**gold, "attachments": []}))["errcode"] == 41088
        assert (await album("add_product_album", **{**gold, "description": ""}))["errcode"] == 41087
        await album("update_product_album", product_id=product_id, product_sn="AU10")
        listed = (await album("get_product_album_list"))["product_list"]
        await album("delete_product_album", product_id=product_id)
        gone = await album("get_product_album", product_id=product_id)
    assert [(row["price"], row["product_sn"]) for row in listed] == [(800_000, "AU10")]
    assert gone["errcode"] == 41074
