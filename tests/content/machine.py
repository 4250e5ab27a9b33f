"""Whatever people do in whatever order: only approved bytes are live, and one version at most.

    python -m tests.content.machine --steps 5000

takes that many steps on a database of its own and prints how many of each were taken.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from sqlmodel import select

from bank.database import open_engine, open_sessions
from bank.embedded import EmbeddedPostgres
from bank.models import Role, Staff
from content import claims, comments, library, materials, review, roads, steps
from content.files import LocalFileStore
from content.models import State, Version
from content.review_models import ReviewDesk, ReviewRisk
from migrations import migrate
from tests.builders import MONDAY, a_staff
from tests.content.worlds import A_DRAFT

PEOPLE = {
    "author": (Role.EDITOR,),
    "both": (Role.EDITOR, Role.APPROVER),
    "approver": (Role.APPROVER,),
    "other_approver": (Role.APPROVER,),
    "compliance": (Role.COMPLIANCE,),
    "head_office": (Role.COMPLIANCE,),
    "rm": (Role.RM,),
}
people = st.sampled_from(sorted(PEOPLE))
numbers = st.integers(0, 4)


class ReviewMachine(RuleBasedStateMachine):
    """One material in an office of seven people, on a real database."""

    url = ""
    taken: ClassVar[Counter[str]] = Counter()

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

    @initialize(desks=st.integers(1, 3))
    def the_bank_sets_the_road(self, desks: int) -> None:
        async def act() -> None:
            road = (roads.BUSINESS, roads.COMPLIANCE, roads.HEAD_OFFICE)[:desks]
            by = self.staff["compliance"]
            for risk in ReviewRisk:
                await roads.set_road(self.session, "faq", risk, road, by, self.now)
            await self.session.commit()

        self.run(act())

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

    @rule(who=people, number=numbers, holds=st.sampled_from([True, True, True, False]))
    def pass_on(self, who: str, number: int, holds: bool) -> None:
        async def act() -> None:
            version = await self.version(number)
            await review.pass_on(
                self.session, self.files, version.id,
                by=self.staff[who], checks=[holds] * 3, now=self.now,
            )  # fmt: skip
            await self.session.commit()

        self.run(act())

    @rule(who=people, number=numbers, days=st.sampled_from([-1, 90, 180, 365, 400]))
    def approve(self, who: str, number: int, days: int) -> None:
        self.run(self.approving(who, number, days))

    @rule(number=numbers, days=st.sampled_from([90, 365]))
    def everybody_does_their_part(self, number: int, days: int) -> None:
        async def act() -> None:
            version = await self.version(number)
            author = next(one for one in self.staff.values() if one.id == version.author_id)
            for one in await comments.of_version(self.session, version.id):
                await comments.resolve(self.session, one.comment.id, author, self.now)
            await review.submit(self.session, version.id, by=author, now=self.now)
            for who in ("approver", "compliance"):
                await review.pass_on(
                    self.session, self.files, version.id,
                    by=self.staff[who], checks=[True] * 3, now=self.now,
                )  # fmt: skip
            for who in ("other_approver", "compliance", "head_office"):
                await self.approving(who, number, days)

        self.run(act())

    async def approving(self, who: str, number: int, days: int) -> None:
        version = await self.version(number)
        seen = await materials.fingerprint_of(self.session, self.files, version)
        outcome = await review.approve(
            self.session, self.files, version.id, by=self.staff[who], checks=[True] * 3,
            valid_from=self.now, valid_until=self.now + timedelta(days=days),
            channels=["single_chat"], branch_ids=None, now=self.now,
        )  # fmt: skip
        if isinstance(outcome, review.Approved):
            self.approved[version.id] = (seen, self.staff[who].id)
            self.taken["went live"] += 1
        await self.session.commit()

    @rule(who=people, number=numbers, reason=st.sampled_from(["", "不妥"]), back=st.booleans())
    def send_back(self, who: str, number: int, reason: str, back: bool) -> None:
        async def act() -> None:
            version = await self.version(number)
            sending = review.ask_for_changes if back else review.reject
            by = self.staff[who]
            await sending(self.session, version.id, by=by, reason=reason, now=self.now)
            await self.session.commit()

        self.run(act())

    @rule(who=people, number=numbers, to=people, act_=st.sampled_from(["claim", "give", "free"]))
    def take_in_hand(self, who: str, number: int, to: str, act_: str) -> None:
        async def act() -> None:
            version, by = await self.version(number), self.staff[who]
            if act_ == "claim":
                await claims.claim(self.session, version.id, by=by, now=self.now)
            elif act_ == "free":
                await claims.release(self.session, version.id, by=by, now=self.now)
            else:
                await claims.transfer(
                    self.session, version.id, self.staff[to].id, by=by, note="", now=self.now
                )
            await self.session.commit()

        self.run(act())

    @rule(who=people, number=numbers)
    def comment_and_deal_with_it(self, who: str, number: int) -> None:
        async def act() -> None:
            version = await self.version(number)
            for one in await comments.of_version(self.session, version.id):
                await comments.resolve(self.session, one.comment.id, self.staff[who], self.now)
            if version.state == State.SUBMITTED:
                by = self.staff[who]
                await comments.write(self.session, version, "body", 0, 2, "改", by, self.now)
            await self.session.commit()

        self.run(act())

    @rule(who=people, number=numbers)
    def look_again(self, who: str, number: int) -> None:
        async def act() -> None:
            version, by = await self.version(number), self.staff[who]
            await review.uphold(
                self.session, self.files, version.id, by=by, checks=[True] * 2, now=self.now
            )
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
        self.taken["steps"] += 1
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
        road = [
            step
            for step in await steps.of_version(self.session, stored.id)
            if step.desk is not ReviewDesk.RECHECK
        ]
        assert road
        assert all(step.verdict == "passed" for step in road)
        deciders = [step.decided_by for step in road]
        assert len(set(deciders)) == len(deciders)
        assert stored.author_id not in deciders


def explore(url: str, *, examples: int, steps_each: int) -> Counter[str]:
    """Take steps on this database until the examples are used up; what was taken."""
    taken: ClassVar[Counter[str]] = Counter()
    machine = type("Machine", (ReviewMachine,), {"url": url, "taken": taken})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps_each,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return taken


def main() -> None:
    """Steps on a server of its own, a batch of examples at a time."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--steps", type=int, default=5000)
    wanted, total, began = asked.parse_args().steps, Counter[str](), time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="siyu-machine-"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home)
    try:
        url = server.start()
        migrate(url)
        while total["steps"] < wanted:
            total += explore(url, examples=20, steps_each=30)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
    print(dict(total), f"{time.monotonic() - began:.0f} s")  # noqa: T201


if __name__ == "__main__":
    main()
