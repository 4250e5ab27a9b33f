"""The pages of 渠道活码 and 欢迎语: who sees which codes, and what can be done about them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import Branch, Role, Staff
from bank.settings import Settings
from bot.models import ContactWay, WayState, Welcome, WelcomeState
from bot.welcoming import contact_ways, welcome_text
from content.models import Kind, Version
from customers.models import Follow
from tests.builders import a_branch, a_customer, a_staff, an_approved_material
from tests.conftest import Clock
from tests.town import Town, a_town

LOBBY = "大堂易拉宝"


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform."""
    async with a_town(settings, clock, session) as made:
        yield made


async def a_script(session: AsyncSession, title: str = "大堂欢迎语") -> Version:
    return await an_approved_material(
        session, title=title, body="您好，我是{客户经理}。", questions=(), kind=Kind.SCRIPT
    )


async def a_way(
    town: Town, session: AsyncSession, rm: Staff | None = None, channel: str = LOBBY
) -> ContactWay:
    """A code that can be scanned."""
    rm = rm or town.rm
    await contact_ways.make(
        session, [rm], channel, None, skip_verify=True, by="hq", now=town.clock()
    )
    await session.commit()
    await town.parts.way_maker.work()
    query = select(ContactWay).where(ContactWay.staff_id == rm.id, ContactWay.channel == channel)
    return (await session.execute(query)).scalar_one()


async def ways(town: Town) -> list[ContactWay]:
    found: list[ContactWay] = await town.all(ContactWay)
    return found


async def test_head_office_makes_codes_for_several_rms_at_once(
    town: Town, session: AsyncSession
) -> None:
    hq = await a_staff(session, Role.HQ)
    others = [await a_staff(session, Role.RM) for _ in range(2)]
    script = await a_script(session)
    await session.commit()
    desk = await town.client(hq)
    form = await desk.text("/channels/new")
    assert all(rm.name in form for rm in others)
    assert script.title in form
    answer = await desk.post(
        "/channels/new",
        {
            "channel": LOBBY,
            "scope": "all",
            "welcome": str(script.material_id),
            "skip_verify": "yes",
        },
    )
    assert answer.status == 303
    made = await ways(town)
    assert {way.staff_id for way in made} == {town.rm.id, *(rm.id for rm in others)}
    assert {way.welcome_material_id for way in made} == {script.material_id}
    listed = await desk.text("/channels")
    assert listed.count("生成中</span>") == 3


async def test_a_form_that_cannot_be_saved_says_why_and_keeps_what_was_typed(
    town: Town, session: AsyncSession
) -> None:
    hq = await a_staff(session, Role.HQ)
    await session.commit()
    desk = await town.client(hq)
    answer = await desk.post("/channels/new", {"channel": "社区宣讲", "scope": "picked"})
    said = await answer.text()
    assert answer.status == 422
    assert "请至少选择一位客户经理" in said
    assert "社区宣讲" in said
    answer = await desk.post(
        "/channels/new",
        {"channel": LOBBY, "scope": "picked", "rms": str(town.rm.id), "welcome": str(uuid4())},
    )
    assert answer.status == 422
    assert await ways(town) == []


async def test_the_phone_follows_the_form(town: Town, session: AsyncSession) -> None:
    hq = await a_staff(session, Role.HQ)
    script = await a_script(session)
    await session.commit()
    desk = await town.client(hq)
    chosen = {"scope": "picked", "rms": str(town.rm.id), "welcome": str(script.material_id)}
    assert "您好，我是王敏。" in await (await desk.post("/channels/preview", chosen)).text()
    nothing = await (await desk.post("/channels/preview", {"scope": "picked"})).text()
    assert welcome_text.NOT_CHOSEN in nothing


async def test_a_branch_manager_makes_codes_for_the_own_branch_only(
    town: Town, session: AsyncSession
) -> None:
    branch = await session.get_one(Branch, town.rm.branch_id)
    manager = await a_staff(session, Role.BRANCH_MANAGER, branch=branch)
    elsewhere = await a_branch(session, "城西支行")
    stranger = await a_staff(session, Role.RM, branch=elsewhere, name="别处")
    await session.commit()
    desk = await town.client(manager)
    assert "别处" not in await desk.text("/channels/new")
    answer = await desk.post(
        "/channels/new", {"channel": LOBBY, "scope": "picked", "rms": str(stranger.id)}
    )
    assert answer.status == 422
    await desk.post("/channels/new", {"channel": LOBBY, "scope": str(elsewhere.id)})
    await desk.post("/channels/new", {"channel": LOBBY, "scope": "all"})
    assert [way.staff_id for way in await ways(town)] == [town.rm.id]


async def test_an_rm_sees_own_codes_and_changes_none(town: Town, session: AsyncSession) -> None:
    other = await a_staff(session, Role.RM, name="别人")
    own = await a_way(town, session)
    await contact_ways.make(
        session, [other], "别人的渠道", None, skip_verify=True, by="hq", now=town.clock()
    )
    await session.commit()
    desk = await town.client(town.rm)
    listed = await desk.text("/channels")
    assert LOBBY in listed
    assert "别人的渠道" not in listed
    [theirs] = [way for way in await ways(town) if way.id != own.id]
    assert (await desk.get(f"/channels/{theirs.id}")).status == 404
    assert (await desk.get(f"/channels/{own.id}")).status == 200
    assert (await desk.post(f"/channels/{own.id}/retire")).status == 403


