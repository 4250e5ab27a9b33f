"""Matched at night, read on the workbench, opened at the customer, chosen and sent in the chat."""

from datetime import timedelta

from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from content.models import Kind, Version
from knowledge import matches
from tests.attribution.worlds import a_touchpoint
from tests.builders import MONDAY, a_product, a_staff, an_approved_material
from tests.customers.worlds import a_holding
from tests.journeys.test_review_in_the_browser import NARROW, window
from tests.knowledge.test_matches import ENCODER, profiled
from tests.town import Town

TITLE = "安心添利90天到期安排"
HELD = "安心添利90天"
WHY = "6 天后到期：安心添利90天"


async def stocked(town: Town, session: AsyncSession) -> Version:
    """A note about a product of which the customer's holding matures soon."""
    sold = await a_product(session, rating=2)
    note = await an_approved_material(
        session,
        title=TITLE,
        body="安心添利90天到期后，本金和收益一般在下一个工作日到账，到账时间以产品说明书为准。",
        kind=Kind.PRODUCT_NOTE,
        risk=2,
        products=[sold],
    )
    soon = (MONDAY + timedelta(days=6)).date()
    await a_holding(session, town.customer, product=sold.code, matures_on=soon)
    await profiled(session, town.customer)
    await session.commit()
    return note


async def a_long_story(town: Town, session: AsyncSession) -> None:
    """So much has happened that the time line is longer than the page."""
    for days in range(30, 60):
        await a_touchpoint(session, town.customer, town.rm, MONDAY - timedelta(days=days))
    await session.commit()


async def chosen_in_the_chat(town: Town, chromium: Browser) -> None:
    """The RM finds it first beside the chat, chooses it and sends it."""
    context = await chromium.new_context(locale="zh-CN")
    page = await context.new_page()
    contact = town.customer.external_userid
    await page.goto(f"{town.platform}/?member={town.rm.userid}&customer={contact}")
    sidebar = page.frame_locator("#sidebar")
    await sidebar.get_by_text("素材", exact=True).click()
    await sidebar.get_by_role("button", name=f"选用推荐的《{TITLE}》").click()
    await sidebar.locator("[data-state=offered]").get_by_role("button", name="发送").click()
    await expect(page.locator("#phone-body .bubble").last).to_contain_text("到期后")
    await expect(sidebar.get_by_text("已发送").first).to_be_visible()
    await context.close()


async def nothing_scrolls_sideways(page: Page, path: str, loaded: str) -> None:
    """On a phone."""
    await page.set_viewport_size({"width": NARROW, "height": 740})
    await page.goto(path)
    await expect(page.get_by_text(loaded).first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW


async def test_from_the_night_to_the_chat(
    town: Town, session: AsyncSession, chromium: Browser
) -> None:
    faults: list[str] = []
    note = await stocked(town, session)
    assert await matches.run(town.parts.sessions, ENCODER, town.clock()) == 1
    await a_long_story(town, session)
    page = await window(town, chromium, town.rm, faults)
    await page.goto("/")
    await expect(page.get_by_text(WHY)).to_be_visible()
    await page.locator(f"a[href='/customers/{town.customer.id}#matches']").first.click()
    await expect(page.locator("#timeline").get_by_text("员工动态")).to_be_visible()
    await expect(page.locator("#matches-list").get_by_text(WHY)).to_be_in_viewport()
    await expect(page.get_by_role("link", name=HELD, exact=True)).to_be_visible()
    await page.get_by_role("link", name=TITLE).click()
    drawer = page.locator("#drawer")
    await expect(drawer.get_by_text("适合 1 位")).to_be_visible()
    await page.keyboard.press("Escape")

    await town.works()
    await chosen_in_the_chat(town, chromium)
    await page.get_by_role("button", name="重新匹配").click()
    await expect(page.get_by_text("现在没有适合推荐的内容")).to_be_visible()
    await page.goto("/")
    await expect(page.get_by_text("今天没有特别需要联系的客户")).to_be_visible()

    hq = await window(town, chromium, await _head_office(session), faults)
    await nothing_scrolls_sideways(hq, f"/customers/{town.customer.id}", "现在没有适合")
    await nothing_scrolls_sideways(hq, f"/content/{note.material_id}", "近期收到过")
    assert faults == []


async def _head_office(session: AsyncSession) -> Staff:
    staff = await a_staff(session, Role.HQ, name="姚青")
    await session.commit()
    return staff
