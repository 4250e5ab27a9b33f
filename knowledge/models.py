"""Tables: suggestions and what it takes to replay them, content gaps, effects, the cursor."""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from bank.database import instant, key, word


class SuggestionState(enum.StrEnum):
    """What became of a suggestion; `suggestions.py` writes the first one, `replies.py` the rest."""

    OFFERED = "offered"
    NO_MATCH = "no_match"
    BLOCKED = "blocked"
    SENT = "sent"
    EDITED = "edited"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"

    @property
    def label(self) -> str:
        return {
            "offered": "待处理",
            "no_match": "库中无合适素材",
            "blocked": "合规未通过",
            "sent": "已发送",
            "edited": "修改后发送",
            "rejected": "不合适",
            "withdrawn": "引用素材已下线",
        }[self]


def _json(**options: Any) -> Any:
    return Field(sa_column=Column(JSONB, nullable=False), **options)


class Suggestion(SQLModel, table=True):
    """A suggestion 推荐回复 for one question of one customer, offered to one RM."""

    __table_args__ = (
        UniqueConstraint("question_key", "variant"),
        Index("ix_suggestion_staff_customer", "staff_id", "customer_id", "created_at"),
        # Questions nobody could answer are looked for every few seconds, among millions answered.
        Index("ix_suggestion_no_match", "created_at", postgresql_where="state = 'no_match'"),
    )

    id: UUID = key()
    question_key: str = Field(description="`message:<id>` or `typed:<uuid>`: what it answers, once")
    variant: int = Field(default=0, description="0 first, 1 after 换一条, …")
    customer_id: UUID = Field(foreign_key="customer.id", index=True)
    staff_id: UUID = Field(foreign_key="staff.id")
    channel: str
    question: str = Field(description="as asked, personal data masked")
    created_at: datetime = instant(index=True)
    state: SuggestionState = word(SuggestionState, default=SuggestionState.OFFERED)
    tier: str = Field(description="answer, candidates or none")
    confidence: float
    draft: str
    citations: list[dict[str, Any]] = _json(
        default_factory=list
    )  # sentence → version, material, passage, title, quoted text
    candidates: list[dict[str, Any]] = _json(default_factory=list)
    filters: dict[str, Any] = _json(default_factory=dict)
    verdict: dict[str, Any] = _json(default_factory=dict)
    reasons: list[str] = _json(default_factory=list)
    writer: str
    prompt_hash: str = Field(default="", description="SHA-256 of what a model was asked")
    generation: str = Field(description="generation of the index that answered")
    version_id: UUID | None = Field(default=None, foreign_key="version.id", index=True)
    attached: list[str] = _json(default_factory=list)  # versions sent beside the text, in order
    sent_text: str = Field(default="", description="the text cleared last, or what was sent")
    cleared_at: datetime | None = instant(default=None)
    cleared_in: str = Field(default="", description="the open sidebar page that may send it now")
    reject_reason: str = ""
    decided_at: datetime | None = instant(default=None)


class GapState(enum.StrEnum):
    """Where a content gap stands; only `gaps.py` writes it."""

    OPEN = "open"
    WRITING = "writing"
    ANSWERED = "answered"
    DISMISSED = "dismissed"

    @property
    def label(self) -> str:
        return {
            "open": "待处理",
            "writing": "编写中",
            "answered": "已解答",
            "dismissed": "不处理",
        }[self]


class ContentGap(SQLModel, table=True):
    """A content gap 内容缺口: questions of one meaning that no approved material answers."""

    __tablename__ = "content_gap"
    __table_args__ = (
        CheckConstraint("(state = 'dismissed') = (reason <> '')", name="dismissed_with_reason"),
        CheckConstraint(
            "(state = 'dismissed') = (decided_by IS NOT NULL AND decided_at IS NOT NULL)",
            name="dismissed_by_somebody",
        ),
        CheckConstraint(
            "(state IN ('writing', 'answered')) = (material_id IS NOT NULL)", name="names_material"
        ),
        Index("ix_content_gap_state", "state"),
    )

    id: UUID = key()
    question: str = Field(description="the first wording, personal data masked")
    state: GapState = word(GapState, default=GapState.OPEN)
    opened_at: datetime = instant()
    material_id: UUID | None = Field(
        default=None, foreign_key="material.id", description="that is being written, or answers it"
    )
    checked_in: str = Field(default="", description="generation of the index that was asked last")
    reason: str = Field(default="", description="why nobody will write for it")
    decided_by: UUID | None = Field(default=None, foreign_key="staff.id")
    decided_at: datetime | None = instant(default=None)


class GapQuestion(SQLModel, table=True):
    """A question of a customer that belongs to a gap; every question to one."""

    __tablename__ = "gap_question"

    suggestion_id: UUID = Field(foreign_key="suggestion.id", primary_key=True)
    gap_id: UUID = Field(foreign_key="content_gap.id", index=True)


class MaterialEffect(SQLModel, table=True):
    """What became of a material lately, as ranking looks at it; `effects.py` counts it anew."""

    __tablename__ = "material_effect"
    __table_args__ = (
        CheckConstraint("taken >= 0 AND taken <= decided AND credited >= 0", name="counts"),
    )

    material_id: UUID = Field(foreign_key="material.id", primary_key=True)
    decided: int = Field(description="suggestions an RM sent, edited or turned down")
    taken: int = Field(description="those sent, as they were or edited")
    credited: int = Field(description="conversions it has a share of")
    counted_at: datetime = instant()


class IndexState(SQLModel, table=True):
    """How far this projection of the library has been built."""

    __tablename__ = "index_state"

    name: str = Field(primary_key=True)
    seq: int = Field(sa_type=BigInteger)
    generation: str
    documents: int
    caught_up_at: datetime = instant()
