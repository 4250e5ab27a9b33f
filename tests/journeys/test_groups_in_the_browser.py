"""Three people ask the same in a group; the owner answers once beside it; the digest tells of it.

With eyes and hands: the phones, the group and the sidebar in Chromium, then the digest.
"""

import os
from datetime import timedelta
from pathlib import Path

from playwright.async_api import Browser, FrameLocator, Page, ViewportSize, expect
from sqlalchemy.ext.asyncio import AsyncSession

from bot.groups.models import GroupQuestion, QuestionState
from customers.models import CustomerGroup
from tests.browser import DESK
from tests.builders import an_approved_material
from tests.journeys.test_groups_ask import FIRST, NAME, SECOND, THREE_WAYS, a_room
from tests.journeys.test_in_the_browser import sits_down
from tests.journeys.test_review_in_the_browser import window
from tests.town import Town

PATIENCE_MS = 15_000
PHONE: ViewportSize = {"width": 375, "height": 760}
PICTURES = os.environ.get("SIYU_TEST_PICTURES", "")
expect.set_options(timeout=PATIENCE_MS)


async def picture(page: Page, name: str) -> None:
    """Kept where somebody wants to look at it."""
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"groups-{name}.png", full_page=True)


async def asks(town: Town, page: Page, who: str, text: str) -> None:
    """Somebody writes into the group on their phone, and the product hears of it."""
    town.clock.forward(timedelta(seconds=15))
    await page.select_option("#pick-customer", who)
    await page.locator("#phone-body").get_by_text(NAME).click()
    await page.fill("#phone-text", text)
    await page.press("#phone-text", "Enter")
    await expect(page.locator("#phone-body .bubble").last).to_contain_text(text)
    await town.control("settle")
    await town.works()


async def narrow(town: Town, chromium: Browser, faults: list[str], chat_id: str) -> None:
    """The same beside a chat on a phone: nothing scrolls sideways, an outsider's entry says why."""
    context = await chromium.new_context(viewport=PHONE, locale="zh-CN")
    page = await context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    await sits_down(town, page)
    for tab in ("questions", "portrait"):
        await page.goto(f"{town.base}/sidebar?demo={town.rm.userid}&customer={chat_id}")
        await expect(page.get_by_text("不在您的客户名单中")).to_be_visible()
        here = f"/sidebar/groups/{chat_id}/{tab}"
        await page.evaluate("at => window.htmx.ajax('GET', at, '#content')", here)
        await expect(page.locator(f"#tab-{tab}[aria-selected=true]")).to_be_visible()
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], f"{tab}: {wide}"
        await picture(page, f"375-{tab}")
    await context.close()


async def read_in_the_digest(town: Town, chromium: Browser, faults: list[str], answer: str) -> None:
    """The owner's page of the day, wide and narrow."""
    [group] = await town.all(CustomerGroup)
    page = await window(town, chromium, town.rm, faults)
    await page.goto("/groups/questions")
    await picture(page, "1440-digests")
    await page.get_by_role("link", name=NAME).click()
    row = page.locator("tbody tr").first
    await expect(row).to_contain_text(THREE_WAYS[0])
    await expect(row).to_contain_text("已回答")
    await expect(row).to_contain_text(answer)
    assert page.url.startswith(f"{town.base}/groups/{group.id}/questions")
    await picture(page, "1440-digest")
    await page.set_viewport_size(PHONE)
    for at in (page.url, "/groups/questions", "/groups/questions?show=waiting"):
        await page.goto(at)
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await picture(page, "375-waiting")
    await page.goto(f"/groups/{group.id}/questions")
    await picture(page, "375-digest")
    await page.context.close()


async def test_asked_in_a_group_three_ways_answered_once_and_found_in_the_digest(
    town: Town, chromium: Browser, session: AsyncSession
) -> None:
    version = await an_approved_material(session)
    await session.commit()
    room, faults = await a_room(town), list[str]()
    context = await chromium.new_context(viewport=DESK, locale="zh-CN")
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.goto(f"{town.platform}/?member={town.rm.userid}&customer={room.customer}")
    for who, text in zip((room.customer, FIRST, SECOND), THREE_WAYS, strict=True):
        await asks(town, page, who, text)
    await page.locator("#conv-list").get_by_text(NAME).click()
    sidebar: FrameLocator = page.frame_locator("#sidebar")
    await expect(sidebar.locator(".side-name")).to_contain_text(NAME)
    # Leaving the chat that was open before cuts its stream, which the browser reports.
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    card = sidebar.locator("[data-question]")
    await expect(card).to_have_count(1)
    await expect(card).to_contain_text("×3")
    await expect(card).to_contain_text(THREE_WAYS[0])
    await picture(page, "1440-asked")
    await narrow(town, chromium, faults, room.chat_id)
    town.clock.forward(timedelta(seconds=15))
    await card.get_by_role("button", name="发送到群").click()
    await expect(sidebar.locator("[data-state=answered]")).to_contain_text("待存档确认")
    await expect(page.locator("#chat-body .bubble").last).to_contain_text(version.body)
    await expect(page.locator("#phone-body .bubble").last).to_contain_text(version.body)
    await town.control("settle")
    await town.works()
    # The open page is told, and looks again by itself.
    await expect(sidebar.locator("[data-state=answered]")).to_contain_text("资金一般在下一个工作日")
    [question] = await town.all(GroupQuestion)
    assert isinstance(question, GroupQuestion)
    assert (question.state, question.answer_id is not None) == (QuestionState.ANSWERED, True)
    await picture(page, "1440-answered")
    await sidebar.locator("#tab-portrait").click()
    await expect(sidebar.get_by_text("活跃成员")).to_be_visible()
    await expect(sidebar.locator("#content")).to_contain_text("云**")
    await picture(page, "1440-portrait")
    await context.close()
    await read_in_the_digest(town, chromium, faults, version.body)
    assert faults == []
