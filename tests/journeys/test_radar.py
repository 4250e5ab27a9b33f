"""客户雷达: a link is sent to one customer, opened on a phone, and read; everybody's view of it."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from attribution import openings
from attribution.leads import Leads
from attribution.models import Device, Opener, Opening, TrackedLink
from attribution.openings import purge
from attribution.radar import MOST_OF_ONE
from bank.models import Role
from bank.settings import Settings
from content import review
from content.links import Refused
from content.models import Kind, Version
from customers import consent, holds
from customers.models import Customer, Purpose
from knowledge.models import Suggestion
from knowledge.profiles import profiles_of
from outbound.models import OutboundMessage
from tests.builders import MONDAY, a_customer, a_follow, a_staff, an_approved_material
from tests.content.worlds import Office
from tests.journeys.test_more_than_words import Sidebar, ledger
from tests.knowledge.test_matches import profiled
from tests.sendables import CARDS, an_office_of, live
from tests.town import Town
from wecom.simulator.opening import DESKTOP, PHONE
from wecom.simulator.opening import opened as on_phone

CRAWLER = "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)"
ON_A_PC = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130.0 Safari/537.36 MicroMessenger/7.0"


@pytest.fixture
async def office(town: Town, session: AsyncSession) -> Office:
    """The content team, and a customer who agreed to personal recommendations."""
    await profiled(session, town.customer)
    await session.commit()
    return await an_office_of(session, town.parts.files)


@pytest.fixture
async def sidebar(town: Town) -> Sidebar:
    """The RM at the sidebar."""
    return Sidebar(town, await town.sidebar())


async def an_article(office: Office) -> Version:
    """An article that is live."""
    article = await live(office, Kind.ARTICLE, title="固收类产品怎么看")
    await office.session.commit()
    return article


async def sends(sidebar: Sidebar, version: Version) -> str:
    """The RM sends it; the address on the customer's phone."""
    await sidebar.sends(await sidebar.picks(version))
    return str((await ledger(sidebar.town))[-1]["body"]["url"])


async def opens(town: Town, **wish: Any) -> dict[str, Any]:
    """The customer opens the link on the phone, and what was gathered is written."""
    contact = str(town.customer.external_userid)
    answer = await town.control("open_link", **{"external_userid": contact, **wish})
    await town.parts.radar.write()
    return answer


async def opened(town: Town) -> list[Opening]:
    """Every opening, oldest first."""
    return sorted(await town.all(Opening), key=lambda one: (one.at, str(one.id)))


async def asks(town: Town, url: str, agent: str, **headers: str) -> int:
    """Something asks for the page; the status."""
    sent = {"User-Agent": agent, **headers}
    async with town.http.get(url, headers=sent, allow_redirects=False) as answer:
        status: int = answer.status
    await town.parts.radar.write()
    return status


async def test_an_article_is_read_and_everybody_who_may_sees_by_whom(
    town: Town, office: Office, sidebar: Sidebar, session: AsyncSession
) -> None:
    article = await an_article(office)
    url = await sends(sidebar, article)
    [link] = await town.all(TrackedLink)
    [suggestion] = await town.all(Suggestion)
    assert url == f"{town.base}/r/{link.code}"
    assert len(link.code) == 32
    assert (link.source, link.source_id) == ("suggestion", str(suggestion.id))
    assert (link.customer_id, link.staff_id) == (town.customer.id, town.rm.id)
    assert link.version_id == article.id
    assert (await opens(town, seconds=42, progress=80))["status"] == 200
    town.clock.forward(timedelta(seconds=42))
    await opens(town)
    town.clock.forward(timedelta(minutes=1))
    first, second = await opened(town)
    assert (first.customer_id, first.opener, first.device) == (
        town.customer.id, Opener.PRESUMED, Device.PHONE,
    )  # fmt: skip
    # The clock stood still while the page claimed 42 seconds: the server believes its own clock.
    assert (first.seconds, first.progress, second.seconds) == (2, 80, 0)
    desk = await town.client(town.rm)
    page = await desk.text(f"/content/{article.material_id}/readers")
    assert town.customer.name in page
    assert f"/customers/{town.customer.id}" in page
    assert "行内客户" in page
    assert "按链接推定" in page
    use = await desk.text(f"/content/{article.material_id}/use")
    assert figure(use, "查看人数") == "1"
    assert figure(use, "发送次数") == "1"
    trail = await desk.text(f"/attribution/customer/{town.customer.id}")
    assert "打开了《固收类产品怎么看》V1，阅读 2 秒" in trail
    beside = await sidebar.visitor.text(f"/sidebar/{town.customer.external_userid}/trail")
    assert "打开了《固收类产品怎么看》V1" in beside
    assert "读到 80%" in beside
    assert "按链接推定为客户本人" in beside


