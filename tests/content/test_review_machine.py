"""F-19: no order of actions, and no two at the same moment, makes unapproved bytes live."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.database import Sessions
from content import materials, review
from content.models import State, Version
from content.objections import Reason
from tests.builders import MONDAY
from tests.content.machine import explore
from tests.content.worlds import A_DRAFT, Office

ROUNDS = 8
# Its dice are new each time: a batch brings three or four versions live, now and then one.
BATCHES = 5


def test_no_sequence_of_actions_makes_unapproved_bytes_live(database: str) -> None:
    taken = Counter[str]()
    for _ in range(BATCHES):
        taken += explore(database, examples=12, steps_each=25)
        if taken["went live"] >= 3:
            break
    assert taken["steps"] > 200
    assert taken["went live"] >= 3, "the machine must get somewhere"


async def _approve(sessions: Sessions, office: Office, version: Version, by: Any) -> Any:
    async with sessions.begin() as session:
        return await review.approve(
            session, office.files, version.id, by=by, checks=[True] * 3,
            valid_from=MONDAY, valid_until=MONDAY + timedelta(days=90),
            channels=["single_chat"], branch_ids=None, now=MONDAY,
        )  # fmt: skip


async def _withdraw(sessions: Sessions, office: Office, version: Version) -> Any:
    async with sessions.begin() as session:
        return await review.withdraw(
            session, version.id, by=office.compliance, reason="停用", now=MONDAY
        )


async def _revise(sessions: Sessions, office: Office, version: Version, word: str) -> Any:
    draft = materials.DraftMaterial(
        kind="faq", title=word, use="trust", body=A_DRAFT.body, questions=A_DRAFT.questions
    )
    async with sessions.begin() as session:
        return await materials.revise(
            session, office.files, version.material_id, draft, office.author, MONDAY
        )


async def test_of_two_approvals_at_once_exactly_one_wins(
    office: Office, session: AsyncSession, sessions: Sessions
) -> None:
    for _ in range(ROUNDS):
        version = await office.submit(await office.write())
        await session.commit()
        outcomes = await asyncio.gather(
            *(_approve(sessions, office, version, by) for by in (office.approver, office.approver))
        )
        won = [outcome for outcome in outcomes if isinstance(outcome, review.Approved)]
        [lost] = [outcome for outcome in outcomes if isinstance(outcome, review.Refused)]
        assert len(won) == 1
        assert Reason.NOT_SUBMITTED in lost.reasons


async def test_of_approving_and_rejecting_at_once_exactly_one_wins(
    office: Office, session: AsyncSession, sessions: Sessions
) -> None:
    async def reject(version: Version) -> Any:
        async with sessions.begin() as own:
            return await review.reject(
                own, version.id, by=office.approver, reason="不妥", now=MONDAY
            )

    seen: Counter[str] = Counter()
    for _ in range(ROUNDS):
        version = await office.submit(await office.write())
        await session.commit()
        outcomes = await asyncio.gather(
            reject(version), _approve(sessions, office, version, office.approver)
        )
        moved = [outcome for outcome in outcomes if isinstance(outcome, review.Moved)]
        assert len(moved) == 1
        await session.refresh(version)
        seen[version.state] += 1
        assert version.state == moved[0].version.state
    assert sum(seen.values()) == ROUNDS


async def test_editing_while_approving_changes_nothing_of_what_goes_live(
    office: Office, session: AsyncSession, sessions: Sessions
) -> None:
    for number in range(ROUNDS):
        version = await office.submit(await office.write(title=f"份{number}"))
        await session.commit()
        before = version.sha256
        approved, revised = await asyncio.gather(
            _approve(sessions, office, version, office.approver),
            _revise(sessions, office, version, f"改{number}"),
        )
        assert isinstance(approved, review.Approved)
        assert (revised.state, revised.number) == (State.DRAFT, 2)
        await session.refresh(version)
        assert await materials.fingerprint_of(session, office.files, version) == before
        assert version.sha256 == before


async def test_approving_a_revision_while_the_live_one_is_withdrawn(
    office: Office, session: AsyncSession, sessions: Sessions
) -> None:
    for number in range(ROUNDS):
        first = await office.live(title=f"份{number}")
        second = await office.submit(await office.revise(first.material_id, title=f"新{number}"))
        await session.commit()
        approved, withdrawn = await asyncio.gather(
            _approve(sessions, office, second, office.approver),
            _withdraw(sessions, office, first),
        )
        assert isinstance(approved, review.Approved)
        await session.refresh(first)
        assert first.state in (State.SUPERSEDED, State.WITHDRAWN)
        assert isinstance(withdrawn, review.Withdrawn) == (first.state == State.WITHDRAWN)
        live = select(Version.id).where(
            Version.material_id == first.material_id, col(Version.state) == State.APPROVED
        )
        assert list((await session.execute(live)).scalars()) == [second.id]
        await session.commit()


async def test_bytes_changed_behind_the_review_are_refused_at_every_step(
    office: Office, session: AsyncSession
) -> None:
    version = await office.submit(await office.write())
    changed = text("UPDATE version SET body = body || '稳赚' WHERE id = :id")
    await session.execute(changed, {"id": version.id})
    refused = await review.approve(
        session, office.files, version.id, by=office.approver, checks=[True] * 3,
        valid_from=MONDAY, valid_until=MONDAY + timedelta(days=90),
        channels=["single_chat"], branch_ids=None, now=MONDAY,
    )  # fmt: skip
    assert isinstance(refused, review.Refused)
    assert Reason.BYTES_CHANGED in refused.reasons
