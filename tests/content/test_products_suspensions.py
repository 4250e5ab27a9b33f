"""What a change of a product makes wrong goes out of use, and comes back by a reviewer's hand."""

from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank import audit
from bank.database import Sessions
from bank.models import Staff
from content import library, product_changes, product_history, suspensions
from content.models import LibraryChange, Product, State, Version
from content.product_changes import Confirmed
from content.suspensions import Reason, Resumed
from tests.builders import a_product, an_approved_material
from tests.content.worlds import BASIS, LATER, NEW, OLD, Office, changed, live, proposed


async def test_a_higher_rating_suspends_what_was_approved_below_it(
    session: AsyncSession, sold: Product, editor: Staff, compliance: Staff
) -> None:
    about = await an_approved_material(session, risk=2, products=[sold])
    higher = await an_approved_material(session, risk=4, products=[sold])
    other = await an_approved_material(session, risk=2, products=[await a_product(session)])
    plain = await an_approved_material(session)
    draft = await an_approved_material(session, risk=2, products=[sold], state=State.DRAFT)
    before = await library.newest_seq(session)
    outcome = await changed(session, sold, [editor, compliance], issuer_rating="3")
    assert outcome.suspended == [about]
    assert about.suspended_at == LATER
    assert about.suspended_reason == "“安心添利90天”风险等级由 R2 调整为 R3"
    assert [await live(session, v) for v in (about, higher, other, plain)] == [
        False,
        True,
        True,
        True,
    ]
    assert draft.suspended_at is None
    assert about.state is State.APPROVED, "the review alone writes the state"
    [told] = await library.changes_since(session, before)
    assert (told.version_id, told.live) == (about.id, False)


async def test_a_lower_rating_suspends_only_what_states_the_old_one(
    session: AsyncSession, sold: Product, editor: Staff, compliance: Staff
) -> None:
    body = "本产品风险等级为Ｒ２（中低风险）。"
    states = await an_approved_material(session, body=body, risk=2, products=[sold])
    silent = await an_approved_material(session, risk=2, products=[sold])
    facts = {"issuer_rating": "1", "bank_rating": "1"}
    outcome = await changed(session, sold, [editor, compliance], **facts)
    assert outcome.suspended == [states]
    assert await live(session, silent)


async def test_another_benchmark_suspends_what_is_linked_and_what_states_the_old_one(
    session: AsyncSession, sold: Product, editor: Staff, compliance: Staff
) -> None:
    linked = await an_approved_material(session, risk=2, products=[sold])
    loose = await an_approved_material(session, body="业绩比较基准为 1.60% 至 2.10%，不代表收益。")
    twin = await a_product(session, name="安心添利180天")
    same_value = f"{twin.name}业绩比较基准为{OLD}。"
    of_twin = await an_approved_material(session, body=same_value, risk=2, products=[twin])
    named = await an_approved_material(
        session, body=f"与{sold.name}（{OLD}）比较。", risk=2, products=[twin]
    )
    near = await an_approved_material(session, body="历史区间为 11.60%–2.10%。")
    fields = {"benchmark": NEW, "benchmark_basis": BASIS}
    outcome = await changed(session, sold, [editor, compliance], **fields)
    assert {v.id for v in outcome.suspended} == {linked.id, loose.id, named.id}
    assert linked.suspended_reason == f"“{sold.name}”业绩比较基准“{OLD}”变更为“{NEW}”"
    assert await live(session, of_twin)
    assert await live(session, near)
    log = product_history.benchmark_log(await product_history.of_product(session, sold.id))
    assert [(at, d.old, d.new, e.decider) for at, d, e in log] == [(LATER, OLD, NEW, "孙合规")]


async def test_what_matters_to_neither_suspends_nothing_and_rings_the_bell(
    session: AsyncSession, sold: Product, editor: Staff, compliance: Staff
) -> None:
    about = await an_approved_material(session, risk=2, products=[sold])
    assert (await changed(session, sold, [editor, compliance], fees="免收")).suspended == []
    assert await live(session, about)
    await changed(session, sold, [editor, compliance], sale_status="suspended")
    assert not await live(session, about), "not on sale is asked of the product itself"
    assert about.suspended_at is None


async def test_off_the_list_of_today_means_out_of_use(
    session: AsyncSession, sold: Product, editor: Staff, compliance: Staff
) -> None:
    about = await an_approved_material(session, risk=2, products=[sold])
    assert await live(session, about)
    today = LATER.date().isoformat()
    await changed(session, sold, [editor, compliance], listed_until=today)
    assert not await live(session, about)
    for since in (date(2026, 11, 24), None):
        sold.listed_from, sold.listed_until = since, None
        await session.flush()
        assert not await live(session, about)


async def test_a_change_that_is_rolled_back_suspends_nothing(
    sessions: Sessions, session: AsyncSession, sold: Product, editor: Staff, compliance: Staff
) -> None:
    about = await an_approved_material(session, risk=2, products=[sold])
    change = await proposed(session, sold, editor, bank_rating="5")
    await session.commit()
    async with sessions() as doomed:
        await product_changes.confirm(doomed, change.id, by=compliance, now=LATER)
        await doomed.rollback()
    async with sessions() as fresh:
        assert await live(fresh, about)
        assert len((await fresh.execute(select(LibraryChange))).all()) == 1


