"""A year of SOPs: who was enrolled, what the gates said of each touch, what customers received."""

import random
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import yaml

from bank.calendar import at_local, local_day
from bank.models import Role
from bank.settings import Settings
from bot.demo.library import Shelf, line
from bot.demo.money import Purchase, Shares
from bot.demo.people import Client, People, assessment_ends
from bot.demo.rows import Rows, ident, row
from bot.demo.touches import LEFT, Course, Year
from scheduler.models import (
    Enrolment,
    EnrolmentState,
    LatePolicy,
    Sop,
    SopState,
    Step,
    Touch,
    TouchState,
    Trigger,
)
from scheduler.plan import StepRule, arm_of, planned_moments

STARTED = 315  # days before today on which the SOPs were started
DIPS = (152, 63)  # days before today on which net asset values fell and RMs explained


def sequences(
    rows: Rows,
    cast: People,
    shelf: Shelf,
    shares: Shares,
    purchases: Sequence[Purchase],
    today: date,
    seed: int,
    settings: Settings,
) -> None:
    """The SOPs, their enrolments and touches up to last night, put into `rows`."""
    rng = random.Random(f"sequences:{seed}")
    sops = _sops(rows, cast, shelf, today)
    courses = list(_enrolments(sops, cast, shares, today, rng))
    year = Year(rows, shelf, purchases, at_local(today, time()), settings, rng)
    year.run(courses)
    for course in courses:
        # Whoever said TD in one round was not let into the next.
        if not course.sop.marketing or course.client.agrees(course.enrolment.enrolled_at):
            _conclude(course)
            rows.add(course.enrolment, *course.touches)


Sequences = dict[Trigger, tuple[Sop, list[Step]]]


def _sops(rows: Rows, cast: People, shelf: Shelf, today: date) -> Sequences:
    [owner] = cast.having(Role.HQ)
    started = at_local(today - timedelta(days=STARTED), time(15, 12))
    found: Sequences = {}
    for raw in yaml.safe_load(Path(__file__).with_name("sops.yaml").read_text("utf-8")):
        steps = raw.pop("steps")
        raw["trigger"] = Trigger(raw["trigger"])
        created = started - timedelta(hours=5)
        sop = row(
            Sop,
            id=ident("sop", raw["code"]),
            owner_id=owner.id,
            created_at=created,
            state=SopState.RUNNING,
            **raw,
        )
        found[sop.trigger] = sop, [_step(sop, n, step, shelf) for n, step in enumerate(steps, 1)]
        rows.add(sop, *found[sop.trigger][1])
        rows.add(
            line("scheduler:sop:create", sop.id, owner.userid, created, name=sop.name),
            line("scheduler:sop:start", sop.id, owner.userid, started),
        )
    return found


def _step(sop: Sop, number: int, raw: dict[str, Any], shelf: Shelf) -> Step:
    return row(
        Step,
        id=ident("step", sop.code, number),
        sop_id=sop.id,
        position=number,
        day=raw["day"],
        at=time.fromisoformat(raw["time"]),
        material_id=shelf.papers[raw["material"]][-1].material.id,
        late=LatePolicy(raw["late"]),
    )


def _enrolments(
    sops: Sequences, cast: People, shares: Shares, today: date, rng: random.Random
) -> Iterator[Course]:
    """Everybody who entered a SOP before today, as the triggers would have let them in."""
    first = at_local(today - timedelta(days=STARTED - 1), time())
    last = at_local(today, time())
    for client in cast.clients:
        entries = [
            *_on_adding(client, sops[Trigger.FOLLOW_ADDED][0]),
            *_on_maturity(client, shares),
            *_on_expiry(client),
            *_on_dips(client, shares, today, rng),
        ]
        for trigger, entered, starts, number in entries:
            sop, steps = sops[trigger]
            if not first <= entered < last or not client.first.holds(entered):
                continue
            if sop.marketing and not client.agrees(entered):
                continue
            yield _course(sop, steps, client, entered, starts, number)


