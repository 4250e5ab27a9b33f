"""The sidebar under hands: keys alone, focus, sheets, what fails and what is empty, in Chromium."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Locator, Page, Route, ViewportSize, expect
from sqlalchemy.ext.asyncio import AsyncSession

from attribution.models import Touchpoint
from bank.models import AuditEntry, Role
from content.models import Kind, Version
from customers.models import CorpTag, Customer, CustomerTag, Stage
from knowledge import gaps
from knowledge.models import Suggestion
from tests.builders import a_customer, a_follow, a_product, a_staff, an_approved_material
from tests.town import Town
from wecom.simulator.login import MEMBER_COOKIE

PATIENCE_MS = 15_000
NARROW: ViewportSize = {"width": 320, "height": 720}
ASKED = "我赎回的钱几天能到账啊"
UNKNOWN = "你们食堂的红烧肉好吃吗"
FOCUSED = "node => node === document.activeElement"
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
async def side(town: Town, chromium: Browser, faults: list[str]) -> AsyncIterator[Page]:
    """A narrow window of an RM who is signed in to WeCom."""
    context = await chromium.new_context(viewport=NARROW, locale="zh-CN")
    await context.add_cookies([{"name": MEMBER_COOKIE, "value": town.rm.userid, "url": town.base}])
    page = await context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.set_default_timeout(PATIENCE_MS)
    yield page
    await context.close()
    assert faults == []


def at(town: Town, customer: Customer | None = None) -> str:
    """The sidebar's own address, as WeCom opens it."""
    contact = (customer or town.customer).external_userid
    return f"{town.base}/sidebar?demo={town.rm.userid}&customer={contact}"


async def opens(town: Town, page: Page, customer: Customer | None = None) -> None:
    """Beside the chat with this customer."""
    await page.goto(at(town, customer))
    await expect(page.locator(".side-name")).to_contain_text((customer or town.customer).name)


async def an_answer(session: AsyncSession) -> Version:
    """What answers the customer's question."""
    version = await an_approved_material(session)
    await session.commit()
    return version


async def asks(town: Town, text: str = ASKED) -> None:
    """The customer has asked, and the product has answered."""
    await town.writes(text)
    await town.works()


async def tabs_to(page: Page, wanted: Locator, most: int = 40) -> None:
    """Press Tab until that has the focus; every stop on the way can be seen."""
    for _ in range(most):
        if await wanted.evaluate(FOCUSED):
            return
        await page.keyboard.press("Tab")
        assert await page.evaluate(SEEN), await page.evaluate(WHERE)
    raise AssertionError("Tab does not get there")


WHERE = "document.activeElement.outerHTML.slice(0, 200)"
# An outline or a ring around what has the focus, or around the chip that holds it.
SEEN = """() => {
  const node = document.activeElement;
  if (node === document.body) return true;
  const ringed = (one) => {
    const style = getComputedStyle(one);
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    return outlined || style.boxShadow !== "none";
  };
  return ringed(node) || (node.matches(".chip > input") && ringed(node.parentElement));
}"""


async def test_a_reply_is_sent_with_keys_alone_from_the_tabs_on(
    town: Town, session: AsyncSession, side: Page
) -> None:
    version = await an_answer(session)
    await asks(town)
    await opens(town, side)
    tabs = side.get_by_role("tab")
    await tabs_to(side, tabs.first)
    # One stop for all tabs: arrows move between them and round the ends.
    await side.keyboard.press("ArrowLeft")
    await expect(tabs.last).to_be_focused()
    await side.keyboard.press("Home")
    await side.keyboard.press("ArrowRight")
    await side.keyboard.press("Enter")
    await expect(side.get_by_role("tab", name="话术")).to_have_attribute("aria-selected", "true")
    await expect(side.get_by_role("tabpanel", name="话术")).to_be_visible()
    assert await side.get_by_role("tab", name="话术").evaluate(FOCUSED), (
        "the focus stays on the tab"
    )
    await side.keyboard.press("ArrowLeft")
    await side.keyboard.press("Space")
    draft = side.locator("[data-draft]")
    await expect(draft).to_have_value(version.body)
    await tabs_to(side, draft)
    await side.keyboard.press("Control+Home")
    await side.keyboard.type("李女士，")
    await side.keyboard.press("Control+Enter")
    await expect(side.locator("[data-state=edited]")).to_be_visible()
    assert await town.seen() == [f"李女士，{version.body}"]
    assert await side.evaluate("document.activeElement !== document.body"), "never lost"


