"""The demo bank agrees with itself: every number on a page comes from rows that belong together."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col, select

from attribution import conversions, touchpoints
from attribution.models import Conversion, ConversionState, Credit, Touchpoint, TouchpointKind
from bank.calendar import at_local, local, local_day
from bank.database import open_engine, open_sessions
from bank.models import AuditEntry, Branch, Role, Staff
from bank.settings import Settings
from bot.demo.bank import SEED, load
from bot.demo.world import seeded_world
from bot.models import Cursor, Message, Speaker
from compliance.suitability import customer_ceiling
from content import library, materials, review
from content.files import LocalFileStore
from content.models import Material, Nav, Passage, Product, ProductKind, State, Version
from customers.models import Consent, Customer, Follow, FollowState, Holding, Purpose
from knowledge.models import Suggestion, SuggestionState
from scheduler.models import (
    Arm,
    Enrolment,
    EnrolmentState,
    SendTask,
    Sop,
    TaskState,
    Touch,
    TouchState,
)
from scheduler.plan import arm_of
from scheduler.triggers import enrol_by_date

TODAY = date(2026, 11, 23)
MIDNIGHT = at_local(TODAY, time())
SENT = (SuggestionState.SENT, SuggestionState.EDITED)
BANK = Settings(_env_file=None, home=Path("unused"))  # type: ignore[call-arg]


async def loaded(url: str) -> None:
    """Load the bank into that database, for good."""
    async with reading(url) as opened:
        await load(opened, TODAY, SEED, BANK)
        await opened.commit()


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[AsyncSession]:
    """A session on that database; what is not committed is undone."""
    engine = open_engine(url)
    try:
        async with open_sessions(engine)() as opened:
            yield opened
    finally:
        await engine.dispose()


@pytest.fixture(scope="module")
def full(template: str) -> Iterator[str]:
    """A database with the demo bank in it; tests look, and undo what they change."""
    name = f"demo_{uuid4().hex[:12]}"
    admin, url = template.replace("/siyu?", "/postgres?"), template.replace("/siyu?", f"/{name}?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE siyu STRATEGY file_copy')
    asyncio.run(loaded(url))
    yield url
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def bank(full: str) -> AsyncIterator[AsyncSession]:
    """A session on the loaded bank; nothing of it is kept."""
    async with reading(full) as opened:
        yield opened


async def every(bank: AsyncSession, model: type[SQLModel]) -> list:
    return list((await bank.execute(select(model))).scalars())


async def by_id(bank: AsyncSession, model: type[SQLModel]) -> dict:
    return {one.id: one for one in await every(bank, model)}


class TestWhoIsThere:
    async def test_staff_have_one_role_each_and_sit_where_they_work(
        self, bank: AsyncSession
    ) -> None:
        staff = await every(bank, Staff)
        assert Counter(role for person in staff for role in person.roles) == {
            Role.RM: 12, Role.BRANCH_MANAGER: 3, Role.EDITOR: 2, Role.APPROVER: 2,
            Role.COMPLIANCE: 1, Role.AUDITOR: 1, Role.HQ: 1, Role.ADMIN: 1,
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
        assert len(await every(bank, Material)) == 150
        assert (states[State.SUBMITTED], states[State.DRAFT], states[State.REJECTED]) == (3, 2, 2)
        assert (states[State.WITHDRAWN], states[State.SUPERSEDED]) == (2, 2)
        assert states[State.APPROVED] == 141
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
            bank, LocalFileStore(tmp_path), waiting[0].id, by=approver,
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


class TestConversations:
    async def test_suggestions_came_out_as_they_do(self, bank: AsyncSession) -> None:
        states = Counter(s.state for s in await every(bank, Suggestion))
        total = states.total()
        assert total > 1200
        shares = {state: count / total for state, count in states.items()}
        assert 0.55 < shares[SuggestionState.SENT] < 0.72
        assert 0.10 < shares[SuggestionState.EDITED] < 0.20
        assert 0.08 < shares[SuggestionState.REJECTED] < 0.16
        assert 0.05 < shares[SuggestionState.NO_MATCH] < 0.11
        assert 0 < shares[SuggestionState.BLOCKED] < 0.03
        assert states[SuggestionState.OFFERED] >= 8

    async def test_what_waits_belongs_to_many_rms_and_came_in_last_evening(
        self, bank: AsyncSession
    ) -> None:
        waiting = [s for s in await every(bank, Suggestion) if s.state is SuggestionState.OFFERED]
        assert len({s.staff_id for s in waiting}) >= 8
        assert all(MIDNIGHT - timedelta(hours=5) < s.created_at < MIDNIGHT for s in waiting)

    async def test_every_reply_is_one_touchpoint_one_message_and_one_audit_line(
        self, bank: AsyncSession
    ) -> None:
        sent = [s for s in await every(bank, Suggestion) if s.state in SENT]
        seen = [t for t in await every(bank, Touchpoint) if t.kind is TouchpointKind.REPLY_SENT]
        assert Counter(t.source_id for t in seen) == Counter(str(s.id) for s in sent)
        lines = select(AuditEntry.subject_id).where(
            AuditEntry.action == "knowledge:suggestion:send"
        )
        assert sorted((await bank.execute(lines)).scalars()) == sorted(str(s.id) for s in sent)
        said = Counter(
            (m.staff_id, m.customer_id, m.sent_at, m.text)
            for m in await every(bank, Message)
            if m.speaker is Speaker.RM
        )
        for s in sent:
            assert said[s.staff_id, s.customer_id, s.decided_at, s.sent_text] == 1
            assert (s.sent_text == s.draft) == (s.state is SuggestionState.SENT)

    async def test_nothing_is_quoted_beyond_its_validity_or_the_customers_level(
        self, bank: AsyncSession
    ) -> None:
        versions, customers = await by_id(bank, Version), await by_id(bank, Customer)
        passages = {(p.version_id, p.position): p.text for p in await every(bank, Passage)}
        for suggestion in await every(bank, Suggestion):
            customer, at = customers[suggestion.customer_id], suggestion.created_at
            ceiling = customer_ceiling(customer.risk_level, customer.risk_assessed_at, at)
            assert suggestion.filters["risk_ceiling"] == ceiling
            used = [versions[v] for v in {suggestion.version_id} - {None}]
            used += [v for v in versions.values() if _is_candidate(v, suggestion)]
            for version in used:
                assert version.risk <= ceiling
                assert version.valid_from <= at < (version.ended_at or version.valid_until)
                assert "single_chat" in version.channels
            for citation in suggestion.citations:
                place = versions[suggestion.version_id].id, citation["position"]
                assert passages[place] == citation["passage"]
                assert citation["text"] in citation["passage"]
            if suggestion.citations:
                assert suggestion.draft.startswith(suggestion.citations[0]["passage"])

    async def test_nobody_is_written_to_before_or_after_the_relation(
        self, bank: AsyncSession
    ) -> None:
        follows = {(f.staff_id, f.customer_id): f for f in await every(bank, Follow)}
        for point in await every(bank, Touchpoint):
            follow = follows[point.staff_id, point.customer_id]
            assert follow.added_at <= point.at < (follow.removed_at or MIDNIGHT)

    async def test_every_message_of_a_customer_is_a_touchpoint(self, bank: AsyncSession) -> None:
        wrote = [t for t in await every(bank, Touchpoint) if t.source == "message"]
        theirs = [m for m in await every(bank, Message) if m.speaker is Speaker.CUSTOMER]
        assert {t.source_id for t in wrote} == {str(m.id) for m in theirs}
        assert all(m.answered and m.sent_at < MIDNIGHT for m in await every(bank, Message))


def _is_candidate(version: Version, suggestion: Suggestion) -> bool:
    return str(version.id) in {c["version_id"] for c in suggestion.candidates}


class TestSequences:
    async def test_touches_stand_in_every_state_and_what_is_planned_lies_ahead(
        self, bank: AsyncSession
    ) -> None:
        touches = await every(bank, Touch)
        states = Counter(touch.state for touch in touches)
        assert states[TouchState.DELIVERED] > 300
        for state in (
            TouchState.GHOST, TouchState.NOT_REACHED, TouchState.REFUSED, TouchState.PLANNED
        ):  # fmt: skip
            assert states[state] > 0, state
        for touch in touches:
            open_touch = touch.state is TouchState.PLANNED
            assert (touch.due_at >= MIDNIGHT) >= open_touch
            assert (touch.settled_at is None) == open_touch
            assert bool(touch.reasons) == (
                touch.state in (TouchState.NOT_REACHED, TouchState.REFUSED, TouchState.CANCELLED)
            )

    async def test_every_delivered_touch_is_one_touchpoint_in_a_closed_task(
        self, bank: AsyncSession
    ) -> None:
        delivered = {t.id: t for t in await every(bank, Touch) if t.state is TouchState.DELIVERED}
        points = [t for t in await every(bank, Touchpoint) if t.source == "touch"]
        assert Counter(t.source_id for t in points) == Counter(map(str, delivered))
        tasks = await by_id(bank, SendTask)
        assert {task.state for task in tasks.values()} == {TaskState.CLOSED}
        at = {point.source_id: point.at for point in points}
        for touch in delivered.values():
            task = tasks[touch.task_id]
            assert at[str(touch.id)] == touch.settled_at == task.confirmed_at
            assert (task.staff_id, task.version_id) == (touch.staff_id, touch.version_id)
            assert "{" not in task.text

    async def test_control_is_drawn_by_the_schedulers_rule_and_gets_nothing(
        self, bank: AsyncSession
    ) -> None:
        sops, enrolments = await by_id(bank, Sop), await by_id(bank, Enrolment)
        assert len(sops) == 4
        for enrolment in enrolments.values():
            sop = sops[enrolment.sop_id]
            drawn = arm_of(str(sop.id), enrolment.customer_id, sop.control_percent)
            assert enrolment.arm is drawn
        sent = {TouchState.DELIVERED, TouchState.NOT_REACHED}
        for touch in await every(bank, Touch):
            arm = enrolments[touch.enrolment_id].arm
            assert (touch.state in sent) <= (arm is Arm.TREATED)
            assert (touch.state is TouchState.GHOST) <= (arm is Arm.CONTROL)

    async def test_marketing_keeps_consent_hours_and_caps(self, bank: AsyncSession) -> None:
        given = {
            c.customer_id: c for c in await every(bank, Consent) if c.purpose is Purpose.MARKETING
        }
        sops, enrolments = await by_id(bank, Sop), await by_id(bank, Enrolment)
        days: Counter[object] = Counter()
        months: Counter[object] = Counter()
        for touch in await every(bank, Touch):
            enrolment = enrolments[touch.enrolment_id]
            if touch.state is not TouchState.DELIVERED:
                continue
            assert 9 <= local(touch.settled_at).hour < 21
            if not sops[enrolment.sop_id].marketing:
                continue
            consent, day = given[touch.customer_id], local_day(touch.settled_at)
            assert consent.granted_at <= touch.settled_at
            assert consent.withdrawn_at is None or touch.settled_at < consent.withdrawn_at
            days[touch.customer_id, day] += 1
            months[touch.customer_id, day.year, day.month] += 1
        assert max(days.values()) == 1
        assert max(months.values()) <= 4

    async def test_an_enrolment_is_over_when_nothing_is_left_of_it(
        self, bank: AsyncSession
    ) -> None:
        planned = {t.enrolment_id for t in await every(bank, Touch) if not t.settled_at}
        for enrolment in await every(bank, Enrolment):
            assert (enrolment.state is EnrolmentState.ACTIVE) == (enrolment.id in planned)
            assert (enrolment.ended_at is None) == (enrolment.state is EnrolmentState.ACTIVE)

    async def test_the_real_trigger_enters_only_who_is_due_from_today(
        self, bank: AsyncSession
    ) -> None:
        before = {e.id for e in await every(bank, Enrolment)}
        await enrol_by_date(bank, MIDNIGHT + timedelta(hours=9))
        new = [e for e in await every(bank, Enrolment) if e.id not in before]
        assert len(new) < 15
        assert all(e.starts_at >= MIDNIGHT for e in new)


class TestMoney:
    async def test_conversions_are_credited_or_say_why_not(self, bank: AsyncSession) -> None:
        states = Counter(c.state for c in await every(bank, Conversion))
        assert states.total() == 260
        assert states[ConversionState.HELD] == 3
        assert states[ConversionState.UNATTRIBUTED] > 5
        assert states[ConversionState.CREDITED] > 150

    async def test_credit_adds_up_to_the_cent_by_every_model_and_dimension(
        self, bank: AsyncSession
    ) -> None:
        amounts = {c.id: c.amount_cents for c in await every(bank, Conversion)}
        sums: Counter[object] = Counter()
        for line in await every(bank, Credit):
            sums[line.conversion_id, line.model, line.dimension] += line.cents
        assert sums
        for (conversion_id, _, _), cents in sums.items():  # type: ignore[misc]
            assert cents == amounts[conversion_id]

    async def test_the_ledger_agrees_with_the_touchpoints_in_the_window(
        self, bank: AsyncSession
    ) -> None:
        window = timedelta(days=BANK.attribution_window_days)
        credited = {line.touchpoint_id for line in await every(bank, Credit)}
        leading: set[int | None] = set()
        for conversion in await every(bank, Conversion):
            if conversion.customer_id is not None:
                path = await touchpoints.leading_to(
                    bank, conversion.customer_id, conversion.at, window
                )
                leading.update(point.id for point in path)
                found = conversion.state is ConversionState.CREDITED
                assert found == bool(path)
        assert credited == leading

    async def test_the_same_file_again_changes_nothing(self, bank: AsyncSession) -> None:
        stored = await every(bank, Conversion)
        rows = [
            {
                "reference": c.reference,
                "customer_no": c.bank_no,
                "product_code": c.product_code,
                "amount": f"{c.amount_cents / 100:.2f}",
                "happened_at": c.at.isoformat(),
            }
            for c in stored
        ]
        outcome = await conversions.ingest(
            bank, rows, source=stored[0].source, now=MIDNIGHT, window_days=30
        )
        counts = outcome.counts()
        assert (counts["read"], counts["same"], counts["new"]) == (260, 260, 0)
        assert not outcome.rejects

    async def test_purchases_suit_the_customer_at_that_moment(self, bank: AsyncSession) -> None:
        products = {p.code: p for p in await every(bank, Product)}
        customers = await by_id(bank, Customer)
        for bought in await every(bank, Conversion):
            product = products[bought.product_code]
            if bought.customer_id is None or product.kind is ProductKind.DEPOSIT:
                continue
            customer = customers[bought.customer_id]
            ceiling = customer_ceiling(customer.risk_level, customer.risk_assessed_at, bought.at)
            assert product.rating <= ceiling


class TestThePlatform:
    async def test_the_world_holds_the_same_people_and_the_same_chats(
        self, bank: AsyncSession
    ) -> None:
        world = await seeded_world(bank)
        assert len(world.members) == 23
        assert len(world.contacts) == 400
        active = [f for f in await every(bank, Follow) if f.state is FollowState.ACTIVE]
        assert sum(follow.alive for follow in world.follows.values()) == len(active)
        stored = {m.msgid: m for m in await every(bank, Message)}
        assert len(world.messages) > 200
        assert [m.seq for m in world.messages] == list(range(1, len(world.messages) + 1))
        assert all(stored[m.msgid].text == m.text for m in world.messages)
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


async def hashes(url: str) -> dict[str, str]:
    """A hash of all rows of each table."""
    found = {}
    async with reading(url) as opened:
        for table in SQLModel.metadata.sorted_tables:
            lines = (await opened.execute(text(f'SELECT t::text FROM "{table.name}" t'))).scalars()
            found[table.name] = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    return found
