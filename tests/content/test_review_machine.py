"""Whatever people do in whatever order: only approved bytes are live, and one version at most."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text
from sqlmodel import select

from bank.database import open_engine, open_sessions
from bank.models import Role, Staff
from content import library, materials, review
from content.files import LocalFileStore
from content.models import State, Version
from tests.builders import MONDAY, a_staff
from tests.content.worlds import A_DRAFT

PEOPLE = {
    "author": (Role.EDITOR,),
    "both": (Role.EDITOR, Role.APPROVER),
    "approver": (Role.APPROVER,),
    "compliance": (Role.COMPLIANCE,),
    "rm": (Role.RM,),
}
people = st.sampled_from(sorted(PEOPLE))
numbers = st.integers(0, 4)


class ReviewMachine(RuleBasedStateMachine):
    """One material in an office of five people, on a real database."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.engine = open_engine(self.url, pool_size=2)
        self.folder = tempfile.TemporaryDirectory()
        self.files = LocalFileStore(Path(self.folder.name))
        self.now = MONDAY
        self.approved: dict[UUID, tuple[str, UUID]] = {}
        self.staff: dict[str, Staff] = {}
        self.run(self.arrange())

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    async def arrange(self) -> None:
        self.session = open_sessions(self.engine)()
        for name, roles in PEOPLE.items():
            self.staff[name] = await a_staff(self.session, *roles)
        first = await materials.create(
            self.session, self.files, A_DRAFT, self.staff["author"], self.now
        )
        assert isinstance(first, Version)
        self.material_id = first.material_id
        await self.session.commit()

    def teardown(self) -> None:
        self.run(self.session.close())
        self.run(self.engine.dispose())
        self.runner.close()
        self.folder.cleanup()

    async def version(self, number: int) -> Version:
        versions = await materials.versions_of(self.session, self.material_id)
        return versions[number % len(versions)]

    @rule(who=st.sampled_from(["author", "both"]), word=st.sampled_from("甲乙丙丁"))
    def revise(self, who: str, word: str) -> None:
        async def act() -> None:
            draft = materials.DraftMaterial(
                kind="faq", title=f"赎回{word}", use="trust", body=A_DRAFT.body,
                questions=A_DRAFT.questions,
            )  # fmt: skip
            by = self.staff[who]
            await materials.revise(self.session, self.files, self.material_id, draft, by, self.now)
            await self.session.commit()

        self.run(act())

    @rule(number=numbers)
    def the_author_submits(self, number: int) -> None:
        async def act() -> None:
            version = await self.version(number)
            by = next(one for one in self.staff.values() if one.id == version.author_id)
            await review.submit(self.session, version.id, by=by, now=self.now)
            await self.session.commit()

        self.run(act())

    @rule(who=people, number=numbers)
    def anyone_submits(self, who: str, number: int) -> None:
        async def act() -> None:
            version = await self.version(number)
            await review.submit(self.session, version.id, by=self.staff[who], now=self.now)
            await self.session.commit()

        self.run(act())

    @rule(who=people, number=numbers, days=st.sampled_from([-1, 90, 180, 365, 400]))
    def approve(self, who: str, number: int, days: int) -> None:
        async def act() -> None:
            version = await self.version(number)
            seen = await materials.fingerprint_of(self.session, self.files, version)
            outcome = await review.approve(
                self.session, self.files, version.id, by=self.staff[who],
                valid_from=self.now, valid_until=self.now + timedelta(days=days),
                channels=["single_chat"], branch_ids=None, now=self.now,
            )  # fmt: skip
            if isinstance(outcome, review.Approved):
                self.approved[version.id] = (seen, self.staff[who].id)
            await self.session.commit()

        self.run(act())

    @rule(who=people, number=numbers, reason=st.sampled_from(["", "停用"]))
    def reject(self, who: str, number: int, reason: str) -> None:
        async def act() -> None:
            version = await self.version(number)
            by = self.staff[who]
            await review.reject(self.session, version.id, by=by, reason=reason, now=self.now)
            await self.session.commit()

        self.run(act())

    @rule(who=people, number=numbers, reason=st.sampled_from(["", "停用"]))
    def withdraw(self, who: str, number: int, reason: str) -> None:
        async def act() -> None:
            version = await self.version(number)
            by = self.staff[who]
            await review.withdraw(self.session, version.id, by=by, reason=reason, now=self.now)
            await self.session.commit()

        self.run(act())

    @rule(number=numbers, word=st.sampled_from("戊己"))
    def somebody_changes_the_stored_text_of_what_is_not_live(self, number: int, word: str) -> None:
        async def act() -> None:
            version = await self.version(number)
            if version.state in (State.DRAFT, State.SUBMITTED):
                changed = text("UPDATE version SET body = body || :word WHERE id = :id")
                await self.session.execute(changed, {"word": word, "id": version.id})
                await self.session.commit()
                await self.session.refresh(version)

        self.run(act())

    @rule(days=st.integers(1, 200), tidy=st.booleans())
    def time_passes(self, days: int, tidy: bool) -> None:
        async def act() -> None:
            self.now += timedelta(days=days)
            if tidy:
                await review.expire_due(self.session, self.now)
            await self.session.commit()

        self.run(act())

    @invariant()
    def only_approved_bytes_are_live_and_one_version_at_most(self) -> None:
        self.run(self.look())

    async def look(self) -> None:
        versions = await materials.versions_of(self.session, self.material_id)
        assert sum(version.state == State.APPROVED for version in versions) <= 1
        live = await library.only_live(
            self.session, [version.id for version in versions],
            now=self.now, channel="single_chat", branch_id=None, risk_ceiling=5,
        )  # fmt: skip
        assert len(live) <= 1
        for version in versions:
            if version.id in live:
                await self.look_at_live(version)
        last = {
            change.version_id: change.live
            for change in await library.changes_since(self.session, 0, limit=10_000)
        }
        told_live = {id_ for id_, is_live in last.items() if is_live} & {v.id for v in versions}
        assert told_live == {v.id for v in versions if v.state == State.APPROVED}
        await self.session.commit()

    async def look_at_live(self, version: Version) -> None:
        stored = (
            await self.session.execute(
                select(Version).where(Version.id == version.id),
                execution_options={"populate_existing": True},
            )
        ).scalar_one()
        seen, by = self.approved[version.id]
        assert await materials.fingerprint_of(self.session, self.files, stored) == seen
        assert stored.sha256 == seen
        assert stored.approved_by == by != stored.author_id
        assert stored.valid_from is not None
        assert stored.valid_until is not None
        assert stored.valid_from <= self.now < stored.valid_until


def test_no_sequence_of_actions_makes_unapproved_bytes_live(database: str) -> None:
    machine = type("Machine", (ReviewMachine,), {"url": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
