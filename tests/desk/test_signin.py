"""Signing in through WeCom: one browser, one state, one code, one person."""

from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select
from yarl import URL

from bank import staff as people
from bank.models import AuditEntry, Role
from bank.settings import Settings
from desk.models import StaffSession
from desk.signed import ABSOLUTE, COOKIES, IDLE, open_session
from desk.signin import STATE
from tests.builders import a_staff
from tests.conftest import Clock, Visitor
from tests.town import Town, a_town
from wecom.simulator.login import MEMBER_COOKIE


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform."""
    async with a_town(settings, clock, session) as made:
        yield made


async def leaves(town: Town, browser: Visitor, path: str = "/signin") -> URL:
    """The browser leaves for WeCom; the address it comes back to, with its code."""
    away = await browser.get(f"{path}?next=/customers&as={town.rm.userid}")
    assert away.status == 303
    async with aiohttp.ClientSession(cookies={MEMBER_COOKIE: town.rm.userid}) as platform:
        back = await platform.get(away.headers["Location"], allow_redirects=False)
    assert back.status in (302, 303), await back.text()
    return URL(back.headers["Location"])


async def signed_in(browser: Visitor) -> bool:
    return (await browser.get("/customers")).status == 200


async def test_a_member_comes_in_where_they_wanted_to_go(town: Town) -> None:
    browser = await town.client()
    back = await leaves(town, browser)
    answer = await browser.get(back.path_qs)
    assert (answer.status, answer.headers["Location"]) == (303, "/customers")
    assert await signed_in(browser)
    assert [e.action for e in await town.all(AuditEntry)] == ["desk:staff:signin"]
    cookie = answer.cookies[COOKIES["desk"][0]]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


async def test_the_code_works_once(town: Town) -> None:
    browser, thief = await town.client(), await town.client()
    back = await leaves(town, browser)
    assert (await browser.get(back.path_qs)).status == 303
    assert (await browser.get(back.path_qs)).status == 403
    thief.http.cookie_jar.update_cookies({STATE: f"{back.query['state']}|/"}, URL(town.base))
    assert (await thief.get(back.path_qs)).status == 403
    assert not await signed_in(thief)


async def test_a_state_belongs_to_one_browser(town: Town) -> None:
    """Nobody can be made to sign in as somebody else by a link."""
    browser, victim = await town.client(), await town.client()
    back = await leaves(town, browser)
    await victim.get("/signin")
    assert (await victim.get(back.path_qs)).status == 403
    assert not await signed_in(victim)


@pytest.mark.parametrize("state", ["", "é", "状态", "%00", "x" * 5000])
async def test_an_odd_state_is_refused_and_uses_up_the_real_one(town: Town, state: str) -> None:
    browser = await town.client()
    back = await leaves(town, browser)
    assert (await browser.get(str(back.update_query(state=state).relative()))).status == 403
    assert (await browser.get(back.path_qs)).status == 403


async def test_disabled_staff_do_not_come_in(town: Town, session: AsyncSession) -> None:
    browser = await town.client()
    back = await leaves(town, browser)
    (await session.get_one(type(town.rm), town.rm.id)).enabled = False
    await session.commit()
    assert (await browser.get(back.path_qs)).status == 403
    assert await town.all(StaffSession) == []


async def test_the_sidebar_has_a_door_and_a_cookie_of_its_own(town: Town) -> None:
    browser = await town.client()
    back = await leaves(town, browser, "/sidebar/signin")
    answer = await browser.get(back.path_qs)
    assert answer.status == 303
    assert answer.cookies[COOKIES["sidebar"][0]]["path"] == "/sidebar"
    assert not await signed_in(browser)


@pytest.mark.parametrize(
    "away",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\x00/evil.example",
        "/" + "a" * 5000,
    ],
)
async def test_the_way_back_never_leads_to_another_site(town: Town, away: str) -> None:
    browser = await town.client()
    address = URL("/signin").with_query({"next": away, "as": town.rm.userid})
    left = await browser.get(str(address))
    assert left.cookies[STATE].value.endswith("|/")


async def test_a_userid_is_compared_whole(session: AsyncSession) -> None:
    """WeCom allows _ in a userid; it stands for nothing but itself."""
    colleague = await a_staff(session, Role.ADMIN)
    colleague.userid = "wangXmin"
    one = await a_staff(session, Role.RM)
    one.userid = "Wang_Min"
    await session.commit()
    found = await people.by_userid(session, "wang_min")
    assert found is not None
    assert found.id == one.id
    assert await people.by_userid(session, "wang%") is None


async def test_ended_sign_ins_are_forgotten_at_the_next_one(
    town: Town, session: AsyncSession
) -> None:
    for ago in (IDLE, ABSOLUTE, timedelta(minutes=5)):
        await open_session(session, town.rm, "desk", town.clock() - ago - timedelta(seconds=1))
    await session.commit()
    browser = await town.client()
    back = await leaves(town, browser)
    await browser.get(back.path_qs)
    assert len((await session.execute(select(StaffSession))).scalars().all()) == 2


async def test_signing_in_again_ends_the_sign_in_before(town: Town) -> None:
    browser = await town.client(town.rm)
    back = await leaves(town, browser)
    await browser.get(back.path_qs)
    assert len(await town.all(StaffSession)) == 1


async def test_signing_out_needs_the_token_of_the_form(town: Town) -> None:
    browser = await town.client(town.rm)
    forged = await browser.http.post(f"{town.base}/signout", allow_redirects=False)
    assert forged.status == 403
    assert await signed_in(browser)
    assert (await browser.post("/signout")).status == 303
    assert await town.all(StaffSession) == []
    assert not await signed_in(browser)
