"""Where the relation with a customer stands: said by an RM, or lost when everybody is gone."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from bank import audit
from customers.models import Customer, FollowState, Stage

LONGEST_NOTE = 200
LOST = "客户删除了客户经理，且没有其他同事跟进"
BACK = "客户重新添加了客户经理"


def change(
    session: AsyncSession,
    customer: Customer,
    stage: Stage | None,
    note: str,
    *,
    by: str,
    now: datetime,
) -> dict[str, str]:
    """Set the stage with its note in the audit book; what is wrong, field by field, if refused."""
    wrong = _wrong(customer, stage, note)
    if wrong or stage is None:
        return wrong
    _set(session, customer, stage, note, by, now)
    return {}


async def follow_relations(
    session: AsyncSession, customer: Customer, states: Collection[FollowState], now: datetime
) -> None:
    """Lost when the customer left and nobody follows any more; as before when somebody does again.

    Depends on the relations alone, not on the order in which they changed.
    """
    if FollowState.ACTIVE in states:
        if customer.stage == Stage.LOST and (before := await _before_loss(session, customer)):
            _set(session, customer, before, BACK, audit.SYSTEM, now)
    elif FollowState.REMOVED_BY_CUSTOMER in states and customer.stage != Stage.LOST:
        _set(session, customer, Stage.LOST, LOST, audit.SYSTEM, now)


async def _before_loss(session: AsyncSession, customer: Customer) -> Stage | None:
    """The stage before the loss; None where a person called the customer lost."""
    changes = await audit.history(session, "customer", customer.id)
    stages = [line for line in changes if line.action == "customers:customer:stage"]
    if not stages or stages[-1].actor != audit.SYSTEM:
        return None
    return Stage(stages[-1].detail["before"])


def _set(
    session: AsyncSession, customer: Customer, stage: Stage, note: str, by: str, now: datetime
) -> None:
    before, customer.stage = customer.stage, stage
    audit.record(
        session,
        "customers:customer:stage",
        customer.id,
        by=by,
        now=now,
        before=before.value,
        after=stage.value,
        note=note,
    )


def _wrong(customer: Customer, stage: Stage | None, note: str) -> dict[str, str]:
    wrong = {}
    if stage is None:
        wrong["stage"] = "请选择阶段"
    elif stage == customer.stage:
        wrong["stage"] = f"客户已经是“{stage.label}”"
    if not note:
        wrong["note"] = "请写明原因，便于同事和后续接手的客户经理了解"
    elif len(note) > LONGEST_NOTE or "\0" in note:
        wrong["note"] = f"原因不超过 {LONGEST_NOTE} 个字"
    return wrong
