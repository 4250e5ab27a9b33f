"""Tables: touchpoints, tracked links and their openings, conversions, runs and lines of credit."""

import enum
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, UniqueConstraint
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


class Device(enum.StrEnum):
    """What asked for the page, as far as it says; only phones and desktops open anything."""

    PHONE = "phone"
    DESKTOP = "desktop"
    BOT = "bot"
    PREVIEW = "preview"

    @property
    def label(self) -> str:
        return {"phone": "手机", "desktop": "电脑", "bot": "自动程序", "preview": "链接预览"}[self]


class Opener(enum.StrEnum):
    """Who opened a link, and how surely that is known."""

    PRESUMED = "presumed"
    ADDRESSEE = "addressee"
    OTHER = "other"
    STRANGER = "stranger"
    UNKNOWN = "unknown"
    UNNAMED = "unnamed"

    @property
    def label(self) -> str:
        return {
            "presumed": "按链接推定为客户本人",
            "addressee": "微信确认为客户本人",
            "other": "由他人转发后打开",
            "stranger": "由非本行客户打开",
            "unknown": "群发链接，无法识别客户",
            "unnamed": "未授权，不记名",
        }[self]


class TrackedLink(SQLModel, table=True):
    """A tracked link 追踪链接: one sending of a version, once for its source.

    Its code is all that stands in the address. Without a customer and a contact it was sent to
    several at once, and who opens it is not known by the link.
    """

    __tablename__ = "tracked_link"
    __table_args__ = (
        UniqueConstraint("source", "source_id", "version_id"),
        CheckConstraint("length(code) >= 32", name="not_to_be_guessed"),
    )

    code: str = Field(primary_key=True, description="192 random bits")
    source: str = Field(description="`suggestion`, `touch`, `welcome`, `group` or `sop`")
    source_id: str
    version_id: UUID = Field(foreign_key="version.id", index=True)
    customer_id: UUID | None = Field(default=None, foreign_key="customer.id", index=True)
    contact: str = Field(default="", index=True, description="the customer's WeCom id")
    chat_id: str = Field(default="", description="the group, where it went into one")
    staff_id: UUID | None = Field(default=None, foreign_key="staff.id")
    channel: str
    made_at: datetime = instant()


class Opening(SQLModel, table=True):
    """An opening 打开: somebody looked at what a tracked link leads to, once for each visit.

    Without consent it is unnamed: it says which version was opened and nothing of whom.
    """

    __table_args__ = (
        CheckConstraint("device IN ('phone', 'desktop')", name="by_a_person"),
        CheckConstraint("seconds BETWEEN 0 AND 1800 AND progress BETWEEN 0 AND 100", name="read"),
        CheckConstraint("(opener = 'unnamed') = (code IS NULL)", name="named_by_its_link"),
        CheckConstraint(
            "opener <> 'unnamed' OR (customer_id IS NULL AND staff_id IS NULL)",
            name="unnamed_is_nobody",
        ),
        Index("ix_opening_customer_at", "customer_id", "at"),
        Index("ix_opening_material_at", "material_id", "at"),
    )

    id: UUID = key()
    code: str | None = Field(default=None, foreign_key="tracked_link.code", index=True)
    version_id: UUID = Field(foreign_key="version.id")
    material_id: UUID = Field(foreign_key="material.id")
    customer_id: UUID | None = Field(default=None, foreign_key="customer.id")
    staff_id: UUID | None = Field(
        default=None, foreign_key="staff.id", description="the RM in whose name it was sent"
    )
    at: datetime = instant(index=True)
    device: Device = word(Device)
    opener: Opener = word(Opener)
    timed: bool = Field(description="a page of ours tells how long it was read, another's does not")
    seconds: int = Field(default=0, description="visible on the screen, half an hour at most")
    progress: int = Field(default=0, description="percent of the page that was scrolled to")


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
