"""Groups, codes and consent on the play page, and the page of faults and time, in a browser."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.wecom.test_simulator import CHEN, HE, LI, WU, ZHOU, Platform
from tests.wecom.test_simulator_pages import a_stage, open_play


async def a_group(platform: Platform, **wish: Any) -> str:
    """A group of Li's with Chen in it."""
    usual = {"owner": LI, "name": "财富沙龙", "customers": [CHEN]}
    return str((await platform.control("create_group", **{**usual, **wish}))["chat_id"])


async def test_a_group_is_opened_at_the_desktop_and_read_on_the_phone(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        await page.click("#new-group")
        await page.fill("#dialog input", "财富沙龙")
        await page.get_by_role("checkbox", name="陈思远").check()
        await page.get_by_role("checkbox", name="吴晓岚").check()
        await page.get_by_role("button", name="创建").click()
        await expect(page.locator("#chat-head b")).to_have_text("财富沙龙（3）")
        await page.fill("#chat-text", "周六上午十点，城南支行见。")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="返回").click()
        row = page.locator(".threads").get_by_text("财富沙龙")
        await row.click()
        await expect(page.locator("#phone-body")).to_contain_text("周六上午十点")
        await page.fill("#phone-text", "我会到。")
        await page.keyboard.press("Enter")
        await expect(page.locator("#chat-body")).to_contain_text("我会到。")
        ledger = (await platform.get("control/ledger"))["ledger"]
        assert [(line["text"], line["seen_by"]) for line in ledger] == [
            ("周六上午十点，城南支行见。", [CHEN, WU]),
            ("我会到。", [WU]),
        ]


