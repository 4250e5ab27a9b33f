"""SOP pages and the record of touches, as each role sees them."""

from datetime import time
from typing import Any

import pytest

from bank.models import AuditEntry, Role, Staff
from content.models import Kind
from scheduler.models import (
    Enrolment,
    SendTask,
    Sop,
    SopState,
    Step,
    TaskState,
    TouchState,
    Trigger,
)
from tests.builders import a_branch, a_staff
from tests.conftest import Product
from tests.scheduler.worlds import Bank
from tests.sendables import an_office_of, live


async def person(bank: Bank, *roles: Role, **options: Any) -> Staff:
    """A member of staff with these roles."""
    async with bank.sessions.begin() as session:
        return await a_staff(session, *roles, **options)


async def a_form(bank: Bank, **changes: str) -> list[tuple[str, str]]:
    """The filled form of a SOP with two steps."""
    version = await bank.material(title="三份钱怎么分")
    typed = {
        "name": "到期衔接",
        "kind": "客户转化",
        "goal": "到期后 14 天内资金留存比例，与对照组比较",
        "trigger": "maturity",
        "control_percent": "20",
        "marketing": "yes",
    } | changes
    rows = [("-7", "10:00", "send"), ("1", "14:30", "skip")]
    fields = list(typed.items())
    for day, at, late in rows:
        step = {"day": day, "at": at, "material": str(version.material_id), "late": late}
        fields += list(step.items())
    return fields


async def test_hq_writes_a_sop_and_starts_it(the_bank: Bank, product: Product):
    hq = await product.client(await person(the_bank, Role.HQ))
    form = await hq.text("/sops/new")
    assert "添加步骤" in form
    saved = await hq.post("/sops/new", await a_form(the_bank))
    assert saved.status == 303
    [sop] = await the_bank.rows(Sop)
    assert (sop.state, sop.trigger, sop.control_percent) == (
        SopState.DRAFT,
        Trigger.MATURITY,
        20,
    )
    steps = sorted(await the_bank.rows(Step), key=lambda step: step.position)
    assert [(step.day, step.at) for step in steps] == [(-7, time(10)), (1, time(14, 30))]
    shown = await hq.text(f"/sops/{sop.id}")
    assert "三份钱怎么分" in shown
    assert "提前 7 天" in shown
    assert "到期衔接" in await hq.text(f"/sops/{sop.id}/edit")

    assert (await hq.post(f"/sops/{sop.id}/start")).status == 303
    [running] = await the_bank.rows(Sop)
    assert running.state == SopState.RUNNING
    actions = [entry.action for entry in await the_bank.rows(AuditEntry)]
    assert {"scheduler:sop:create", "scheduler:sop:start"} <= set(actions)
    assert (await hq.get(f"/sops/{sop.id}/edit")).status == 303


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "请填写名称"),
        ({"goal": ""}, "请写明目标"),
        ({"control_percent": "60"}, "0–50"),
        ({"trigger": "sometimes"}, "请选择触发方式"),
    ],
)
async def test_the_form_says_what_to_correct_and_keeps_what_was_typed(
    the_bank: Bank, product: Product, changes: dict[str, str], said: str
):
    hq = await product.client(await person(the_bank, Role.HQ))
    answer = await hq.post("/sops/new", await a_form(the_bank, **changes))
    text = await answer.text()
    assert answer.status == 422
    assert said in text
    assert "14:30" in text
    assert await the_bank.rows(Sop) == []


async def test_a_step_without_day_or_time_is_named(the_bank: Bank, product: Product):
    hq = await product.client(await person(the_bank, Role.HQ))
    form = [(name, "" if name == "at" else value) for name, value in await a_form(the_bank)]
    answer = await hq.post("/sops/new", form)
    assert "第 1、2 行不完整" in await answer.text()


async def test_the_phone_follows_the_form(the_bank: Bank, product: Product):
    hq = await product.client(await person(the_bank, Role.HQ))
    shown = await (await hq.post("/sops/preview", await a_form(the_bank))).text()
    assert "提前 7 天 10:00" in shown
    assert "资金安排有疑问可以随时留言" in shown
    assert 'name="material"' in await hq.text("/sops/step")


