"""Every gate refuses for its own reason, in words a person can read."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from attribution.models import Conversion
from bank.calendar import at_local, local, local_day
from content.models import Product, SaleStatus
from customers.models import Consent, Customer, Follow, FollowState
from outbound import reasons
from scheduler import enrolment, gates, sops
from scheduler.models import Enrolment, EnrolmentState, LatePolicy, Sop, Touch, TouchState
from tests.builders import a_branch, a_product
from tests.scheduler.worlds import Bank


async def refusal(bank: Bank) -> list[str]:
    """Send once; the only touch must be refused and nothing be seen at the platform."""
    await bank.send()
    touch = await bank.touch()
    assert touch.state == TouchState.REFUSED
    assert bank.platform.tasks == []
    return touch.reasons


async def the_only(bank: Bank, table: Any) -> Any:
    [row] = await bank.rows(table)
    return row


async def test_refused_because_the_customer_left(the_bank: Bank):
    rm, customer, _ = await the_bank.enrolled()
    async with the_bank.sessions.begin() as session:
        await enrolment.leave_all(session, customer.id, rm.id, "客户关系已解除", the_bank.clock())
    await the_bank.send()
    touch = await the_bank.touch()
    assert (touch.state, touch.reasons) == (TouchState.CANCELLED, ["客户关系已解除"])
    assert (await the_only(the_bank, Enrolment)).state == EnrolmentState.LEFT


async def test_refused_because_the_enrolment_has_ended(the_bank: Bank):
    await the_bank.enrolled()
    enrolled = await the_only(the_bank, Enrolment)
    await the_bank.change(enrolled, state=EnrolmentState.LEFT)
    assert await refusal(the_bank) == [gates.NOT_ENROLLED]


async def test_refused_because_the_relation_is_over(the_bank: Bank):
    await the_bank.enrolled()
    follow = await the_only(the_bank, Follow)
    await the_bank.change(follow, state=FollowState.REMOVED_BY_CUSTOMER)
    assert await refusal(the_bank) == [gates.NOT_FOLLOWED]


async def test_refused_because_the_rm_is_disabled(the_bank: Bank):
    rm, _, _ = await the_bank.enrolled()
    await the_bank.change(rm, enabled=False)
    assert await refusal(the_bank) == [gates.RM_DISABLED]


async def test_refused_because_the_customer_is_not_on_wecom(the_bank: Bank):
    _, customer, _ = await the_bank.enrolled()
    await the_bank.change(customer, external_userid=None)
    assert await refusal(the_bank) == [gates.NO_CONTACT]


async def convert(bank: Bank, customer: Customer) -> None:
    """The bank's system reports a purchase made just now."""
    now = bank.clock()
    bought = Conversion(
        source="core",
        reference="1",
        bank_no=customer.bank_no or "",
        product_code="P1",
        customer_id=customer.id,
        amount_cents=100,
        at=now,
        imported_at=now,
    )
    async with bank.sessions.begin() as session:
        session.add(bought)


async def test_a_customer_who_converted_leaves_and_gets_nothing_more(the_bank: Bank):
    _, customer, _ = await the_bank.enrolled(days=(0, 3))
    await convert(the_bank, customer)
    await the_bank.send()
    assert await the_bank.states() == {TouchState.CANCELLED: 2}
    assert the_bank.platform.tasks == []
    assert (await the_only(the_bank, Enrolment)).state == EnrolmentState.CONVERTED


async def test_a_service_notice_goes_out_after_a_conversion_too(the_bank: Bank):
    _, customer, _ = await the_bank.enrolled(marketing=False)
    await convert(the_bank, customer)
    assert (await the_bank.send()).handed == 1


async def test_refused_because_the_material_was_withdrawn(the_bank: Bank):
    version = await the_bank.material()
    await the_bank.enrolled_with(version, days=(0, 30))
    await the_bank.withdraw(version)
    await the_bank.send()
    assert the_bank.platform.tasks == []
    assert [(t.state, t.reasons) for t in await the_bank.touches()] == [
        (TouchState.REFUSED, ["素材已下线或过期"])
    ] * 2
    assert (await the_only(the_bank, Enrolment)).state == EnrolmentState.COMPLETED


async def test_refused_because_the_material_has_expired(the_bank: Bank):
    version = await the_bank.material()
    await the_bank.enrolled_with(version)
    await the_bank.change(version, valid_until=the_bank.clock())
    assert await refusal(the_bank) == ["素材已下线或过期"]


