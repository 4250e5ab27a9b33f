"""A product's facts change by two people's hands."""

import asyncio

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bank import audit
from bank.database import Sessions
from bank.models import Role, Staff
from content import product_changes, product_history
from content.models import ChangeState, Product, ProductChange
from content.product_changes import Confirmed, Refused
from tests.builders import MONDAY, a_staff
from tests.content.worlds import LATER, proposed


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

    async def decide(by: Staff) -> Confirmed | Refused:
        async with sessions.begin() as own:
            return await product_changes.confirm(own, change.id, by=by, now=LATER)

    outcomes = await asyncio.gather(*(decide(by) for by in both))
    [late] = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert late.reasons == (product_changes.NOT_WAITING,)
    await session.refresh(sold)
    assert sold.rating == 3
