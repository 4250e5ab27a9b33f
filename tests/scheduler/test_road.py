"""The whole road: enrolled, planned, due, judged, handed, confirmed, collected."""

from datetime import timedelta

from attribution.models import TouchpointKind
from scheduler.models import (
    Arm,
    Enrolment,
    EnrolmentState,
    SendTask,
    TaskState,
    Touch,
    TouchState,
)
from tests.scheduler.worlds import Bank, arms


async def test_a_touch_goes_the_whole_road(the_bank: Bank):
    rm, customer, _ = await the_bank.enrolled()
    assert (await the_bank.touch()).state == TouchState.PLANNED

    sent = await the_bank.send()
    assert sent.handed == 1
    assert (await the_bank.touch()).state == TouchState.HANDED
    assert await the_bank.platform.seen() == []

    waiting = await the_bank.collect()
    assert waiting.waiting == 1
    the_bank.clock.forward(timedelta(minutes=20))
    await the_bank.platform.press_send()
    pressed_at = the_bank.clock()
    the_bank.clock.forward(timedelta(minutes=5))
    collected = await the_bank.collect()

    assert collected.delivered == 1
    text = (
        f"您好，我是您的客户经理{rm.name}，资金安排有疑问可以随时留言。\n"
        f"【云州银行 {rm.name}】如不希望再收到此类信息，请回复“TD”。"
    )
    assert await the_bank.platform.seen() == [(customer.external_userid, text, pressed_at)]
    [touchpoint] = await the_bank.touchpoints()
    touch = await the_bank.touch()
    assert touchpoint.kind == TouchpointKind.TOUCH_DELIVERED
    assert (touchpoint.source, touchpoint.source_id) == ("touch", str(touch.id))
    assert (touchpoint.at, touchpoint.channel) == (pressed_at, "single_chat")
    assert touchpoint.material_id is not None
    assert (await the_bank.task()).state == TaskState.CLOSED
    [enrolled] = await the_bank.rows(Enrolment)
    assert enrolled.state == EnrolmentState.COMPLETED


async def test_asking_again_records_nothing_twice(the_bank: Bank):
    await the_bank.enrolled(days=(0, 3))
    await the_bank.send()
    await the_bank.platform.press_send()
    for _ in range(3):
        await the_bank.collect()
        await the_bank.send()
        await the_bank.reconcile()
    assert len(await the_bank.touchpoints()) == 1
    assert len(the_bank.platform.tasks) == 1
    [enrolled] = await the_bank.rows(Enrolment)
    assert enrolled.state == EnrolmentState.ACTIVE


async def test_customers_of_one_rm_share_a_task_and_each_rm_has_their_own(the_bank: Bank):
    sop = await the_bank.sop()
    first, second = await the_bank.rm(), await the_bank.rm(name="赵磊")
    mine = [await the_bank.customer(first) for _ in range(3)]
    theirs = [await the_bank.customer(second)]
    for rm, customers in ((first, mine), (second, theirs)):
        for customer in customers:
            await the_bank.enrol(sop, customer, rm)
    await the_bank.send()
    assert {frozenset(task) for task in the_bank.platform.tasks} == {
        frozenset(customer.external_userid for customer in mine),
        frozenset(customer.external_userid for customer in theirs),
    }


async def test_a_text_with_the_customers_name_makes_a_task_of_its_own(the_bank: Bank):
    sop = await the_bank.sop(await the_bank.material(body="{客户称呼}您好，我是{客户经理}。"))
    rm = await the_bank.rm()
    for name in ("李女士", "陈先生"):
        await the_bank.enrol(sop, await the_bank.customer(rm, name=name), rm)
    await the_bank.send()
    texts = sorted(task.text.partition("\n")[0] for task in the_bank.platform.world.tasks.values())
    assert texts == ["李女士您好，我是王敏。", "陈先生您好，我是王敏。"]


async def test_the_rm_is_told_once_in_half_an_hour(the_bank: Bank):
    rm, _, sop = await the_bank.enrolled()
    await the_bank.send()
    the_bank.clock.forward(timedelta(minutes=10))
    await the_bank.enrol(sop, await the_bank.customer(rm), rm)
    await the_bank.send()
    cards = [m for m in the_bank.platform.world.app_messages if m.userid == rm.userid]
    assert len(cards) == 1
    assert len(the_bank.platform.tasks) == 2