@pytest.mark.parametrize(
    ("kind", "shown_as"),
    [
        (Kind.IMAGE, 'src="/content/files/{file}"'),
        (Kind.FILE, "赎回说明.pdf"),
        (Kind.LINK, "三步看懂到账时间"),
        (Kind.MINI_PROGRAM, "查看赎回进度"),
        (Kind.ARTICLE, "赎回图文"),
    ],
)
async def test_the_phone_shows_what_goes_beside_the_words_of_a_step(
    the_bank: Bank, product: Product, kind: Kind, shown_as: str
):
    async with the_bank.sessions.begin() as session:
        version = await live(await an_office_of(session, the_bank.files), kind)
    hq = await product.client(await person(the_bank, Role.HQ))
    form = {
        "name": "到期衔接", "day": "2", "at": "10:00", "late": "send",
        "material": str(version.material_id),
    }  # fmt: skip
    wanted = shown_as.format(file=version.file_id)
    following = await (await hq.post("/sops/preview", form)).text()
    assert wanted in following
    assert "第 2 天 10:00" in following
    sop = await the_bank.sop(version, state=SopState.DRAFT)
    assert wanted in await hq.text(f"/sops/{sop.id}")
    assert wanted in await hq.text(f"/sops/{sop.id}/edit")


async def test_a_sop_whose_material_is_not_live_does_not_start(the_bank: Bank, product: Product):
    version = await the_bank.material()
    sop = await the_bank.sop(version, state=SopState.DRAFT)
    await the_bank.withdraw(version)
    hq = await product.client(await person(the_bank, Role.HQ))
    answer = await hq.post(f"/sops/{sop.id}/start")
    assert answer.status == 422
    assert "第 1 步的素材未上线或已过期" in await answer.text()


async def test_a_running_sop_is_copied_not_rewritten(the_bank: Bank, product: Product):
    sop = await the_bank.sop(days=(0, 3))
    hq = await product.client(await person(the_bank, Role.HQ))
    refused = await hq.post(f"/sops/{sop.id}/edit", await a_form(the_bank))
    assert "请复制为新草稿后再改" in await refused.text()
    assert (await hq.post(f"/sops/{sop.id}/copy")).status == 303
    copied = [one for one in await the_bank.rows(Sop) if one.id != sop.id]
    assert [(one.name, one.state) for one in copied] == [("新客陪伴（副本）", SopState.DRAFT)]


async def test_compliance_may_stop_but_not_start(the_bank: Bank, product: Product):
    _, _, sop = await the_bank.enrolled()
    officer = await product.client(await person(the_bank, Role.COMPLIANCE))
    assert "请填写停止原因" in await (await officer.post(f"/sops/{sop.id}/stop")).text()
    assert (await officer.post(f"/sops/{sop.id}/stop", {"reason": "客诉偏多"})).status == 303
    assert await the_bank.states() == {TouchState.CANCELLED: 1}
    assert (await officer.post(f"/sops/{sop.id}/start")).status == 403
    assert "客诉偏多" in await officer.text(f"/sops/{sop.id}")


async def test_an_rm_enrols_an_own_customer_by_hand(the_bank: Bank, product: Product):
    rm = await the_bank.rm()
    customer = await the_bank.customer(rm)
    sop = await the_bank.sop()
    own = await product.client(rm)
    assert customer.name in await own.text(f"/sops/{sop.id}")
    path, form = f"/sops/{sop.id}/enrol", {"customer": str(customer.id)}
    assert (await own.post(path, form)).status == 303
    assert len(await the_bank.rows(Enrolment)) == 1
    assert "客户已在该 SOP 中" in await (await own.post(path, form)).text()


async def test_an_rm_cannot_enrol_somebody_elses_customer(the_bank: Bank, product: Product):
    customer = await the_bank.customer(await the_bank.rm())
    sop = await the_bank.sop()
    stranger = await product.client(await the_bank.rm(name="赵磊"))
    answer = await stranger.post(f"/sops/{sop.id}/enrol", {"customer": str(customer.id)})
    assert answer.status == 404
    assert await the_bank.rows(Enrolment) == []


async def test_a_sop_with_a_trigger_takes_nobody_by_hand(the_bank: Bank, product: Product):
    rm = await the_bank.rm()
    customer = await the_bank.customer(rm)
    sop = await the_bank.sop(trigger=Trigger.MATURITY)
    own = await product.client(rm)
    answer = await own.post(f"/sops/{sop.id}/enrol", {"customer": str(customer.id)})
    assert "不能手动入组" in await answer.text()


