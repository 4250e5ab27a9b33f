"""Touches of the year, played in the order they came due through the gates of the scheduler."""

import heapq
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import yaml

from attribution.models import TouchpointKind
from bank.settings import Settings
from bot.demo.history import Chats, seen
from bot.demo.library import Paper, Shelf
from bot.demo.money import Purchase
from bot.demo.people import Bond, Client
from bot.demo.rows import Rows, ident, row
from bot.demo.said import Spoken, said
from bot.models import Speaker
from compliance.contact import ConsentFacts, NoContact, may_contact, next_allowed_time
from compliance.imprint import with_sender
from compliance.verdict import Allowed
from outbound.models import Door
from scheduler.enrolment import CONVERTED
from scheduler.gates import policy_of, rendered
from scheduler.models import Arm, Enrolment, SendTask, Sop, TaskState, Touch, TouchState
from scheduler.results import MISSES, PATIENCE, STOPPED
from wecom.mass_sends import SendStatus

LEFT = "客户关系已解除"
UNCONFIRMED, QUOTA_USED, UNSUBSCRIBING = 0.07, 0.03, 0.14


@dataclass
class Course:
    """One enrolment on its way through the steps."""

    enrolment: Enrolment
    sop: Sop
    client: Client
    bond: Bond
    touches: list[Touch]


@dataclass
class _Load:
    """A task under way: one RM, one text, the touches it carries."""

    task: SendTask
    paper: Paper
    carried: list[tuple[Course, Touch]] = field(default_factory=list)


