"""The play page in a real browser: a phone, a desktop, and the product's page between them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, expect

from tests.browser import DESK
from tests.wecom.test_simulator import CHEN, CORP, LI, WU, ZHOU, Platform, a_platform
from wecom.simulator.bridge import signature

SIDEBAR = """<!doctype html><meta charset="utf-8"><title>侧边栏</title>
<link rel="icon" href="data:,">
<p id="who"></p><p id="state"></p><button id="send">发送</button>
<script src="{simulator}/jssdk.js"></script><script src="sidebar.js"></script>"""

SIDEBAR_SCRIPT = """
const say = (id, words) => { document.getElementById(id).textContent = words; };
const send = { msgtype: "text", enterChat: false, text: { content: "为您整理了三款稳健产品。" } };
wx.invoke("getContext", {}, (context) => { document.title = context.entry; });
wx.invoke("sendChatMessage", send, (early) => say("state", early.err_msg));
document.getElementById("send").onclick = async () => {
  const query = new URLSearchParams({ url: location.href.split("#")[0], bad: location.hash });
  const config = await (await fetch("/signature?" + query)).json();
  wx.agentConfig({
    ...config,
    jsApiList: ["sendChatMessage", "getCurExternalContact"],
    success: () => wx.invoke("getCurExternalContact", {}, (contact) => {
      say("who", contact.userId);
      wx.invoke("sendChatMessage", send, (sent) => say("state", sent.err_msg));
    }),
    fail: (refused) => say("state", refused.errMsg),
  });
};
"""


class Sidebar:
    """A tiny product: one sidebar page and the endpoint that signs it."""

    def __init__(self) -> None:
        self.platform: Platform | None = None
        self.fragment = ""

    async def page(self, request: web.Request) -> web.Response:
        assert self.platform
        html = SIDEBAR.format(simulator=self.platform.base)
        return web.Response(text=html, content_type="text/html")

    async def script(self, request: web.Request) -> web.Response:
        return web.Response(text=SIDEBAR_SCRIPT, content_type="text/javascript")

    async def sign(self, request: web.Request) -> web.Response:
        assert self.platform
        kind = {"type": "agent_config"}
        ticket = (await self.platform.api("ticket/get", **kind))["ticket"]
        if request.query["bad"]:
            ticket = (await self.platform.api("get_jsapi_ticket"))["ticket"]
        signed = signature(ticket, "nonce", "1772424000", request.query["url"])
        return web.json_response(
            {
                "corpid": CORP.corp_id,
                "agentid": CORP.agent_id,
                "timestamp": 1772424000,
                "nonceStr": "nonce",
                "signature": signed,
            }
        )


@asynccontextmanager
async def a_stage(chromium: Browser, fragment: str = "") -> AsyncIterator[tuple[Platform, Page]]:
    """The simulator below a prefix, a sidebar on another port, and a browser window."""
    sidebar = Sidebar()
    product = web.Application()
    product.router.add_get("/sidebar", sidebar.page)
    product.router.add_get("/sidebar.js", sidebar.script)
    product.router.add_get("/signature", sidebar.sign)
    server = TestServer(product)
    await server.start_server()
    url = f"{server.make_url('/sidebar')}?demo={{member}}{fragment}"
    async with a_platform(sidebar_url=url, prefix="/simulator/") as platform:
        sidebar.platform = platform
        page = await chromium.new_page(viewport=DESK, locale="zh-CN")
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        yield platform, page
        await page.close()
        assert complaints == []
    await server.close()


async def open_play(page: Page, platform: Platform, query: str = "") -> None:
    """Open the play page and wait until it shows something."""
    await page.goto(f"{platform.base}/{query}")
    await page.locator("#conv-list button, #conv-list .empty").first.wait_for()


async def test_words_typed_on_the_phone_appear_at_the_desktop_and_back(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        await page.fill("#phone-text", "最近有稳健一点的理财吗？")
        await page.keyboard.press("Enter")
        desk, phone = page.locator("#chat-body"), page.locator("#phone-body")
        await expect(desk.get_by_text("最近有稳健一点的理财吗？")).to_be_visible()
        await page.fill("#chat-text", "有的，我为您介绍。")
        await page.keyboard.press("Enter")
        await expect(phone.get_by_text("有的，我为您介绍。")).to_be_visible()
        assert await platform.ledger() == [(CHEN, "有的，我为您介绍。", "chat")]


async def test_an_unopened_chat_carries_a_badge_until_it_is_read(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        await platform.control("message", **{"from": WU, "to": LI, "text": "您好"})
        row = page.locator(f"#conv-list [data-customer={WU}]")
        await expect(row.locator(".badge")).to_have_text("1")
        await row.click()
        await expect(page.locator("#chat-body").get_by_text("您好")).to_be_visible()
        await expect(row.locator(".badge")).to_have_count(0)


async def test_the_sidebar_sends_into_the_open_chat(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        sidebar = page.frame_locator("#sidebar")
        await expect(sidebar.locator("#state")).to_have_text("sendChatMessage:fail no permission")
        await sidebar.locator("#send").click()
        await expect(sidebar.locator("#state")).to_have_text("sendChatMessage:ok")
        await expect(sidebar.locator("#who")).to_have_text(CHEN)
        phone = page.locator("#phone-body")
        await expect(phone.get_by_text("为您整理了三款稳健产品。")).to_be_visible()
        headers = {"Authorization": f"Bearer {CORP.archive_secret}"}
        url = f"{platform.base}/archive/messages?seq=0&limit=10"
        async with platform.http.get(url, headers=headers) as response:
            archived = (await response.json())["chatdata"]
        assert archived[0]["message"]["from"] == LI
        assert archived[0]["message"]["tolist"] == [CHEN]


async def test_the_wrong_ticket_is_an_invalid_signature(chromium: Browser):
    async with a_stage(chromium, fragment="#wrong") as (platform, page):
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        sidebar = page.frame_locator("#sidebar")
        await sidebar.locator("#send").click()
        await expect(sidebar.locator("#state")).to_have_text("agentConfig:fail invalid signature")
        assert await platform.ledger() == []


async def test_another_conversation_loads_the_sidebar_anew(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        sidebar = page.frame_locator("#sidebar")
        await sidebar.locator("#send").click()
        await expect(sidebar.locator("#who")).to_have_text(CHEN)
        await page.locator(f"#conv-list [data-customer={WU}]").click()
        await expect(sidebar.locator("#who")).to_be_empty()
        await sidebar.locator("#send").click()
        await expect(sidebar.locator("#who")).to_have_text(WU)


async def test_the_sidebar_works_outside_the_desktop_too(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        address = await page.locator("#sidebar").get_attribute("src")
        assert address
        assert address.endswith(f"?demo={LI}")
        await page.goto(f"{address}&customer={WU}")
        await page.click("#send")
        await expect(page.locator("#state")).to_have_text("sendChatMessage:ok")
        assert await platform.ledger() == [(WU, "为您整理了三款稳健产品。", "chat")]


async def test_a_mass_send_waits_in_the_helper_until_it_is_confirmed(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        await platform.api(
            "externalcontact/add_msg_template",
            {"sender": LI, "text": {"content": "本周理财日历已更新。"}},
        )
        tab = page.locator(".rail [data-tab=tasks]")
        await expect(tab.locator(".badge")).to_have_text("1")
        await tab.click()
        await page.locator(".task").get_by_role("button", name="发送").click()
        await expect(page.locator(".task")).to_contain_text("已送达 2 位")
        await expect(page.locator("#phone-body")).to_contain_text("本周理财日历已更新。")


async def test_app_messages_reach_the_desktop(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        card = {
            "title": "今日待办 3 项",
            "description": "2 位客户产品到期",
            "url": "https://a.example/",
        }
        body = {"touser": LI, "msgtype": "textcard", "agentid": CORP.agent_id, "textcard": card}
        await platform.api("message/send", body)
        await page.locator(".rail [data-tab=notices]").click()
        await expect(page.locator(".task")).to_contain_text("今日待办 3 项")
        await expect(page.locator(".rail [data-tab=notices] .badge")).to_be_hidden()


async def test_friends_are_added_and_deleted_on_the_phone(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={ZHOU}&customer={WU}")
        await page.get_by_role("button", name="添加好友").click()
        await page.fill("#channel", "expo-2026")
        await page.get_by_role("button", name="添加", exact=True).click()
        await expect(page.locator(f"#conv-list [data-customer={WU}]")).to_be_visible()
        relation = platform.world.follow(ZHOU, WU)
        assert relation
        assert relation.state == "expo-2026"
        await page.get_by_role("button", name="更多").click()
        await page.get_by_role("button", name="删除好友").click()
        await page.get_by_role("button", name="删除联系人").click()
        await expect(page.locator("#phone-body")).to_contain_text("你已删除该联系人")
        assert platform.world.follow(ZHOU, WU) is None


async def test_a_stranger_adds_a_member(chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await open_play(page, platform, f"?member={LI}")
        await page.get_by_role("button", name="新客户").click()
        await page.get_by_label("客户昵称").fill("沈一鸣")
        await page.get_by_role("button", name="添加", exact=True).first.click()
        await expect(page.locator("#conv-list")).to_contain_text("沈一鸣")
        await expect(page.locator("#pick-customer option:checked")).to_have_text("沈一鸣")


@pytest.mark.parametrize("width", [1280, 1440, 1920])
async def test_nothing_scrolls_sideways(width: int, chromium: Browser):
    async with a_stage(chromium) as (platform, page):
        await page.set_viewport_size({"width": width, "height": 900})
        await open_play(page, platform, f"?member={LI}&customer={CHEN}")
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not await page.evaluate(wide)
