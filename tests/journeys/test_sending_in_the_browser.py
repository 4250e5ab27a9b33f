"""Sending more than words with eyes and hands: the sidebar and the customer's phone in Chromium."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import FrameLocator, Locator, Page, expect
from sqlalchemy.ext.asyncio import AsyncSession

from content.models import Kind, Version
from content.script_models import ScriptFolder, ScriptLevel, ScriptPlace
from customers.models import CustomerGroup, GroupMember
from outbound.models import OutboundMessage, OutboundState
from tests.browser import taken
from tests.builders import MONDAY, a_product, an_approved_material
from tests.content.worlds import Office
from tests.sendables import CARDS, FILES, an_office_of, live
from tests.town import Town

PATIENCE_MS = 15_000
PICTURES = os.environ.get("SIYU_TEST_PICTURES", "")
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
async def office(town: Town, session: AsyncSession) -> Office:
    """The content team over the product's own files."""
    return await an_office_of(session, town.parts.files)


class Chat:
    """The play page: the customer's phone at the left, the RM's WeCom with the sidebar."""

    def __init__(self, town: Town, page: Page) -> None:
        self.town, self.page = town, page

    @property
    def phone(self) -> Locator:
        """What stands on the customer's phone."""
        return self.page.locator("#phone-body .bubble")

    @property
    def sidebar(self) -> FrameLocator:
        """The product beside the chat."""
        return self.page.frame_locator("#sidebar")

    @property
    def card(self) -> Locator:
        """The reply that may be sent."""
        return self.sidebar.locator("[data-state=offered]").first

    async def opens(self, customer: str = "") -> None:
        """Both sides open the chat."""
        contact = customer or self.town.customer.external_userid
        await self.page.goto(
            f"{self.town.platform}/?member={self.town.rm.userid}&customer={contact}"
        )

    async def picks(self, version: Version) -> None:
        """The RM chooses from the tab of materials."""
        await expect(self.sidebar.locator(".side-name")).to_contain_text(self.town.customer.name)
        await self.sidebar.locator("#tab-materials").click()
        await self.sidebar.get_by_role("button", name=f"选用《{version.title}》").click()
        await expect(self.card.locator("[data-send]")).to_be_visible()

    async def attaches(self, version: Version) -> None:
        """One more beside the text."""
        await self.unfolds()
        await self.card.get_by_role("button", name=f"附上《{version.title}》").click()
        await expect(self.attached(version)).to_be_visible()

    async def unfolds(self) -> None:
        """What may be attached is listed; a nudge may draw the card anew while a key is down."""
        fold = self.card.locator(".attach")
        while not await fold.evaluate("fold => fold.open"):
            await fold.locator("summary").press("Enter")

    def attached(self, version: Version) -> Locator:
        """It stands beside the text, and can be taken off."""
        return self.card.get_by_role("button", name=f"移除《{version.title}》")

    async def picture(self, name: str) -> None:
        """Kept where somebody wants to look at it."""
        if PICTURES:
            await self.page.screenshot(path=Path(PICTURES) / f"{name}.png")


@pytest.fixture
async def chat(town: Town, page: Page) -> Chat:
    """The chat with the customer."""
    return Chat(town, page)


async def sent_rows(town: Town) -> list[OutboundMessage]:
    """What reached somebody."""
    rows = await town.all(OutboundMessage)
    return [row for row in rows if row.state is OutboundState.SENT]


async def test_a_poster_is_seen_on_the_phone(town: Town, office: Office, chat: Chat) -> None:
    poster = await live(office, Kind.IMAGE)
    await office.session.commit()
    await chat.opens()
    await chat.picks(poster)
    preview = chat.card.locator(".attached-picture")
    await expect(preview).to_be_visible()
    assert await preview.evaluate("image => image.naturalWidth") == 400
    await chat.picture("poster-before")
    await chat.card.locator("[data-send]").click()
    picture = chat.page.locator("#phone-body img.picture")
    await expect(picture).to_be_visible()
    await chat.page.wait_for_function(
        "document.querySelector('#phone-body img.picture').naturalWidth === 400"
    )
    await expect(chat.sidebar.locator("[data-state=sent]")).to_contain_text("另附 1 份素材")
    await chat.picture("poster-after")


