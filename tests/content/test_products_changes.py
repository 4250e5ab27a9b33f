"""A product's facts change by two people's hands, and what that makes wrong goes out of use."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank import audit
from bank.database import Sessions
from bank.models import Role, Staff
from content import library, product_changes, product_history, suspensions
from content.models import ChangeState, LibraryChange, Product, ProductChange, State, Version
from content.product_changes import Confirmed, Refused
from content.suspensions import Reason, Resumed
from tests.builders import MONDAY, a_product, a_staff, an_approved_material
from tests.content.worlds import Office, an_office

BASIS = "依据短期存单利率测算。"
OLD, NEW = "1.60%–2.10%", "1.50%–2.00%"
LATER = MONDAY + timedelta(hours=1)


@pytest.fixture
async def editor(session: AsyncSession) -> Staff:
    return await a_staff(session, Role.EDITOR, name="周编")


@pytest.fixture
async def hq(session: AsyncSession) -> Staff:
    return await a_staff(session, Role.HQ, name="高总")


@pytest.fixture
async def compliance(session: AsyncSession) -> Staff:
    return await a_staff(session, Role.COMPLIANCE, name="孙合规")


@pytest.fixture
async def sold(session: AsyncSession) -> Product:
    product = await a_product(session, rating=2)
    product.benchmark, product.benchmark_basis = OLD, BASIS
    await session.flush()
    return product


async def proposed(
    session: AsyncSession, product: Product, by: Staff, **wanted: str
) -> ProductChange:
    change = await product_changes.propose(
        session, product.id, wanted, by=by, reason="管理人公告", now=MONDAY
    )
    assert isinstance(change, ProductChange), change
    return change


async def changed(
    session: AsyncSession, product: Product, by: Sequence[Staff], **wanted: str
) -> Confirmed:
    change = await proposed(session, product, by[0], **wanted)
    outcome = await product_changes.confirm(session, change.id, by=by[1], now=LATER)
    assert isinstance(outcome, Confirmed), outcome
    return outcome


async def live(session: AsyncSession, version: Version) -> bool:
    found = await library.only_live(
        session, [version.id], now=LATER, channel="single_chat", branch_id=None, risk_ceiling=5
    )
    return version.id in found


async def test_a_change_counts_only_when_another_person_confirms(
    session: AsyncSession, sold: Product, editor: Staff, compliance: Staff
) -> None:
    change = await proposed(session, sold, editor, bank_rating="3", fees="管理费 0.30%/年")
    assert (sold.rating, sold.fees) == (2, "管理费 0.20%/年")
    assert change.fields == {
        "bank_rating": ["2", "3"],
        "fees": ["管理费 0.20%/年", "管理费 0.30%/年"],
    }
    outcome = await product_changes.confirm(session, change.id, by=compliance, now=LATER)
    assert isinstance(outcome, Confirmed)
    assert (sold.rating, sold.fees) == (3, "管理费 0.30%/年")
    [entry] = await product_history.of_product(session, sold.id)
    assert (entry.proposer, entry.decider, entry.change.decided_at) == ("周编", "孙合规", LATER)
    assert [(d.label, d.old, d.new) for d in entry.differences] == [
        ("本行评级", "R2", "R3"),
        ("费用", "管理费 0.20%/年", "管理费 0.30%/年"),
    ]
    lines = await audit.history(session, "product", sold.code)
    assert [(line.action, line.actor) for line in lines] == [
        ("content:product:propose", editor.userid),
        ("content:product:confirm", compliance.userid),
    ]
    assert lines[1].detail["fields"] == change.fields


@pytest.mark.parametrize(
    ("roles", "says"),
    [
        ([Role.HQ], None),
        ([Role.APPROVER], None),
        ([Role.EDITOR], product_changes.NOT_CONFIRMER),
        ([Role.AUDITOR], product_changes.NOT_CONFIRMER),
        ([Role.HQ, Role.RM], product_changes.SELLS),
    ],
)
async def test_who_may_confirm(
    session: AsyncSession, sold: Product, editor: Staff, roles: list[Role], says: str | None
) -> None:
    change = await proposed(session, sold, editor, fees="免收")
    other = await a_staff(session, *roles, name="另一人")
    outcome = await product_changes.confirm(session, change.id, by=other, now=LATER)
    if says is None:
        assert isinstance(outcome, Confirmed)
        assert sold.fees == "免收"
    else:
        assert isinstance(outcome, Refused)
        assert outcome.reasons == (says,)
        assert sold.fees == "管理费 0.20%/年"


async def test_nobody_confirms_their_own_and_the_table_knows_it_too(
    session: AsyncSession, sold: Product, hq: Staff
) -> None:
    change = await proposed(session, sold, hq, fees="免收")
    outcome = await product_changes.confirm(session, change.id, by=hq, now=LATER)
    assert isinstance(outcome, Refused)
    assert outcome.reasons == (product_changes.OWN_CHANGE,)
    change.state, change.decided_by, change.decided_at = ChangeState.CONFIRMED, hq.id, LATER
    with pytest.raises(IntegrityError, match="ck_product_change_four_eyes"):
        await session.flush()


@pytest.mark.parametrize(
    ("wanted", "name", "says"),
    [
        ({}, "", product_changes.NOTHING),
        ({"bank_rating": "2"}, "", product_changes.NOTHING),
        ({"bank_rating": "6"}, "bank_rating", "R1 至 R5"),
        ({"min_amount_cents": "一万"}, "min_amount_cents", "以元为单位"),
        ({"name": ""}, "name", "不能为空"),
        ({"benchmark_basis": ""}, "benchmark_basis", "依据和方法"),
        ({"listed_until": "2020-01-01"}, "listed_until", "必须晚于"),
        ({"sale_status": "sold"}, "sale_status", "在售"),
        ({"prospectus_id": "00000000-0000-4000-8000-000000000000"}, "", product_changes.NO_FILE),
    ],
)
async def test_what_cannot_be_is_refused_beside_its_fact(
    session: AsyncSession,
    sold: Product,
    editor: Staff,
    wanted: dict[str, str],
    name: str,
    says: str,
) -> None:
    outcome = await product_changes.propose(
        session, sold.id, wanted, by=editor, reason="公告", now=MONDAY
    )
    assert isinstance(outcome, Refused)
    assert says in outcome.errors[name]


async def test_a_reason_and_the_right_role_are_needed_and_one_waits_at_a_time(
    session: AsyncSession, sold: Product, editor: Staff, compliance: Staff
) -> None:
    outcome = await product_changes.propose(
        session, sold.id, {"fees": "免收"}, by=compliance, reason=" ", now=MONDAY
    )
    assert isinstance(outcome, Refused)
    assert outcome.errors == {
        "": product_changes.NOT_PROPOSER,
        "reason": product_changes.NO_REASON,
    }
    await proposed(session, sold, editor, fees="免收")
    second = await product_changes.propose(
        session, sold.id, {"fees": "另议"}, by=editor, reason="公告", now=MONDAY
    )
    assert isinstance(second, Refused)
    assert second.reasons == (product_changes.WAITS,)


async def test_a_proposal_the_product_has_moved_away_from_is_not_confirmed(
    session: AsyncSession, sold: Product, editor: Staff, compliance: Staff
) -> None:
    change = await proposed(session, sold, editor, bank_rating="3")
    sold.bank_rating = 4
    await session.flush()
    outcome = await product_changes.confirm(session, change.id, by=compliance, now=LATER)
    assert isinstance(outcome, Refused)
    assert outcome.reasons == (product_changes.STALE,)
    assert sold.bank_rating == 4


async def test_rejecting_needs_a_reason_and_taking_back_the_proposer(
    session: AsyncSession, sold: Product, editor: Staff, compliance: Staff
) -> None:
    change = await proposed(session, sold, editor, fees="免收")
    silent = await product_changes.reject(session, change.id, by=compliance, note=" ", now=LATER)
    assert isinstance(silent, Refused)
    other = await product_changes.cancel(session, change.id, by=compliance, now=LATER)
    assert isinstance(other, Refused)
    gone = await product_changes.cancel(session, change.id, by=editor, now=LATER)
    assert isinstance(gone, ProductChange)
    assert gone.state is ChangeState.CANCELLED
    again = await proposed(session, sold, editor, fees="免收")
    told = await product_changes.reject(
        session, again.id, by=compliance, note="公告未附", now=LATER
    )
    assert isinstance(told, ProductChange)
    assert (told.state, told.note, sold.fees) == (
        ChangeState.REJECTED,
        "公告未附",
        "管理费 0.20%/年",
    )
    late = await product_changes.confirm(session, again.id, by=compliance, now=LATER)
    assert isinstance(late, Refused)
    assert late.reasons == (product_changes.NOT_WAITING,)


async def test_of_two_who_confirm_at_once_one_does(
    sessions: Sessions, session: AsyncSession, sold: Product, editor: Staff
) -> None:
    change = await proposed(session, sold, editor, bank_rating="3")
    both = [await a_staff(session, Role.COMPLIANCE, name=f"合规{n}") for n in "甲乙"]
    await session.commit()
    async with sessions() as first, sessions() as second:
        done = await product_changes.confirm(first, change.id, by=both[0], now=LATER)
        await first.commit()
        late = await product_changes.confirm(second, change.id, by=both[1], now=LATER)
    assert isinstance(done, Confirmed)
    assert isinstance(late, Refused)


# ---------------------------------------------------------------------------------- consequences


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


@pytest.fixture
async def office(session: AsyncSession, tmp_path: Path) -> Office:
    return await an_office(session, tmp_path)


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
