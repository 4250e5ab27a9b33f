"""Small worlds for tests of material: an editorial office with drafts in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from content import library, materials, product_changes, review, steps
from content.files import FileStore, LocalFileStore
from content.materials import DraftMaterial
from content.models import Product, ProductChange, Version
from content.product_changes import Confirmed
from content.review_models import ReviewDesk
from tests.builders import MONDAY, a_staff
from tests.content import papers

QUESTIONS = ("赎回几天到账", "卖出以后钱什么时候到", "赎回资金多久能用")
LATER = MONDAY + timedelta(hours=1)
BASIS = "依据短期存单利率测算。"
OLD, NEW = "1.60%–2.10%", "1.50%–2.00%"
A_DRAFT = DraftMaterial(
    kind="faq",
    title="赎回多久到账",
    use="accompany",
    body=f"{papers.FIRST}\n\n{papers.SECOND}",
    questions=QUESTIONS,
)


@dataclass(frozen=True)
class Office:
    """One author, three reviewers, and the files."""

    session: AsyncSession
    files: FileStore
    author: Staff
    approver: Staff
    compliance: Staff
    head_office: Staff

    async def write(self, draft: DraftMaterial = A_DRAFT, **changed: Any) -> Version:
        """A saved draft."""
        wanted = replace(draft, **changed)
        saved = await materials.create(self.session, self.files, wanted, self.author, MONDAY)
        assert isinstance(saved, Version), saved
        return saved

    async def revise(self, material_id: UUID, **changed: Any) -> Version:
        """The next version, saved."""
        draft = replace(A_DRAFT, **changed)
        saved = await materials.revise(
            self.session, self.files, material_id, draft, self.author, MONDAY
        )
        assert isinstance(saved, Version), saved
        return saved

    async def submit(self, version: Version) -> Version:
        """Handed to the reviewers."""
        moved = await review.submit(self.session, version.id, by=self.author, now=MONDAY)
        assert isinstance(moved, review.Submitted), moved
        return moved.version

    async def approve(
        self,
        version: Version,
        *,
        by: Staff | None = None,
        valid_from: datetime = MONDAY,
        valid_until: datetime = MONDAY + timedelta(days=180),
        channels: Sequence[str] = ("single_chat", "group"),
        branch_ids: Sequence[UUID] | None = None,
        now: datetime = MONDAY,
    ) -> review.Approved | review.Refused:
        """The last reviewer says yes, those before have; what comes of it.

        Without `by`, whoever fits the last step decides it.
        """
        fitting = await self.through(version, now)
        if isinstance(fitting, review.Refused):
            return fitting
        return await review.approve(
            self.session,
            self.files,
            version.id,
            by=by or fitting,
            checks=[True] * 3,
            valid_from=valid_from,
            valid_until=valid_until,
            channels=channels,
            branch_ids=branch_ids,
            now=now,
        )

    async def through(self, version: Version, now: datetime = MONDAY) -> Staff | review.Refused:
        """Pass every step but the last; returns who fits the last one, or the first refusal."""
        order = {
            ReviewDesk.BUSINESS: self.approver,
            ReviewDesk.COMPLIANCE: self.compliance,
            ReviewDesk.HEAD_OFFICE: self.head_office,
        }
        way = await steps.way_of(self.session, version.id)
        # One version in twenty is looked at again once it is live; that is no step on the way.
        while way.open is not None and way.open.desk in order and not way.last:
            passed = await review.pass_on(
                self.session, self.files, version.id,
                by=order[way.open.desk], checks=[True] * 3, now=now,
            )  # fmt: skip
            if isinstance(passed, review.Refused):
                return passed
            way = await steps.way_of(self.session, version.id)
        return order.get(way.open.desk, self.approver) if way.open is not None else self.approver

    async def live(self, draft: DraftMaterial = A_DRAFT, **changed: Any) -> Version:
        """Written, submitted, approved."""
        version = await self.submit(await self.write(draft, **changed))
        approved = await self.approve(version)
        assert isinstance(approved, review.Approved), approved
        return version


async def an_office(session: AsyncSession, root: Path) -> Office:
    """An editorial office that keeps its files under `root`."""
    return Office(
        session=session,
        files=LocalFileStore(root),
        author=await a_staff(session, Role.EDITOR, name="周编"),
        approver=await a_staff(session, Role.APPROVER, name="钱审"),
        compliance=await a_staff(session, Role.COMPLIANCE, name="孙合规"),
        head_office=await a_staff(session, Role.COMPLIANCE, name="吴总行"),
    )


async def re_rated(session: AsyncSession, product: Product, rating: int, now: datetime) -> None:
    """Two people put another rating of the bank in force."""
    editor = await a_staff(session, Role.EDITOR)
    compliance = await a_staff(session, Role.COMPLIANCE)
    change = await product_changes.propose(
        session, product.id, {"bank_rating": str(rating)}, by=editor, reason="复评", now=now
    )
    assert isinstance(change, ProductChange), change
    done = await product_changes.confirm(session, change.id, by=compliance, now=now)
    assert isinstance(done, Confirmed), done


async def proposed(
    session: AsyncSession, product: Product, by: Staff, **wanted: str
) -> ProductChange:
    """A change that waits, asked for by this person."""
    change = await product_changes.propose(
        session, product.id, wanted, by=by, reason="管理人公告", now=MONDAY
    )
    assert isinstance(change, ProductChange), change
    return change


async def changed(
    session: AsyncSession, product: Product, by: Sequence[Staff], **wanted: str
) -> Confirmed:
    """A change in force, by the hands of these two; what came of it."""
    change = await proposed(session, product, by[0], **wanted)
    outcome = await product_changes.confirm(session, change.id, by=by[1], now=LATER)
    assert isinstance(outcome, Confirmed), outcome
    return outcome


async def live(session: AsyncSession, version: Version) -> bool:
    """Whether it may be used an hour after the test began."""
    found = await library.only_live(
        session, [version.id], now=LATER, channel="single_chat", branch_id=None, risk_ceiling=5
    )
    return version.id in found
