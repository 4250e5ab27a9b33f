"""Compliance at the desk in Chromium: the book is checked, damage is told, lines are exported."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect
from sqlalchemy.ext.asyncio import AsyncSession

from bank.audit_keeping import run_asked_check
from bank.models import Role, Staff
from tests.bank.auditing import Book
from tests.browser import DESK, taken
from tests.builders import a_customer, a_staff
from tests.conftest import Product

PATIENCE_MS = 15_000
PHONE: ViewportSize = {"width": 360, "height": 740}
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
async def book(product: Product) -> Book:
    """A hundred and twenty lines, linked."""
    return await Book(product.parts.sessions, product.parts.settings).linked(120)


async def desk_of(
    product: Product, chromium: Browser, staff: Staff, size: ViewportSize = DESK
) -> Page:
    """That person's window."""
    visitor = await product.client(staff)
    cookies = {cookie.key: cookie.value for cookie in visitor.http.cookie_jar}
    context = await chromium.new_context(viewport=size, locale="zh-CN", base_url=product.base)
    await context.add_cookies(
        [{"name": name, "value": value, "url": product.base} for name, value in cookies.items()]
    )
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    return page


async def works(product: Product, book: Book) -> None:
    """What a worker does for the book."""
    await book.keeper.link(product.clock())
    url = book.settings.database_url
    assert await run_asked_check(book.sessions, url, book.heads, product.clock())


async def test_a_check_by_keyboard_and_what_it_finds(
    product: Product, book: Book, session: AsyncSession, chromium: Browser
) -> None:
    staff = await a_staff(session, Role.COMPLIANCE, name="周岚")
    await session.commit()
    page = await desk_of(product, chromium, staff)
    await page.goto("/system/audit")
    chain = page.locator("#chain")
    await expect(chain.get_by_text("尚未核对")).to_be_visible()
    await chain.get_by_role("button", name="立即核对").focus()
    await page.keyboard.press("Enter")
    await expect(chain.get_by_text("正在核对")).to_be_visible()
    await works(product, book)
    await expect(chain.get_by_text("完好")).to_be_visible()  # by itself, without a reload
    book.damage("UPDATE audit_entry SET actor = 'x' WHERE id = 77")
    await chain.get_by_role("button", name="立即核对").click()
    await expect(chain.get_by_text("正在核对")).to_be_visible()
    await works(product, book)
    await expect(chain.get_by_role("alert")).to_contain_text("内容被改动：第 77 号记录")


async def test_many_lines_are_asked_for_agreed_to_and_downloaded(
    product: Product, book: Book, session: AsyncSession, chromium: Browser, tmp_path: Path
) -> None:
    zhoulan = await a_staff(session, Role.COMPLIANCE, name="周岚")
    lixin = await a_staff(session, Role.AUDITOR, name="李欣")
    await session.commit()
    asker = await desk_of(product, chromium, zhoulan)
    await asker.goto("/system/audit")
    await asker.get_by_role("button", name="导出").click()
    await asker.fill("#f-reason", "年度检查底稿")
    await asker.get_by_role("button", name="提交申请").click()
    await expect(asker.get_by_text("等待同事同意")).to_be_visible()
    second = await desk_of(product, chromium, lixin)
    await second.goto("/system/exports")
    await second.get_by_role("button", name="同意").click()
    await expect(second.get_by_text("已同意").last).to_be_visible()
    await asker.reload()
    async with asker.expect_download() as download:
        await asker.get_by_role("button", name="下载 CSV").click()
    path = await taken(await download.value, tmp_path)
    assert len(path.read_text(encoding="utf-8-sig").splitlines()) == 121


async def test_a_hold_is_placed_on_the_portrait_and_nothing_scrolls_sideways(
    product: Product, book: Book, session: AsyncSession, chromium: Browser
) -> None:
    staff = await a_staff(session, Role.COMPLIANCE)
    customer = await a_customer(session)
    await session.commit()
    page = await desk_of(product, chromium, staff, PHONE)
    address = f"/customers/{customer.id}"
    await page.goto(address)
    await page.locator("#hold #f-reason").fill("案件 2026-118")
    await page.get_by_role("button", name="设置法律保全").click()
    await expect(page.locator("#hold").get_by_text("保全中")).to_be_visible()
    assert urlsplit(page.url).path == address
    for path in ("/system/audit", "/system/exports", "/system/audit/terms", address):
        await page.goto(path)
        await page.wait_for_load_state("networkidle")
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
