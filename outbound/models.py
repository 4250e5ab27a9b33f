"""Tables: what was put before customers or kept from them, and what compliance must look at."""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from bank.database import document, instant, key, word


class Door(enum.StrEnum):
    """Where words go out."""

    SIDEBAR = "sidebar"
    WELCOME = "welcome"
    TOUCH = "touch"
    SERVICE = "service"
    GROUP = "group"

    @property
    def label(self) -> str:
        return {
            "sidebar": "侧边栏回复",
            "welcome": "欢迎语",
            "touch": "SOP 触达",
            "service": "微信客服",
            "group": "客户群",
        }[self]


class OutboundState(enum.StrEnum):
    """What became of words for a customer; only `outbound/records.py` writes it."""

    CLEARED = "cleared"
    SENT = "sent"
    UNSENT = "unsent"
    REFUSED = "refused"

    @property
    def label(self) -> str:
        return {
            "cleared": "已放行，待送达",
            "sent": "已送达",
            "unsent": "放行后未发出",
            "refused": "已拦截",
        }[self]


class OutboundMessage(SQLModel, table=True):
    """Words for one customer 发出记录, let through or refused, with all that decided it.

    The key `uq_outbound_message_open` keeps one text for each thing that may be said once.
    """

    __tablename__ = "outbound_message"
    __table_args__ = (
        Index(
            "uq_outbound_message_open",
            "source",
            "source_id",
            unique=True,
            postgresql_where="state IN ('cleared', 'sent')",
        ),
        Index("ix_outbound_message_source", "source", "source_id"),
        Index("ix_outbound_message_contact", "contact", "at"),
        CheckConstraint(
            "state <> 'refused' OR jsonb_array_length(reasons) > 0", name="refused_says_why"
        ),
        CheckConstraint(
            "state = 'refused' OR verdict ->> 'level' IN ('pass', 'warn')", name="never_blocked"
        ),
    )

    id: UUID = key()
    at: datetime = instant(index=True, description="when it was judged")
    door: Door = word(Door)
    channel: str
    source: str = Field(description="suggestion, touch, welcome or service: what it belongs to")
    source_id: str
    staff_id: UUID | None = Field(default=None, foreign_key="staff.id", index=True)
    customer_id: UUID | None = Field(default=None, foreign_key="customer.id", index=True)
    contact: str = Field(default="", description="the customer's WeCom id")
    text: str = Field(description="the very words the customer reads")
    text_hash: str = Field(description="SHA-256 of the text")
    suggested_hash: str = Field(default="", description="SHA-256 of what had been drafted")
    edited: bool = False
    versions: list[dict[str, Any]] = document(default_factory=list)
    passages: list[str] = document(default_factory=list)
    writer: str = Field(description="approved, fixed, quoting, or the model's name")
    prompt_hash: str = Field(default="", description="SHA-256 of what the model was asked")
    ai_assisted: bool = False
    ai_marked: bool = False
    marketing: bool = False
    verdict: dict[str, Any] = document(default_factory=dict)
    reasons: list[str] = document(default_factory=list)
    consent_id: UUID | None = Field(default=None, foreign_key="consent.id")
    customer_level: int | None = Field(default=None, description="C1 to C5 at that moment")
    customer_ceiling: int = Field(default=0, description="the level that counted then, 0 expired")
    product_level: int = Field(default=0, description="R1 to R5 at that moment, 0 without product")
    attachments: list[dict[str, Any]] = document(default_factory=list)
    delivered: int = Field(
        default=0, description="how many of its bubbles, text first, the chat has taken"
    )
    chat_id: str = Field(default="", description="the group, where it went into one")
    recipients: list[dict[str, Any]] = document(default_factory=list)
    special_notice: bool = Field(
        default=False, description="the RM ticked that a customer of 65 or more was told"
    )
    state: OutboundState = word(OutboundState)
    settled_at: datetime | None = instant(default=None)


class ConductAlert(SQLModel, table=True):
    """A refused attempt that compliance must know of 行为告警, once for the same words."""

    __tablename__ = "conduct_alert"

    id: UUID = key()
    message_id: UUID = Field(foreign_key="outbound_message.id", unique=True)
    digest: str = Field(unique=True, description="of source and text: pressed again, told once")
    categories: list[str] = document(default_factory=list)
    raised_at: datetime = instant(index=True)
    lease_until: datetime | None = instant(default=None)
    told_at: datetime | None = instant(default=None)
    seen_at: datetime | None = instant(default=None)
    seen_by: str = ""


class UploadedMedia(SQLModel, table=True):
    """A file of ours at WeCom 临时素材, alive for three days and shared by every process.

    Whoever uploads holds the row's lock, so that the same bytes are never uploaded twice at once.
    """

    __tablename__ = "uploaded_media"

    sha256: str = Field(primary_key=True)
    kind: str = Field(primary_key=True, description="image, video or file")
    filename: str = Field(primary_key=True)
    file_id: UUID = Field(foreign_key="stored_file.id")
    media_id: str = ""
    uploaded_at: datetime | None = instant(default=None)
    used_at: datetime = instant(index=True)


class ModelStop(SQLModel, table=True):
    """Compliance has stopped everything a model words 停用模型, until two people lift it.

    The index `uq_model_stop_open` keeps one stop at a time.
    """

    __tablename__ = "model_stop"
    __table_args__ = (
        Index(
            "uq_model_stop_open",
            text("(lifted_at IS NULL)"),
            unique=True,
            postgresql_where=text("lifted_at IS NULL"),
        ),
        CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name="lifting_is_whole"),
        CheckConstraint(
            "lifted_at IS NULL OR (asked_by IS NOT NULL AND asked_by <> lifted_by)",
            name="lifted_by_two",
        ),
    )

    id: UUID = key()
    stopped_at: datetime = instant()
    stopped_by: UUID = Field(foreign_key="staff.id")
    reason: str
    asked_by: UUID | None = Field(default=None, foreign_key="staff.id")
    asked_at: datetime | None = instant(default=None)
    asked_because: str = ""
    lifted_by: UUID | None = Field(default=None, foreign_key="staff.id")
    lifted_at: datetime | None = instant(default=None)
