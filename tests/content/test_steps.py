"""Review in steps: roads, who may decide which step, claims, transfers, re-reviews, bulk."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bank import audit
from bank.models import Role, Staff
from content import bulk, claims, queue, review, roads, steps
from content.checks import Finding
from content.models import State, Version
from content.objections import Reason
from content.review_models import ReviewDesk, ReviewRisk, ReviewVerdict
from content.roads import PlannedStep
from tests.builders import MONDAY, a_branch, a_product, a_staff
from tests.content.worlds import Office

YES = [True] * 3
HOUR = timedelta(hours=1)


def reasons(outcome: object) -> tuple[Reason, ...]:
    assert isinstance(outcome, review.Refused | claims.Refused), outcome
    return outcome.reasons


async def desks(office: Office, version: Version) -> list[ReviewDesk]:
    way = await steps.way_of(office.session, version.id)
    return [step.desk for step in way.steps]


async def ordinary(office: Office) -> Version:
    """About a product of moderate risk: two steps."""
    product = await a_product(office.session)
    return await office.submit(await office.write(product_codes=(product.code,)))


async def pass_on(office: Office, version: Version, by: Staff, **changed: object) -> object:
    asked = {"checks": YES, "now": MONDAY} | changed
    return await review.pass_on(
        office.session,
        office.files,
        version.id,
        by=by,
        **asked,  # type: ignore[arg-type]
    )


# ------------------------------------------------------------------------------------- the roads


async def test_low_risk_takes_one_step_ordinary_two_and_high_three(office: Office) -> None:
    low = await office.submit(await office.write())
    assert await desks(office, low) == [ReviewDesk.BUSINESS]
    assert await desks(office, await ordinary(office)) == [
        ReviewDesk.BUSINESS, ReviewDesk.COMPLIANCE
    ]  # fmt: skip
    risky = await a_product(office.session, rating=4)
    private = await a_product(office.session)
    private.offering = "private"
    for product in (risky, private):
        high = await office.submit(await office.write(product_codes=(product.code,)))
        assert await desks(office, high) == [
            ReviewDesk.BUSINESS, ReviewDesk.COMPLIANCE, ReviewDesk.HEAD_OFFICE
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "risk"),
    [
        ("赎回后下一工作日到账。", ReviewRisk.LOW),
        ("近一年年化收益率 3.2%，过往业绩不代表未来。", ReviewRisk.HIGH),
        ("业绩比较基准 2.8％–3.4％。", ReviewRisk.HIGH),
        ("费率为 0.2%。", ReviewRisk.LOW),
        ("业绩如何，请看季报。", ReviewRisk.LOW),
    ],
)
def test_showing_performance_is_high_risk(words: str, risk: ReviewRisk) -> None:
    assert roads.risk_of([], [], words) is risk


def test_a_finding_makes_low_risk_ordinary() -> None:
    found = Finding("warn", "superlative", 0, 2, "", "", "body")
    assert roads.risk_of([], [found], "最好") is ReviewRisk.ORDINARY


async def test_the_road_of_a_kind_goes_before_the_general_one_and_can_be_forgotten(
    office: Office,
) -> None:
    session, by = office.session, office.compliance
    two = (roads.COMPLIANCE, PlannedStep(ReviewDesk.HEAD_OFFICE, 8, ("一", "二")))
    await roads.set_road(session, "faq", ReviewRisk.LOW, two, by, MONDAY)
    faq = await office.submit(await office.write())
    assert await desks(office, faq) == [ReviewDesk.COMPLIANCE, ReviewDesk.HEAD_OFFICE]
    script = await office.submit(await office.write(kind="script"))
    assert await desks(office, script) == [ReviewDesk.BUSINESS]
    assert await roads.forget_road(session, "faq", ReviewRisk.LOW, by, MONDAY)
    assert not await roads.forget_road(session, "faq", ReviewRisk.LOW, by, MONDAY)
    again = await office.submit(await office.write(title="又一份"))
    assert await desks(office, again) == [ReviewDesk.BUSINESS]
    # What was handed in keeps its own.
    assert await desks(office, faq) == [ReviewDesk.COMPLIANCE, ReviewDesk.HEAD_OFFICE]
    lines = await audit.history(session, "review_road", "faq:low")
    assert [line.action for line in lines] == [
        "content:review_road:set", "content:review_road:reset"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("risk", "steps_", "says"),
    [
        ("low", (), "1–5 个"),
        ("high", (roads.COMPLIANCE,), "2–5 个"),
        ("ordinary", (roads.BUSINESS,), "至少要有一个合规环节"),
        ("low", (PlannedStep(ReviewDesk.BUSINESS, 0, ("一",)),), "1–240 小时"),
        ("low", (PlannedStep(ReviewDesk.BUSINESS, 24, ()),), "核对项"),
        ("low", (PlannedStep(ReviewDesk.BUSINESS, 24, ("字" * 61,)),), "60 个字"),
        ("nothing", (roads.BUSINESS,), "没有这种"),
    ],
)
def test_a_road_that_would_weaken_the_review_is_refused(
    risk: str, steps_: tuple[PlannedStep, ...], says: str
) -> None:
    assert any(says in wrong for wrong in roads.wrong_with("", risk, steps_))


# ---------------------------------------------------------------------------- who decides a step


async def test_the_steps_are_passed_in_order_by_different_people_and_the_last_puts_it_live(
    office: Office, session: AsyncSession
) -> None:
    version = await ordinary(office)
    assert reasons(await _final(office, version, office.approver)) == (Reason.STEPS_LEFT,)
    passed = await pass_on(office, version, office.approver)
    assert isinstance(passed, review.PassedOn)
    assert version.state is State.SUBMITTED
    assert reasons(await pass_on(office, version, office.compliance)) == (Reason.LAST_STEP,)
    live = await _final(office, version, office.compliance)
    assert isinstance(live, review.Approved)
    assert version.approved_by == office.compliance.id
    way = await steps.way_of(session, version.id)
    assert [step.verdict for step in way.steps[:2]] == [ReviewVerdict.PASSED] * 2


async def _final(office: Office, version: Version, by: Staff) -> object:
    return await review.approve(
        office.session, office.files, version.id, by=by, checks=YES,
        valid_from=MONDAY, valid_until=MONDAY + timedelta(days=90),
        channels=["single_chat"], branch_ids=None, now=MONDAY,
    )  # fmt: skip


async def test_a_step_is_refused_to_another_desk(office: Office) -> None:
    version = await ordinary(office)
    assert reasons(await pass_on(office, version, office.compliance)) == (Reason.WRONG_DESK,)


async def test_head_office_sits_in_no_branch(office: Office) -> None:
    branch = await a_branch(office.session)
    there = await a_staff(office.session, Role.COMPLIANCE, branch=branch)
    assert steps.desks_of(there.roles, there.branch_id) == {
        ReviewDesk.COMPLIANCE, ReviewDesk.RECHECK
    }  # fmt: skip


async def test_whoever_decided_one_step_is_refused_the_next(office: Office) -> None:
    both = await a_staff(office.session, Role.APPROVER, Role.COMPLIANCE)
    version = await ordinary(office)
    assert isinstance(await pass_on(office, version, both), review.PassedOn)
    assert reasons(await _final(office, version, both)) == (Reason.ALREADY_DECIDED,)


@pytest.mark.parametrize("checked", [[], [True, True], [True, False, True], [True] * 4])
async def test_a_step_is_refused_unless_every_point_holds(
    office: Office, checked: list[bool]
) -> None:
    version = await ordinary(office)
    outcome = await pass_on(office, version, office.approver, checks=checked)
    assert reasons(outcome) == (Reason.CHECKS_OPEN,)


async def test_the_database_refuses_two_steps_to_one_person_and_any_to_the_author(
    office: Office, session: AsyncSession
) -> None:
    version = await ordinary(office)
    await pass_on(office, version, office.approver)
    decide = text(
        "UPDATE review_step SET decided_by = :by, decided_at = now(), verdict = 'passed'"
        " WHERE version_id = :id AND position = 2"
    )
    for by, kept in ((office.approver, "uq_review_step_person"), (office.author, "not_by_author")):
        with pytest.raises(IntegrityError, match=kept):
            async with session.begin_nested():
                await session.execute(decide, {"by": by.id, "id": version.id})
    # Nor can the step be told that somebody else wrote the version.
    lie = text("UPDATE review_step SET author_id = :by WHERE version_id = :id")
    with pytest.raises(IntegrityError, match="fk_review_step_version"):
        async with session.begin_nested():
            await session.execute(lie, {"by": office.compliance.id, "id": version.id})


async def test_one_step_of_a_version_is_open_at_a_time(
    office: Office, session: AsyncSession
) -> None:
    version = await ordinary(office)
    opening = text("UPDATE review_step SET opened_at = now() WHERE version_id = :id")
    with pytest.raises(IntegrityError, match="uq_review_step_open"):
        await session.execute(opening, {"id": version.id})


# -------------------------------------------------------------------------- claims and transfers


async def test_a_claim_keeps_others_out_until_it_ends_or_is_given_back(office: Office) -> None:
    other = await a_staff(office.session, Role.APPROVER, name="李审")
    version = await ordinary(office)
    held = await claims.claim(office.session, version.id, by=office.approver, now=MONDAY)
    assert isinstance(held, claims.Held)
    later = MONDAY + 3 * HOUR
    assert reasons(await pass_on(office, version, other, now=later)) == (Reason.CLAIMED,)
    again = await claims.claim(office.session, version.id, by=other, now=later)
    assert reasons(again) == (Reason.CLAIMED,)
    assert [t.holder for t in await queue.held_by_others(office.session, other, later)] == ["钱审"]
    assert await queue.waiting_for(office.session, other, later) == []
    not_mine = await claims.release(office.session, version.id, by=other, now=later)
    assert reasons(not_mine) == (Reason.NOT_CLAIMED_BY_YOU,)
    evening = MONDAY + 4 * HOUR
    assert len(await queue.waiting_for(office.session, other, evening)) == 1
    await claims.release(office.session, version.id, by=office.approver, now=later)
    assert isinstance(await pass_on(office, version, other, now=later), review.PassedOn)


async def test_a_claim_is_refused_to_the_author_and_to_another_desk(office: Office) -> None:
    office.author.roles = [Role.EDITOR.value, Role.APPROVER.value]
    version = await ordinary(office)
    session = office.session
    own = await claims.claim(session, version.id, by=office.author, now=MONDAY)
    assert reasons(own) == (Reason.OWN_WORK,)
    wrong = await claims.claim(session, version.id, by=office.compliance, now=MONDAY)
    assert reasons(wrong) == (Reason.WRONG_DESK,)
    nowhere = await claims.claim(session, uuid4(), by=office.approver, now=MONDAY)
    assert reasons(nowhere) == (Reason.NOT_FOUND,)


async def test_a_step_is_handed_to_a_colleague_of_the_same_desk_only(office: Office) -> None:
    session = office.session
    colleague = await a_staff(session, Role.APPROVER, name="李审")
    gone = await a_staff(session, Role.APPROVER, name="走审")
    gone.enabled = False
    version = await ordinary(office)

    async def hand(to: UUID, by: Staff = office.approver) -> object:
        return await claims.transfer(session, version.id, to, by=by, note="请看费率", now=MONDAY)

    for nobody in (office.compliance.id, office.author.id, gone.id, office.approver.id, uuid4()):
        assert reasons(await hand(nobody)) == (Reason.NOBODY_THERE,)
    assert isinstance(await hand(colleague.id), claims.Held)
    assert reasons(await hand(colleague.id)) == (Reason.CLAIMED,)
    [line] = [
        line for line in await audit.history(session, "version", version.id)
        if line.action == "content:version:transfer"
    ]  # fmt: skip
    assert (line.detail["to"], line.detail["note"]) == (colleague.userid, "请看费率")
    assert isinstance(await pass_on(office, version, colleague), review.PassedOn)


# ------------------------------------------------------------------------------ hours and waiting


async def test_each_step_has_its_own_hours_and_turns_red_after_them(office: Office) -> None:
    version = await ordinary(office)
    [task] = await queue.waiting_for(office.session, office.approver, MONDAY + 25 * HOUR)
    assert (task.overdue, task.waited) == (True, "25 小时 0 分")
    await pass_on(office, version, office.approver, now=MONDAY + 25 * HOUR)
    assert await queue.waiting_for(office.session, office.approver, MONDAY + 26 * HOUR) == []
    [task] = await queue.waiting_for(office.session, office.compliance, MONDAY + 26 * HOUR)
    assert (task.overdue, task.waited) == (False, "1 小时 0 分")
    assert task.step_label == "合规终审"


# ------------------------------------------------------------------ too quick, and looked at again


async def test_a_pass_within_ten_seconds_of_opening_the_page_is_marked(office: Office) -> None:
    quick, slow, unseen = [await ordinary(office) for _ in range(3)]
    seconds = timedelta(seconds=1)
    for version, after in ((quick, 9 * seconds), (slow, 10 * seconds)):
        step = (await steps.way_of(office.session, version.id)).open
        assert step is not None
        await steps.note_look(office.session, step, office.approver, MONDAY)
        # Opening it again does not start the time anew.
        await steps.note_look(office.session, step, office.approver, MONDAY + 8 * seconds)
        await pass_on(office, version, office.approver, now=MONDAY + after)
    await pass_on(office, unseen, office.approver)
    marked = {task.version.id for task in await queue.hasty(office.session, MONDAY)}
    assert marked == {quick.id, unseen.id}


def test_about_one_approval_in_twenty_is_drawn_and_always_the_same() -> None:
    ids = [UUID(int=number * 7919) for number in range(20_000)]
    drawn = [steps.is_drawn(id_) for id_ in ids]
    assert 0.045 < sum(drawn) / len(ids) < 0.055
    assert drawn == [steps.is_drawn(id_) for id_ in ids]


async def a_drawn_version(office: Office) -> Version:
    """Live, and drawn for a re-review: written as often as the rule needs."""
    for number in range(400):
        version = await office.write(title=f"赎回说明{number}")
        if steps.is_drawn(version.id):
            await office.submit(version)
            assert isinstance(await office.approve(version), review.Approved)
            return version
    raise AssertionError("400 versions and none drawn")


async def test_a_drawn_approval_is_looked_at_by_a_third_person(office: Office) -> None:
    version = await a_drawn_version(office)
    session, files = office.session, office.files
    for who, why in (
        (office.approver, Reason.ALREADY_DECIDED), (office.author, Reason.OWN_WORK)
    ):  # fmt: skip
        own = await review.uphold(session, files, version.id, by=who, checks=[True] * 2, now=MONDAY)
        assert why in reasons(own)
    [task] = await queue.waiting_for(session, office.compliance, MONDAY)
    assert (task.version.id, task.step_label) == (version.id, "抽查复审")
    bad = await review.uphold(
        session, files, version.id, by=office.compliance, checks=[True, False], now=MONDAY
    )
    assert reasons(bad) == (Reason.CHECKS_OPEN,)
    good = await review.uphold(
        session, files, version.id, by=office.compliance, checks=[True, True], now=MONDAY
    )
    assert isinstance(good, review.Upheld)
    assert version.state is State.APPROVED
    again = await review.uphold(
        session, files, version.id, by=office.head_office, checks=[True, True], now=MONDAY
    )
    assert reasons(again) == (Reason.NOT_RECHECK,)


async def test_a_third_person_who_disagrees_takes_it_out_of_the_library(office: Office) -> None:
    version = await a_drawn_version(office)
    gone = await review.withdraw(
        office.session, version.id, by=office.compliance, reason="口径有误", now=MONDAY
    )
    assert isinstance(gone, review.Withdrawn)
    last = (await steps.of_version(office.session, version.id))[-1]
    assert (last.verdict, last.decided_by) == (ReviewVerdict.REJECTED, office.compliance.id)
    assert await queue.waiting_for(office.session, office.head_office, MONDAY) == []


# ----------------------------------------------------------------------------------------- bulk


async def test_only_low_risk_is_passed_in_bulk_and_each_refusal_is_told(office: Office) -> None:
    low = [await office.submit(await office.write(title=f"份{n}")) for n in range(3)]
    two_steps = await ordinary(office)
    terms = bulk.Terms(MONDAY, MONDAY + timedelta(days=90), ("single_chat",))
    done = await bulk.approve(
        office.session, office.files, [*(v.id for v in low), two_steps.id, uuid4()],
        by=office.approver, terms=terms, now=MONDAY,
    )  # fmt: skip
    assert done.approved == 3
    assert {left.reasons for left in done.left} == {(Reason.NOT_BULK,), (Reason.NOT_FOUND,)}
    assert [v.state for v in low] == [State.APPROVED] * 3
    assert two_steps.state is State.SUBMITTED


async def test_bulk_does_not_let_the_author_through(office: Office) -> None:
    office.author.roles = [Role.EDITOR.value, Role.APPROVER.value]
    version = await office.submit(await office.write())
    terms = bulk.Terms(MONDAY, MONDAY + timedelta(days=90), ("single_chat",))
    done = await bulk.approve(
        office.session, office.files, [version.id], by=office.author, terms=terms, now=MONDAY
    )
    assert [left.reasons for left in done.left] == [(Reason.OWN_WORK,)]
