"""Tables: SOPs and their steps, enrolments, touches, and the mass-send tasks that carry them."""

import enum
from datetime import datetime, time
from uuid import UUID

from sqlalchemy import Column, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from bank.database import instant, key, word


class SopState(enum.StrEnum):
    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"

    @property
    def label(self) -> str:
        return {"draft": "草稿", "running": "运行中", "stopped": "已停止"}[self]


class Trigger(enum.StrEnum):
    """What enrols a customer."""

    FOLLOW_ADDED = "follow_added"
    MATURITY = "maturity"
    MANUAL = "manual"
    ASSESSMENT_EXPIRY = "assessment_expiry"

    @property
    def label(self) -> str:
        return {
            "follow_added": "客户添加客户经理后",
            "maturity": "持有产品到期日前后",
            "manual": "客户经理或总行手动入组",
            "assessment_expiry": "风险测评到期前",
        }[self]


class LatePolicy(enum.StrEnum):
    """What happens to a touch that could not go out in time."""

    SEND = "send"
    SKIP = "skip"


class Arm(enum.StrEnum):
    """Whether the customer is really touched, or only counted 实验组/对照组."""

    TREATED = "treated"
    CONTROL = "control"

    @property
    def label(self) -> str:
        return {"treated": "实验组", "control": "对照组"}[self]


class EnrolmentState(enum.StrEnum):
    ACTIVE = "active"
    COMPLETED = "completed"
    LEFT = "left"
    CONVERTED = "converted"

    @property
    def label(self) -> str:
        return {
            "active": "进行中",
            "completed": "已完成",
            "left": "已退出",
            "converted": "已转化退出",
        }[self]


class TouchState(enum.StrEnum):
    """Where a touch stands; only `scheduler/touches.py` writes it."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    HANDED = "handed"
    DELIVERED = "delivered"
    NOT_REACHED = "not_reached"
    REFUSED = "refused"
    GHOST = "ghost"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"

    @property
    def label(self) -> str:
        return TOUCH_LABELS[self]


TOUCH_LABELS = {
    TouchState.PLANNED: "已计划",
    TouchState.CLAIMED: "处理中",
    TouchState.HANDED: "待客户经理确认",
    TouchState.DELIVERED: "已送达",
    TouchState.NOT_REACHED: "未送达",
    TouchState.REFUSED: "未通过闸口",
    TouchState.GHOST: "对照组（未发送）",
    TouchState.UNKNOWN: "结果待查",
    TouchState.CANCELLED: "已取消",
}


class TaskState(enum.StrEnum):
    """Where a mass-send task stands; `intent` is written before WeCom is called."""

    INTENT = "intent"
    HANDED = "handed"
    CONFIRMED = "confirmed"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    FAILED = "failed"

    @property
    def label(self) -> str:
        return {
            "intent": "准备提交",
            "handed": "待客户经理确认",
            "confirmed": "已确认发送",
            "closed": "结果已收齐",
            "unknown": "提交结果待查",
            "failed": "提交失败",
        }[self]


class Sop(SQLModel, table=True):
    """A touch sequence; `number` counts its published versions."""

    id: UUID = key()
    code: str = Field(unique=True)
    name: str
    kind: str
    goal: str
    trigger: Trigger = word(Trigger)
    control_percent: int = Field(ge=0, le=50)
    marketing: bool
    state: SopState = word(SopState, default=SopState.DRAFT)
    owner_id: UUID = Field(foreign_key="staff.id")
    created_at: datetime = instant()


class Step(SQLModel, table=True):
    """A step 步骤: so many days after the start, at a local time, one material."""

    __table_args__ = (UniqueConstraint("sop_id", "position"),)

    id: UUID = key()
    sop_id: UUID = Field(foreign_key="sop.id")
    position: int
    day: int
    at: time
    material_id: UUID = Field(foreign_key="material.id", index=True)
    late: LatePolicy = word(LatePolicy, default=LatePolicy.SEND)


class Enrolment(SQLModel, table=True):
    """A customer in a SOP 入组, once a round, with the arm that was drawn."""

    __table_args__ = (UniqueConstraint("sop_id", "customer_id", "round"),)

    id: UUID = key()
    sop_id: UUID = Field(foreign_key="sop.id")
    customer_id: UUID = Field(foreign_key="customer.id", index=True)
    staff_id: UUID = Field(foreign_key="staff.id", index=True)
    round: int = 1
    arm: Arm = word(Arm)
    state: EnrolmentState = word(EnrolmentState, default=EnrolmentState.ACTIVE)
    starts_at: datetime = instant()
    enrolled_at: datetime = instant()
    ended_at: datetime | None = instant(default=None)
    reason: str = ""


class SendTask(SQLModel, table=True):
    """A WeCom mass-send task: one RM, one text, many customers; the RM must confirm it."""

    __tablename__ = "send_task"

    id: UUID = key()
    staff_id: UUID = Field(foreign_key="staff.id", index=True)
    version_id: UUID = Field(foreign_key="version.id")
    text: str
    state: TaskState = word(TaskState, default=TaskState.INTENT)
    msgid: str | None = Field(default=None, unique=True)
    intent_at: datetime = instant()
    handed_at: datetime | None = instant(default=None)
    confirmed_at: datetime | None = instant(default=None)
    polled_at: datetime | None = instant(default=None)
    error: str = ""


class Reminder(SQLModel, table=True):
    """When an RM last got a card about touches that wait, and until when they want none."""

    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    told_at: datetime = instant()
    silent_until: datetime | None = instant(default=None)


class Touch(SQLModel, table=True):
    """A touch 触达: one step of one enrolment, with the reason for whatever became of it."""

    __table_args__ = (
        UniqueConstraint("enrolment_id", "step_id"),
        Index("ix_touch_due", "due_at", postgresql_where="state = 'planned'"),
        Index("ix_touch_state", "state"),
    )

    id: UUID = key()
    enrolment_id: UUID = Field(foreign_key="enrolment.id")
    step_id: UUID = Field(foreign_key="step.id", index=True)
    customer_id: UUID = Field(foreign_key="customer.id", index=True)
    staff_id: UUID = Field(foreign_key="staff.id", index=True)
    due_at: datetime = instant()
    planned_for: datetime = instant(description="the moment first intended")
    deferrals: int = 0
    state: TouchState = word(TouchState, default=TouchState.PLANNED)
    lease_until: datetime | None = instant(default=None)
    reasons: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    task_id: UUID | None = Field(default=None, foreign_key="send_task.id", index=True)
    version_id: UUID | None = Field(default=None, foreign_key="version.id")
    settled_at: datetime | None = instant(default=None)