async def test_a_material_is_kept_at_hand_and_sent_from_its_row_with_keys_alone(
    town: Town, session: AsyncSession, side: Page
) -> None:
    education = await an_approved_material(session, title="复利是什么", kind=Kind.EDUCATION)
    await session.commit()
    await opens(town, side)
    await side.get_by_role("tab", name="素材").click()
    star = side.get_by_role("button", name="收藏《复利是什么》", exact=True)
    await tabs_to(side, star)
    await side.keyboard.press("Enter")
    kept = side.get_by_role("button", name="取消收藏《复利是什么》")
    await expect(kept).to_have_attribute("aria-pressed", "true")
    await side.get_by_role("button", name="我的收藏").press("Enter")
    chosen = side.get_by_role("button", name="我的收藏")
    await expect(chosen).to_have_attribute("aria-pressed", "true")
    send = side.get_by_role("button", name="发送《复利是什么》")
    await tabs_to(side, send)
    await side.keyboard.press("Enter")
    await expect(side.locator(".cell-item[data-state=sent] [data-mark]")).to_have_text("已发送")
    assert await town.seen() == [education.body]
    await side.get_by_role("button", name="取消收藏《复利是什么》").press("Enter")
    await expect(star).to_be_visible()
    await side.get_by_role("button", name="我的收藏").press("Enter")
    await expect(side.get_by_text("还没有收藏可以发给李女士的素材")).to_be_visible()


async def test_an_edit_is_kept_while_a_message_arrives_over_other_tabs_and_a_page_loaded_anew(
    town: Town, session: AsyncSession, side: Page
) -> None:
    await an_answer(session)
    await an_approved_material(
        session, title="赎回到账进度查询", body="您可以在手机银行的交易记录里查看赎回进度。",
        questions=("赎回到账进度在哪查", "赎回的钱到账没有怎么看", "查赎回到账"),
    )  # fmt: skip
    await session.commit()
    await asks(town)
    await opens(town, side)
    draft = side.locator("[data-draft]")
    mine = await draft.get_attribute("id")
    await draft.fill("李女士，我先帮您查一下")
    await asks(town, "赎回到账进度在哪查")
    await expect(side.locator("[data-state=offered]")).to_have_count(2)
    await expect(side.locator("#said")).to_have_text("有新的推荐回复")
    edited = side.locator(f"#{mine}")
    await expect(edited).to_have_value("李女士，我先帮您查一下")
    await expect(edited).to_be_focused()
    await side.get_by_role("tab", name="画像").click()
    await expect(side.get_by_text("社交关系")).to_be_visible()
    await side.get_by_role("tab", name="推荐").click()
    await expect(edited).to_be_visible()
    await expect(edited).to_have_value("李女士，我先帮您查一下")
    await side.reload()
    await expect(edited).to_be_visible()
    await expect(edited).to_have_value("李女士，我先帮您查一下")


async def test_a_sign_in_that_ended_is_renewed_and_the_edit_is_still_there(
    town: Town, session: AsyncSession, side: Page
) -> None:
    version = await an_answer(session)
    await asks(town)
    await opens(town, side)
    await side.locator("[data-draft]").fill(f"李女士，{version.body}")
    cookies = await side.context.cookies()
    await side.context.clear_cookies()
    member = [one for one in cookies if one["name"] == MEMBER_COOKIE]
    await side.context.add_cookies([{**one, "sameSite": "Lax"} for one in member])  # type: ignore[typeddict-item]
    async with side.expect_navigation():
        await side.locator("[data-send]").click()
    await expect(side.locator("[data-draft]")).to_have_value(f"李女士，{version.body}")
    left = await side.evaluate("sessionStorage.getItem('siyu-typed')")
    assert left is None, "nothing is left lying about"
    await side.locator("[data-send]").click()
    await expect(side.locator("[data-state=edited]")).to_be_visible()
    assert await town.seen() == [f"李女士，{version.body}"]


