"""A conversation, a complaint and what is learnt from them, with eyes and hands in Chromium."""

from playwright.async_api import Browser, Page, ViewportSize, expect
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from content.models import Kind
from desk.signed import COOKIES
from tests.browser import DESK
from tests.builders import a_product, a_staff, an_approved_material
from tests.town import Town
from wecom.simulator.login import MEMBER_COOKIE

PHONE: ViewportSize = {"width": 360, "height": 740}
FEE = "安心添利90天的管理费为0.20%/年，从产品资产中计提，不另外收取。"
expect.set_options(timeout=15_000)


async def opened(
    town: Town, chromium: Browser, who: Staff, place: str, size: ViewportSize, faults: list[str]
) -> Page:
    """A window in which that member of staff is signed in."""
    visitor = await town.client(who, place)
    jar = visitor.http.cookie_jar.filter_cookies(town.server.make_url("/"))
    name = COOKIES[place][0]
    context = await chromium.new_context(viewport=size, locale="zh-CN")
    await context.add_cookies([{"name": name, "value": jar[name].value, "url": town.base}])
    page = await context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    return page


async def wide(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    width: int = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return width > 0


async def test_a_follow_up_in_the_sidebar_and_another_draft(
    town: Town, session: AsyncSession, chromium: Browser
) -> None:
    about = await a_product(session, rating=2)
    questions = ("安心添利90天手续费多少", "安心添利90天管理费怎么收", "安心添利90天有哪些费用")
    texts = {"安心添利90天费用说明": FEE, "安心添利90天费用问答": f"您好，{FEE}"}
    for title, body in texts.items():
        await an_approved_material(
            session, title=title, body=body, questions=questions,
            kind=Kind.PRODUCT_NOTE, risk=2, products=[about],
        )  # fmt: skip
    await session.commit()
    await town.writes("安心添利90天起购多少钱")
    await town.writes("那手续费呢")
    await town.works()
    faults: list[str] = []
    context = await chromium.new_context(viewport=PHONE, locale="zh-CN")
    # The RM is signed in to WeCom on this phone.
    await context.add_cookies([{"name": MEMBER_COOKIE, "value": town.rm.userid, "url": town.base}])
    page = await context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    contact = town.customer.external_userid
    await page.goto(f"{town.base}/sidebar?demo={town.rm.userid}&customer={contact}")
    card = page.locator("[data-state=offered]").first
    await expect(card.locator("[data-draft]")).to_contain_text("管理费为0.20%/年")
    await expect(card).to_contain_text("承接前文，指产品“安心添利90天”")
    await card.get_by_text("换一种写法").click()
    other = card.get_by_role("button", name="用这种写法")
    await expect(other.first).to_be_visible()
    assert not await wide(page)
    assert faults == []


async def test_the_manager_takes_back_what_was_misheard(
    town: Town, session: AsyncSession, chromium: Browser
) -> None:
    manager = await a_staff(session, Role.BRANCH_MANAGER, name="陈行长")
    manager.branch_id = town.rm.branch_id
    await session.commit()
    await town.writes("别再给我发广告了")
    await town.works()
    faults: list[str] = []
    for size in (PHONE, DESK):
        page = await opened(town, chromium, manager, "desk", size, faults)
        await page.goto(f"{town.base}/care")
        await expect(page.get_by_text("别再给我发广告了").first).to_be_visible()
        assert not await wide(page)
    await page.get_by_role("button", name="撤销李女士的拒绝营销").click()
    dialog = page.locator("dialog[open]")
    await dialog.get_by_role("button", name="撤销这条提醒").click()
    await expect(dialog).to_be_visible()  # the reason is asked for first
    await dialog.locator("textarea").fill("客户说的是别家银行")
    await dialog.get_by_role("button", name="撤销这条提醒").click()
    await expect(page.get_by_text("没有待复核的提醒")).to_be_visible()
    await page.get_by_role("link", name="已撤销（1）").click()
    await expect(page.get_by_text("客户说的是别家银行")).to_be_visible()
    assert faults == []


async def test_the_pages_of_what_is_learnt_fit_a_phone_and_a_desk(
    town: Town, session: AsyncSession, chromium: Browser
) -> None:
    await an_approved_material(session)
    editor = await a_staff(session, Role.EDITOR)
    await session.commit()
    await town.writes("我赎回的钱几天能到账啊")
    await town.works()
    faults: list[str] = []
    for size in (PHONE, DESK):
        for who, path, says in (
            (town.rm, "/suggestions/quality?by=intent", "提问"),
            (town.rm, "/style", "我的回复风格"),
            (editor, "/candidates", "没有待处理的候选问法"),
        ):
            page = await opened(town, chromium, who, "desk", size, faults)
            await page.goto(f"{town.base}{path}")
            await expect(page.get_by_text(says).first).to_be_visible()
            assert not await wide(page), path
    assert faults == []