Entry = tuple[Trigger, datetime, datetime, int]


def _on_adding(client: Client, sop: Sop) -> list[Entry]:
    """When the customer is added; into marketing only once they have agreed to it."""
    entered = client.first.added_at + timedelta(seconds=4)
    if sop.marketing and client.consent is not None:
        entered = client.consent.granted_at + timedelta(seconds=20)
    return [(Trigger.FOLLOW_ADDED, entered, entered, 1)]


def _on_maturity(client: Client, shares: Shares) -> list[Entry]:
    """A week before each maturity; one that comes too soon after another is left out."""
    entries: list[Entry] = []
    reached = date.min
    for day in sorted({d for p in shares.of(client) if (d := p.matures_on)}):
        entered = day - timedelta(days=7)
        if entered > reached:
            entries.append(_dated(Trigger.MATURITY, entered, day))
            reached = day + timedelta(days=3)
    return entries


def _on_expiry(client: Client) -> list[Entry]:
    ends = assessment_ends(client)
    if ends is None:
        return []
    day = local_day(ends)
    return [_dated(Trigger.ASSESSMENT_EXPIRY, day - timedelta(days=30), day)]


def _dated(trigger: Trigger, entered: date, day: date) -> Entry:
    """The daily look finds them early in the morning; the round is the date itself."""
    return trigger, at_local(entered, time(0, 40)), at_local(day, time()), day.toordinal()


def _on_dips(client: Client, shares: Shares, today: date, rng: random.Random) -> list[Entry]:
    """Holders of moving products, entered by their RM on the afternoon of a fall."""
    entries: list[Entry] = []
    for number, days in enumerate(DIPS, 1):
        day = today - timedelta(days=days)
        moved = [p for p in shares.of(client) if p.product.rating >= 3 and p.held_on(day)]
        if moved and rng.random() < 0.6:
            entered = at_local(day, time(16, rng.randint(0, 25)))
            entries.append((Trigger.MANUAL, entered, entered, number))
    return entries


def _course(
    sop: Sop,
    steps: Sequence[Step],
    client: Client,
    entered: datetime,
    starts: datetime,
    number: int,
) -> Course:
    bond = client.first
    enrolment = row(
        Enrolment,
        id=ident("enrolment", sop.code, client.id, number),
        sop_id=sop.id,
        customer_id=client.id,
        staff_id=bond.rm.id,
        round=number,
        arm=arm_of(str(sop.id), client.id, sop.control_percent),
        starts_at=starts,
        enrolled_at=entered,
    )
    rules = [StepRule(step.id, step.day, step.at) for step in steps]
    touches = [
        row(
            Touch,
            id=ident("touch", enrolment.id, planned.step_id),
            enrolment_id=enrolment.id,
            step_id=planned.step_id,
            customer_id=client.id,
            staff_id=bond.rm.id,
            due_at=planned.due_at,
            planned_for=planned.due_at,
        )
        for planned in planned_moments(rules, starts)
    ]
    return Course(enrolment, sop, client, bond, touches)


def _conclude(course: Course) -> None:
    """How the enrolment stands last night."""
    enrolment, touches = course.enrolment, course.touches
    cancelled = next((t for t in touches if t.state is TouchState.CANCELLED), None)
    if cancelled is not None:
        [reason] = cancelled.reasons
        left = reason == LEFT
        enrolment.state = EnrolmentState.LEFT if left else EnrolmentState.CONVERTED
        enrolment.ended_at, enrolment.reason = cancelled.settled_at, reason
        for touch in touches:
            if touch.state is TouchState.PLANNED:
                touch.state, touch.reasons = TouchState.CANCELLED, [reason]
                touch.settled_at = cancelled.settled_at
    elif all(touch.state is not TouchState.PLANNED for touch in touches):
        enrolment.state = EnrolmentState.COMPLETED
        enrolment.ended_at = max(t.settled_at for t in touches if t.settled_at)