async def test_a_link_card_opens_and_a_file_is_downloaded(
    town: Town, office: Office, chat: Chat, tmp_path: Path
) -> None:
    link, paper = await live(office, Kind.LINK), await live(office, Kind.FILE)
    await office.session.commit()
    await chat.opens()
    await chat.picks(link)
    await chat.attaches(paper)
    await chat.card.locator("[data-send]").click()
    card = chat.page.locator("#phone-body a.card").first
    await expect(card).to_contain_text(CARDS[Kind.LINK].title)
    opens = str(await card.evaluate("card => card.href"))
    async with town.http.get(opens, allow_redirects=False) as opened:
        assert opened.headers["Location"] == CARDS[Kind.LINK].url
    file = chat.page.locator("#phone-body a[download]")
    await expect(file).to_contain_text(FILES[Kind.FILE][0])
    async with chat.page.expect_download() as download:
        await file.click()
    got = await asyncio.to_thread((await taken(await download.value, tmp_path)).read_bytes)
    assert paper.file_id is not None
    assert got == await town.parts.files.read(paper.file_id)


async def test_a_combination_is_sent_by_keyboard_alone(
    town: Town, office: Office, chat: Chat
) -> None:
    poster, paper, link = [await live(office, kind) for kind in (Kind.IMAGE, Kind.FILE, Kind.LINK)]
    await office.session.commit()
    await chat.opens()
    await chat.picks(poster)
    for version in (paper, link):
        await chat.unfolds()
        await chat.card.get_by_role("button", name=f"附上《{version.title}》").press("Enter")
        await expect(chat.attached(version)).to_be_visible()
    await expect(chat.card.locator("[data-send]")).to_contain_text("4 条")
    await chat.picture("combination")
    await chat.card.locator("[data-draft]").press("Control+Enter")
    await expect(chat.phone).to_have_count(4)
    await expect(chat.sidebar.locator("[data-state=sent]")).to_contain_text("另附 3 份素材")
    [row] = await sent_rows(town)
    assert row.delivered == 4
    await chat.picture("combination-sent")


async def test_what_is_withdrawn_meanwhile_is_refused_with_words(
    town: Town, office: Office, chat: Chat
) -> None:
    poster, paper = await live(office, Kind.IMAGE), await live(office, Kind.FILE)
    await office.session.commit()
    await chat.opens()
    await chat.picks(poster)
    await chat.attaches(paper)
    desk = await town.client(office.compliance)
    reason = {"reason": "监管口径有变，需要重写。"}
    assert (await desk.post(f"/content/versions/{paper.id}/withdraw", reason)).status == 303
    # The open sidebar is told at once: the card can no longer be pressed.
    gone = chat.sidebar.get_by_text("引用的素材已下线").first
    await expect(gone).to_be_visible()
    await expect(chat.phone).to_have_count(0)
    await chat.picture("withdrawn")


async def test_a_customer_of_seventy_gets_r3_only_after_the_notice_is_ticked(
    town: Town, office: Office, chat: Chat, session: AsyncSession
) -> None:
    town.customer.born_on = (MONDAY - timedelta(days=70 * 366)).date()
    await session.merge(town.customer)
    product = await a_product(session, rating=3, name="稳进优选一年")
    version = await an_approved_material(
        session, title="稳进优选一年说明", kind=Kind.PRODUCT_NOTE, risk=3, products=[product]
    )
    await session.commit()
    await chat.opens()
    await chat.picks(version)
    send = chat.card.locator("[data-send]")
    await expect(send).to_be_disabled()
    await chat.card.locator("[data-draft]").press("Control+Enter")
    await expect(chat.phone).to_have_count(0)
    await chat.picture("notice")
    await chat.card.locator("[data-notice]").press("Space")
    await expect(send).to_be_enabled()
    await send.click()
    await expect(chat.phone).to_have_count(1)
    await expect(chat.sidebar.locator("[data-state=sent]")).to_be_visible()
    [row] = await sent_rows(town)
    assert row.special_notice


async def a_series_of(town: Town, session: AsyncSession, *versions: Version) -> None:
    """The RM keeps these as 组合话术, in this order."""
    folder = ScriptFolder(
        level=ScriptLevel.PERSONAL, staff_id=town.rm.id, name="赎回说明", series=True,
        made_at=MONDAY,
    )  # fmt: skip
    session.add(folder)
    await session.flush()
    for position, version in enumerate(versions, 1):
        place = {"folder_id": folder.id, "material_id": version.material_id}
        session.add(ScriptPlace(**place, position=position))
    await session.commit()


