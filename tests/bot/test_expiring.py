"""即将到期: what ends, where it is used, renewing and reminding; what became of a material."""

from collections.abc import AsyncIterator
from datetime import time, timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Role
from bank.settings import Settings
from bot.models import CardKind, MemberCard, WelcomeChoice
from content import renewals
from content.models import Material, State, Version
from scheduler.models import Sop, SopState, Step, Trigger
from tests.builders import MONDAY, a_customer, a_follow, a_staff, an_approved_material
from tests.conftest import Clock, Product
from tests.content.worlds import Office, an_office
from tests.knowledge.test_gaps import asked
from tests.town import Town, a_town


async def a_step(
    session: AsyncSession, material_id: UUID, state: SopState = SopState.RUNNING
) -> Sop:
    """A sequence whose only step is this material."""
    owner = await a_staff(session, Role.HQ, name="总行运营")
    sop = Sop(
        code=f"S-{material_id}", name="新客陪伴", kind="新客", goal="完成测评",
        trigger=Trigger.MANUAL, control_percent=0, marketing=False, state=state,
        owner_id=owner.id, created_at=MONDAY,
    )  # fmt: skip
    session.add(sop)
    await session.flush()
    session.add(Step(sop_id=sop.id, position=1, day=0, at=time(10), material_id=material_id))
    await session.flush()
    return sop


async def ending(session: AsyncSession, title: str, days: int) -> Version:
    version = await an_approved_material(session, title=title)
    version.valid_until = MONDAY + timedelta(days=days)
    version.valid_from = version.valid_until - timedelta(days=90)
    await session.flush()
    return version


async def test_what_leaves_a_running_sequence_without_text_stands_first(
    product: Product, session: AsyncSession
) -> None:
    await ending(session, "先到期", 2)
    used = await ending(session, "有步骤在用", 20)
    later = await ending(session, "三个月内", 60)
    await ending(session, "刚过期", -3)
    sop = await a_step(session, used.material_id)
    await a_step(session, later.material_id, SopState.STOPPED)
    hq = await a_staff(session, Role.HQ)
    await session.commit()
    desk = await product.client(hq)
    page = await desk.text("/content/expiring")
    assert page.index("有步骤在用") < page.index("先到期")
    assert "1 份素材正被运行中的 SOP、欢迎语或渠道使用" in page
    assert f'<a href="/sops/{sop.id}">新客陪伴 第 1 步（运行中）</a>' in page
    assert "三个月内" not in page
    quarter = await desk.text("/content/expiring?window=90")
    assert "三个月内" in quarter
    assert quarter.count("新客陪伴") == 1
    lapsed = await desk.text("/content/expiring?window=ended")
    assert "刚过期" in lapsed
    assert "已到期 3 天" in lapsed


