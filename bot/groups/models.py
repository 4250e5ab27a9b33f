"""Tables: what is said in customer groups, what was asked there on a day, who asked it how."""

import enum
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from bank.database import instant, key, word


class Advice(enum.StrEnum):
    """What is advised for a question in a group."""

    REPLY = "reply"
    PRIVATE = "private"
    NONE = "none"

    @property
    def label(self) -> str:
        return {"reply": "群内回复", "private": "转单聊", "none": "没有可用素材"}[self]


class QuestionState(enum.StrEnum):
    """Where a question of a group stands; only `bot/groups/questions.py` writes it."""

    OPEN = "open"
    ANSWERED = "answered"
    PASSED = "passed"

    @property
    def label(self) -> str:
        return {"open": "待回答", "answered": "已回答", "passed": "不用回答"}[self]


class GroupMessage(SQLModel, table=True):
    """A message of a customer group 群消息 as archived, once for the platform's message id."""

    __tablename__ = "group_message"
    __table_args__ = (
        Index("ix_group_message_group", "group_id", "sent_at"),
        Index("ix_group_message_waiting", "group_id", "sent_at", postgresql_where="NOT looked_at"),
    )

    id: UUID = key()
    msgid: str = Field(unique=True)
    group_id: UUID = Field(foreign_key="customer_group.id")
    member_id: str = Field(index=True, description="userid, or external_userid of a customer")
    is_staff: bool = False
    customer_id: UUID | None = Field(default=None, foreign_key="customer.id", index=True)
    text: str
    sent_at: datetime = instant()
    stored_at: datetime = instant()
    looked_at: bool = Field(default=False, description="whether it asks or answers is known")
    attempts: int = 0
    failure: str = Field(default="", description="why the last look failed; empty: it did not")


class GroupQuestion(SQLModel, table=True):
    """A question of a customer group 群问题: one meaning, one group, one day, with its draft."""

    __tablename__ = "group_question"
    __table_args__ = (
        Index("ix_group_question_day", "group_id", "day"),
        Index("ix_group_question_asked_on", "day"),
        Index("ix_group_question_open", "group_id", postgresql_where="state = 'open'"),
        CheckConstraint("(state = 'open') = (settled_at IS NULL)", name="settled_unless_open"),
        CheckConstraint("(advice = 'reply') = (version_id IS NOT NULL)", name="reply_has_source"),
        CheckConstraint("(advice = 'none') = (draft = '')", name="draft_unless_none"),
    )

    id: UUID = key()
    group_id: UUID = Field(foreign_key="customer_group.id")
    day: date = Field(description="the local day on which it was asked")
    question: str = Field(description="the first wording, personal data masked")
    asked_at: datetime = instant(description="when it was asked first")
    advice: Advice = word(Advice)
    reason: str = Field(default="", description="why not before everybody, or why there is none")
    draft: str = Field(default="", description="approved words, or the bank's standing sentence")
    version_id: UUID | None = Field(default=None, foreign_key="version.id", index=True)
    position: int = Field(default=0, description="the passage of the version that is quoted")
    tier: str = Field(default="none", description="answer, candidates or none")
    state: QuestionState = word(QuestionState, default=QuestionState.OPEN)
    settled_at: datetime | None = instant(default=None)
    settled_by: str = Field(default="", description="userid, or system where the archive shows it")
    answer_id: UUID | None = Field(
        default=None, foreign_key="group_message.id", description="the answer as it was archived"
    )


class GroupAsking(SQLModel, table=True):
    """One asking 提问 of a group's question: somebody's message, in their own words."""

    __tablename__ = "group_asking"

    message_id: UUID = Field(foreign_key="group_message.id", primary_key=True)
    question_id: UUID = Field(foreign_key="group_question.id", index=True)
    wording: str = Field(description="as asked, personal data masked")
