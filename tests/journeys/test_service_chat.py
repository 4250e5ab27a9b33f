"""Path of 微信客服 with eyes and hands: a customer asks, is answered, wants a person, gets one."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import Page, expect
from sqlalchemy.ext.asyncio import AsyncSession

from bank.settings import Settings
from bot.service import words
from desk.signed import COOKIES
from tests.bot.servicing import ASKED, DESK, Counter, a_counter
from tests.conftest import Clock

PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
async def counter(
    settings: Settings, clock: Clock, session: AsyncSession
) -> AsyncIterator[Counter]:
    """A counter that answers."""
    async with a_counter(settings, clock, session) as made:
        yield made


async def types(counter: Counter, page: Page, text: str) -> None:
    """The customer writes on the phone, and the product has had its round."""
    counter.clock.forward(timedelta(seconds=5))
    await page.fill("#phone-text", text)
    await page.press("#phone-text", "Enter")
    await expect(page.locator("#phone-body .bubble").last).to_contain_text(text)
    await counter.town.control("settle")
    await counter.works()


async def test_from_the_first_question_to_the_person(counter: Counter, page: Page) -> None:
    town, rm = counter.town, counter.town.rm
    link = await town.parts.wecom.service.contact_way(DESK, "lobby")
    await page.goto(f"{town.platform}/service?customer={counter.who}&account={DESK}")
    await town.control("service_enter", url=link, external_userid=counter.who)
    await town.control("settle")
    await counter.works()
    phone = page.locator("#phone-body .bubble")
    await expect(phone.last).to_contain_text("智能助手")

    await types(counter, page, ASKED)
    await expect(phone.last).to_contain_text("【AI生成】")
    await expect(phone.last).to_contain_text("《赎回多久到账》")

    await types(counter, page, "转人工")
    await expect(phone.last).to_contain_text(words.HANDOVER)
    [card] = await counter.cards()
    await town.control("press_card", userid=rm.userid, task_id=card.task_id, key="take")
    await town.control("settle")
    await counter.works()
    assert counter.state() == 3

    await town.control(
        "service_answer",
        open_kfid=DESK,
        external_userid=counter.who,
        servicer=rm.userid,
        text="您好，我是王敏，请问有什么可以帮您？",
    )
    await town.control("settle")
    await counter.works()
    await expect(phone.last).to_contain_text("我是王敏")
    await sees_it_all(counter, page)


async def sees_it_all(counter: Counter, page: Page) -> None:
    """The RM opens the conversation at the desk."""
    rm = await counter.town.client(counter.town.rm)
    name = COOKIES["desk"][0]
    [token] = [c.value for c in rm.http.cookie_jar if c.key == name]
    base = counter.town.base
    await page.context.add_cookies([{"name": name, "value": token, "url": base}])
    await page.goto(f"{base}/service?state=served")
    await page.get_by_role("link", name="李女士").click()
    await expect(page.locator(".chat-line")).to_have_count(6)
    await expect(page.get_by_role("link", name="《赎回多久到账》V1")).to_be_visible()
    await expect(page.get_by_text("未自动答复：客户要求人工服务")).to_be_visible()
    await expect(page.get_by_text("人工接待中").first).to_be_visible()
    await expect(page.get_by_role("button", name="我来接待")).to_have_count(0)