async def test_the_stage_is_changed_in_a_sheet_with_a_reason(town: Town, side: Page) -> None:
    await opens(town, side)
    chip = side.get_by_role("button", name="客户阶段：待跟进")
    await chip.press("Enter")
    sheet = side.get_by_role("dialog", name="修改“李女士”的阶段")
    await expect(sheet).to_be_visible()
    await side.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await expect(chip).to_be_focused()  # the focus goes back
    await chip.press("Enter")
    await sheet.get_by_role("button", name="保存").click()
    await expect(sheet).to_be_visible()  # the browser asks for what is missing
    await sheet.get_by_text("跟进中", exact=True).click()
    await sheet.get_by_label("原因").fill("   ")
    await sheet.get_by_role("button", name="保存").click()
    await expect(sheet.get_by_text("请写明原因")).to_be_visible()
    await expect(sheet.get_by_label("跟进中")).to_be_checked()
    await sheet.get_by_label("原因").fill("约好下周面谈")
    await sheet.get_by_role("button", name="保存").click()
    changed = side.get_by_role("button", name="客户阶段：跟进中")
    await expect(changed).to_be_visible()
    await expect(changed).to_be_focused()
    [customer] = await town.all(Customer)
    assert customer.stage is Stage.FOLLOWING
    [entry] = [e for e in await town.all(AuditEntry) if e.action == "customers:customer:stage"]
    assert entry.detail["note"] == "约好下周面谈"


async def test_company_tags_are_put_on_and_taken_off_at_wecom(
    town: Town, session: AsyncSession, side: Page
) -> None:
    made = await town.parts.wecom.tags.create(["养老规划", "子女教育"], group_name="人生规划")
    ids = {tag.name: tag.id for tag in made.tags}
    session.add_all(
        CorpTag(tag_id=one, name=name, group_id=made.id, group_name="人生规划")
        for name, one in ids.items()
    )
    await session.commit()
    await opens(town, side)
    await side.get_by_role("tab", name="画像").click()
    edit = side.get_by_role("button", name="编辑企业标签")
    await edit.press("Enter")
    sheet = side.get_by_role("dialog", name="编辑企业标签")
    await expect(sheet.get_by_role("group", name="人生规划")).to_be_visible()
    await side.keyboard.press("Escape")
    await expect(edit).to_be_focused()
    await edit.press("Enter")
    await sheet.get_by_label("养老规划").press("Space")
    await sheet.get_by_role("button", name="保存").press("Enter")
    worn = side.locator("#company-tags")
    await expect(worn.locator(".tag")).to_have_text(["养老规划"])
    await expect(edit).to_be_focused()
    contact = await town.parts.wecom.contacts.get(str(town.customer.external_userid))
    assert [tag.name for tag in contact.follows[0].tags] == ["养老规划"]
    await edit.press("Enter")
    await sheet.get_by_label("养老规划").press("Space")
    await sheet.get_by_role("button", name="保存").press("Enter")
    await expect(worn).to_contain_text("还没有企业标签")
    assert await town.all(CustomerTag) == []


async def test_nothing_found_is_handed_to_a_colleague_and_asked_of_the_content_team(
    town: Town, session: AsyncSession, side: Page
) -> None:
    manager = await a_staff(session, Role.BRANCH_MANAGER, name="陈行长")
    manager.branch_id = town.rm.branch_id
    await session.commit()
    await town.control("seed", members=[{"userid": manager.userid, "name": "陈行长"}])
    await asks(town, UNKNOWN)
    await opens(town, side)
    card = side.locator("[data-state=no_match]")
    await card.get_by_role("button", name="转人工").press("Enter")
    sheet = side.get_by_role("dialog", name="请同事协助答复")
    note = sheet.get_by_label("补充说明（选填）")
    await note.fill("客户电话13812345678，今天要答复")
    # What arrives meanwhile takes the open sheet away from nobody.
    await asks(town, "今天天气不错啊，你们网点几点关门吃饭")
    await expect(note).to_have_value("客户电话13812345678，今天要答复")
    await sheet.get_by_role("button", name="转人工").click()
    await expect(side.locator(".toast")).to_contain_text("已转陈行长协助")
    [told] = [s for s in await town.all(Suggestion) if "person" in s.help]
    assert told.help["person"]["of"] == ["陈行长"]
    assert told.help["person"]["note"] == "客户电话[手机号]，今天要答复"
    # The content team reads the wish beside the gap; asked once, it is not offered again.
    await asks(town, UNKNOWN)
    await expect(side.locator("#suggestions")).to_contain_text(UNKNOWN)
    await card.get_by_role("button", name="提需求").press("Enter")
    wish = side.get_by_role("dialog", name="请内容团队补一份素材")
    await wish.get_by_label("补充说明（选填）").fill("三位客户都问过")
    await wish.get_by_role("button", name="提需求").press("Enter")
    await expect(card.get_by_text("已提需求，内容团队会看到：三位客户都问过")).to_be_visible()
    await expect(card.get_by_role("button", name="提需求")).to_have_count(0)
    await expect(card).to_be_focused()
    async with town.parts.sessions.begin() as grouping:
        await gaps.catch_up(grouping, town.parts.index, town.clock())
    editor = await a_staff(session, Role.EDITOR, name="周编")
    await session.commit()
    assert "三位客户都问过" in await (await town.client(editor)).text("/gaps")


