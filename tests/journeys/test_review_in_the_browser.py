"""The whole road of a review in Chromium: two reviewers, comments by mouse and by keyboard."""

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import Staff
from content.models import State, Version
from content.review_models import Comment
from desk.signed import COOKIES, open_session
from tests.browser import DESK
from tests.builders import a_product
from tests.conftest import Product
from tests.content.test_steps import ordinary
from tests.content.worlds import Office, an_office

PATIENCE_MS = 15_000
NARROW = 360


@pytest.fixture
async def office(product: Product, session: AsyncSession) -> Office:
    """The office whose files the running product reads."""
    return await an_office(session, product.parts.settings.home / "files")


async def window(product: Product, chromium: Browser, staff: Staff, faults: list[str]) -> Page:
    """A window in which this person is signed in and nothing may go wrong unseen."""
    context = await chromium.new_context(viewport=DESK, locale="zh-CN", base_url=product.base)
    async with product.parts.sessions.begin() as session:
        token, _ = await open_session(session, staff, "desk", product.clock())
    name, path = COOKIES["desk"]
    await context.add_cookies([{"name": name, "value": token, "url": f"{product.base}{path}"}])
    page = await context.new_page()
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.set_default_timeout(PATIENCE_MS)
    return page


async def select_words(page: Page, words: str) -> None:
    """Mark these words of the text, as dragging over them does."""
    await page.evaluate(
        """words => {
            const text = document.querySelector('[data-commented]');
            const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
            for (let node; (node = walker.nextNode());) {
                const at = node.data.indexOf(words);
                if (at >= 0) {
                    document.getSelection().setBaseAndExtent(node, at, node, at + words.length);
                    return;
                }
            }
            throw new Error('not in the text: ' + words);
        }""",
        words,
    )


async def tick_all(page: Page) -> None:
    """通过 for every point, with the keyboard alone."""
    for place in range(3):
        await page.locator(f"input[name=check-{place}][value=yes]").focus()
        await page.keyboard.press("Space")


async def test_two_reviewers_comment_and_pass_a_material_on_until_it_is_live(
    product: Product, session: AsyncSession, office: Office, chromium: Browser
) -> None:
    faults: list[str] = []
    first = await ordinary(office)
    await session.commit()
    reviewer = await window(product, chromium, office.approver, faults)
    await reviewer.goto("/review")
    await reviewer.get_by_role("button", name="领取").click()
    await expect(reviewer.get_by_text("您已领取")).to_be_visible()

    # By mouse: what is selected is the place of the comment.
    words = first.body[3:9]
    await select_words(reviewer, words)
    place = reviewer.locator("#f-place option:checked")
    await expect(place).to_have_text(f"选中：{words}")
    await reviewer.fill("#f-text", "请写明节假日顺延")
    await reviewer.get_by_role("button", name="添加批注").click()
    await expect(reviewer.locator("mark.mark-blue")).to_have_text(words)

    # By keyboard: a sentence from the list, the words, and Enter on the button.
    await reviewer.locator("#f-place").focus()
    await reviewer.keyboard.press("ArrowDown")
    await reviewer.keyboard.press("Tab")
    await reviewer.keyboard.type("标题再短一些")
    await reviewer.keyboard.press("Tab")
    await reviewer.keyboard.press("Enter")
    await expect(reviewer.get_by_text("标题再短一些")).to_be_visible()
    rows = (await session.execute(select(Comment).order_by(Comment.written_at))).scalars().all()  # type: ignore[arg-type]
    assert {row.quoted for row in rows} >= {words}
    assert all(getattr(first, row.field)[row.start : row.end] == row.quoted for row in rows)

    await reviewer.fill("#f-reason", "见批注")
    await reviewer.get_by_role("button", name="要求修改").click()
    await expect(reviewer.get_by_text("已退回作者修改")).to_be_visible()

    # The author deals with what came along, and never finds a button to approve.
    second = await office.revise(first.material_id, body=f"您好。\n\n{first.body}")
    await session.commit()
    author = await window(product, chromium, office.author, faults)
    await author.goto(f"/content/{first.material_id}?v=2")
    await author.get_by_role("link", name="处理批注（2）").click()
    for _ in range(2):
        await author.get_by_role("button", name="标为已处理").first.click()
        await expect(author.get_by_text("批注已处理")).to_be_visible()
    assert await author.get_by_role("button", name="通过").count() == 0
    await author.goto(f"/content/{first.material_id}?v=2")
    await author.get_by_role("button", name="提交审批").click()
    await expect(author.get_by_text("已提交审批").first).to_be_visible()

    # First step, keyboard only: the points, then Ctrl+Enter passes it on.
    await reviewer.goto(f"/review/{second.id}")
    await tick_all(reviewer)
    await reviewer.keyboard.press("Control+Enter")
    await expect(reviewer.get_by_text("已通过，转入下一环节")).to_be_visible()

    # Second step, another person: one point left open is refused, then it goes live.
    compliance = await window(product, chromium, office.compliance, faults)
    await compliance.goto("/review")
    await compliance.get_by_role("link", name=second.title).click()
    await expect(compliance.locator(".step-now")).to_contain_text("合规终审")
    await compliance.get_by_role("button", name="通过并上线").click()
    await expect(compliance.get_by_text("请逐项核对，全部通过后才能通过")).to_be_visible()
    faults[:] = [fault for fault in faults if "422" not in fault]
    await tick_all(compliance)
    await compliance.get_by_role("button", name="通过并上线").click()
    await expect(compliance.get_by_text("已通过并上线").first).to_be_visible()
    await session.refresh(second)
    assert (second.state, second.approved_by) == (State.APPROVED, office.compliance.id)
    assert faults == []


async def test_nothing_of_the_review_scrolls_sideways_on_a_phone(
    product: Product, session: AsyncSession, office: Office, chromium: Browser
) -> None:
    faults: list[str] = []
    version: Version = await ordinary(office)
    risky = await a_product(session, rating=4, name="进取向上360天")
    await office.submit(await office.write(title="高风险", product_codes=(risky.code,)))
    await session.commit()
    reviewer = await window(product, chromium, office.approver, faults)
    await reviewer.set_viewport_size({"width": NARROW, "height": 740})
    for path in ("/review", f"/review/{version.id}", "/review/roads"):
        await reviewer.goto(path)
        wide = await reviewer.evaluate("document.documentElement.scrollWidth")
        assert wide <= NARROW, path
    await reviewer.goto(f"/review/{version.id}")
    await reviewer.get_by_role("button", name="转交").click()
    await expect(reviewer.locator("#transfer")).to_contain_text("没有其他可以处理这一环节的审批人")
    assert faults == []
