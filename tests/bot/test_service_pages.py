"""客服会话: who sees which conversation, what stands beside each answer, and the switches."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import AuditEntry, Role, Staff
from bank.settings import Settings
from bot.models import ServiceAccount
from tests.bot.servicing import DESK, Counter, a_counter
from tests.builders import a_branch, a_staff
from tests.conftest import Clock, Visitor


@pytest.fixture
async def counter(
    settings: Settings, clock: Clock, session: AsyncSession
) -> AsyncIterator[Counter]:
    """A counter that answers."""
    async with a_counter(settings, clock, session) as made:
        yield made


async def someone(counter: Counter, session: AsyncSession, role: Role) -> Visitor:
    """A browser of somebody with this role, of no branch of the town's."""
    person = await a_staff(session, role, branch=await a_branch(session, "湖畔支行"))
    await session.commit()
    return await counter.town.client(person)


async def test_an_answer_stands_there_with_its_source_and_how_sure_it_was(
    counter: Counter, session: AsyncSession
) -> None:
    await counter.writes()
    await counter.works()
    hq = await someone(counter, session, Role.HQ)
    assert "智能助手接待中" in await hq.text("/service?state=robot")
    page = await hq.text(f"/service/{(await counter.chat()).id}")
    assert "《赎回多久到账》V1" in page
    assert "把握 9" in page
    assert "4 条" in page


async def test_why_a_machine_did_not_answer_is_said_in_words(
    counter: Counter, session: AsyncSession
) -> None:
    await counter.writes("我要投诉，我的手机号是13812345678")
    await counter.works()
    compliance = await someone(counter, session, Role.COMPLIANCE)
    listed = await compliance.text("/service?state=waiting")
    assert "客户投诉或表达不满" in listed
    page = await compliance.text(f"/service/{(await counter.chat()).id}")
    assert "未自动答复：客户投诉或表达不满" in page
    assert "13812345678" not in listed + page


async def test_an_rm_sees_who_waits_for_them_and_whom_they_serve(
    counter: Counter, session: AsyncSession
) -> None:
    stranger = await someone(counter, session, Role.RM)
    mine = await counter.town.client(counter.town.rm)
    await counter.writes()
    await counter.works()
    address = f"/service/{(await counter.chat()).id}"
    assert (await mine.get(address)).status == 404
    await counter.writes("转人工")
    await counter.works()
    assert "李女士" in await mine.text("/service?state=waiting")
    assert (await stranger.get(address)).status == 404
    taken = await mine.post(f"{address}/take-over")
    assert taken.status == 303
    assert counter.state() == 3
    assert "人工接待中" in await mine.text(address)
    assert "还没有客服会话" in await stranger.text("/service")


async def test_a_manager_sees_the_queue_and_their_own_branch(
    counter: Counter, session: AsyncSession
) -> None:
    elsewhere = await someone(counter, session, Role.BRANCH_MANAGER)
    here = Staff(
        userid="manager1",
        name="吴行长",
        roles=["branch_manager"],
        branch_id=counter.town.rm.branch_id,
    )
    session.add(here)
    await session.commit()
    manager = await counter.town.client(here)
    await counter.writes("转人工")
    await counter.works()
    address = f"/service/{(await counter.chat()).id}"
    assert (await elsewhere.get(address)).status == 200
    await (await counter.town.client(counter.town.rm)).post(f"{address}/take-over")
    assert (await elsewhere.get(address)).status == 404
    assert (await manager.get(address)).status == 200


async def test_who_serves_no_account_is_told_so(counter: Counter, session: AsyncSession) -> None:
    await counter.writes("转人工")
    await counter.works()
    hq = await someone(counter, session, Role.HQ)
    refused = await hq.post(f"/service/{(await counter.chat()).id}/take-over")
    assert refused.status == 409
    assert "不是这个客服账号的接待人员" in await refused.text()
    assert counter.state() == 2


async def test_a_person_may_take_the_assistant_out(counter: Counter, session: AsyncSession) -> None:
    await counter.writes()
    await counter.works()
    hq = await someone(counter, session, Role.HQ)
    address = f"/service/{(await counter.chat()).id}"
    assert (await hq.post(f"{address}/hand-over")).status == 303
    await counter.works()
    assert counter.state() == 2
    assert (await hq.post(f"{address}/hand-over")).status == 409


async def test_an_account_is_switched_by_headquarters_and_compliance_and_kept_in_the_book(
    counter: Counter, session: AsyncSession
) -> None:
    for role, status in ((Role.BRANCH_MANAGER, 403), (Role.AUDITOR, 403), (Role.HQ, 303)):
        visitor = await someone(counter, session, role)
        answer = await visitor.post(f"/service/accounts/{DESK}/automatic", {"automatic": "off"})
        assert answer.status == status
    [account] = await counter.town.all(ServiceAccount)
    assert not account.automatic
    entries = await counter.town.all(AuditEntry)
    assert [e.action for e in entries] == ["bot:service_account:automatic_off"]
    auditor = await someone(counter, session, Role.AUDITOR)
    assert "停用客服自动答复" in await auditor.text("/system/audit")


async def test_compliance_stops_every_automatic_answer_at_once(
    counter: Counter, session: AsyncSession
) -> None:
    await counter.writes()
    await counter.works()
    compliance = await someone(counter, session, Role.COMPLIANCE)
    assert (await compliance.post("/service/stop")).status == 303
    await counter.writes()
    await counter.works()
    assert len([t for t in counter.got() if t.startswith("【AI生成】")]) == 1
    assert counter.state() == 2
    assert "自动答复均已停用" in await compliance.text("/service")


async def test_accounts_are_fetched_from_the_platform(
    counter: Counter, session: AsyncSession
) -> None:
    await counter.town.control("service_account", name="信用卡客服", open_kfid="wkCards")
    hq = await someone(counter, session, Role.HQ)
    assert (await hq.post("/service/accounts/sync")).status == 303
    assert "信用卡客服" in await hq.text("/service/accounts")


@pytest.mark.parametrize(
    "path", ["/service/nobody", "/service/00000000-0000-4000-8000-000000000000"]
)
async def test_what_is_not_there_is_not_found(
    counter: Counter, session: AsyncSession, path: str
) -> None:
    hq = await someone(counter, session, Role.HQ)
    assert (await hq.get(path)).status == 404
    assert (await hq.post(f"{path}/take-over")).status == 404