class Year:
    """Plays the touches in the order they came due, through the gates of the scheduler."""

    def __init__(
        self,
        rows: Rows,
        shelf: Shelf,
        purchases: Iterable[Purchase],
        until: datetime,
        settings: Settings,
        rng: random.Random,
    ) -> None:
        self.rows, self.until, self.rng = rows, until, rng
        self.policy, self.bank_name = policy_of(settings), settings.bank_name
        self.chats = Chats(rows, rng)
        self.by_step = {
            ident("step", code, number): papers for code, number, papers in _papers_of_steps(shelf)
        }
        self.bought: dict[UUID, list[Purchase]] = defaultdict(list)
        for purchase in purchases:
            if purchase.client is not None:
                self.bought[purchase.client.id].append(purchase)
        self.marketing: dict[UUID, list[datetime]] = defaultdict(list)

    def run(self, courses: Sequence[Course]) -> None:
        """Everything due before today, in order; what is due later stays planned."""
        due = [
            (max(touch.due_at, course.enrolment.enrolled_at), number, place)
            for number, course in enumerate(courses)
            for place, touch in enumerate(course.touches)
        ]
        heapq.heapify(due)
        loads: dict[tuple[UUID, UUID, datetime], _Load] = {}
        while due and due[0][0] < self.until:
            at, number, place = heapq.heappop(due)
            course = courses[number]
            touch = course.touches[place]
            later = self._judge(course, touch, at + timedelta(seconds=3), loads)
            if later is not None:
                heapq.heappush(due, (later, number, place))

    def _judge(
        self,
        course: Course,
        touch: Touch,
        at: datetime,
        loads: dict[tuple[UUID, UUID, datetime], _Load],
    ) -> datetime | None:
        """One touch at the gates; the new moment where it has to wait."""
        over = self._over(course, at)
        if over is not None:
            touch.state, touch.reasons = TouchState.CANCELLED, [over[1]]
            touch.settled_at = over[0]
            return None
        paper = self._paper(touch, at)
        if course.sop.marketing and not course.client.agrees(at):
            _refuse(touch, NoContact.NO_CONSENT.label, at)
            return None
        recent = self.marketing[course.client.id] if course.sop.marketing else []
        answer = may_contact(ConsentFacts(at), recent, at, policy=self.policy)
        if not isinstance(answer, Allowed):
            return self._wait(touch, answer.reasons[0].label, recent, at)
        if course.enrolment.arm is Arm.CONTROL:
            touch.state, touch.version_id = TouchState.GHOST, paper.version.id
            touch.reasons, touch.settled_at = [], at
            return None
        self._send(course, touch, paper, at, loads)
        return None

    def _over(self, course: Course, at: datetime) -> tuple[datetime, str] | None:
        """When and why the enrolment had ended before this moment."""
        removed = course.bond.removed_at
        if removed is not None and removed <= at:
            return removed, LEFT
        if course.sop.marketing:
            for purchase in self.bought[course.client.id]:
                entered = course.enrolment.enrolled_at
                if purchase.at >= entered and purchase.imported_at <= at:
                    return purchase.imported_at, CONVERTED
        return None

    def _paper(self, touch: Touch, at: datetime) -> Paper:
        papers = self.by_step[touch.step_id]
        live = [paper for paper in papers if paper.usable(at, 0, None)]
        assert live, "the material of a running SOP is live"
        return live[-1]

    def _wait(
        self, touch: Touch, reason: str, recent: Sequence[datetime], at: datetime
    ) -> datetime | None:
        until = next_allowed_time(at, recent, policy=self.policy)
        if until - at > timedelta(days=7):
            _refuse(touch, reason, at)
            return None
        touch.due_at, touch.reasons = until, [reason]
        touch.deferrals += 1
        return until

    def _send(
        self,
        course: Course,
        touch: Touch,
        paper: Paper,
        at: datetime,
        loads: dict[tuple[UUID, UUID, datetime], _Load],
    ) -> None:
        """Into the task of this RM and text, which was confirmed at one moment for all."""
        key = (course.bond.rm.id, paper.version.id, at)
        if key not in loads:
            loads[key] = self._hand_over(course, paper, at)
        task = loads[key].task
        touch.task_id, touch.version_id, touch.reasons = task.id, paper.version.id, []
        if task.confirmed_at is None:
            touch.state, touch.reasons = TouchState.NOT_REACHED, [STOPPED]
            touch.settled_at = task.polled_at
        elif self.rng.random() < QUOTA_USED:
            touch.state = TouchState.NOT_REACHED
            touch.reasons = [MISSES[SendStatus.QUOTA_USED]]
            touch.settled_at = task.polled_at
        else:
            self._deliver(course, touch, paper, task)

    def _hand_over(self, course: Course, paper: Paper, at: datetime) -> _Load:
        number = ident("task", course.bond.rm.userid, paper.version.id, at.isoformat())
        forgotten = at + PATIENCE < self.until and self.rng.random() < UNCONFIRMED
        confirmed = None if forgotten else at + timedelta(minutes=self.rng.randint(3, 75))
        task = row(
            SendTask,
            id=number,
            staff_id=course.bond.rm.id,
            version_id=paper.version.id,
            text=self._text(course, paper),
            state=TaskState.CLOSED,
            msgid=f"msg{number.hex[:25]}",
            intent_at=at,
            handed_at=at + timedelta(seconds=1),
            confirmed_at=confirmed,
            polled_at=(confirmed or at + PATIENCE) + timedelta(seconds=4),
        )
        self.rows.add(task)
        return _Load(task, paper)

    def _text(self, course: Course, paper: Paper) -> str:
        text = rendered(paper.version.body, course.client.row, course.bond.rm)
        if not course.sop.marketing:
            return text
        return with_sender(text, self.bank_name, course.bond.rm.name)

    def _deliver(self, course: Course, touch: Touch, paper: Paper, task: SendTask) -> None:
        assert task.confirmed_at is not None
        at = task.confirmed_at
        touch.state, touch.settled_at = TouchState.DELIVERED, at
        self.chats.say(course.client, course.bond, Speaker.RM, task.text, at)
        spoken = Spoken(Door.TOUCH, touch.id, course.client, course.bond.rm, task.text, at)
        said(self.rows, spoken, paper, marketing=course.sop.marketing)
        seen(
            self.rows, course.client, course.bond, TouchpointKind.TOUCH_DELIVERED, at,
            touch.id, paper,
        )  # fmt: skip
        if course.sop.marketing:
            self.marketing[course.client.id].append(at)
            self._unsubscribe(course, at)

    def _unsubscribe(self, course: Course, at: datetime) -> None:
        """Some answer TD; from then on nothing more of this kind is sent to them."""
        consent = course.client.consent
        if course.client.easy or consent is None or consent.withdrawn_at is not None:
            return
        if self.rng.random() < UNSUBSCRIBING:
            consent.withdrawn_at = at + timedelta(minutes=self.rng.randint(2, 15))
            said_at = consent.withdrawn_at
            self.chats.say(course.client, course.bond, Speaker.CUSTOMER, "TD", said_at)


def _refuse(touch: Touch, reason: str, at: datetime) -> None:
    touch.state, touch.reasons, touch.settled_at = TouchState.REFUSED, [reason], at


def _papers_of_steps(shelf: Shelf) -> Iterator[tuple[str, int, list[Paper]]]:
    for raw in yaml.safe_load(Path(__file__).with_name("sops.yaml").read_text("utf-8")):
        for number, step in enumerate(raw["steps"], 1):
            yield raw["code"], number, shelf.papers[step["material"]]