async def test_the_owner_looks_after_the_group_and_a_customer_leaves_it(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        chat_id = await a_group(platform)
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        await page.locator(f"#conv-list [data-customer={chat_id}]").click()
        dialog = page.locator("#dialog")

        async def choose(words: str) -> None:
            await page.get_by_role("button", name="群管理").click()
            await dialog.get_by_role("button", name=words).click()

        await choose("邀请入群")
        await page.get_by_role("checkbox", name="周岩").check()
        await dialog.get_by_role("button", name="邀请").click()
        await expect(page.locator("#chat-head b")).to_have_text("财富沙龙（3）")
        await choose("修改群名")
        await page.fill("#dialog input", "沙龙二期")
        await page.get_by_role("button", name="保存").click()
        await page.get_by_role("button", name="返回").click()
        await page.locator(".threads").get_by_text("沙龙二期").click()
        await page.get_by_role("button", name="更多").click()
        await page.get_by_role("button", name="退出群聊").click()
        await expect(page.locator("#chat-head b")).to_have_text("沙龙二期（2）")
        await choose("解散群聊")
        await dialog.get_by_role("button", name="解散").click()
        await expect(page.locator("#chat-body")).to_contain_text("群聊已解散。")
        await platform.control("settle")
        details = [event.get("UpdateDetail", "") for event in platform.receiver.take()]
    assert details == ["", "add_member", "change_name", "del_member", ""]
    assert ZHOU in platform.world.groups[chat_id].members


async def test_a_customer_scans_a_code_somebody_made(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        way = {"type": 1, "scene": 2, "user": [LI], "state": "expo-2026", "remark": "六月展会"}
        await platform.api("externalcontact/add_contact_way", way)
        chat_id = await a_group(platform)
        await platform.api(
            "externalcontact/groupchat/add_join_way", {"scene": 2, "chat_id_list": [chat_id]}
        )
        await open_play(page, platform, f"?member={LI}&customer={HE}")
        await page.get_by_role("button", name="添加好友").click()
        await page.get_by_role("button", name="扫一扫").click()
        await expect(page.locator(".sheet")).to_contain_text("六月展会")
        await page.get_by_role("button", name="扫码").first.click()
        await expect(page.locator("#phone-nav")).to_contain_text("李敏")
        relation = platform.world.follow(LI, HE)
        assert relation
        assert relation.state == "expo-2026"
        await page.get_by_role("button", name="返回").click()
        await page.get_by_role("button", name="添加好友").click()
        await page.get_by_role("button", name="扫一扫").click()
        await page.get_by_role("button", name="扫码").last.click()
        await expect(page.locator("#phone-nav")).to_contain_text("财富沙龙（3）")


async def test_a_customer_agrees_to_archiving(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await platform.control("settings", ask_consent=True)
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        await page.get_by_role("button", name="更多").click()
        await page.get_by_role("button", name="同意会话存档", exact=True).click()
        await expect(page.locator("#sheet")).to_be_hidden()
        await platform.control("settle")
        [event] = platform.receiver.take()
    assert event["ChangeType"] == "msg_audit_approved"


async def open_faults(page: Page, platform: Platform) -> None:
    """Open the page of faults and time and wait for its first look."""
    await page.goto(f"{platform.base}/faults")
    await expect(page.locator("#now")).not_to_be_empty()


async def test_callback_faults_are_switched_and_seen_in_the_log(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        await page.get_by_role("link", name="故障与时间").click()
        await page.get_by_label("丢失条数").fill("1")
        await page.get_by_label("重复比例").fill("25")
        await page.get_by_role("button", name="生效").click()
        state = page.locator("#callback-state")
        await expect(state).to_have_text("接下来丢失 1 条，重复 25%")
        await platform.control("edit_remark", userid=LI, external_userid=CHEN, remark="陈总")
        row = page.locator("#deliveries .entry").first
        await expect(row).to_contain_text("已丢弃")
        await expect(row).to_contain_text("李敏 · 陈思远")
        await page.get_by_role("button", name="清除全部故障").click()
        await expect(state).to_have_text("正常")


async def test_late_callbacks_are_released_by_hand(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_faults(page, platform)
        await page.get_by_label("迟到条数").fill("1")
        await page.get_by_label("迟到秒数").fill("0")
        await page.get_by_role("button", name="生效").click()
        await expect(page.locator("#callback-state")).to_have_text("接下来迟到 1 条")
        await platform.control("edit_remark", userid=LI, external_userid=CHEN, remark="陈总")
        await expect(page.locator("#release")).to_have_text("放行迟到的回调（1 条）")
        await page.click("#release")
        await expect(page.locator("#deliveries .entry").first).to_contain_text("已送达")


async def test_api_faults_are_planned_and_counted(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_faults(page, platform)
        path = "externalcontact/get_follow_user_list"
        await page.fill("#api [name=path]", path)
        await page.select_option("#api [name=answer]", "45009")
        await page.get_by_role("button", name="添加").click()
        await expect(page.locator("#planned")).to_contain_text("错误码 45009")
        assert (await platform.api(path))["errcode"] == 45009
        await expect(page.locator("#calls .entry").first).to_contain_text("45009")
        await expect(page.locator("#counts")).to_contain_text("45009 1")
        await expect(page.locator("#planned")).to_contain_text("当前没有接口故障。")


async def test_time_is_moved_forward_and_back(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_faults(page, platform)
        await expect(page.locator("#now")).to_have_text("2026-03-02 周一 12:00:00")
        await page.get_by_role("button", name="快进 1 天").click()
        await expect(page.locator("#now")).to_have_text("2026-03-03 周二 12:00:00")
        await expect(page.locator("#ahead")).to_contain_text("快 24.00 小时")
        await page.get_by_role("button", name="恢复当前时间").click()
        await expect(page.locator("#now")).to_have_text("2026-03-02 周一 12:00:00")


async def test_the_platforms_rules_are_changed(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_faults(page, platform)
        await page.select_option("#rules [name=mass_send_quota]", "daily")
        await page.fill("#rules [name=per_minute]", "5")
        await page.fill("#rules [name=trusted_ips]", "203.0.113.9，127.0.0.1")
        await page.locator("#rules").get_by_role("button", name="保存").click()
        await expect(page.locator("#toast")).to_have_text("平台规则已保存")
        settings = platform.world.settings
    assert settings.mass_send_quota == "daily"
    assert settings.calls_per_minute[""] == 5
    assert settings.trusted_ips == ["203.0.113.9", "127.0.0.1"]


@pytest.mark.parametrize("width", [1280, 1440, 1920])
async def test_faults_do_not_scroll_sideways(width: int, chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await page.set_viewport_size({"width": width, "height": 900})
        await open_faults(page, platform)
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not await page.evaluate(wide)
