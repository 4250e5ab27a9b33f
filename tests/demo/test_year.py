"""The year behind the demo bank: conversations, touches and money that agree with each other."""

from collections import Counter
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from attribution import conversions, touchpoints
from attribution.models import Conversion, ConversionState, Credit, Touchpoint, TouchpointKind
from bank.calendar import local, local_day
from bank.models import AuditEntry
from bot.models import Message, Speaker
from compliance.suitability import customer_ceiling
from content import review
from content.models import Passage, Product, ProductKind, Version
from customers.models import Consent, Customer, Follow, Purpose
from knowledge import replies
from knowledge.models import Suggestion, SuggestionState
from knowledge.picking import PICKED
from outbound.facts import policy_of
from scheduler import enrolment, touches
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
from tests.demo.looking import BANK, MIDNIGHT, SENT, by_id, every


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

    async def test_what_waits_can_be_sent_this_morning(self, bank: AsyncSession) -> None:
        morning = MIDNIGHT + timedelta(hours=9)
        for waiting in await every(bank, Suggestion):
            if waiting.state is SuggestionState.OFFERED:
                texts = policy_of(BANK)
                cleared = await replies.clear(bank, waiting, waiting.draft, texts, morning)
                assert isinstance(cleared, replies.Cleared), cleared

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
            if suggestion.tier != PICKED:
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
        every_touch = await every(bank, Touch)
        states = Counter(touch.state for touch in every_touch)
        assert states[TouchState.DELIVERED] > 300
        for state in (
            TouchState.GHOST, TouchState.NOT_REACHED, TouchState.REFUSED, TouchState.PLANNED
        ):  # fmt: skip
            assert states[state] > 0, state
        for touch in every_touch:
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
        assert len(sops) == 5
        for entered in enrolments.values():
            sop = sops[entered.sop_id]
            drawn = arm_of(str(sop.id), entered.customer_id, sop.control_percent)
            assert entered.arm is drawn
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
            entered = enrolments[touch.enrolment_id]
            if touch.state is not TouchState.DELIVERED:
                continue
            assert 9 <= local(touch.settled_at).hour < 21
            if not sops[entered.sop_id].marketing:
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
        for entered in await every(bank, Enrolment):
            active = entered.state is EnrolmentState.ACTIVE
            assert active == (entered.id in planned) == (entered.ended_at is None)

    async def test_the_real_trigger_enters_only_who_is_due_from_today(
        self, bank: AsyncSession
    ) -> None:
        before = {e.id for e in await every(bank, Enrolment)}
        await enrol_by_date(bank, MIDNIGHT + timedelta(hours=9))
        new = [e for e in await every(bank, Enrolment) if e.id not in before]
        assert len(new) < 15
        assert all(e.starts_at >= MIDNIGHT for e in new)

    async def test_the_clock_finds_nothing_to_repair(self, bank: AsyncSession) -> None:
        morning = MIDNIGHT + timedelta(hours=9)
        assert await touches.cancel_for_dead_material(bank, morning) == []
        assert await enrolment.exit_converted(bank, morning) == 0
        entered = {e.id for e in await every(bank, Enrolment)}
        assert await enrolment.complete(bank, entered, morning) == 0
        assert await review.expire_due(bank, morning) == []


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
