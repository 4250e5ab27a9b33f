"""Tables of the review: the road a version must take, its steps, who read, comments, links."""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from bank.database import instant, key, word


class ReviewDesk(enum.StrEnum):
    """Which desk decides a step of the review."""

    BUSINESS = "business"
    COMPLIANCE = "compliance"
    HEAD_OFFICE = "head_office"
    RECHECK = "recheck"

    @property
    def label(self) -> str:
        return {
            "business": "业务初审",
            "compliance": "合规终审",
            "head_office": "总行合规",
            "recheck": "抽查复审",
        }[self]


class ReviewRisk(enum.StrEnum):
    """How much there is to look at; with the kind it decides the road."""

    LOW = "low"
    ORDINARY = "ordinary"
    HIGH = "high"

    @property
    def label(self) -> str:
        return {"low": "低风险", "ordinary": "一般", "high": "高风险"}[self]


class ReviewVerdict(enum.StrEnum):
    """What was decided at a step."""

    PASSED = "passed"
    REJECTED = "rejected"
    CHANGES = "changes"

    @property
    def label(self) -> str:
        return {"passed": "通过", "rejected": "驳回", "changes": "要求修改"}[self]


class ReviewRoad(SQLModel, table=True):
    """The road 审批流程 of a kind and risk, where the bank set one; kind empty: every kind."""

    __tablename__ = "review_road"
    __table_args__ = (CheckConstraint("jsonb_array_length(steps) >= 1", name="has_steps"),)

    kind: str = Field(primary_key=True)
    risk: ReviewRisk = word(ReviewRisk, primary_key=True)
    steps: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    changed_by: UUID = Field(foreign_key="staff.id")
    changed_at: datetime = instant()


class ReviewStep(SQLModel, table=True):
    """A review step 审批环节: one decision a version must pass, by a person of its own.

    The table keeps who may not decide: the author (`author_id` is tied to the version's own), and
    whoever decided another step of the version.
    """

    __tablename__ = "review_step"
    __table_args__ = (
        UniqueConstraint("version_id", "position"),
        ForeignKeyConstraint(
            ["version_id", "author_id"],
            ["version.id", "version.author_id"],
            name="fk_review_step_version",
        ),
        CheckConstraint("decided_by IS DISTINCT FROM author_id", name="not_by_author"),
        CheckConstraint("claimed_by IS DISTINCT FROM author_id", name="not_claimed_by_author"),
        CheckConstraint(
            "(decided_by IS NULL) = (verdict IS NULL) AND (decided_by IS NULL) ="
            " (decided_at IS NULL)",
            name="decision_is_whole",
        ),
        CheckConstraint("decided_at IS NULL OR opened_at IS NOT NULL", name="opened_first"),
        Index(
            "uq_review_step_person",
            "version_id",
            "decided_by",
            unique=True,
            postgresql_where="decided_by IS NOT NULL",
        ),
        Index(
            "uq_review_step_open",
            "version_id",
            unique=True,
            postgresql_where="opened_at IS NOT NULL AND decided_at IS NULL",
        ),
    )

    id: UUID = key()
    version_id: UUID
    author_id: UUID
    position: int
    desk: ReviewDesk = word(ReviewDesk)
    risk: ReviewRisk = word(ReviewRisk)
    hours: int = Field(ge=1)
    checks: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    opened_at: datetime | None = instant(default=None)
    due_at: datetime | None = instant(default=None, index=True)
    claimed_by: UUID | None = Field(default=None, foreign_key="staff.id")
    claimed_until: datetime | None = instant(default=None)
    decided_by: UUID | None = Field(default=None, foreign_key="staff.id", index=True)
    decided_at: datetime | None = instant(default=None)
    verdict: ReviewVerdict | None = word(ReviewVerdict, default=None, nullable=True)
    reason: str = ""
    hasty: bool = Field(default=False, description="passed within ten seconds of opening the page")


class ReviewLook(SQLModel, table=True):
    """When somebody first opened the page of a review step."""

    __tablename__ = "review_look"

    step_id: UUID = Field(foreign_key="review_step.id", primary_key=True)
    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    at: datetime = instant()


class Comment(SQLModel, table=True):
    """A comment 批注 on a span of a version's text, until its author has dealt with it.

    `start` and `end` count characters of the field; both are 0 where a later version does not have
    the quoted words any more.
    """

    __table_args__ = (CheckConstraint('start >= 0 AND start <= "end"', name="span"),)

    id: UUID = key()
    version_id: UUID = Field(foreign_key="version.id", index=True)
    field: str = Field(description="title or body")
    start: int
    end: int
    quoted: str
    text: str
    written_by: UUID = Field(foreign_key="staff.id")
    written_at: datetime = instant()
    resolved_by: UUID | None = Field(default=None, foreign_key="staff.id")
    resolved_at: datetime | None = instant(default=None)
    carried_from: UUID | None = Field(default=None, foreign_key="comment.id")


class MaterialLink(SQLModel, table=True):
    """A public address of a live version; it answers 410 from the moment the version is not."""

    __tablename__ = "material_link"

    token: str = Field(primary_key=True)
    version_id: UUID = Field(foreign_key="version.id", index=True)
    made_by: UUID = Field(foreign_key="staff.id")
    made_at: datetime = instant()