async def test_nothing_ends_is_said_with_the_way_on(
    product: Product, session: AsyncSession
) -> None:
    approver = await a_staff(session, Role.APPROVER)
    await session.commit()
    desk = await product.client(approver)
    assert "7 天内没有素材到期" in await desk.text("/content/expiring?window=7")
    assert "近 30 天没有素材到期" in await desk.text("/content/expiring?window=ended")


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product beside a platform that takes cards."""
    async with a_town(settings, clock, session) as made:
        yield made


async def an_office_with(session: AsyncSession, product: Product) -> Office:
    """The office whose files the running product reads."""
    return await an_office(session, product.parts.settings.home / "files")


async def test_renewing_submits_the_same_words_and_the_live_version_stays(
    product: Product, session: AsyncSession
) -> None:
    office = await an_office_with(session, product)
    version = await office.live()
    version.valid_until = MONDAY + timedelta(days=10)
    await session.commit()
    desk = await product.client(office.author)
    assert "续期</button>" in await desk.text("/content/expiring")
    answer = await desk.post(f"/content/{version.material_id}/renew?window=30")
    assert answer.status == 303, await answer.text()
    rows = select(Version).where(Version.material_id == version.material_id)
    old, new = (await session.execute(rows.order_by(col(Version.number)))).scalars()
    await session.refresh(old)
    assert (old.state, new.state) == (State.APPROVED, State.SUBMITTED)
    assert (new.title, new.body, new.questions) == (old.title, old.body, old.questions)
    page = await desk.text("/content/expiring")
    assert "V2 待审" in page
    assert "续期</button>" not in page
    again = await desk.post(f"/content/{version.material_id}/renew")
    assert again.status == 422
    assert "V2 正在处理中（待审）" in await again.text()


async def test_what_was_suspended_or_withdrawn_is_revised_not_renewed(
    product: Product, session: AsyncSession
) -> None:
    office = await an_office_with(session, product)
    version = await office.live()
    version.suspended_at, version.suspended_reason = MONDAY, "产品评级变更"
    await session.commit()
    desk = await product.client(office.author)
    refused = await desk.post(f"/content/{version.material_id}/renew")
    assert refused.status == 422
    assert "已暂停使用" in await refused.text()
    assert State.WITHDRAWN not in renewals.RENEWABLE
    assert len((await session.execute(select(Version))).all()) == 1


async def test_the_owner_gets_one_card_a_day_and_nobody_else(
    town: Town, session: AsyncSession
) -> None:
    version = await ending(session, "快到期", 5)
    approver = await a_staff(session, Role.APPROVER)
    await a_step(session, version.material_id)
    # Of the bank's people the platform of this world knows one.
    (await session.get_one(Material, version.material_id)).owner_id = town.rm.id
    await session.commit()
    desk = await town.client(approver)
    assert (await desk.post(f"/content/{version.material_id}/remind")).status == 303
    [card] = await town.all(MemberCard)
    assert (card.kind, card.userids) == (CardKind.EXPIRY, [town.rm.userid])
    again = await desk.post(f"/content/{version.material_id}/remind")
    assert again.status == 422
    assert "今天 10:00 已提醒过王敏" in await again.text()
    town.clock.forward(timedelta(days=1))
    tomorrow = await town.client(approver)
    assert (await tomorrow.post(f"/content/{version.material_id}/remind")).status == 303
    assert len(await town.all(MemberCard)) == 2


async def test_a_card_that_was_not_taken_may_be_sent_again(
    product: Product, session: AsyncSession
) -> None:
    """Nobody answers at the platform's address in this world."""
    version = await ending(session, "快到期", 5)
    approver = await a_staff(session, Role.APPROVER)
    await session.commit()
    desk = await product.client(approver)
    for _ in range(2):
        answer = await desk.post(f"/content/{version.material_id}/remind")
        assert "企业微信没有接收" in await answer.text()
    assert (await session.execute(select(MemberCard))).all() == []


async def test_the_numbers_are_those_of_ones_own_customers_and_open_their_rows(
    product: Product, session: AsyncSession
) -> None:
    version = await an_approved_material(session)
    session.add(WelcomeChoice(material_id=version.material_id, chosen_by="hq", chosen_at=MONDAY))
    rm, editor = await a_staff(session, Role.RM), await a_staff(session, Role.EDITOR)
    mine, other = await a_customer(session), await a_customer(session)
    await a_follow(session, rm, mine)
    for customer in (mine, other):
        row = await asked(session, "赎回几天到账", customer, rm)
        row.state, row.version_id = row.state.SENT, version.id
    await session.commit()
    address = f"/content/{version.material_id}/use"
    own = await (await product.client(rm)).text(address)
    assert f'href="/suggestions?material={version.material_id}&amp;made=1&amp;state=sent"' in own
    assert own.count('<span class="figure-value">1</span>') == 2  # suggested, and sent as it was
    assert '<a href="/welcomes">全行默认欢迎语</a>' in own
    assert "发送次数和查看人数是全行合计，其余只统计您可见的客户" in own
    all_of_it = await (await product.client(editor)).text(address)
    assert all_of_it.count('<span class="figure-value">2</span>') == 2
    assert "/suggestions" not in all_of_it
    assert "全行合计" in all_of_it


async def test_the_use_of_a_material_one_may_not_see_is_not_told(
    product: Product, session: AsyncSession
) -> None:
    version = await an_approved_material(session, state=State.DRAFT)
    rm = await a_staff(session, Role.RM)
    await session.commit()
    desk = await product.client(rm)
    for part in ("use", "drawer", "recipients"):
        assert (await desk.get(f"/content/{version.material_id}/{part}")).status == 404, part