async def test_a_series_of_a_script_a_picture_a_link_and_a_file_is_sent_one_after_another(
    town: Town, office: Office, chat: Chat, session: AsyncSession
) -> None:
    script = await an_approved_material(session, title="先问候", kind=Kind.SCRIPT)
    beside = [await live(office, kind) for kind in (Kind.IMAGE, Kind.LINK, Kind.FILE)]
    await a_series_of(town, session, script, *beside)
    await chat.opens()
    await expect(chat.sidebar.locator(".side-name")).to_contain_text(town.customer.name)
    await chat.sidebar.locator("#tab-scripts").click()
    await chat.sidebar.get_by_role("button", name="赎回说明（组合） 4").click()
    items = chat.sidebar.locator("[data-take]")
    await expect(items).to_have_count(4)
    await chat.picture("series")
    await items.nth(1).get_by_role("button", name="发送").click()
    await expect(items.nth(1)).to_have_attribute("data-state", "sent")
    await expect(chat.phone).to_have_count(2)
    progress = chat.sidebar.locator("[data-progress]")
    await expect(progress).to_have_text("已发 1 / 4 条")
    await chat.sidebar.get_by_role("button", name="依次发送").press("Enter")
    await expect(progress).to_have_text("4 条全部发出")
    await expect(chat.sidebar.get_by_role("button", name="依次发送")).to_be_disabled()
    await chat.picture("series-sent")
    # What was sent by its own button is not sent again.
    await expect(chat.phone).to_have_count(7)
    async with town.http.get(f"{town.platform}/control/ledger") as told:
        seen = [line["msgtype"] for line in (await told.json())["ledger"]]
    assert seen == ["text", "image", "text", "text", "link", "text", "file"]
    rows = await sent_rows(town)
    assert {row.versions[0]["version_id"] for row in rows} == {str(v.id) for v in (script, *beside)}
    assert len(rows) == 4


async def test_a_series_stops_at_what_was_withdrawn_and_says_so(
    town: Town, office: Office, chat: Chat, session: AsyncSession
) -> None:
    poster, paper = await live(office, Kind.IMAGE), await live(office, Kind.FILE)
    await a_series_of(town, session, poster, paper)
    await chat.opens()
    await expect(chat.sidebar.locator(".side-name")).to_contain_text(town.customer.name)
    await chat.sidebar.locator("#tab-scripts").click()
    await chat.sidebar.get_by_role("button", name="赎回说明（组合） 2").click()
    items = chat.sidebar.locator("[data-take]")
    await expect(items).to_have_count(2)
    desk = await town.client(office.compliance)
    reason = {"reason": "监管口径有变，需要重写。"}
    assert (await desk.post(f"/content/versions/{paper.id}/withdraw", reason)).status == 303
    await chat.sidebar.get_by_role("button", name="依次发送").click()
    await expect(chat.sidebar.locator("[data-progress]")).to_contain_text("停在第 2 条")
    await expect(items.nth(1).locator("[data-refused]")).to_contain_text("已下线、过期或不适合")
    await expect(chat.phone).to_have_count(2)
    await chat.picture("series-stopped")


async def a_group(town: Town, session: AsyncSession) -> str:
    """A customer group of the RM, on the platform and in our tables."""
    made = await town.control(
        "create_group",
        owner=town.rm.userid,
        name="城东理财交流群",
        customers=[town.customer.external_userid],
    )
    chat_id = str(made["chat_id"])
    group = CustomerGroup(chat_id=chat_id, name="城东理财交流群", owner_userid=town.rm.userid)
    session.add(group)
    await session.flush()
    session.add_all(
        [
            GroupMember(
                group_id=group.id, member_id=town.rm.userid, is_staff=True, joined_at=MONDAY
            ),
            GroupMember(
                group_id=group.id, member_id=str(town.customer.external_userid),
                customer_id=town.customer.id, joined_at=MONDAY,
            ),
        ]
    )  # fmt: skip
    return chat_id


async def test_a_poster_goes_into_a_group_and_the_row_names_who_was_there(
    town: Town, office: Office, chat: Chat, session: AsyncSession
) -> None:
    chat_id = await a_group(town, session)
    poster = await live(office, Kind.IMAGE)
    await session.commit()
    await chat.opens()
    await chat.page.locator("#conv-list").get_by_text("城东理财交流群").click()
    await expect(chat.sidebar.locator(".side-name")).to_contain_text("城东理财交流群")
    await chat.sidebar.locator("#tab-materials").click()
    await chat.picture("group")
    await chat.sidebar.get_by_role("button", name=f"选用《{poster.title}》").press("Enter")
    await expect(chat.sidebar.get_by_role("button", name="发送到群")).to_be_enabled()
    await chat.picture("group-message")
    await chat.sidebar.get_by_role("button", name="发送到群").press("Enter")
    await expect(chat.sidebar.locator("[data-state=sent]")).to_be_visible()
    [row] = await sent_rows(town)
    assert (row.door.value, row.chat_id, row.delivered) == ("group", chat_id, 2)
    assert [one["customer_id"] for one in row.recipients] == [str(town.customer.id)]
    await expect(chat.page.locator("#chat-body img.picture")).to_be_visible()
    await chat.picture("group-sent")