async def test_one_code_shows_its_picture_and_whom_it_brought(
    town: Town, session: AsyncSession
) -> None:
    hq = await a_staff(session, Role.HQ)
    way = await a_way(town, session)
    for days, name in ((1, "赵先生"), (20, "钱女士")):
        customer = await a_customer(session, name=name)
        added_at = town.clock() - timedelta(days=days)
        session.add(
            Follow(staff_id=town.rm.id, customer_id=customer.id, added_at=added_at, source=way.key)
        )
    await session.commit()
    desk = await town.client(hq)
    answer = await desk.get(f"/channels/{way.id}")
    said = await answer.text()
    assert way.qr_code in said
    assert "img-src 'self' http" in answer.headers["Content-Security-Policy"]
    assert "赵先生" in said
    assert "钱女士" in said
    listed = await desk.text("/channels")
    assert '<td class="num">2</td>' in listed
    assert '<td class="num">1</td>' in listed


async def test_a_failed_code_says_what_to_do_and_can_be_retried(
    town: Town, session: AsyncSession
) -> None:
    hq = await a_staff(session, Role.HQ)
    await session.commit()
    await town.control("faults", api=[{"path": "add_contact_way", "times": 1, "answer": 41054}])
    way = await a_way(town, session)
    desk = await town.client(hq)
    assert "尚未激活企业微信" in await desk.text(f"/channels/{way.id}")
    assert (await desk.post(f"/channels/{way.id}/retry")).status == 303
    await town.parts.way_maker.work()
    assert [row.state for row in await ways(town)] == [WayState.LIVE]


async def test_a_code_is_retired_and_leaves_the_platform(town: Town, session: AsyncSession) -> None:
    hq = await a_staff(session, Role.HQ)
    way = await a_way(town, session)
    desk = await town.client(hq)
    assert (await desk.post(f"/channels/{way.id}/retire")).status == 303
    await town.parts.way_maker.work()
    said = await desk.text(f"/channels/{way.id}")
    assert "二维码已失效" in said
    assert way.qr_code not in said


async def test_the_welcome_of_a_code_can_be_changed(town: Town, session: AsyncSession) -> None:
    hq = await a_staff(session, Role.HQ)
    script = await a_script(session)
    way = await a_way(town, session)
    desk = await town.client(hq)
    await desk.post(f"/channels/{way.id}/welcome", {"welcome": str(script.material_id)})
    assert [row.welcome_material_id for row in await ways(town)] == [script.material_id]
    await desk.post(f"/channels/{way.id}/welcome", {"welcome": str(uuid4())})
    assert [row.welcome_material_id for row in await ways(town)] == [script.material_id]
    assert "我是王敏" in await desk.text(f"/channels/{way.id}")


async def test_the_source_of_a_customer_is_named_on_their_page(
    town: Town, session: AsyncSession
) -> None:
    way = await a_way(town, session)
    desk = await town.client(town.rm)
    assert LOBBY in await desk.text(f"/channels/source?key={way.key}")
    assert "柜面推荐" in await desk.text("/channels/source?key=柜面推荐")


# ----------------------------------------------------------------------------------------- welcomes


async def test_head_office_chooses_the_banks_welcome_and_an_rm_their_own(
    town: Town, session: AsyncSession
) -> None:
    hq = await a_staff(session, Role.HQ)
    bank, own = await a_script(session, "全行欢迎语"), await a_script(session, "我的欢迎")
    await session.commit()
    await (await town.client(hq)).post("/welcomes/default", {"welcome": str(bank.material_id)})
    desk = await town.client(town.rm)
    assert "全行默认" in await desk.text("/welcomes")
    assert (await desk.post("/welcomes/default", {"welcome": ""})).status == 403
    await desk.post("/welcomes/mine", {"welcome": str(own.material_id)})
    async with town.parts.sessions() as looking:
        assert await welcome_text.chosen(looking, None) == bank.material_id
        assert await welcome_text.chosen(looking, town.rm.id) == own.material_id
    answer = await desk.post("/welcomes/mine", {"welcome": str(uuid4())})
    assert "没有保存" in answer.headers["Location"]


async def test_what_became_of_the_last_welcomes_is_shown_with_its_seconds(
    town: Town, session: AsyncSession
) -> None:
    hq = await a_staff(session, Role.HQ)
    script = await a_script(session, "全行欢迎语")
    await welcome_text.choose(session, None, script.material_id, by="hq", now=town.clock())
    way = await a_way(town, session)
    await town.control("scan", config_id=way.config_id, name="赵先生")
    await town.control("settle")
    town.clock.forward(timedelta(seconds=2))
    await town.parts.greeter.greet_new()
    await town.control("scan", config_id=way.config_id, name="钱女士")
    await town.control("settle")
    town.clock.forward(timedelta(seconds=19))
    await town.parts.greeter.greet_new()
    await town.works()
    for reader in (hq, town.rm):
        desk = await town.client(reader)
        said = await desk.text("/welcomes")
        assert "2.0 秒" in said
        assert "已发送 1" in said
        assert "超过 20 秒未发出 1" in said
        assert "赵先生" in said
        assert LOBBY in said
        late = await desk.text("/welcomes?state=expired")
        assert "20 秒的发送时限已过" in late
        assert "赵先生" not in late


async def test_an_rm_sees_no_welcome_of_another(town: Town, session: AsyncSession) -> None:
    other = await a_staff(session, Role.RM, name="别人")
    session.add(
        Welcome(
            id=UUID(int=1),
            code_digest=b"1",
            userid=other.userid,
            external_userid="wm1",
            state=WelcomeState.REFUSED,
            reason="不该看到的原因",
            created_at=town.clock(),
            received_at=town.clock(),
        )
    )
    await session.commit()
    assert "不该看到的原因" not in await (await town.client(town.rm)).text("/welcomes")
    assert "不该看到的原因" in await (await town.client(other)).text("/welcomes")
