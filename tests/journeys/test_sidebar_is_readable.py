"""Every state of the sidebar for weak eyes, screen readers and thumbs, from 320 to 400 px."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncSession

from content.models import Kind
from customers.models import CorpTag, CustomerTag
from customers.tags import WECOM
from tests.builders import MONDAY, a_product, an_approved_material
from tests.journeys.reading import faults_of
from tests.sendables import an_office_of, live
from tests.town import Town
from wecom.simulator.login import MEMBER_COOKIE

PATIENCE_MS = 15_000
ASKED = "我赎回的钱几天能到账啊"
expect.set_options(timeout=PATIENCE_MS)
State = Callable[[Page], Awaitable[None]]


@pytest.fixture
async def side(town: Town, chromium: Browser) -> AsyncIterator[Page]:
    """A window of an RM who is signed in to WeCom."""
    context = await chromium.new_context(reduced_motion="reduce", locale="zh-CN")
    await context.add_cookies([{"name": MEMBER_COOKIE, "value": town.rm.userid, "url": town.base}])
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    await context.close()


async def a_full_shelf(town: Town, session: AsyncSession) -> None:
    """Something of every kind, tags, and a question that has an answer."""
    office = await an_office_of(session, town.parts.files)
    for kind in (Kind.IMAGE, Kind.LINK, Kind.FILE):
        await live(office, kind)
    await an_approved_material(session)
    await an_approved_material(session, title="养老的钱怎么打理", kind=Kind.EDUCATION)
    await a_product(session, rating=5, name="云杉进取")
    tag = {"customer_id": town.customer.id, "tagged_at": MONDAY}
    session.add_all(
        [
            CorpTag(tag_id="et1", name="养老规划", group_id="eg1", group_name="人生规划"),
            CustomerTag(name="养老规划", source=WECOM, **tag),
            CustomerTag(name="稳健偏好", source="规则", **tag),
        ]
    )
    await session.commit()


async def tab(page: Page, name: str) -> None:
    """Open a tab and wait until everything in it is there."""
    await page.get_by_role("tab", name=name).click()
    await expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
    await expect(page.locator("#content .skeleton:visible")).to_have_count(0)


async def stage(page: Page) -> None:
    """The sheet of stages."""
    await page.locator(".stage-chip").click()
    await expect(page.locator("#stage")).to_be_visible()


async def tags(page: Page) -> None:
    """The sheet of tags."""
    await page.keyboard.press("Escape")
    await tab(page, "画像")
    await page.get_by_role("button", name="编辑企业标签").click()
    await expect(page.locator("#tags-sheet")).to_be_visible()


async def unfolded(page: Page) -> None:
    """A suggestion with its source, its attachments and the reasons against it."""
    await page.keyboard.press("Escape")
    await tab(page, "推荐")
    for fold in ("附上图片、文件或卡片", "合规已审批", "不合适"):
        await page.locator("summary", has_text=fold).first.click()
    await expect(page.locator("[data-attachable] .skeleton")).to_have_count(0)


@pytest.mark.parametrize("width", [320, 360, 400])
async def test_every_tab_and_sheet(
    town: Town, session: AsyncSession, side: Page, width: int
) -> None:
    await a_full_shelf(town, session)
    await town.writes(ASKED)
    await town.works()
    await side.set_viewport_size({"width": width, "height": 800})
    contact = town.customer.external_userid
    await side.goto(f"{town.base}/sidebar?demo={town.rm.userid}&customer={contact}")
    for name in ("推荐", "话术", "素材", "画像", "任务"):
        await tab(side, name)
        assert await faults_of(side) == [], name
    sheets: tuple[State, ...] = (stage, tags, unfolded)
    for look in sheets:
        await look(side)
        assert await faults_of(side) == [], look.__doc__


async def test_stops_and_what_was_not_found(town: Town, session: AsyncSession, side: Page) -> None:
    await a_full_shelf(town, session)
    await side.set_viewport_size({"width": 320, "height": 800})
    contact = town.customer.external_userid
    address = f"{town.base}/sidebar?demo={town.rm.userid}&customer={contact}"
    for question, state in (
        ("云杉进取怎么样", ".stop"),
        ("你们食堂的红烧肉好吃吗", "[data-state=no_match]"),
        ("我要投诉你们乱推销", "[data-state=held]"),
    ):
        await town.writes(question)
        await town.works()
        await side.goto(address)
        await expect(side.locator(state).first).to_be_visible()
        assert await faults_of(side) == [], question
    await side.goto(f"{town.base}/sidebar?demo={town.rm.userid}")
    await expect(side.get_by_text("请从客户聊天或客户群窗口打开")).to_be_visible()
    assert await faults_of(side) == []