async def test_refused_because_the_material_is_for_another_branch(the_bank: Bank):
    async with the_bank.sessions.begin() as session:
        here, there = await a_branch(session), await a_branch(session, "城西支行")
    rm = await the_bank.rm(branch=here)
    customer = await the_bank.customer(rm, branch=here)
    sop = await the_bank.sop(await the_bank.material(branch_ids=[there.id]))
    await the_bank.enrol(sop, customer, rm)
    assert await refusal(the_bank) == [reasons.NOT_FOR_HERE]


async def test_refused_because_the_material_is_not_for_chats(the_bank: Bank):
    await the_bank.enrolled_with(await the_bank.material(channels=("moments",)))
    assert await refusal(the_bank) == [reasons.NOT_FOR_HERE]


async def test_refused_because_its_product_is_off_sale(the_bank: Bank):
    product = await a_product_of(the_bank, 2)
    await the_bank.enrolled_with(await the_bank.material(products=[product], risk=2))
    await the_bank.change(product, sale_status=SaleStatus.SUSPENDED)
    assert await refusal(the_bank) == [reasons.NOT_FOR_HERE]


async def a_product_of(bank: Bank, rating: int) -> Product:
    async with bank.sessions.begin() as session:
        return await a_product(session, rating=rating)


async def test_refused_because_consent_was_withdrawn(the_bank: Bank):
    await the_bank.enrolled()
    consent = await the_only(the_bank, Consent)
    await the_bank.change(consent, withdrawn_at=the_bank.clock())
    assert await refusal(the_bank) == ["客户未授权接收营销信息"]


async def test_a_service_notice_needs_no_consent(the_bank: Bank):
    await the_bank.enrolled(marketing=False)
    await the_bank.change(await the_only(the_bank, Consent), withdrawn_at=the_bank.clock())
    assert (await the_bank.send()).handed == 1


@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        ({"risk": 2}, "产品风险等级高于客户风险承受能力"),
        ({"risk": None}, "客户尚未做风险测评，只能发送投教内容"),
        (
            {"assessed_at": datetime(2025, 11, 1, tzinfo=UTC)},
            "客户风险测评已超过12个月，请先邀请客户重新测评",
        ),
    ],
)
async def test_refused_because_it_does_not_suit_the_customer(
    the_bank: Bank, customer: dict[str, Any], reason: str
):
    product = await a_product_of(the_bank, 3)
    sop = await the_bank.sop(await the_bank.material(products=[product], risk=3))
    rm = await the_bank.rm()
    await the_bank.enrol(sop, await the_bank.customer(rm, **customer), rm)
    assert await refusal(the_bank) == [reason]


async def test_refused_because_a_product_was_rated_up_after_approval(the_bank: Bank):
    product = await a_product_of(the_bank, 3)
    await the_bank.enrolled_with(await the_bank.material(products=[product], risk=3))
    await the_bank.change(product, bank_rating=4)
    assert await refusal(the_bank) == ["产品风险等级高于客户风险承受能力"]


async def test_refused_because_an_elderly_customer_needs_a_notice_first(the_bank: Bank):
    product = await a_product_of(the_bank, 3)
    _, customer, _ = await the_bank.enrolled_with(
        await the_bank.material(products=[product], risk=3)
    )
    await the_bank.change(customer, born_on=datetime(1955, 1, 1, tzinfo=UTC).date())
    assert await refusal(the_bank) == ["客户已满65周岁，推荐R3及以上产品前须完成特别提示"]


async def test_deferred_because_it_is_quiet_hours(the_bank: Bank):
    late = at_local(local_day(the_bank.clock()), time(21))
    the_bank.clock.at(late)
    await the_bank.enrolled()
    sent = await the_bank.send()
    touch = await the_bank.touch()
    assert (sent.deferred, touch.state, touch.deferrals) == (1, TouchState.PLANNED, 1)
    assert touch.reasons == ["免打扰时段，暂不触达"]
    assert local(touch.due_at).time() == time(9)
    assert local_day(touch.due_at) == local_day(late) + timedelta(days=1)
    the_bank.clock.at(touch.due_at)
    assert (await the_bank.send()).handed == 1


async def test_service_notices_keep_the_hours_too(the_bank: Bank):
    the_bank.clock.at(at_local(local_day(the_bank.clock()), time(23)))
    await the_bank.enrolled(marketing=False)
    assert (await the_bank.send()).deferred == 1