# --------------------------------------------------------------------------------------- resuming


async def a_note(office: Office, product: Product, body: str) -> Version:
    return await office.live(
        kind="product_note", title="产品怎么赎回", body=body, product_codes=(product.code,)
    )


async def test_a_reviewer_resumes_what_is_still_right_under_the_new_rating(
    office: Office, sold: Product, hq: Staff
) -> None:
    session = office.session
    version = await a_note(office, sold, "每个工作日都可以提交赎回申请，下一工作日到账。")
    await changed(session, sold, [hq, office.compliance], bank_rating="3")
    assert not await live(session, version)
    own = await suspensions.resume(session, office.files, version.id, by=office.author, now=LATER)
    assert isinstance(own, suspensions.Refused)
    assert set(own.reasons) == {Reason.NOT_REVIEWER, Reason.OWN_WORK}
    done = await suspensions.resume(
        session, office.files, version.id, by=office.approver, now=LATER
    )
    assert isinstance(done, Resumed), done
    assert (version.risk, version.suspended_at, version.suspended_reason) == (3, None, "")
    assert await live(session, version)
    [told] = (await library.changes_since(session, 0))[-1:]
    assert (told.version_id, told.live) == (version.id, True)
    lines = await audit.history(session, "version", version.id)
    assert [line.action.rpartition(":")[2] for line in lines][-2:] == ["suspend", "resume"]
    twice = await suspensions.resume(
        session, office.files, version.id, by=office.approver, now=LATER
    )
    assert isinstance(twice, suspensions.Refused)
    assert twice.reasons == (Reason.NOT_SUSPENDED,)


async def test_what_states_the_old_benchmark_stays_out_of_use(
    office: Office, sold: Product, hq: Staff
) -> None:
    body = (
        f"业绩比较基准为 {OLD}，{BASIS}不等同于预期收益率，不代表未来表现和实际收益，"
        "不构成收益承诺。"
    )
    version = await a_note(office, sold, body)
    fields = {"benchmark": NEW, "benchmark_basis": BASIS}
    await changed(office.session, sold, [hq, office.compliance], **fields)
    outcome = await suspensions.resume(
        office.session, office.files, version.id, by=office.approver, now=LATER
    )
    assert isinstance(outcome, suspensions.Refused)
    assert Reason.OLD_BENCHMARK in outcome.reasons
    assert Reason.BLOCKED_WORDING in outcome.reasons, "the figure is not in the master"
    assert not await live(office.session, version)


async def test_bytes_that_changed_meanwhile_are_not_resumed(
    office: Office, sold: Product, hq: Staff
) -> None:
    version = await a_note(office, sold, "每个工作日都可以提交赎回申请。")
    await changed(office.session, sold, [hq, office.compliance], bank_rating="3")
    await office.session.execute(
        text("UPDATE version SET body = body || '！' WHERE id = :id"), {"id": version.id}
    )
    outcome = await suspensions.resume(
        office.session, office.files, version.id, by=office.approver, now=LATER
    )
    assert isinstance(outcome, suspensions.Refused)
    assert outcome.reasons == (Reason.BYTES_CHANGED,)


async def test_an_approval_under_way_does_not_slip_past_a_change(
    sessions: Sessions, office: Office, sold: Product, hq: Staff
) -> None:
    """The reviewer read R2 and commits first: the change waits for the material, then suspends."""
    session = office.session
    written = await office.write(
        kind="product_note",
        title="产品怎么赎回",
        body="每个工作日开放。",
        product_codes=(sold.code,),
    )
    version = await office.submit(written)
    change = await proposed(session, sold, hq, bank_rating="3")
    await session.commit()
    await office.approve(version)
    async with sessions() as other:
        await other.execute(text("SET lock_timeout = '300ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            await product_changes.confirm(other, change.id, by=office.compliance, now=LATER)
    await session.commit()
    async with sessions() as other:
        outcome = await product_changes.confirm(other, change.id, by=office.compliance, now=LATER)
        await other.commit()
    assert isinstance(outcome, Confirmed)
    assert [v.id for v in outcome.suspended] == [version.id]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("风险等级为R2，每个工作日开放。", True),
        ("发行机构评级R2，本行评级R3，取R3。", False),
        ("每个工作日开放。", False),
    ],
)
async def test_a_text_without_the_rating_that_counts_stays_out_of_use(
    office: Office, sold: Product, hq: Staff, body: str, wrong: bool
) -> None:
    version = await a_note(office, sold, body)
    await changed(office.session, sold, [hq, office.compliance], bank_rating="3")
    outcome = await suspensions.resume(
        office.session, office.files, version.id, by=office.approver, now=LATER
    )
    assert isinstance(outcome, suspensions.Refused) is wrong
    if isinstance(outcome, suspensions.Refused):
        assert outcome.reasons == (Reason.OLD_RATING,)
