"""The demo bank agrees with itself: every number on a page comes from rows that belong together."""

from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import AuditEntry, Branch, Role, Staff
from bot.demo.files import keep_all
from bot.demo.world import seeded_world
from bot.models import Cursor, Message
from compliance.suitability import customer_ceiling
from content import library, materials, review
from content.files import LocalFileStore
from content.models import Material, Nav, Product, ProductKind, State, Version
from customers.models import Customer, Follow, FollowState, Holding
from tests.demo.looking import MIDNIGHT, TODAY, by_id, every, hashes, loaded


class TestWhoIsThere:
    async def test_staff_have_one_role_each_and_sit_where_they_work(
        self, bank: AsyncSession
    ) -> None:
        staff = await every(bank, Staff)
        assert Counter(role for person in staff for role in person.roles) == {
            Role.RM: 12, Role.BRANCH_MANAGER: 3, Role.EDITOR: 2, Role.APPROVER: 2,
            Role.COMPLIANCE: 3, Role.AUDITOR: 1, Role.HQ: 1, Role.ADMIN: 1,
        }  # fmt: skip
        assert all(len(person.roles) == 1 for person in staff)
        branches = await by_id(bank, Branch)
        assert {b.name for b in branches.values()} == {"城东支行", "滨江支行", "高新支行"}
        rms = [person for person in staff if person.roles == [Role.RM]]
        assert set(Counter(rm.branch_id for rm in rms).values()) == {4}

    async def test_customers_are_mixed_as_in_a_real_book(self, bank: AsyncSession) -> None:
        customers = await every(bank, Customer)
        assert len(customers) == 400
        assert len({c.external_userid for c in customers}) == 400
        assert all(len(c.external_userid) == 32 for c in customers)
        unassessed = sum(c.risk_level is None for c in customers)
        ceilings = [customer_ceiling(c.risk_level, c.risk_assessed_at, MIDNIGHT) for c in customers]
        assert 8 <= unassessed <= 28
        assert 12 <= ceilings.count(0) - unassessed <= 40
        assert all(ceilings.count(level) > 5 for level in range(1, 6))

    async def test_a_follow_is_younger_than_fourteen_months_and_of_the_same_branch(
        self, bank: AsyncSession
    ) -> None:
        customers, staff = await by_id(bank, Customer), await by_id(bank, Staff)
        follows = await every(bank, Follow)
        assert 400 < len(follows) < 430
        assert 5 <= sum(f.state is not FollowState.ACTIVE for f in follows) <= 30
        for follow in follows:
            assert MIDNIGHT - timedelta(days=428) < follow.added_at < MIDNIGHT
            rm, customer = staff[follow.staff_id], customers[follow.customer_id]
            assert rm.branch_id == customer.branch_id
            assert (follow.removed_at is None) == (follow.state is FollowState.ACTIVE)

    async def test_the_guide_finds_an_easy_customer_for_every_rm(self, bank: AsyncSession) -> None:
        for rm in await every(bank, Staff):
            if rm.roles != [Role.RM]:
                continue
            query = (
                select(Customer)
                .join(Follow, col(Follow.customer_id) == col(Customer.id))
                .where(Follow.staff_id == rm.id, col(Customer.risk_level) == 3)
            )
            first = (await bank.execute(query.order_by(col(Customer.bank_no)))).scalars().first()
            assert first is not None
            assert customer_ceiling(3, first.risk_assessed_at, MIDNIGHT) == 3