def figure(page: str, label: str) -> str:
    """A number of the material's page."""
    found = re.search(rf'{label}</span><span class="figure-value">([^<]*)<', page)
    assert found, page
    return found[1]


async def read_for(town: Town, seconds: int, agent: str = PHONE) -> Opening:
    """The customer opens the link and reads for so long by the clock."""
    [*_, url] = [line["body"]["url"] for line in await ledger(town) if line["msgtype"] == "link"]
    async with town.http.get(url, headers={"User-Agent": agent}) as answer:
        body = await answer.text()
    found = re.search(r'data-told-to="([^"]+)"', body)
    assert found, body
    await town.parts.radar.write()
    town.clock.forward(timedelta(seconds=seconds))
    told = {"seconds": str(seconds), "progress": "100"}
    async with town.http.post(town.base + found[1], data=told) as answer:
        assert answer.status == 204
    await town.parts.radar.write()
    return (await opened(town))[-1]


async def test_reading_lasts_as_long_as_the_clock_says_and_half_an_hour_at_most(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    await sends(sidebar, await an_article(office))
    assert (await read_for(town, 42)).seconds == 42
    assert (await read_for(town, 7200)).seconds == 1800


async def test_the_workbench_names_who_has_read_something_and_not_who_glanced(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    article = await an_article(office)
    await sends(sidebar, article)
    desk = await town.client(town.rm)
    await read_for(town, 4)
    assert "还没有客户打开您发的内容" in await desk.text("/")
    await read_for(town, 65)
    page = await desk.text("/")
    assert "还没有客户打开您发的内容" not in page
    assert "1 分 5 秒" in page


async def test_the_page_says_that_reading_is_logged_and_a_link_by_hand_does_not(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    article = await an_article(office)
    url = await sends(sidebar, article)
    async with town.http.get(url, headers={"User-Agent": PHONE}) as answer:
        assert "本行会记录这份材料的打开时间和阅读时长" in await answer.text()
    desk = await town.client(office.author)
    made = await desk.post(f"/content/versions/{article.id}/link")
    token = re.search(r"link=([\w-]+)", made.headers["Location"])
    assert token
    async with town.http.get(f"{town.base}/m/{token[1]}", headers={"User-Agent": PHONE}) as answer:
        assert "本行会记录" not in await answer.text()


async def test_a_retry_sends_the_same_link_and_another_sending_another_one(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    article = await an_article(office)
    suggestion = await sidebar.picks(article)
    urls = [(await sidebar.clears(suggestion))["messages"][-1]["news"]["link"] for _ in range(2)]
    assert urls[0] == urls[1]
    town.clock.forward(timedelta(minutes=1))
    again = await sidebar.picks(article)
    other = (await sidebar.clears(again))["messages"][-1]["news"]["link"]
    assert other != urls[0]
    assert len(await town.all(TrackedLink)) == 2
    kept = {row.attachments[0]["url"] for row in await town.all(OutboundMessage)}
    assert kept == {urls[0], other}


async def test_previews_programs_and_the_rm_himself_open_nothing(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    url = await sends(sidebar, await an_article(office))
    assert await asks(town, url, CRAWLER) == 200
    assert await asks(town, url, "") == 200
    assert await asks(town, url, "WeixinShareExtension Preview") == 200
    assert await asks(town, url, PHONE, **{"Sec-Purpose": "prefetch"}) == 200
    assert await asks(town, url, DESKTOP) == 200  # the WeCom client
    async with town.http.head(url, headers={"User-Agent": PHONE}) as answer:
        assert answer.status == 200
    desk = await town.client(town.rm)
    code = url.rpartition("/r/")[2]
    answer = await desk.get(f"/r/{code}", headers={"User-Agent": PHONE})
    assert "data-told-to" not in await answer.text()
    await town.parts.radar.write()
    assert await opened(town) == []


async def test_a_link_card_leads_to_its_approved_address_and_nowhere_else(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    card = await live(office, Kind.LINK)
    await office.session.commit()
    await sends(sidebar, card)
    answer = await opens(town)
    assert (answer["status"], answer["elsewhere"]) == (303, CARDS[Kind.LINK].url)
    [one] = await opened(town)
    assert (one.timed, one.seconds) == (False, 0)
    [link] = await town.all(TrackedLink)
    # The bank has taken the host off its list since.
    lead = await Leads(town.parts.sessions, ["other.example"]).of(link.code, town.clock())
    assert lead is not None
    assert isinstance(lead.shown, Refused)
    assert "不在允许的链接域名中" in lead.shown.reason


async def test_a_link_ends_with_its_material_and_an_invented_one_was_never_there(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    article = await an_article(office)
    url = await sends(sidebar, article)
    assert await asks(town, f"{town.base}/r/{'A' * 32}", PHONE) == 404
    assert await asks(town, f"{town.base}/r/short", PHONE) == 404
    await review.withdraw(
        office.session, article.id, by=office.compliance, reason="有误", now=town.clock()
    )
    await office.session.commit()
    assert await asks(town, url, PHONE) == 410
    assert await opened(town) == []


async def test_without_consent_an_opening_has_no_name(
    town: Town, office: Office, sidebar: Sidebar, session: AsyncSession
) -> None:
    article = await an_article(office)
    await sends(sidebar, article)
    customer = await session.get_one(Customer, town.customer.id)
    await consent.withdraw(
        session, customer, by="zhoulan", now=town.clock(), purpose=Purpose.PROFILING
    )
    await session.commit()
    town.clock.forward(timedelta(minutes=1))
    await opens(town)
    [one] = await opened(town)
    assert (one.opener, one.code, one.customer_id, one.staff_id) == (
        Opener.UNNAMED, None, None, None,
    )  # fmt: skip
    desk = await town.client(town.rm)
    page = await desk.text(f"/content/{article.material_id}/readers")
    assert "还没有您可见的客户看过" in page
    assert figure(page, "不记名打开") == "1"


async def test_consent_that_is_withdrawn_hides_what_was_read_at_once_and_then_removes_it(
    town: Town, office: Office, sidebar: Sidebar, session: AsyncSession, settings: Settings
) -> None:
    await sends(sidebar, await an_article(office))
    await read_for(town, 10)
    kept = await session.get_one(Customer, town.customer.id)
    assert await purge(session, settings, town.clock()) == 0
    await consent.withdraw(session, kept, by="zhoulan", now=town.clock(), purpose=Purpose.PROFILING)
    await holds.place(session, kept, "案件 2026-118", by="zhoulan", now=town.clock())
    await session.commit()
    town.clock.forward(timedelta(seconds=1))
    beside = await sidebar.visitor.text(f"/sidebar/{town.customer.external_userid}/trail")
    assert "打开了" not in beside
    assert await purge(session, settings, town.clock()) == 0  # under legal hold
    await holds.release(session, kept, "已结案", by="zhoulan", now=town.clock())
    assert await purge(session, settings, town.clock()) == 1
    await session.commit()
    assert await opened(town) == []


async def test_openings_go_when_their_months_are_over(
    town: Town, office: Office, sidebar: Sidebar, session: AsyncSession, settings: Settings
) -> None:
    await sends(sidebar, await an_article(office))
    await opens(town)
    assert await purge(session, settings, MONDAY + timedelta(days=180)) == 0
    assert await purge(session, settings, MONDAY + timedelta(days=183)) == 1


async def test_others_customers_are_counted_and_never_named(
    town: Town, office: Office, sidebar: Sidebar, session: AsyncSession
) -> None:
    article = await an_article(office)
    await sends(sidebar, article)
    await read_for(town, 10)
    colleague = await a_staff(session, Role.RM, name="赵磊")
    await a_follow(session, colleague, await a_customer(session, name="别家客户"))
    await session.commit()
    page = await (await town.client(colleague)).text(f"/content/{article.material_id}/readers")
    assert town.customer.name not in page
    assert str(town.customer.id) not in page
    assert figure(page, "其他客户") == "1"
    assert figure(page, "您可见的客户") == "0"
    assert (await (await town.client(office.author)).get(page_of(article))).status == 403
    cells = await (await town.client(town.rm)).text(
        f"/content/readers?material={article.material_id}&material=nonsense"
    )
    assert "看过 1 人" in cells
    assert "发送 1 次" in cells


def page_of(version: Version) -> str:
    """Who read it."""
    return f"/content/{version.material_id}/readers"


async def test_another_class_of_device_may_be_another_person(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    article = await an_article(office)
    await sends(sidebar, article)
    await read_for(town, 10)
    beside = f"/sidebar/{town.customer.external_userid}/trail"
    assert "可能已转发给他人" not in await sidebar.visitor.text(beside)
    await read_for(town, 20, ON_A_PC)
    assert "可能已转发给他人" in await sidebar.visitor.text(beside)
    page = await (await town.client(town.rm)).text(page_of(article))
    assert "可能已转发" in page


async def test_nobody_opens_what_one_person_was_sent_without_end(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    url = await sends(sidebar, await an_article(office))

    async def once() -> None:
        async with town.http.get(url, headers={"User-Agent": PHONE}) as answer:
            assert answer.status == 200

    await town.parts.radar.write()
    await asyncio.gather(*(once() for _ in range(20)))
    await town.parts.radar.write()
    # The writer may have come by in the middle, once.
    assert len(await opened(town)) <= 2 * MOST_OF_ONE


async def test_a_thousand_openings_cost_the_database_a_few_statements(
    town: Town, session: AsyncSession
) -> None:
    version = await an_approved_material(session, kind=Kind.ARTICLE)
    codes = [f"{number:032d}" for number in range(1000)]
    session.add_all(
        TrackedLink(
            code=code, source="suggestion", source_id=code, version_id=version.id,
            customer_id=town.customer.id, contact=str(town.customer.external_userid),
            staff_id=town.rm.id, channel="single_chat", made_at=MONDAY,
        )
        for code in codes
    )  # fmt: skip
    await profiled(session, town.customer)
    await session.commit()
    statements: list[str] = []
    engine = town.parts.sessions.kw["bind"].sync_engine
    event.listen(engine, "before_cursor_execute", lambda *facts: statements.append(facts[2]))

    async def once(code: str) -> int:
        async with town.http.get(f"{town.base}/r/{code}", headers={"User-Agent": PHONE}) as answer:
            return int(answer.status)

    statuses = await asyncio.gather(*(once(code) for code in codes))
    await town.parts.radar.write()
    assert set(statuses) == {200}
    assert len(await opened(town)) == 1000
    # One look-up for whoever asked meanwhile, one writing for what came meanwhile.
    assert len(statements) < 200


async def test_openings_wait_while_the_database_is_away(
    town: Town, office: Office, sidebar: Sidebar, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sends(sidebar, await an_article(office))
    radar = town.parts.radar

    async def away(*_: object) -> None:
        raise OSError("away")

    monkeypatch.setattr(radar, "_put", away)
    contact = town.customer.external_userid
    await town.control("open_link", external_userid=contact, seconds=1)
    with pytest.raises(OSError, match="away"):
        await radar.write()
    monkeypatch.undo()
    assert await radar.write() == 1
    [one] = await opened(town)
    assert one.seconds == 1


async def test_a_page_takes_numbers_and_nothing_else(town: Town) -> None:
    visit = f"{town.base}/r/visits/00000000-0000-4000-8000-000000000000"
    for data in ({"seconds": "x", "progress": "-1"}, {"seconds": "9" * 40}):
        async with town.http.post(visit, data=data) as answer:
            assert answer.status == 204
    async with town.http.post(visit, data={"seconds": "1" * 200}) as answer:
        assert answer.status == 413
    assert await town.parts.radar.write() == 0
    assert await opened(town) == []


class TestAsked:
    """Where WeChat is asked who opens the link."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The bank asks."""
        return settings.model_copy(update={"radar_identify": True})

    async def test_the_addressee_is_confirmed(
        self, town: Town, office: Office, sidebar: Sidebar
    ) -> None:
        await sends(sidebar, await an_article(office))
        assert (await opens(town, seconds=1))["status"] == 200
        [one] = await opened(town)
        assert (one.opener, one.customer_id) == (Opener.ADDRESSEE, town.customer.id)

    async def test_somebody_else_is_named_if_they_agreed_and_the_addressee_has_read_nothing(
        self, town: Town, office: Office, sidebar: Sidebar, session: AsyncSession
    ) -> None:
        url = await sends(sidebar, await an_article(office))
        friend = await a_customer(session, name="周先生")
        await profiled(session, friend)
        await session.commit()
        contact = str(friend.external_userid)
        await town.control("seed", contacts=[{"external_userid": contact, "name": "周先生"}])
        # The friend got the link from the customer, outside the bank's chats.
        status, body = await as_in_wechat(town, url, contact)
        assert status == 200
        assert "data-told-to" in body
        await town.parts.radar.write()
        [one] = await opened(town)
        assert (one.opener, one.customer_id) == (Opener.OTHER, friend.id)
        now = town.clock()
        read = await openings.read_since(
            session, [town.customer.id, friend.id], MONDAY - timedelta(days=1), MONDAY, now
        )
        assert read == []

    async def test_a_code_of_another_browser_names_nobody(
        self, town: Town, office: Office, sidebar: Sidebar
    ) -> None:
        url = await sends(sidebar, await an_article(office))
        assert await asks(town, f"{url}?code=stolen&state=x", PHONE) == 200
        [one] = await opened(town)
        assert one.opener is Opener.PRESUMED

    async def test_outside_wechat_nobody_is_asked(
        self, town: Town, office: Office, sidebar: Sidebar
    ) -> None:
        url = await sends(sidebar, await an_article(office))
        safari = PHONE.partition(" MicroMessenger")[0]
        assert await asks(town, url, safari) == 200
        assert await asks(town, url, PHONE) == 303


async def as_in_wechat(town: Town, url: str, contact: str) -> tuple[int, str]:
    """Somebody else's phone opens a link it got from a friend."""
    page = await on_phone(contact, url)
    return page.status, page.body.decode()


class TestOff:
    """Where the bank has switched logging off."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Nothing is logged."""
        return settings.model_copy(update={"radar": "off"})

    async def test_nothing_is_logged_and_links_are_those_of_the_material(
        self, town: Town, office: Office, sidebar: Sidebar
    ) -> None:
        card = await live(office, Kind.LINK)
        article = await an_article(office)
        assert await sends(sidebar, card) == CARDS[Kind.LINK].url
        town.clock.forward(timedelta(minutes=1))
        assert "/m/" in await sends(sidebar, article)
        assert await town.all(TrackedLink) == []
        page = await (await town.client(town.rm)).text(page_of(article))
        assert "阅读记录已关闭" in page


class TestAll:
    """Where the bank's privacy text covers everybody."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Everybody's openings are logged."""
        return settings.model_copy(update={"radar": "all"})

    async def test_everybody_has_a_name_and_still_nobody_is_profiled_without_consent(
        self, town: Town, session: AsyncSession, sidebar: Sidebar
    ) -> None:
        office = await an_office_of(session, town.parts.files)
        await sends(sidebar, await an_article(office))
        one = await read_for(town, 10)
        assert one.customer_id == town.customer.id
        async with town.parts.sessions() as looking:
            customer = await looking.get_one(Customer, town.customer.id)
            [profile] = await profiles_of(looking, [customer], town.clock())
        assert profile.signals == ()
