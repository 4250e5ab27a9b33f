"""Tables: touchpoints, conversions, runs and lines of credit."""

import enum
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from bank.database import instant, key, word


class TouchpointKind(enum.StrEnum):
    """What the customer really saw or did."""

    REPLY_SENT = "reply_sent"
    TOUCH_DELIVERED = "touch_delivered"
    CUSTOMER_WROTE = "customer_wrote"

    @property
    def label(self) -> str:
        return {
            "reply_sent": "客户经理回复",
            "touch_delivered": "触达送达",
            "customer_wrote": "客户来信",
        }[self]


class Dimension(enum.StrEnum):
    """Over what a conversion is divided."""

    CONTENT = "content"
    RM = "rm"


class Model(enum.StrEnum):
    """How it is divided; definitions in `attribution/credit.py`."""

    FIRST = "first"
    LAST = "last"
    LINEAR = "linear"

    @property
    def label(self) -> str:
        return {
            "first": "首次触点（谁激发了需求）",
            "last": "末次触点（谁促成了转化）",
            "linear": "线性均分",
        }[self]


class ConversionState(enum.StrEnum):
    """Whether a conversion could be credited."""

    HELD = "held"
    CREDITED = "credited"
    UNATTRIBUTED = "unattributed"

    @property
    def label(self) -> str:
        return {"held": "待核对客户", "credited": "已归因", "unattributed": "窗口内无触点"}[self]


class Touchpoint(SQLModel, table=True):
    """A touchpoint 触点, recorded once for its source."""

    __table_args__ = (
        UniqueConstraint("source", "source_id"),
        Index("ix_touchpoint_customer_at", "customer_id", "at"),
        Index("ix_touchpoint_version_id", "version_id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    customer_id: UUID = Field(foreign_key="customer.id")
    staff_id: UUID = Field(foreign_key="staff.id", index=True)
    kind: TouchpointKind = word(TouchpointKind)
    channel: str
    at: datetime = instant()
    material_id: UUID | None = Field(default=None, foreign_key="material.id", index=True)
    version_id: UUID | None = Field(default=None, foreign_key="version.id")
    source: str = Field(description="`suggestion`, `touch` or `message`")
    source_id: str


class Conversion(SQLModel, table=True):
    """A conversion 转化 as the bank's system reports it; once for (source, reference)."""

    __table_args__ = (UniqueConstraint("source", "reference"),)

    id: UUID = key()
    source: str
    reference: str
    bank_no: str
    customer_id: UUID | None = Field(default=None, foreign_key="customer.id", index=True)
    product_code: str
    amount_cents: int = Field(sa_type=BigInteger)
    at: datetime = instant(index=True)
    imported_at: datetime = instant()
    state: ConversionState = word(ConversionState, default=ConversionState.HELD)


class CreditRun(SQLModel, table=True):
    """One settlement by one model over one window; never overwritten."""

    __tablename__ = "credit_run"

    id: UUID = key()
    model: Model = word(Model)
    window_days: int
    at: datetime = instant()
    conversions: int
    amount_cents: int = Field(sa_type=BigInteger)


class Credit(SQLModel, table=True):
    """A share 归因份额 of a conversion, in integer cents, with the touchpoint that earned it."""

    __table_args__ = (
        UniqueConstraint("conversion_id", "model", "dimension", "touchpoint_id"),
        Index("ix_credit_dimension_key", "model", "dimension", "subject_id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    run_id: UUID = Field(foreign_key="credit_run.id", index=True)
    conversion_id: UUID = Field(foreign_key="conversion.id", index=True)
    model: Model = word(Model)
    dimension: Dimension = word(Dimension)
    subject_id: UUID = Field(description="material id or staff id")
    touchpoint_id: int = Field(sa_type=BigInteger, foreign_key="touchpoint.id")
    cents: int = Field(sa_type=BigInteger)