async def test_what_is_too_risky_is_stopped_in_red_with_what_may_be_offered(
    town: Town, session: AsyncSession, side: Page
) -> None:
    await a_product(session, rating=5, name="云杉进取")
    await session.commit()
    await asks(town, "云杉进取怎么样")
    await opens(town, side)
    stop = side.locator(".stop")
    await expect(stop).to_contain_text("客户 C3 < 产品 R5")
    await expect(stop).to_contain_text("可以改为介绍 R3 及以下的产品")
    await stop.get_by_role("button", name="看可以发的内容").press("Enter")
    await expect(side.get_by_role("tab", name="素材")).to_have_attribute("aria-selected", "true")


async def test_the_portrait_shows_the_circle_and_the_trail_by_kind(
    town: Town, session: AsyncSession, side: Page
) -> None:
    for _ in range(2):
        await town.writes("您好")
        await town.works()
    await opens(town, side)
    await side.get_by_role("tab", name="画像").click()
    await expect(side.locator(".circle")).to_contain_text(re.compile(r"1\s*跟进员工|跟进员工\s*1"))
    await expect(side.get_by_text("您还没有给这位客户打个人标签")).to_be_visible()
    trail = side.locator("#trail")
    await expect(trail.locator(".timeline-item", has_text="客户来信")).to_have_count(2)
    await trail.get_by_role("button", name="跟进动态").press("Enter")
    await expect(trail.locator(".timeline-item")).to_contain_text(["王敏添加了客户"])
    await trail.get_by_role("button", name="转化").press("Enter")
    await expect(trail).to_contain_text("没有这一类动态")
    await expect(trail.get_by_role("button", name="转化")).to_have_attribute("aria-pressed", "true")
    await expect(trail.get_by_role("button", name="转化")).to_be_focused()
    assert len(await town.all(Touchpoint)) == 2


async def test_what_does_not_load_can_be_asked_for_again(
    town: Town, side: Page, faults: list[str]
) -> None:
    await opens(town, side)

    async def cut(route: Route) -> None:
        await route.abort()

    await side.route("**/profile", cut)
    await side.get_by_role("tab", name="画像").click()
    await expect(side.get_by_text("没有加载出来")).to_be_visible()
    await expect(side.get_by_role("tab", name="画像")).to_have_attribute("aria-selected", "true")
    await side.unroute("**/profile")
    await side.get_by_role("button", name="重试").press("Enter")
    await expect(side.get_by_text("社交关系")).to_be_visible()
    assert await side.evaluate("document.activeElement !== document.body")


async def test_a_lost_live_connection_is_said_until_it_is_back(town: Town, side: Page) -> None:
    async def cut(route: Route) -> None:
        await route.abort()

    await side.route("**/stream*", cut)
    await opens(town, side)
    notice = side.get_by_text("实时更新已中断，正在重新连接")
    await expect(notice).to_be_visible()
    await side.unroute("**/stream*")
    await expect(notice).to_be_hidden()


async def test_empty_places_say_what_to_do_next(
    town: Town, session: AsyncSession, side: Page
) -> None:
    await opens(town, side)
    await expect(side.get_by_text("请在上面输入或粘贴客户的问题")).to_be_visible()
    for tab, says in (
        ("话术", "还没有可用的话术"),
        ("素材", "还没有可用的素材"),
        ("任务", "这位客户没有待办触达"),
        ("画像", "行内系统没有持仓记录"),
    ):
        await side.get_by_role("tab", name=tab).click()
        await expect(side.get_by_text(says)).to_be_visible()
    await side.get_by_role("tab", name="话术").click()
    await side.get_by_role("searchbox").fill("没有的东西")
    await side.keyboard.press("Enter")
    await expect(side.get_by_text("没有找到“没有的东西”")).to_be_visible()
    await side.get_by_role("button", name="重置").press("Enter")
    await expect(side.get_by_text("还没有可用的话术")).to_be_visible()
    stranger = await a_customer(session, name="周先生")
    other = await a_staff(session, Role.RM, name="陈立")
    await a_follow(session, other, stranger)
    await session.commit()
    await side.goto(at(town, stranger))
    await expect(side.get_by_role("button", name="重新打开")).to_be_visible()
