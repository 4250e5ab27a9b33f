"""A material's whole life in Chromium: written, reviewed, found, sent, counted, ending, renewed."""

from datetime import timedelta

from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Role, Staff
from content.models import Kind, Material, State, Version
from tests.builders import a_staff, an_approved_material
from tests.content.test_pages import FORM
from tests.journeys.test_review_in_the_browser import NARROW, window
from tests.town import Town

TITLE = "赎回多久到账"


async def written(page: Page) -> None:
    """The form of a new material, filled and submitted with the keyboard."""
    await page.goto("/content")
    await page.get_by_role("link", name="新建素材").first.focus()
    await page.keyboard.press("Enter")
    await page.select_option("#f-kind", "script")
    for name in ("title", "body", "questions"):
        await page.fill(f"#f-{name}", FORM[name])
    await page.select_option("#f-use", "accompany")
    await page.get_by_role("button", name="提交审批").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("已提交审批").first).to_be_visible()


async def passed(page: Page) -> None:
    """The reviewer's page: every point holds."""
    await page.goto("/review")
    await page.get_by_role("link", name=TITLE).click()
    for place in range(3):
        await page.locator(f"input[name=check-{place}][value=yes]").check()
    await page.keyboard.press("Control+Enter")


async def approved(town: Town, chromium: Browser, faults: list[str], session: AsyncSession) -> None:
    """Material of low risk takes one step, by somebody other than its author."""
    reviewer = await a_staff(session, Role.APPROVER, name="钱审")
    await session.commit()
    page = await window(town, chromium, reviewer, faults)
    await passed(page)
    await expect(page.get_by_text("已通过并上线").first).to_be_visible()
    await page.context.close()


async def opened_by_keyboard(page: Page, view: str) -> None:
    """The drawer opens with Enter on the title, closes with Esc, and the focus is back."""
    await page.goto(f"/content?view={view}&q=赎回")
    title = page.get_by_role("link", name=TITLE, exact=True)
    await title.focus()
    await page.keyboard.press("Enter")
    drawer = page.locator("#drawer")
    await expect(drawer).to_be_visible()
    await expect(drawer.get_by_role("heading", name=TITLE)).to_be_visible()
    await expect(drawer.locator(".figure").first).to_be_visible()
    assert "/content?view=" in page.url
    await page.keyboard.press("Escape")
    await expect(drawer).to_be_hidden()
    await expect(title).to_be_focused()


async def sent_from_the_sidebar(town: Town, chromium: Browser) -> None:
    """The RM picks it beside the chat and sends it."""
    context = await chromium.new_context(locale="zh-CN")
    page = await context.new_page()
    contact = town.customer.external_userid
    await page.goto(f"{town.platform}/?member={town.rm.userid}&customer={contact}")
    sidebar = page.frame_locator("#sidebar")
    await sidebar.get_by_text("话术", exact=True).click()
    await sidebar.get_by_role("button", name=f"选用《{TITLE}》").click()
    await sidebar.locator("[data-state=offered]").get_by_role("button", name="发送").click()
    await expect(page.locator("#phone-body .bubble").last).to_contain_text("赎回申请")
    await expect(sidebar.get_by_text("已发送").first).to_be_visible()
    await context.close()


async def figures(page: Page, material: Material) -> dict[str, str]:
    """What the drawer counts."""
    await page.goto(f"/content/{material.id}")
    await expect(page.locator(".figure").first).to_be_visible()
    labels = await page.locator(".figure-label").all_inner_texts()
    return dict(zip(labels, await page.locator(".figure-value").all_inner_texts(), strict=True))


async def test_a_material_lives_from_its_first_word_to_its_renewal(
    town: Town, session: AsyncSession, chromium: Browser
) -> None:
    faults: list[str] = []
    editor: Staff = await a_staff(session, Role.EDITOR, name="周编")
    await session.commit()
    author = await window(town, chromium, editor, faults)
    await written(author)
    await approved(town, chromium, faults, session)
    await town.works()
    version = (await session.execute(select(Version))).scalar_one()
    material = await session.get_one(Material, version.material_id)
    assert version.state is State.APPROVED

    for view in ("grid", "table"):
        await opened_by_keyboard(author, view)
    assert (await figures(author, material))["发送次数"] == "0"
    await sent_from_the_sidebar(town, chromium)
    counted = await figures(author, material)
    assert (counted["发送次数"], counted["收到过的客户"]) == ("1", "1")
    assert (counted["被推荐"], counted["原样发送"]) == ("0", "0"), "the RM picked it by hand"

    version.valid_until = town.clock() + timedelta(days=6)
    await session.commit()
    await author.goto("/content/expiring?window=7")
    await author.get_by_role("button", name=f"续期《{TITLE}》", exact=True).focus()
    await author.keyboard.press("Enter")
    await author.get_by_role("button", name="续期并送审").focus()
    await author.keyboard.press("Enter")
    await expect(author.get_by_role("link", name="V2 待审")).to_be_visible()
    newest = select(Version).order_by(col(Version.number).desc()).limit(1)
    assert (await session.execute(newest)).scalar_one().body == version.body
    assert faults == []


async def test_scripts_change_places_by_keyboard_and_by_mouse(
    town: Town, session: AsyncSession, chromium: Browser
) -> None:
    faults: list[str] = []
    editor = await a_staff(session, Role.EDITOR, name="周编")
    for title in ("话术甲", "话术乙", "话术丙"):
        version = await an_approved_material(session, title=title, kind=Kind.SCRIPT)
        version.particulars = {"kind": "script", "use": "accompany", "category": ["开户"]}
    await session.commit()
    page = await window(town, chromium, editor, faults)
    await page.goto("/scripts")
    await page.get_by_role("link", name="开户").focus()
    await page.keyboard.press("Enter")
    titles = page.locator(".script [data-drawer]")
    await expect(titles).to_have_text(["话术甲", "话术乙", "话术丙"])
    await page.get_by_role("button", name="下移《话术甲》").focus()
    await page.keyboard.press("Enter")
    await expect(titles).to_have_text(["话术乙", "话术甲", "话术丙"])
    await page.locator(".script").nth(2).drag_to(page.locator(".script").first)
    await expect(titles).to_have_text(["话术丙", "话术乙", "话术甲"])
    await page.reload()
    await expect(titles).to_have_text(["话术丙", "话术乙", "话术甲"])
    assert faults == []


async def test_nothing_of_the_library_scrolls_sideways_on_a_phone(
    town: Town, session: AsyncSession, chromium: Browser
) -> None:
    faults: list[str] = []
    editor = await a_staff(session, Role.EDITOR, name="周编")
    await session.commit()
    page = await window(town, chromium, editor, faults)
    await written(page)
    await page.set_viewport_size({"width": NARROW, "height": 740})
    for path in ("/content", "/content?view=table", "/content/expiring", "/gaps", "/scripts"):
        await page.goto(path)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= NARROW, path
    await page.goto("/content")
    await page.locator("[data-drawer]").first.click()
    await expect(page.locator("#drawer")).to_be_visible()
    wide = await page.locator("#drawer").evaluate("drawer => drawer.scrollWidth")
    assert wide <= NARROW
    assert faults == []
