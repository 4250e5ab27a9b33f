"""Path (i) with eyes and hands: the customer's phone, the RM's chat and the sidebar in Chromium."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest
from playwright.async_api import Error, FrameLocator, Locator, Page, Route, expect
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from content.models import Version
from knowledge.models import Suggestion, SuggestionState
from tests.builders import a_customer, a_staff, an_approved_material
from tests.town import Town
from wecom.simulator.login import MEMBER_COOKIE

ASKED = "我赎回的钱几天能到账啊"
OTHER_TITLE = "赎回到账进度查询"
OTHER_BODY = "您可以在手机银行的交易记录里查看赎回的处理进度和到账情况。"
OTHER_QUESTIONS = ("赎回到账进度在哪查", "赎回的钱到账没有怎么看", "查赎回到账")
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Chat:
    """The play page: the customer's phone at the left, the RM's WeCom with the sidebar."""

    town: Town
    page: Page

    @property
    def phone(self) -> Locator:
        """What stands on the customer's phone."""
        return self.page.locator("#phone-body .bubble")

    @property
    def sidebar(self) -> FrameLocator:
        """The product beside the chat."""
        return self.page.frame_locator("#sidebar")

    @property
    def offered(self) -> Locator:
        """Cards that may be sent."""
        return self.sidebar.locator("[data-state=offered]")

    @property
    def draft(self) -> Locator:
        """The text of the first card."""
        return self.offered.first.locator("[data-draft]")

    async def customer_types(self, text: str) -> None:
        """The customer writes on the phone, and the product has had its round."""
        self.town.clock.forward(timedelta(seconds=15))
        await self.page.fill("#phone-text", text)
        await self.page.press("#phone-text", "Enter")
        await expect(self.phone.last).to_have_text(text)
        await self.town.control("settle")
        await self.town.works()


@pytest.fixture
async def chat(town: Town, page: Page) -> Chat:
    """The chat of the RM and the customer, open on both sides, the sidebar loaded."""
    contact = town.customer.external_userid
    await page.goto(f"{town.platform}/?member={town.rm.userid}&customer={contact}")
    opened = Chat(town, page)
    await expect(opened.sidebar.locator(".side-name")).to_contain_text(town.customer.name)
    await expect(opened.sidebar.get_by_text("还没有推荐回复")).to_be_visible()
    return opened


def alone(town: Town, customer: str | None = None) -> str:
    """The sidebar's own address, as WeCom opens it."""
    contact = f"&customer={customer}" if customer else ""
    return f"{town.base}/sidebar?demo={town.rm.userid}{contact}"


async def sits_down(town: Town, page: Page) -> None:
    """The RM is signed in to WeCom on this computer."""
    await page.context.add_cookies(
        [{"name": MEMBER_COOKIE, "value": town.rm.userid, "url": town.base}]
    )


async def material(session: AsyncSession) -> Version:
    """One approved answer to the customer's question."""
    version = await an_approved_material(session)
    await session.commit()
    return version


async def another_material(session: AsyncSession) -> Version:
    """A second approved answer, a little further off."""
    version = await an_approved_material(
        session, title=OTHER_TITLE, body=OTHER_BODY, questions=OTHER_QUESTIONS
    )
    await session.commit()
    return version


async def withdraw(town: Town, session: AsyncSession, version: Version) -> None:
    """Compliance takes the material out of use on its page."""
    officer = await a_staff(session, Role.COMPLIANCE, name="顾雯")
    await session.commit()
    desk = await town.client(officer)
    answer = await desk.post(
        f"/content/versions/{version.id}/withdraw", {"reason": "监管口径有变，需要重写。"}
    )
    assert answer.status == 303


async def only_one(town: Town) -> Suggestion:
    """The one suggestion there is."""
    [suggestion] = await town.all(Suggestion)
    assert isinstance(suggestion, Suggestion)
    return suggestion


async def test_a_message_on_the_phone_is_answered_with_one_click(
    town: Town, session: AsyncSession, chat: Chat
) -> None:
    version = await material(session)
    await chat.customer_types(ASKED)
    await expect(chat.draft).to_have_value(version.body)
    source = chat.offered.locator(".source")
    await expect(source).to_contain_text("《赎回多久到账》")
    await source.locator("summary").click()
    await expect(source.locator(".quote")).to_have_text(version.body)
    await expect(source).to_contain_text("有效至 2027-05-22")
    await chat.offered.get_by_role("button", name="发送").click()
    await expect(chat.phone.last).to_have_text(version.body)
    await expect(chat.sidebar.locator("[data-state=sent]")).to_contain_text(version.body)
    await expect(chat.offered).to_have_count(0)
    assert (await town.seen()).count(version.body) == 1
    assert (await only_one(town)).state is SuggestionState.SENT


