"""Tables: inbound events as stored before they are answered, messages, cursors."""

import enum
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, LargeBinary
from sqlmodel import Field, SQLModel

from bank.database import instant, key, word


class InboundState(enum.StrEnum):
    NEW = "new"
    DONE = "done"
    QUARANTINED = "quarantined"

    @property
    def label(self) -> str:
        return {"new": "待处理", "done": "已处理", "quarantined": "已隔离"}[self]


class Speaker(enum.StrEnum):
    CUSTOMER = "customer"
    RM = "rm"


class InboundEvent(SQLModel, table=True):
    """A callback as decrypted, once for its content; stored before WeCom gets its answer."""

    __tablename__ = "inbound_event"
    __table_args__ = (
        Index("ix_inbound_event_new", "id", postgresql_where="state = 'new'"),
        Index("ix_inbound_event_order_key", "order_key", postgresql_where="state = 'new'"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    body: str
    order_key: str = Field(description="whose events must be handled in order; empty: nobody's")
    received_at: datetime = instant()
    state: InboundState = word(InboundState, default=InboundState.NEW)
    attempts: int = 0
    lease_until: datetime | None = instant(default=None)
    handled_at: datetime | None = instant(default=None)
    outcome: str = ""


class Message(SQLModel, table=True):
    """A message of a conversation, once for the platform's message id."""

    __table_args__ = (
        Index("ix_message_conversation", "staff_id", "customer_id", "sent_at"),
        Index("ix_message_unanswered", "sent_at", postgresql_where="NOT answered"),
        Index("ix_message_failed", "sent_at", postgresql_where="failure <> ''"),
    )

    id: UUID = key()
    msgid: str = Field(unique=True)
    staff_id: UUID = Field(foreign_key="staff.id")
    customer_id: UUID = Field(foreign_key="customer.id", index=True)
    speaker: Speaker = word(Speaker)
    text: str
    sent_at: datetime = instant()
    stored_at: datetime = instant()
    answered: bool = Field(default=False, description="a suggestion has been made or ruled out")
    attempts: int = Field(default=0, description="how often a suggestion was tried")
    lease_until: datetime | None = instant(default=None)
    failure: str = Field(default="", description="why the last try failed; empty: it did not")


class Cursor(SQLModel, table=True):
    """How far a pulled source has been read."""

    name: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
