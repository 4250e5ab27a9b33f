"""The plan of an enrolment: when each step is due, and which arm a customer is in. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from bank.calendar import at_local, local_day
from scheduler.models import Arm

BUCKETS = 10_000
LEAST_DEFERRAL = timedelta(seconds=1)


@dataclass(frozen=True)
class StepRule:
    """So many local days after the start (before it, where negative), at this local time."""

    step_id: UUID
    day: int
    at: time


@dataclass(frozen=True)
class Planned:
    """A step and the moment it is due, in UTC."""

    step_id: UUID
    due_at: datetime


def planned_moments(steps: Iterable[StepRule], starts_at: datetime) -> list[Planned]:
    """When each step is due, earliest first; day 0 is the local day of the start."""
    first = local_day(starts_at)
    moments = [
        Planned(step.step_id, at_local(first + timedelta(days=step.day), step.at)) for step in steps
    ]
    return sorted(moments, key=lambda planned: planned.due_at)


def arm_of(salt: str, customer_id: UUID, control_percent: int) -> Arm:
    """The arm of a customer: the same for the same salt, whenever and wherever it is asked.

    A smaller share keeps only customers in control who were there before.
    """
    digest = hashlib.sha256(f"{salt}:{customer_id}".encode()).digest()
    bucket = int.from_bytes(digest[:8], "big") % BUCKETS
    return Arm.CONTROL if bucket * 100 < control_percent * BUCKETS else Arm.TREATED


def deferred(due_at: datetime, allowed_from: datetime) -> datetime:
    """The new due time: when it is allowed again, and always later than before."""
    return max(allowed_from, due_at + LEAST_DEFERRAL)