async def test_control_passes_the_same_gates_and_receives_nothing(the_bank: Bank):
    rm = await the_bank.rm()
    sop = await the_bank.sop(control=50)
    customers = [await the_bank.customer(rm) for _ in range(12)]
    for customer in customers:
        await the_bank.enrol(sop, customer, rm)
    await the_bank.send()
    await the_bank.platform.press_send()
    await the_bank.collect()

    async with the_bank.sessions() as session:
        drawn = await arms(session, sop.id)
    contacts = {customer.id: customer.external_userid for customer in customers}
    saw = {contact for contact, _, _ in await the_bank.platform.seen()}
    assert saw == {contacts[id_] for id_ in drawn[Arm.TREATED]}
    ghosts = {t.customer_id for t in await the_bank.touches() if t.state == TouchState.GHOST}
    assert ghosts == drawn[Arm.CONTROL]
    assert not {point.customer_id for point in await the_bank.touchpoints()} & drawn[Arm.CONTROL]


async def test_who_is_no_friend_any_more_is_not_reached(the_bank: Bank):
    rm, customer, _ = await the_bank.enrolled()
    await the_bank.send()
    await the_bank.platform.control(
        "delete_follow", userid=rm.userid, external_userid=customer.external_userid
    )
    await the_bank.platform.press_send()
    await the_bank.collect()
    touch = await the_bank.touch()
    assert (touch.state, touch.reasons) == (
        TouchState.NOT_REACHED,
        ["客户已不是客户经理的好友"],
    )
    assert await the_bank.touchpoints() == []


async def test_whose_quota_at_the_platform_is_used_up_is_not_reached(the_bank: Bank):
    await the_bank.platform.control("settings", mass_send_quota="daily")
    rm, customer, _ = await the_bank.enrolled(marketing=False)
    await the_bank.enrol(await the_bank.sop(marketing=False), customer, rm)
    await the_bank.send()
    await the_bank.platform.press_send()
    await the_bank.collect()
    by_state = {touch.state: touch.reasons for touch in await the_bank.touches()}
    assert by_state == {
        TouchState.DELIVERED: [],
        TouchState.NOT_REACHED: ["客户当期可接收的群发次数已用完"],
    }


async def test_whom_the_platform_does_not_accept_is_not_reached(the_bank: Bank):
    rm, _, sop = await the_bank.enrolled()
    gone = await the_bank.customer(rm)
    await the_bank.enrol(sop, gone, rm)
    await the_bank.platform.control(
        "delete_follow", userid=rm.userid, external_userid=gone.external_userid
    )
    sent = await the_bank.send()
    assert (sent.handed, sent.failed) == (1, 1)
    states = {touch.customer_id: touch.state for touch in await the_bank.touches()}
    assert states[gone.id] == TouchState.NOT_REACHED


async def test_material_withdrawn_while_the_task_waits_is_recalled(the_bank: Bank):
    version = await the_bank.material()
    await the_bank.enrolled_with(version)
    await the_bank.send()
    await the_bank.withdraw(version)
    await the_bank.send()
    touch = await the_bank.touch()
    assert (touch.state, touch.reasons) == (TouchState.REFUSED, ["素材已下线或过期"])
    await the_bank.collect()
    [task] = the_bank.platform.world.tasks.values()
    assert task.cancelled_at is not None
    assert await the_bank.platform.press_send() == 0
    assert (await the_bank.task()).state == TaskState.CLOSED


async def test_what_was_sent_before_the_recall_still_counts(the_bank: Bank):
    version = await the_bank.material()
    await the_bank.enrolled_with(version)
    await the_bank.send()
    await the_bank.platform.press_send()
    await the_bank.withdraw(version)
    await the_bank.send()
    await the_bank.collect()
    assert (await the_bank.touch()).state == TouchState.DELIVERED
    assert len(await the_bank.touchpoints()) == 1


async def test_a_task_nobody_confirms_for_three_days_is_recalled(the_bank: Bank):
    await the_bank.enrolled()
    await the_bank.send()
    the_bank.clock.forward(timedelta(hours=72))
    await the_bank.collect()
    touch = await the_bank.touch()
    assert touch.state == TouchState.NOT_REACHED
    assert await the_bank.platform.press_send() == 0
    [enrolled] = await the_bank.rows(Enrolment)
    assert enrolled.state == EnrolmentState.COMPLETED


async def test_a_task_is_asked_again_while_the_platform_is_handing_it_out(the_bank: Bank):
    await the_bank.platform.control("settings", dispatch_seconds=60)
    await the_bank.enrolled()
    await the_bank.send()
    await the_bank.collect()
    assert (await the_bank.touch()).state == TouchState.HANDED
    the_bank.clock.forward(timedelta(seconds=60))
    await the_bank.platform.press_send()
    await the_bank.collect()
    assert (await the_bank.touch()).state == TouchState.DELIVERED


async def test_no_row_is_left_in_between(the_bank: Bank):
    await the_bank.enrolled(days=(0, 0, 0))
    await the_bank.send()
    assert all(t.state != TouchState.CLAIMED for t in await the_bank.rows(Touch))
    assert all(t.state != TaskState.INTENT for t in await the_bank.rows(SendTask))