async def test_deferred_because_today_is_full(the_bank: Bank):
    rm, customer, _ = await the_bank.enrolled()
    await the_bank.enrol(await the_bank.sop(), customer, rm)
    sent = await the_bank.send()
    assert (sent.handed, sent.deferred) == (1, 1)
    [waiting] = [t for t in await the_bank.touches() if t.state == TouchState.PLANNED]
    assert waiting.reasons == ["今日营销触达次数已满"]
    assert local_day(waiting.due_at) == local_day(the_bank.clock()) + timedelta(days=1)


async def test_deferred_while_another_task_still_waits_for_the_rm(the_bank: Bank):
    await the_bank.enrolled(days=(0, 1))
    await the_bank.send()
    the_bank.clock.forward(timedelta(days=1))
    assert (await the_bank.send()).deferred == 1


async def a_full_month(bank: Bank) -> Touch:
    """The second step of a SOP when the one message of the month is spent."""
    bank.settings = bank.settings.model_copy(update={"marketing_per_month": 1})
    await bank.enrolled(days=(0, 2))
    await bank.send()
    await bank.platform.press_send()
    await bank.collect()
    bank.clock.forward(timedelta(days=2))
    await bank.send()
    return (await bank.touches())[1]


async def test_deferred_because_the_month_is_full_and_the_next_is_near(the_bank: Bank):
    touch = await a_full_month(the_bank)
    assert (touch.state, touch.reasons) == (TouchState.PLANNED, ["本月营销触达次数已满"])
    assert local(touch.due_at).date() == date(2026, 12, 1)


async def test_refused_because_the_month_is_full(the_bank: Bank):
    the_bank.clock.forward(timedelta(days=14))
    touch = await a_full_month(the_bank)
    assert (touch.state, touch.reasons) == (TouchState.REFUSED, ["本月营销触达次数已满"])


async def test_refused_because_it_was_put_off_ten_times(the_bank: Bank):
    await the_bank.enrolled()
    await the_bank.change(await the_bank.touch(), deferrals=10)
    the_bank.clock.at(at_local(local_day(the_bank.clock()), time(22)))
    assert await refusal(the_bank) == ["已延期 10 次仍未能发送", "免打扰时段，暂不触达"]


async def test_refused_because_its_day_was_missed(the_bank: Bank):
    await the_bank.enrolled(late=LatePolicy.SKIP)
    the_bank.clock.forward(timedelta(days=1))
    assert await refusal(the_bank) == [gates.MISSED]


async def test_refused_because_the_hours_end_before_it_could_go(the_bank: Bank):
    await the_bank.enrolled(late=LatePolicy.SKIP)
    the_bank.clock.at(at_local(local_day(the_bank.clock()), time(22)))
    assert await refusal(the_bank) == ["免打扰时段，暂不触达", gates.MISSED]


async def test_refused_because_the_wording_promises(the_bank: Bank):
    await the_bank.enrolled_with(await the_bank.material(body="您好，这只产品保本保息，稳赚不赔。"))
    against = await refusal(the_bank)
    assert against
    assert all(against)


async def test_refused_because_a_slot_stayed_empty(the_bank: Bank):
    await the_bank.enrolled_with(await the_bank.material(body="您好，{产品名称}即将到期。"))
    assert await refusal(the_bank) == [reasons.UNFILLED]


async def test_refused_because_the_text_is_too_long_for_the_platform(the_bank: Bank):
    await the_bank.enrolled_with(await the_bank.material(body="明早九点开门。" * 200))
    assert await refusal(the_bank) == [reasons.TOO_LONG.format(limit=4000)]


async def test_stopping_a_sop_takes_back_what_waits(the_bank: Bank):
    rm, _, sop = await the_bank.enrolled(days=(0, 3))
    await the_bank.send()
    async with the_bank.sessions.begin() as session:
        fresh = await session.get_one(Sop, sop.id)
        left = await sops.stop(
            session, fresh, "节奏过密", the_bank.compliance(rm), the_bank.clock()
        )
    assert left == 1
    assert await the_bank.states() == {TouchState.CANCELLED: 2}
    await the_bank.collect()
    assert await the_bank.platform.press_send() == 0
    assert {t.reasons[0] for t in await the_bank.touches()} == {"SOP 已停止：节奏过密"}
