"""客户 pages: own customers only, what is known of them, and the two things one may change."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit
from bank.models import Branch, Role, Staff
from customers.book import consent_of
from customers.models import Consent, Customer, CustomerTag, FollowState, Purpose, Stage
from customers.pages import masked
from customers.timeline import events_of
from tests.builders import MONDAY, a_branch, a_customer, a_follow, a_staff
from tests.conftest import Product, Visitor
from tests.customers.worlds import a_holding

READ_ONLY = [Role.HQ, Role.COMPLIANCE, Role.AUDITOR]


@pytest.fixture
async def branch(session: AsyncSession) -> Branch:
    """城东支行."""
    return await a_branch(session)


@pytest.fixture
async def rm(session: AsyncSession, branch: Branch) -> Staff:
    """An RM of the branch."""
    return await a_staff(session, Role.RM, branch=branch, name="王敏")


@pytest.fixture
async def customer(session: AsyncSession, branch: Branch, rm: Staff) -> Customer:
    """Their customer, with a holding that matures soon and a tag."""
    customer = await a_customer(session, name="李女士", branch=branch)
    await a_follow(session, rm, customer)
    await a_holding(session, customer, yuan=1_234_567, matures_on=date(2026, 12, 3))
    session.add(
        CustomerTag(customer_id=customer.id, name="养老", source="客户经理", tagged_at=MONDAY)
    )
    await session.commit()
    return customer


async def one_with(session: AsyncSession, product: Product, *roles: Role) -> Visitor:
    """A browser of new staff with these roles."""
    staff = await a_staff(session, *roles)
    await session.commit()
    return await product.client(staff)


async def test_the_list_says_what_matters_of_each_customer(
    product: Product, rm: Staff, customer: Customer
) -> None:
    page = await (await product.client(rm)).text("/customers")
    for words in ("李女士", "C3", "待跟进", "王敏", "城东支行", "已授权", "123.5 万元", "共 1 条"):
        assert words in page
    assert f"/attribution/last-contacts?customer={customer.id}" in page
    assert "全部支行" not in page


async def test_an_expired_assessment_is_marked(
    product: Product, rm: Staff, session: AsyncSession
) -> None:
    old = await a_customer(session, assessed_at=MONDAY - timedelta(days=400))
    await a_follow(session, rm, old)
    await session.commit()
    visitor = await product.client(rm)
    red = '<span class="tag tag-red">C3 已过期</span>'
    assert red in await visitor.text("/customers")
    portrait = await visitor.text(f"/customers/{old.id}")
    assert red in portrait
    assert "只能发送投教内容" in portrait


async def test_an_rm_sees_own_customers_and_no_other(
    product: Product, customer: Customer, branch: Branch, session: AsyncSession
) -> None:
    neighbour = await a_staff(session, Role.RM, branch=branch)
    await session.commit()
    visitor = await product.client(neighbour)
    assert "还没有客户" in await visitor.text("/customers")
    for answer in (
        await visitor.get(f"/customers/{customer.id}"),
        await visitor.post(f"/customers/{customer.id}/stage", {"stage": "closed", "note": "x"}),
        await visitor.post(f"/customers/{customer.id}/consent/withdraw"),
        await visitor.get("/customers/1"),
    ):
        assert answer.status == 404


async def test_after_the_customer_left_the_rm_sees_nothing(
    product: Product, rm: Staff, session: AsyncSession
) -> None:
    gone = await a_customer(session)
    follow = await a_follow(session, rm, gone)
    await session.commit()
    visitor = await product.client(rm)
    assert (await visitor.get(f"/customers/{gone.id}")).status == 200
    follow.state, follow.removed_at = FollowState.REMOVED_BY_CUSTOMER, MONDAY
    await session.commit()
    assert (await visitor.get(f"/customers/{gone.id}")).status == 404


async def test_a_branch_manager_sees_the_branch(
    product: Product, customer: Customer, branch: Branch, session: AsyncSession
) -> None:
    own = await a_staff(session, Role.BRANCH_MANAGER, branch=branch)
    other = await a_staff(session, Role.BRANCH_MANAGER, branch=await a_branch(session, "城西支行"))
    await session.commit()
    manager = await product.client(own)
    listed = await manager.text("/customers")
    assert "李女士" in listed
    assert "全部客户经理" in listed
    assert "修改阶段" not in await manager.text(f"/customers/{customer.id}")
    assert (await (await product.client(other)).get(f"/customers/{customer.id}")).status == 404


@pytest.mark.parametrize("role", READ_ONLY)
async def test_the_whole_bank_is_read_only(
    product: Product, customer: Customer, session: AsyncSession, role: Role
) -> None:
    visitor = await one_with(session, product, role)
    assert "全部支行" in await visitor.text("/customers")
    portrait = await visitor.text(f"/customers/{customer.id}")
    assert "修改阶段" not in portrait
    assert ("客户要求停止营销" in portrait) is (role is Role.COMPLIANCE)
    sent = {"stage": "closed", "note": "x"}
    assert (await visitor.post(f"/customers/{customer.id}/stage", sent)).status == 403


@pytest.mark.parametrize("role", [Role.EDITOR, Role.APPROVER, Role.ADMIN])
async def test_other_roles_do_not_enter(
    product: Product, customer: Customer, session: AsyncSession, role: Role
) -> None:
    visitor = await one_with(session, product, role)
    assert (await visitor.get("/customers")).status == 403
    assert (await visitor.get(f"/customers/{customer.id}")).status == 403


async def test_the_portrait_shows_who_this_is(
    product: Product, rm: Staff, customer: Customer
) -> None:
    page = await (await product.client(rm)).text(f"/customers/{customer.id}")
    for words in (
        "138****1234",
        "可推荐 R3 及以下产品",
        "养老",
        "YX90D",
        "1,234,567.00 元",
        "10 天后到期",
        "授权书版本 2026-01",
        f"/attribution/customer/{customer.id}",
        f"/suggestions/customer/{customer.id}",
    ):
        assert words in page, words


async def test_a_customer_of_whom_nothing_is_known_has_a_page_too(
    product: Product, rm: Staff, session: AsyncSession
) -> None:
    bare = Customer(name="新客", external_userid="wmBARE", created_at=MONDAY)
    session.add(bare)
    await session.flush()
    await a_follow(session, rm, bare)
    await session.commit()
    page = await (await product.client(rm)).text(f"/customers/{bare.id}")
    for words in ("未测评", "未授权", "还没有标签", "没有持仓记录"):
        assert words in page
    assert "客户要求停止营销" not in page


@pytest.mark.parametrize(
    ("stored", "shown"),
    [("13812345678", "138****5678"), ("138****5678", "138****5678"), ("", "")],
)
def test_a_phone_number_is_masked_whatever_was_stored(stored: str, shown: str) -> None:
    assert masked(stored) == shown


async def test_the_stage_changes_with_a_note_that_stays(
    product: Product, rm: Staff, customer: Customer, session: AsyncSession
) -> None:
    visitor = await product.client(rm)
    answer = await visitor.post(
        f"/customers/{customer.id}/stage", {"stage": "following", "note": "约好周五面谈"}
    )
    assert answer.status == 303
    await session.refresh(customer)
    assert customer.stage == Stage.FOLLOWING
    line = (await audit.history(session, "customer", customer.id))[0]
    assert (line.actor, line.detail) == (
        rm.userid,
        {"before": "new", "after": "following", "note": "约好周五面谈"},
    )
    told = [(event.title, event.text) for event in await events_of(session, customer, MONDAY)]
    assert told[0] == ("王敏将阶段改为“跟进中”", "约好周五面谈")


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"stage": "closed", "note": " "}, "请写明原因"),
        ({"stage": "closed", "note": "长" * 201}, "原因不超过 200 个字"),
        ({"stage": "new", "note": "没变"}, "客户已经是“待跟进”"),
        ({"stage": "gone", "note": "没有"}, "请选择阶段"),
    ],
)
async def test_a_stage_that_cannot_be_set_is_refused_beside_its_field(
    product: Product,
    rm: Staff,
    customer: Customer,
    session: AsyncSession,
    sent: dict[str, str],
    says: str,
) -> None:
    answer = await (await product.client(rm)).post(f"/customers/{customer.id}/stage", sent)
    assert answer.status == 422
    page = await answer.text()
    assert says in page
    assert sent["note"].strip() in page
    await session.refresh(customer)
    assert customer.stage == Stage.NEW
    assert await audit.history(session, "customer", customer.id) == []


async def test_a_manager_who_is_an_rm_too_changes_only_customers_they_follow(
    product: Product, customer: Customer, branch: Branch, session: AsyncSession
) -> None:
    both = await a_staff(session, Role.RM, Role.BRANCH_MANAGER, branch=branch)
    await session.commit()
    visitor = await product.client(both)
    assert "修改阶段" not in await visitor.text(f"/customers/{customer.id}")
    sent = {"stage": "closed", "note": "x"}
    assert (await visitor.post(f"/customers/{customer.id}/stage", sent)).status == 403


async def test_when_the_customer_says_stop_consent_ends_at_once(
    product: Product, rm: Staff, customer: Customer, session: AsyncSession
) -> None:
    visitor = await product.client(rm)
    address = f"/customers/{customer.id}/consent/withdraw"
    assert "停止向“李女士”发送营销信息？" in await visitor.text(f"/customers/{customer.id}")
    assert (await visitor.post(address)).status == 303

    query = select(Consent).where(col(Consent.customer_id) == customer.id)
    withdrawn = (await session.execute(query)).scalar_one()
    await session.refresh(withdrawn)
    assert withdrawn.withdrawn_at == MONDAY
    assert await consent_of(session, customer.id, MONDAY) is None
    assert len(await audit.history(session, "consent", withdrawn.id)) == 1

    page = await visitor.text(f"/customers/{customer.id}")
    assert "已撤回" in page
    assert "客户要求停止营销" not in page
    assert (await visitor.post(address)).status == 303
    assert len(await audit.history(session, "consent", withdrawn.id)) == 1


async def test_personal_recommendations_end_when_the_customer_says_so(
    product: Product, rm: Staff, customer: Customer, session: AsyncSession
) -> None:
    agreed = Consent(
        customer_id=customer.id, purpose=Purpose.PROFILING, channel="wecom",
        text_version="2026-03", granted_at=MONDAY - timedelta(days=3),
    )  # fmt: skip
    session.add(agreed)
    await session.commit()
    visitor = await product.client(rm)
    page = await visitor.text(f"/customers/{customer.id}")
    assert "关闭“李女士”的个性化推荐？" in page
    assert (await visitor.post(f"/customers/{customer.id}/profiling/withdraw")).status == 303
    await session.refresh(agreed)
    assert agreed.withdrawn_at == MONDAY
    assert await consent_of(session, customer.id, MONDAY) is not None  # to marketing
    page = await visitor.text(f"/customers/{customer.id}")
    assert "客户要求关闭个性化推荐" not in page
    assert "阅读不记名，不按个人推荐" in page
    stranger = await one_with(session, product, Role.RM)
    answer = await stranger.post(f"/customers/{customer.id}/profiling/withdraw")
    assert answer.status == 404


async def test_compliance_may_stop_marketing_too(
    product: Product, customer: Customer, session: AsyncSession
) -> None:
    visitor = await one_with(session, product, Role.COMPLIANCE)
    await visitor.post(f"/customers/{customer.id}/consent/withdraw")
    assert await consent_of(session, customer.id, MONDAY) is None


async def test_filters_stay_in_the_address_of_pages_and_sorts(
    product: Product, session: AsyncSession, branch: Branch, rm: Staff
) -> None:
    for _ in range(25):
        await a_follow(session, rm, await a_customer(session, name="李女士", branch=branch))
    await session.commit()
    visitor = await product.client(rm)
    page = await visitor.text("/customers?q=李&sort=risk")
    assert "?q=%E6%9D%8E&amp;sort=risk&amp;page=2" in page
    assert 'href="/customers?q=%E6%9D%8E&amp;sort=-risk"' in page
    assert "没有符合条件的客户" in await visitor.text("/customers?q=查无此人")
    for odd in ("page=0", "page=x", "page=9999999999999", "rm=1", "sort=;drop", "q=%00", "risk=99"):
        assert (await visitor.get(f"/customers?{odd}")).status == 200


async def test_the_timeline_tells_relations_and_consents(
    session: AsyncSession, rm: Staff, customer: Customer
) -> None:
    former = await a_staff(session, Role.RM, name="陈立")
    follow = await a_follow(session, former, customer, now=MONDAY - timedelta(days=5))
    follow.state, follow.removed_at = FollowState.REMOVED_BY_CUSTOMER, MONDAY - timedelta(days=3)
    await session.flush()
    events = await events_of(session, customer, MONDAY)
    assert [(event.title, str(event.side)) for event in events] == [
        ("客户删除了陈立", "customer"),
        ("完成风险测评，结果 C3", "customer"),
        ("王敏添加了客户", "follow"),
        ("陈立添加了客户", "follow"),
        ("客户授权接收营销信息", "customer"),
    ]
    later = await events_of(session, customer, MONDAY + timedelta(days=400))
    assert later[0].title == "风险测评 C3 已过期"
