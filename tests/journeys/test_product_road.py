"""A rating changes, with eyes and hands: proposed, confirmed by another, material out and back."""

from datetime import timedelta

from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from content.files import FILES
from content.models import ChangeState, Product, ProductChange, Version
from desk.signed import COOKIES, open_session
from tests.browser import DESK
from tests.builders import a_product, a_staff
from tests.content.worlds import QUESTIONS, Office
from tests.town import Town

PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)
BODY = "您好，赎回申请确认后，资金一般在下一个工作日到账，具体以产品说明书为准。"


async def at_desk(
    town: Town, session: AsyncSession, chromium: Browser, staff: Staff, faults: list[str]
) -> Page:
    """A window in which this person is signed in, in which nothing may go wrong unseen."""
    token, _ = await open_session(session, staff, "desk", town.clock())
    await session.commit()
    context = await chromium.new_context(viewport=DESK, locale="zh-CN", base_url=town.base)
    await context.add_cookies([{"name": COOKIES["desk"][0], "value": token, "url": town.base}])
    page = await context.new_page()
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.set_default_timeout(PATIENCE_MS)
    return page


async def a_live_note(town: Town, session: AsyncSession, sold: Product) -> tuple[Office, Version]:
    """A note about the product, written and approved through the real doors."""
    office = Office(
        session,
        town.app[FILES],
        author=await a_staff(session, Role.EDITOR, name="周编"),
        approver=await a_staff(session, Role.APPROVER, name="钱审"),
        compliance=await a_staff(session, Role.COMPLIANCE, name="孙合规"),
        head_office=await a_staff(session, Role.COMPLIANCE, name="吴总行"),
    )
    version = await office.live(
        kind="product_note",
        title="赎回多久到账",
        body=BODY,
        questions=QUESTIONS,
        product_codes=(sold.code,),
    )
    await session.commit()
    return office, version


async def test_a_rating_is_proposed_confirmed_and_its_material_suspended_and_resumed(
    town: Town, session: AsyncSession, chromium: Browser
) -> None:
    sold = await a_product(session, rating=2)
    office, version = await a_live_note(town, session, sold)
    hq, faults = await a_staff(session, Role.HQ, name="高总"), list[str]()
    await session.commit()
    proposer = await at_desk(town, session, chromium, hq, faults)
    confirmer = await at_desk(town, session, chromium, office.compliance, faults)
    rm, contact = await town.sidebar(), town.customer.external_userid
    await town.works()
    assert version.title in await rm.text(f"/sidebar/{contact}/materials?q=赎回到账")

    # The proposer, by keyboard alone from the product's page on.
    await proposer.goto(f"/products/{sold.code}")
    await proposer.get_by_role("link", name="提交变更").focus()
    await proposer.keyboard.press("Enter")
    await proposer.get_by_label("本行评级").focus()
    await proposer.keyboard.type("R3")
    await proposer.get_by_label("变更原因和依据").focus()
    await proposer.keyboard.type("本行 2026 年第四季度复评")
    await proposer.get_by_role("button", name="提交变更").focus()
    await proposer.keyboard.press("Enter")
    await expect(proposer.get_by_text("不能确认自己提交的变更")).to_be_visible()
    await expect(proposer.get_by_role("button", name="确认生效")).to_have_count(0)
    assert version.title in await rm.text(f"/sidebar/{contact}/materials?q=赎回到账")

    await confirmer.goto("/products?change=waiting")
    await confirmer.get_by_role("link", name=sold.name).click()
    waiting = confirmer.locator("#waiting")
    await expect(waiting.get_by_role("cell", name="R2")).to_be_visible()
    await expect(waiting.get_by_role("cell", name="R3")).to_be_visible()
    await waiting.get_by_role("button", name="确认生效").click()
    asked = confirmer.locator("dialog[open]")
    await expect(asked).to_contain_text("不再正确的素材同时暂停使用")
    await asked.get_by_role("button", name="确认生效").click()
    await expect(confirmer.get_by_text("变更已生效，1 份素材已暂停使用")).to_be_visible()
    await expect(confirmer.locator("#suspended")).to_contain_text("由 R2 调整为 R3")
    await expect(confirmer.locator("#holders")).to_contain_text("没有人持有")
    assert version.title not in await rm.text(f"/sidebar/{contact}/materials?q=赎回到账")

    await confirmer.locator("#suspended").get_by_role("link", name=version.title).click()
    await confirmer.get_by_role("button", name="复核无误，恢复使用").click()
    await confirmer.locator("dialog[open] .btn-primary, dialog[open] .btn-danger").first.click()
    await expect(confirmer.get_by_text("已恢复使用")).to_be_visible()
    town.clock.forward(timedelta(minutes=1))
    await town.works()
    assert version.title in await rm.text(f"/sidebar/{contact}/materials?q=赎回到账")
    await proposer.reload()
    await expect(proposer.locator("#history")).to_contain_text("孙合规")

    await session.refresh(sold)
    [change] = await town.all(ProductChange)
    assert (sold.rating, change.state, change.decided_by) == (
        3,
        ChangeState.CONFIRMED,
        office.compliance.id,
    )
    for page in (proposer, confirmer):
        await page.set_viewport_size({"width": 360, "height": 740})
        assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert faults == []