async def test_what_the_rm_edits_in_place_is_what_the_customer_gets(
    town: Town, session: AsyncSession, chat: Chat
) -> None:
    version = await material(session)
    await chat.customer_types(ASKED)
    edited = f"李女士，{version.body}"
    await chat.draft.fill(edited)
    await chat.offered.get_by_role("button", name="发送").click()
    await expect(chat.phone.last).to_have_text(edited)
    await expect(chat.sidebar.locator("[data-state=edited]")).to_be_visible()
    assert await town.seen() == [edited]
    assert (await only_one(town)).sent_text == edited


async def test_a_promise_is_refused_under_the_draft_and_reaches_nobody(
    town: Town, session: AsyncSession, chat: Chat
) -> None:
    version = await material(session)
    await chat.customer_types(ASKED)
    promise = f"{version.body}这款产品保本保息，您放心买。"
    await chat.draft.fill(promise)
    await chat.offered.get_by_role("button", name="发送").click()
    refused = chat.offered.locator("[data-refused]")
    await expect(refused).to_contain_text("保本")
    await expect(chat.draft).to_have_value(promise)
    await expect(chat.offered.get_by_role("button", name="发送")).to_be_enabled()
    await expect(chat.phone.last).to_have_text(ASKED)
    assert await town.seen() == []
    await chat.draft.fill(version.body)
    await expect(refused).to_be_hidden()


async def test_the_rm_says_what_does_not_fit(town: Town, session: AsyncSession, chat: Chat) -> None:
    await material(session)
    await chat.customer_types(ASKED)
    before = await chat.offered.bounding_box()
    await chat.offered.locator("summary", has_text="不合适").click()
    reasons = chat.offered.locator(".reasons")
    await expect(reasons.get_by_role("button")).to_have_count(5)
    after = await chat.offered.bounding_box()
    assert before == after, "the list of reasons pushes nothing"
    await reasons.get_by_role("button", name="内容过时").click()
    await expect(chat.sidebar.locator("[data-state=rejected]")).to_contain_text("内容过时")
    suggestion = await only_one(town)
    assert (suggestion.state, suggestion.reject_reason) == (SuggestionState.REJECTED, "内容过时")


async def test_another_one_comes_first_and_the_earlier_one_stays_at_hand(
    session: AsyncSession, chat: Chat
) -> None:
    first = await material(session)
    second = await another_material(session)
    await chat.customer_types(ASKED)
    await expect(chat.draft).to_have_value(first.body)
    await chat.offered.get_by_role("button", name="换一条").click()
    await expect(chat.draft).to_have_value(second.body)
    await chat.sidebar.locator(".earlier summary").first.click()
    await expect(chat.offered.nth(1).locator("[data-draft]")).to_have_value(first.body)


async def test_what_is_being_typed_survives_the_next_message(
    session: AsyncSession, chat: Chat
) -> None:
    await material(session)
    await another_material(session)
    await chat.customer_types(ASKED)
    typed = "李女士，您好，我帮您查一下"
    await chat.draft.fill(typed)
    await chat.customer_types("赎回到账进度在哪查")
    await expect(chat.offered).to_have_count(2)
    await expect(chat.draft).to_have_value(OTHER_BODY)
    editing = chat.offered.nth(1).locator("[data-draft]")
    await expect(editing).to_be_visible()
    await expect(editing).to_have_value(typed)


async def test_withdrawn_while_the_sidebar_is_open_it_says_so_and_cannot_be_sent(
    town: Town, session: AsyncSession, chat: Chat
) -> None:
    version = await material(session)
    await chat.customer_types(ASKED)
    await expect(chat.offered).to_be_visible()
    await withdraw(town, session, version)
    gone = chat.sidebar.locator("[data-state=withdrawn]")
    await expect(gone).to_contain_text("引用的素材已下线")
    await expect(chat.sidebar.locator("[data-send]")).to_have_count(0)
    rm, suggestion = await town.sidebar(), await only_one(town)
    assert suggestion.state is SuggestionState.OFFERED, "looking changes nothing"
    answer = await rm.post(f"/sidebar/suggestions/{suggestion.id}/clear", {"text": version.body})
    assert "已下线" in (await answer.json())["refused"][0]
    await gone.get_by_role("button", name="换一条").click()
    await expect(chat.sidebar.locator("[data-state=no_match]")).to_be_visible()
    assert await town.seen() == []


