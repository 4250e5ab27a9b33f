"""客户雷达 with eyes and hands: the customer taps the bubble, the RM sees it beside the chat."""

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncSession

from attribution.models import Opening
from content.models import Kind
from desk.signed import COOKIES, open_session
from tests.content.worlds import Office
from tests.journeys.test_sending_in_the_browser import Chat
from tests.knowledge.test_matches import profiled
from tests.sendables import an_office_of, live
from tests.town import Town

PICTURES = os.environ.get("SIYU_TEST_PICTURES", "")


@pytest.fixture
async def office(town: Town, session: AsyncSession) -> Office:
    """The content team, and a customer who agreed to personal recommendations."""
    await profiled(session, town.customer)
    await session.commit()
    return await an_office_of(session, town.parts.files)


async def picture(page: Page, name: str) -> None:
    """Kept where somebody wants to look at it."""
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


async def test_the_customer_reads_and_the_trail_beside_the_chat_grows_by_itself(
    town: Town, office: Office, page: Page
) -> None:
    article = await live(office, Kind.ARTICLE, title="净值波动怎么看")
    await office.session.commit()
    chat = Chat(town, page)
    await chat.opens()
    await chat.picks(article)
    await chat.card.locator("[data-send]").click()
    await expect(chat.sidebar.locator("[data-state=sent]").first).to_be_visible()
    await chat.sidebar.locator("#tab-profile").click()
    trail = chat.sidebar.locator("#trail")
    await expect(trail).to_contain_text("回复了客户")
    await expect(trail).not_to_contain_text("打开了")
    bubble = page.locator("#phone-body a.card").first
    async with page.context.expect_page() as opening:
        await bubble.click()
    phone = await opening.value
    await phone.set_viewport_size({"width": 360, "height": 740})
    await expect(phone.locator("h1")).to_have_text("净值波动怎么看")
    await expect(phone.locator("body")).to_contain_text("本行会记录这份材料的打开时间和阅读时长")
    await picture(phone, "radar-phone")
    # Nobody reloads: the trail hears of it.
    await expect(trail).to_contain_text("打开了《净值波动怎么看》V1")
    async with phone.expect_request(re.compile("/r/visits/")):
        await phone.bring_to_front()
    await expect(trail).to_contain_text("读到 100%")
    await picture(page, "radar-trail")
    [one] = await town.all(Opening)
    assert one.customer_id == town.customer.id


async def test_the_rm_looks_into_his_own_link_and_nothing_is_counted(
    town: Town, office: Office, page: Page
) -> None:
    article = await live(office, Kind.ARTICLE)
    await office.session.commit()
    chat = Chat(town, page)
    await chat.opens()
    await chat.picks(article)
    await chat.card.locator("[data-send]").click()
    mine = page.locator("#chat-body a.card").first
    async with page.context.expect_page() as opening:
        await mine.click()
    shown = await opening.value
    await expect(shown.locator("h1")).to_have_text(article.title)
    await expect(shown.locator("body")).not_to_contain_text("本行会记录")
    await town.parts.radar.write()
    assert await town.all(Opening) == []


@pytest.mark.parametrize("width", [1440, 360])
async def test_who_read_it_fits_every_screen(
    town: Town, office: Office, chromium: Browser, width: int
) -> None:
    article = await live(office, Kind.ARTICLE)
    await office.session.commit()
    page = await at_the_desk(town, chromium, width)
    await page.goto(f"{town.base}/content/{article.material_id}/readers")
    await expect(page.locator("h1, h2").first).to_be_visible()
    await expect(page.locator("main")).to_contain_text("还没有您可见的客户看过")
    sideways = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(sideways)
    await picture(page, f"radar-readers-{width}")
    await page.context.close()


async def at_the_desk(town: Town, chromium: Browser, width: int) -> Page:
    """The RM at the desk."""
    async with town.parts.sessions.begin() as session:
        token, _ = await open_session(session, town.rm, "desk", town.clock())
    size = {"width": width, "height": 900}
    context = await chromium.new_context(viewport=size, locale="zh-CN")  # type: ignore[arg-type]
    await context.add_cookies([{"name": COOKIES["desk"][0], "value": token, "url": town.base}])
    return await context.new_page()
