"""Two people in Chromium: a certificate is registered, a long list of holders is taken out."""

from datetime import date
from pathlib import Path

from playwright.async_api import Browser, expect
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from customers.models import Holding
from desk.downloads import ALONE
from tests.browser import taken
from tests.builders import a_branch, a_customer, a_product, a_staff
from tests.conftest import Product
from tests.journeys.test_audit_in_the_browser import PHONE, desk_of


async def test_a_certificate_is_entered_by_one_and_confirmed_by_another(
    product: Product, session: AsyncSession, chromium: Browser
) -> None:
    hq = await a_staff(session, Role.HQ, name="姚青")
    zhoulan = await a_staff(session, Role.COMPLIANCE, name="周岚")
    rm = await a_staff(session, Role.RM, branch=await a_branch(session), name="王敏")
    rm.certified_until = None
    await session.commit()
    desk = await desk_of(product, chromium, hq)
    await desk.goto("/system/certificates")
    await desk.get_by_role("link", name="未登记 1").click()
    await desk.get_by_role("link", name="王敏").click()
    await desk.fill("#f-until", "2027-06-30")
    await desk.fill("#f-reason", "证书 A-1")
    await desk.get_by_role("button", name="提交").click()
    await expect(desk.get_by_text("未登记 → 2027-06-30")).to_be_visible()
    await expect(desk.get_by_text("不能确认自己提交的修改")).to_be_visible()
    second = await desk_of(product, chromium, zhoulan)
    await second.goto("/system/certificates?state=waiting")
    await second.get_by_label("确认王敏的修改").check()
    await second.get_by_role("button", name="确认勾选的修改").click()
    await expect(second.get_by_text("已确认 1 项")).to_be_visible()
    await expect(
        second.get_by_role("row", name="王敏").get_by_text("有效", exact=True)
    ).to_be_visible()
    await second.goto(f"/system/certificates/{rm.id}")
    await expect(second.get_by_text("已生效")).to_be_visible()


async def test_many_holders_are_asked_for_from_the_products_page_and_downloaded(
    product: Product, session: AsyncSession, chromium: Browser, tmp_path: Path
) -> None:
    hq = await a_staff(session, Role.HQ, name="姚青")
    zhoulan = await a_staff(session, Role.COMPLIANCE, name="周岚")
    sold = await a_product(session)
    for number in range(ALONE + 1):
        customer = await a_customer(session, name=f"客户{number}")
        session.add(
            Holding(
                customer_id=customer.id, product_code=sold.code, amount_cents=100_000,
                bought_on=date(2026, 1, 5),
            )
        )  # fmt: skip
    await session.commit()
    desk = await desk_of(product, chromium, hq)
    await desk.goto(f"/products/{sold.code}")
    await desk.get_by_role("button", name="导出名单").click()
    await desk.fill("#f-reason", "到期承接")
    await desk.get_by_role("button", name="提交申请").click()
    await expect(desk.get_by_text("等待同事同意")).to_be_visible()
    second = await desk_of(product, chromium, zhoulan)
    await second.goto("/system/exports")
    await expect(second.get_by_text("产品持有客户", exact=True)).to_be_visible()
    await second.get_by_role("button", name="同意").click()
    await expect(second.get_by_text("已同意").last).to_be_visible()
    await desk.reload()
    async with desk.expect_download() as download:
        await desk.get_by_role("button", name="下载 CSV").click()
    path = await taken(await download.value, tmp_path)
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 1 + ALONE + 1
    assert all("姚青（" in line for line in lines[1:])


async def test_nothing_scrolls_sideways_on_a_phone(
    product: Product, session: AsyncSession, chromium: Browser
) -> None:
    hq, rm = await a_staff(session, Role.HQ), await a_staff(session, Role.RM)
    await session.commit()
    page = await desk_of(product, chromium, hq, PHONE)
    for path in (
        "/system/certificates", f"/system/certificates/{rm.id}", "/system/certificates/import",
        "/system/exports", "/products/new",
    ):  # fmt: skip
        await page.goto(path)
        await page.wait_for_load_state("networkidle")
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
