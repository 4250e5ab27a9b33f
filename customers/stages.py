"""An RM says where the relation with a customer stands, and why."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from bank import audit
from customers.models import Customer, Stage

LONGEST_NOTE = 200


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
    return {}


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
