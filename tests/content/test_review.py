"""Review: how a version goes live, and every way it is refused."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank import audit
from bank.database import listening
from bank.models import Role
from content import library, materials, review
from content.models import LibraryChange, SaleStatus, State, StoredFile, Version
from content.review import Reason, Refused
from tests.builders import MONDAY, a_branch, a_product, a_staff
from tests.content import papers
from tests.content.worlds import A_DRAFT, QUESTIONS, Office


def reasons(outcome: object) -> tuple[Reason, ...]:
    assert isinstance(outcome, Refused), outcome
    return outcome.reasons


# ------------------------------------------------------------------------------ the good road


async def test_an_approved_version_is_live_for_its_audience_and_written_in_the_book(
    office: Office, session: AsyncSession
) -> None:
    branch = await a_branch(session)
    version = await office.submit(await office.write())
    approved = await office.approve(version, branch_ids=[branch.id])
    assert isinstance(approved, review.Approved)
    assert (version.state, version.approved_by) == (State.APPROVED, office.approver.id)
    assert (version.channels, version.branch_ids) == (["single_chat", "group"], [branch.id])
    lines = await audit.history(session, "version", version.id)
    assert [(line.action, line.actor) for line in lines] == [
        ("content:version:draft", office.author.userid),
        ("content:version:submit", office.author.userid),
        ("content:version:approve", office.approver.userid),
    ]
    assert lines[-1].detail["sha256"] == version.sha256


async def test_approving_a_revision_takes_the_place_of_the_live_version_in_one_step(
    office: Office, session: AsyncSession
) -> None:
    first = await office.live()
    second = await office.submit(await office.revise(first.material_id, title="赎回到账时间"))
    assert await library.live_version_of(session, first.material_id, MONDAY) is first
    approved = await office.approve(second)
    assert isinstance(approved, review.Approved)
    assert approved.superseded is first
    assert (first.state, second.state) == (State.SUPERSEDED, State.APPROVED)
    assert await library.live_version_of(session, first.material_id, MONDAY) is second
    changes = await library.changes_since(session, 0)
    assert [(change.version_id, change.live) for change in changes] == [
        (first.id, True),
        (first.id, False),
        (second.id, True),
    ]
    assert await library.newest_seq(session) == changes[-1].seq


async def test_the_bell_rings_when_the_approval_commits_and_not_before(
    office: Office, session: AsyncSession, database: str
) -> None:
    version = await office.submit(await office.write())
    await session.commit()
    async with listening(database, library.BELL) as connection:
        await office.approve(version)
        await connection.execute("SELECT 1")
        assert [note async for note in connection.notifies(timeout=0)] == []
        await session.commit()
        heard = [n.channel async for n in connection.notifies(timeout=5, stop_after=1)]
    assert heard == [library.BELL]


async def test_a_withdrawn_version_vanishes_from_only_live(
    office: Office, session: AsyncSession
) -> None:
    version = await office.live()
    assert await _usable(session, version) == {version.id}
    gone = await review.withdraw(
        session, version.id, by=office.compliance, reason="规则有变", now=MONDAY
    )
    assert isinstance(gone, review.Withdrawn)
    assert await _usable(session, version) == set()
    assert version.reason == "规则有变"
    assert (await library.changes_since(session, 0))[-1].live is False


async def test_a_version_is_not_usable_from_the_second_it_ends_and_expire_due_tidies_up(
    office: Office, session: AsyncSession
) -> None:
    version = await office.live()
    assert version.valid_until is not None
    end = version.valid_until
    assert await _usable(session, version, end - timedelta(seconds=1)) == {version.id}
    assert await _usable(session, version, end) == set()
    assert await review.expire_due(session, end - timedelta(seconds=1)) == []
    assert await review.expire_due(session, end) == [version.id]
    assert version.state == State.EXPIRED
    assert (await audit.history(session, "version", version.id))[-1].actor == audit.SYSTEM


async def test_a_rejected_version_carries_its_reason_and_is_revised_not_changed(
    office: Office, session: AsyncSession
) -> None:
    version = await office.submit(await office.write())
    gone = await review.reject(
        session, version.id, by=office.approver, reason="请补充节假日顺延", now=MONDAY
    )
    assert isinstance(gone, review.Rejected)
    assert (version.state, version.reason) == (State.REJECTED, "请补充节假日顺延")
    second = await office.revise(version.material_id, title="赎回到账与顺延")
    assert (second.number, second.state) == (2, State.DRAFT)
    assert second.sha256 != version.sha256


async def _usable(session: AsyncSession, version: Version, now: datetime = MONDAY) -> set[object]:
    found = await library.only_live(
        session, [version.id], now=now, channel="single_chat", branch_id=None, risk_ceiling=5
    )
    return set(found)


# ------------------------------------------------------------------------- submitting is refused


async def test_submit_is_refused_for_a_version_that_is_not_a_draft(office: Office) -> None:
    version = await office.submit(await office.write())
    again = await review.submit(office.session, version.id, by=office.author, now=MONDAY)
    assert reasons(again) == (Reason.NOT_DRAFT,)


async def test_submit_is_refused_for_somebody_elses_draft(office: Office) -> None:
    other = await a_staff(office.session, Role.EDITOR)
    version = await office.write()
    outcome = await review.submit(office.session, version.id, by=other, now=MONDAY)
    assert reasons(outcome) == (Reason.NOT_AUTHOR,)


async def test_submit_is_refused_for_too_few_questions(office: Office) -> None:
    version = await office.write(questions=QUESTIONS[:2])
    outcome = await review.submit(office.session, version.id, by=office.author, now=MONDAY)
    assert reasons(outcome) == (Reason.TOO_FEW_QUESTIONS,)


async def test_submit_is_refused_for_a_product_note_without_product(office: Office) -> None:
    version = await office.write(kind="product_note")
    outcome = await review.submit(office.session, version.id, by=office.author, now=MONDAY)
    assert reasons(outcome) == (Reason.NO_PRODUCT,)


async def test_submit_is_refused_for_a_product_without_rating(office: Office) -> None:
    product = await a_product(office.session, rating=0)
    version = await office.write(product_codes=(product.code,))
    outcome = await review.submit(office.session, version.id, by=office.author, now=MONDAY)
    assert reasons(outcome) == (Reason.NO_RATING,)


async def test_submit_is_refused_for_a_closed_product(office: Office) -> None:
    product = await a_product(office.session)
    version = await office.write(product_codes=(product.code,))
    product.sale_status = SaleStatus.CLOSED
    outcome = await review.submit(office.session, version.id, by=office.author, now=MONDAY)
    assert reasons(outcome) == (Reason.PRODUCT_CLOSED,)


async def test_submit_is_refused_for_a_version_that_is_not_there(office: Office) -> None:
    outcome = await review.submit(office.session, uuid4(), by=office.author, now=MONDAY)
    assert reasons(outcome) == (Reason.NOT_FOUND,)


# -------------------------------------------------------------------------- approving is refused


async def test_approve_is_refused_to_the_author(office: Office) -> None:
    office.author.roles = [Role.EDITOR.value, Role.APPROVER.value]
    version = await office.submit(await office.write())
    outcome = await office.approve(version, by=office.author)
    assert reasons(outcome) == (Reason.OWN_WORK,)


async def test_approve_is_refused_to_people_who_are_not_reviewers(office: Office) -> None:
    version = await office.submit(await office.write())
    for role in (Role.EDITOR, Role.RM, Role.HQ, Role.AUDITOR, Role.ADMIN, Role.BRANCH_MANAGER):
        somebody = await a_staff(office.session, role)
        assert reasons(await office.approve(version, by=somebody)) == (Reason.NOT_REVIEWER,)


async def test_approve_is_refused_to_a_reviewer_who_sells(office: Office) -> None:
    seller = await a_staff(office.session, Role.APPROVER, Role.RM)
    version = await office.submit(await office.write())
    assert reasons(await office.approve(version, by=seller)) == (Reason.REVIEWER_SELLS,)


async def test_approve_is_refused_for_a_draft(office: Office) -> None:
    assert reasons(await office.approve(await office.write())) == (Reason.NOT_SUBMITTED,)


async def test_approve_is_refused_for_a_withdrawn_version(office: Office) -> None:
    version = await office.live()
    await review.withdraw(office.session, version.id, by=office.approver, reason="停用", now=MONDAY)
    assert Reason.NOT_SUBMITTED in reasons(await office.approve(version))


@pytest.mark.parametrize("column", ["title", "body", "questions"])
async def test_approve_is_refused_when_the_stored_text_was_changed(
    office: Office, session: AsyncSession, column: str
) -> None:
    version = await office.submit(await office.write())
    value = "ARRAY['a','b','c']" if column == "questions" else "'改过的内容'"
    await session.execute(text(f"UPDATE version SET {column} = {value}"))
    assert Reason.BYTES_CHANGED in reasons(await office.approve(version))


async def test_approve_is_refused_when_a_passage_was_changed(
    office: Office, session: AsyncSession
) -> None:
    version = await office.submit(await office.write())
    await session.execute(text("UPDATE passage SET text = '改过的段落' WHERE position = 0"))
    assert reasons(await office.approve(version)) == (Reason.BYTES_CHANGED,)


async def test_approve_is_refused_when_the_file_was_changed(
    office: Office, session: AsyncSession
) -> None:
    version = await office.submit(await office.write(file_id=await _a_file(office)))
    assert version.file_id is not None
    await office.files.put(version.file_id, papers.a_docx(["换过的文件内容，与提交时不同。"]))
    assert reasons(await office.approve(version)) == (Reason.BYTES_CHANGED,)


async def test_approve_is_refused_when_the_file_is_gone(office: Office, tmp_path: object) -> None:
    version = await office.submit(await office.write(file_id=await _a_file(office)))
    assert version.file_id is not None
    office.files._path(version.file_id).unlink()  # type: ignore[attr-defined]
    assert reasons(await office.approve(version)) == (Reason.BYTES_CHANGED,)


async def _a_file(office: Office) -> object:
    data = papers.a_docx()
    stored = StoredFile(
        name="说明.docx", media_type="x", size=len(data), sha256="",
        uploaded_by=office.author.id, uploaded_at=MONDAY,
    )  # fmt: skip
    office.session.add(stored)
    await office.session.flush()
    await office.files.put(stored.id, data)
    return stored.id


async def test_approve_is_refused_for_blocked_wording(office: Office) -> None:
    version = await office.submit(
        await office.write(body="这款产品保本保收益，绝对不会亏，请放心买入。")
    )
    assert any(finding["level"] == "block" for finding in version.findings)
    assert reasons(await office.approve(version)) == (Reason.BLOCKED_WORDING,)


async def test_approve_is_refused_when_the_rating_changed_after_submission(office: Office) -> None:
    product = await a_product(office.session, rating=2)
    version = await office.submit(await office.write(product_codes=(product.code,)))
    product.bank_rating = 4
    assert reasons(await office.approve(version)) == (Reason.RATING_CHANGED,)


async def test_approve_is_refused_for_education_that_names_a_product_added_later(
    office: Office,
) -> None:
    version = await office.submit(
        await office.write(kind="education", body="我们拿稳稳向上30天来说明波动是怎么回事。")
    )
    await a_product(office.session, name="稳稳向上30天")
    assert reasons(await office.approve(version)) == (Reason.EDUCATION_SELLS,)


async def test_approve_is_refused_without_channel(office: Office) -> None:
    version = await office.submit(await office.write())
    assert reasons(await office.approve(version, channels=[])) == (Reason.NO_CHANNEL,)
    assert reasons(await office.approve(version, channels=["fax"])) == (Reason.NO_CHANNEL,)


async def test_approve_is_refused_for_a_private_product_in_groups(office: Office) -> None:
    product = await a_product(office.session)
    product.offering = "private"
    version = await office.submit(await office.write(product_codes=(product.code,)))
    for channel in ("group", "moments"):
        outcome = await office.approve(version, channels=["single_chat", channel])
        assert reasons(outcome) == (Reason.PRIVATE_IN_PUBLIC,)


async def test_approve_is_refused_for_no_branch_and_for_an_unknown_branch(office: Office) -> None:
    version = await office.submit(await office.write())
    assert reasons(await office.approve(version, branch_ids=[])) == (Reason.NO_BRANCH,)
    assert reasons(await office.approve(version, branch_ids=[uuid4()])) == (Reason.UNKNOWN_BRANCH,)


async def test_approve_is_refused_for_more_than_twelve_months(office: Office) -> None:
    version = await office.submit(await office.write())
    year = review.a_year_after(MONDAY)
    outcome = await office.approve(version, valid_until=year + timedelta(seconds=1))
    assert reasons(outcome) == (Reason.TOO_LONG,)
    assert isinstance(await office.approve(version, valid_until=year), review.Approved)


async def test_approve_is_refused_when_it_ends_before_it_starts_or_has_ended(
    office: Office,
) -> None:
    version = await office.submit(await office.write())
    day = timedelta(days=1)
    outcome = await office.approve(version, valid_from=MONDAY + 2 * day, valid_until=MONDAY + day)
    assert reasons(outcome) == (Reason.ENDS_BEFORE_START,)
    outcome = await office.approve(version, valid_from=MONDAY - 2 * day, valid_until=MONDAY - day)
    assert reasons(outcome) == (Reason.ENDS_IN_PAST,)


async def test_approve_is_refused_for_a_later_start_while_a_version_is_live(office: Office) -> None:
    first = await office.live()
    second = await office.submit(await office.revise(first.material_id, title="新标题"))
    outcome = await office.approve(second, valid_from=MONDAY + timedelta(days=1))
    assert reasons(outcome) == (Reason.LATER_THAN_LIVE,)


async def test_approve_is_refused_for_an_old_version_when_a_newer_one_is_live(
    office: Office,
) -> None:
    first = await office.submit(await office.write())
    second = await office.submit(await office.revise(first.material_id, title="新标题"))
    assert isinstance(await office.approve(second), review.Approved)
    assert reasons(await office.approve(first)) == (Reason.NEWER_IS_LIVE,)


async def test_all_reasons_are_told_at_once(office: Office) -> None:
    version = await office.submit(await office.write())
    outcome = await office.approve(version, by=office.author, channels=[], branch_ids=[])
    assert set(reasons(outcome)) == {
        Reason.OWN_WORK, Reason.NOT_REVIEWER, Reason.NO_CHANNEL, Reason.NO_BRANCH,
    }  # fmt: skip


# --------------------------------------------------------------- rejecting, withdrawing refused


async def test_reject_and_withdraw_are_refused_without_a_reason(office: Office) -> None:
    version = await office.submit(await office.write())
    args = {"by": office.approver, "reason": "  ", "now": MONDAY}
    assert reasons(await review.reject(office.session, version.id, **args)) == (Reason.NO_REASON,)  # type: ignore[arg-type]
    await office.approve(version)
    assert reasons(await review.withdraw(office.session, version.id, **args)) == (Reason.NO_REASON,)  # type: ignore[arg-type]


async def test_withdraw_is_refused_for_what_is_not_live_and_to_editors(office: Office) -> None:
    version = await office.write()
    outcome = await review.withdraw(
        office.session, version.id, by=office.author, reason="停用", now=MONDAY
    )
    assert reasons(outcome) == (Reason.NOT_LIVE, Reason.NOT_REVIEWER)


# ----------------------------------------------------------------- the database keeps the promise


async def test_four_eyes_is_kept_by_the_database(office: Office, session: AsyncSession) -> None:
    version = await office.submit(await office.write())
    with pytest.raises(IntegrityError, match="four_eyes"):
        await session.execute(
            text(
                "UPDATE version SET state = 'approved', approved_by = author_id, "
                "valid_from = now(), valid_until = now() + interval '1 day' WHERE id = :id"
            ),
            {"id": version.id},
        )


async def test_live_without_approver_or_validity_is_refused_by_the_database(
    office: Office, session: AsyncSession
) -> None:
    version = await office.submit(await office.write())
    with pytest.raises(IntegrityError, match="approved_is_complete"):
        await session.execute(
            text("UPDATE version SET state = 'approved' WHERE id = :id"), {"id": version.id}
        )


async def test_two_live_versions_of_a_material_are_refused_by_the_database(
    office: Office, session: AsyncSession
) -> None:
    first = await office.live()
    second = await office.revise(first.material_id, title="新标题")
    with pytest.raises(IntegrityError, match="uq_version_live"):
        await session.execute(
            text(
                "UPDATE version SET state = 'approved', approved_by = :by, "
                "valid_from = now(), valid_until = now() + interval '1 day' WHERE id = :id"
            ),
            {"id": second.id, "by": office.approver.id},
        )


# -------------------------------------------------------------------------------- what is bound


async def test_the_fingerprint_tells_title_body_questions_and_file_apart() -> None:
    prints = {
        materials.fingerprint("ab", "c", ["d"], None),
        materials.fingerprint("a", "bc", ["d"], None),
        materials.fingerprint("ab", "c", ["d", ""], None),
        materials.fingerprint("ab", "c", ["d"], b""),
        materials.fingerprint("ab", "c", ["d"], b"x"),
    }
    assert len(prints) == 5


async def test_a_refused_approval_leaves_no_change_in_the_library(
    office: Office, session: AsyncSession
) -> None:
    version = await office.submit(await office.write(A_DRAFT))
    await office.approve(version, channels=[])
    assert list((await session.execute(select(LibraryChange))).scalars()) == []