class TestTheLibrary:
    async def test_it_holds_every_state_a_page_shows(self, bank: AsyncSession) -> None:
        versions = await every(bank, Version)
        states = Counter(version.state for version in versions)
        assert len(await every(bank, Material)) == 160
        assert (states[State.SUBMITTED], states[State.DRAFT], states[State.REJECTED]) == (3, 2, 2)
        assert (states[State.WITHDRAWN], states[State.SUPERSEDED]) == (2, 2)
        assert states[State.APPROVED] == 151
        soon = [
            v for v in versions
            if v.state is State.APPROVED and v.valid_until < MIDNIGHT + timedelta(days=30)
        ]  # fmt: skip
        assert len(soon) == 3
        assert all(v.reason for v in versions if v.state in (State.WITHDRAWN, State.REJECTED))

    async def test_every_version_went_through_four_eyes_and_its_hash_holds(
        self, bank: AsyncSession, tmp_path: Path
    ) -> None:
        files = LocalFileStore(tmp_path)
        await keep_all(files)
        for version in await every(bank, Version):
            assert await materials.fingerprint_of(bank, files, version) == version.sha256
            assert await materials.passages_fit(bank, version)
            if version.approved_at is not None:
                assert version.approved_by != version.author_id
                assert version.created_at < version.submitted_at < version.approved_at
                assert version.valid_until <= review.a_year_after(version.valid_from)

    async def test_a_waiting_version_can_be_approved_by_the_real_review(
        self, bank: AsyncSession, tmp_path: Path
    ) -> None:
        waiting = [v for v in await every(bank, Version) if v.state is State.SUBMITTED]
        approver = (await bank.execute(select(Staff).where(Staff.userid == "qianlin"))).scalar_one()
        outcome = await review.approve(
            bank, LocalFileStore(tmp_path), waiting[0].id, by=approver, checks=[True] * 3,
            valid_from=MIDNIGHT, valid_until=MIDNIGHT + timedelta(days=90),
            channels=["single_chat"], branch_ids=None, now=MIDNIGHT,
        )  # fmt: skip
        assert isinstance(outcome, review.Approved), outcome

    async def test_changes_are_told_in_order_and_end_where_the_versions_stand(
        self, bank: AsyncSession
    ) -> None:
        changes = await library.changes_since(bank, 0, limit=1000)
        assert [c.at for c in changes] == sorted(c.at for c in changes)
        live = {c.version_id for c in changes if c.live} - {
            c.version_id for c in changes if not c.live
        }
        approved = {v.id for v in await every(bank, Version) if v.state is State.APPROVED}
        assert live == approved

    async def test_a_value_is_known_for_every_trading_day_until_yesterday(
        self, bank: AsyncSession
    ) -> None:
        newest = select(Nav.product_id, func.max(Nav.on)).group_by(col(Nav.product_id))
        last_weekday = date(2026, 11, 20)
        rows = (await bank.execute(newest)).all()
        assert len(rows) == 18
        assert {on for _, on in rows} == {last_weekday}

    async def test_holdings_are_never_above_the_customers_level(self, bank: AsyncSession) -> None:
        products = {p.code: p for p in await every(bank, Product)}
        customers = await by_id(bank, Customer)
        holdings = await every(bank, Holding)
        assert len(holdings) > 300
        for holding in holdings:
            product = products[holding.product_code]
            level = customers[holding.customer_id].risk_level or 0
            assert product.kind is ProductKind.DEPOSIT or product.rating <= level
            assert holding.amount_cents >= product.min_amount_cents
            assert product.inception <= holding.bought_on < TODAY
            if holding.matures_on is not None:
                days = (holding.matures_on - holding.bought_on).days
                assert days == product.term_days
                assert holding.matures_on >= TODAY


class TestThePlatform:
    async def test_the_world_holds_the_same_people_and_the_same_chats(
        self, bank: AsyncSession
    ) -> None:
        world = await seeded_world(bank)
        assert len(world.members) == 25
        served = {c.external_userid for c in await every(bank, Customer)}
        assert served < world.contacts.keys()
        active = [f for f in await every(bank, Follow) if f.state is FollowState.ACTIVE]
        assert sum(follow.alive for follow in world.follows.values()) == len(active)
        stored = {m.msgid: m for m in await every(bank, Message)}
        assert len(world.messages) > 200
        assert [m.seq for m in world.messages] == list(range(1, len(world.messages) + 1))
        assert all(stored[m.msgid].text == m.text for m in world.messages if not m.chat_id)
        cursor = await bank.get_one(Cursor, "archive")
        assert cursor.position == len(world.messages)

    async def test_seeding_it_again_gives_the_same_world(self, bank: AsyncSession) -> None:
        assert await seeded_world(bank) == await seeded_world(bank)


class TestTheSameBank:
    async def test_two_loads_of_one_day_are_the_same_to_the_byte(
        self, full: str, database: str
    ) -> None:
        await loaded(database)
        assert await hashes(full) == await hashes(database)

    async def test_audit_lines_come_in_the_order_of_time(self, bank: AsyncSession) -> None:
        lines = select(AuditEntry.at).order_by(col(AuditEntry.id))
        moments: list[datetime] = list((await bank.execute(lines)).scalars())
        assert len(moments) > 1500
        assert moments == sorted(moments)
        assert moments[-1] < MIDNIGHT