async def test_a_material_is_found_and_picked_unless_it_was_withdrawn_meanwhile(
    town: Town, session: AsyncSession, chat: Chat, faults: list[str]
) -> None:
    first = await material(session)
    second = await another_material(session)
    await town.works()
    await chat.sidebar.get_by_role("tab", name="话术").click()
    await expect(chat.sidebar.locator(".cell")).to_have_count(2)
    await chat.sidebar.get_by_role("searchbox").fill("赎回进度在哪里看")
    await chat.sidebar.get_by_role("button", name="搜索").click()
    await expect(chat.sidebar.locator(".cell").first).to_contain_text(OTHER_TITLE)
    await chat.sidebar.get_by_role("button", name=f"选用《{OTHER_TITLE}》").click()
    await expect(chat.draft).to_have_value(second.body)
    await expect(chat.offered).to_contain_text("您选用的素材")
    await chat.sidebar.get_by_role("tab", name="话术").click()
    pick = chat.sidebar.get_by_role("button", name=f"选用《{first.title}》")
    await expect(pick).to_be_visible()
    await withdraw(town, session, first)
    await pick.click()
    await expect(chat.sidebar.locator(".toast")).to_contain_text("这份素材已下线")
    assert [fault for fault in faults if "422" not in fault] == []
    faults.clear()


async def test_a_wrong_entry_is_never_blank(town: Town, session: AsyncSession, page: Page) -> None:
    stranger = await a_customer(session, name="周先生")
    await session.commit()
    await sits_down(town, page)
    await page.goto(alone(town))
    await expect(page.get_by_text("请从客户聊天或客户群窗口打开")).to_be_visible()
    await page.goto(alone(town, stranger.external_userid))
    await expect(page.get_by_text("这位联系人不在您的客户名单中")).to_be_visible()


async def test_the_keyboard_alone_is_enough(town: Town, session: AsyncSession, page: Page) -> None:
    version = await material(session)
    await town.writes(ASKED)
    await town.works()
    await sits_down(town, page)
    await page.goto(alone(town, town.customer.external_userid))
    draft = page.locator("[data-draft]")
    await expect(draft).to_have_value(version.body)
    await page.locator("body").press("Tab")
    for _ in range(20):
        if await draft.evaluate("(node) => node === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await page.keyboard.press("Control+Home")
    await page.keyboard.type("李女士，")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("[data-state=edited]")).to_be_visible()
    assert await town.seen() == [f"李女士，{version.body}"]


async def test_nothing_scrolls_sideways_on_narrow_screens(
    town: Town, session: AsyncSession, page: Page
) -> None:
    await material(session)
    await another_material(session)
    await town.writes(f"{ASKED}https://example.com/{'a' * 90}")
    await town.works()
    await sits_down(town, page)
    for width in (320, 360, 400):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.goto(alone(town, town.customer.external_userid))
        for tab in ("推荐", "话术", "素材", "画像", "任务"):
            await page.get_by_role("tab", name=tab, exact=True).click()
            current = page.locator("#side-tabs [aria-selected=true]")
            await expect(current).to_have_text(tab)
            # It is marked at once; what it shows comes with the answer.
            await expect(page.locator("#content[aria-busy]")).to_have_count(0)
            wide = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
            assert await page.evaluate(wide) <= width, f"{tab} at {width} px"


async def test_of_tabs_pressed_faster_than_they_come_the_last_one_shows(
    town: Town, session: AsyncSession, page: Page
) -> None:
    await material(session)
    await sits_down(town, page)
    await page.goto(alone(town, town.customer.external_userid))
    await expect(page.locator(".side-name")).to_contain_text(town.customer.name)
    held: list[Route] = []
    arrived = asyncio.Queue[None]()

    async def hold(route: Route) -> None:
        held.append(route)
        arrived.put_nowait(None)

    await page.route(re.compile("/(scripts|materials|profile)$"), hold)
    for tab in ("话术", "素材", "画像"):
        await page.get_by_role("tab", name=tab, exact=True).click()
        await arrived.get()
    # The answers come the other way round; to what was given up nobody listens any more.
    for route in reversed(held):
        with suppress(Error):
            await route.fulfill(response=await route.fetch())
    await expect(page.locator("#side-tabs [aria-selected=true]")).to_have_text("画像")
    await expect(page.locator("#content")).to_contain_text("基本信息")


async def test_chinese_is_drawn_with_chinese_glyphs(page: Page, town: Town) -> None:
    """A missing glyph is the same box for every character; real ones all differ."""
    await page.goto(f"{town.base}/signin")
    drawn = await page.evaluate(
        """() => [..."银行客户经理素材审批推荐回复归因"].map((character) => {
            const canvas = document.createElement("canvas");
            const pen = canvas.getContext("2d");
            pen.font = `24px ${getComputedStyle(document.body).fontFamily}`;
            pen.fillText(character, 4, 32);
            return canvas.toDataURL();
        })"""
    )
    assert len(set(drawn)) == len(drawn)