async def test_everybody_sees_the_touches_of_their_own_scope(the_bank: Bank, product: Product):
    async with the_bank.sessions.begin() as session:
        here, there = await a_branch(session), await a_branch(session, "城西支行")
    sop = await the_bank.sop()
    people = {}
    for branch, name in ((here, "李女士"), (there, "陈先生")):
        rm = await the_bank.rm(branch=branch)
        await the_bank.enrol(sop, await the_bank.customer(rm, name=name, branch=branch), rm)
        people[name] = rm
    manager = await person(the_bank, Role.BRANCH_MANAGER, branch=here)
    auditor = await person(the_bank, Role.AUDITOR)
    expected = [
        (people["李女士"], ["李女士"]),
        (people["陈先生"], ["陈先生"]),
        (manager, ["李女士"]),
        (auditor, ["李女士", "陈先生"]),
    ]
    for staff, names in expected:
        visitor = await product.client(staff)
        for path in ("/touches", f"/sops/{sop.id}"):
            text = await visitor.text(path)
            assert [name for name in ("李女士", "陈先生") if name in text] == names
        assert f">{len(names)}</a>" in await visitor.text("/sops")
    editor = await product.client(await person(the_bank, Role.EDITOR))
    assert (await editor.get("/touches")).status == 403


async def test_a_refusal_is_shown_in_words(the_bank: Bank, product: Product):
    version = await the_bank.material()
    rm, _, sop = await the_bank.enrolled_with(version)
    await the_bank.withdraw(version)
    await the_bank.send()
    own = await product.client(rm)
    text = await own.text(f"/touches?sop={sop.id}&state=refused")
    assert "素材已下线或过期" in text
    assert "没有符合条件的触达" in await own.text("/touches?state=delivered")
    assert (await own.get("/touches?state=nonsense&page=0&sop=x&step=y")).status == 200


async def test_a_planned_touch_is_cancelled_with_a_reason(the_bank: Bank, product: Product):
    rm, _, _ = await the_bank.enrolled()
    touch = await the_bank.touch()
    stranger = await product.client(await the_bank.rm(name="赵磊"))
    path = f"/touches/{touch.id}/cancel"
    assert (await stranger.post(path, {"reason": "不需要"})).status == 404
    own = await product.client(rm)
    assert (await own.post(path, {"reason": " "})).status == 422
    assert (await own.post(path, {"reason": "客户在国外"})).status == 303
    assert (await the_bank.touch()).reasons == ["客户在国外"]
    assert "不能再取消" in await (await own.post(path, {"reason": "客户在国外"})).text()
    assert (await the_bank.send()).handed == 0


async def test_a_doubtful_task_is_shown_and_closed_by_a_person(the_bank: Bank, product: Product):
    rm, _, _ = await the_bank.enrolled()
    await the_bank.platform.fault("add_msg_template", "lost")
    await the_bank.send()
    hq = await product.client(await person(the_bank, Role.HQ))
    text = await hq.text("/touches")
    assert "提交结果待查" in text
    assert "没有收到企业微信的明确答复" in text
    task = await the_bank.task()
    path = f"/touches/tasks/{task.id}/close"
    own = await product.client(rm)
    assert (await own.post(path, {"reason": "没有"})).status == 403
    assert (await hq.post(path, {"reason": "后台没有这条任务"})).status == 303
    [closed] = await the_bank.rows(SendTask)
    assert (closed.state, closed.error) == (TaskState.FAILED, "人工核对：后台没有这条任务")
    assert (await hq.post(path, {"reason": "再关一次"})).status == 422


async def test_empty_pages_say_what_to_do_next(the_bank: Bank, product: Product):
    hq = await product.client(await person(the_bank, Role.HQ))
    assert "新建 SOP" in await hq.text("/sops")
    assert "还没有触达记录" in await hq.text("/touches")
    rm = await product.client(await the_bank.rm())
    assert "总行运营新建并启动后" in await rm.text("/sops")
    assert (await rm.get("/sops/new")).status == 403
    assert (await rm.get(f"/sops/{'0' * 8}-0000-0000-0000-{'0' * 12}")).status == 404
