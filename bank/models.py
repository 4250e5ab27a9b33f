"""Tables of the institution: branches, staff, the audit trail."""

import enum
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from bank.database import document, instant, key


class Role(enum.StrEnum):
    """What a member of staff is trusted with; one person may hold several."""

    RM = "rm"
    BRANCH_MANAGER = "branch_manager"
    EDITOR = "editor"
    APPROVER = "approver"
    COMPLIANCE = "compliance"
    AUDITOR = "auditor"
    HQ = "hq"
    ADMIN = "admin"

    @property
    def label(self) -> str:
        return ROLE_LABELS[self]


ROLE_LABELS = {
    Role.RM: "客户经理",
    Role.BRANCH_MANAGER: "支行管理",
    Role.EDITOR: "内容编辑",
    Role.APPROVER: "内容审批",
    Role.COMPLIANCE: "合规",
    Role.AUDITOR: "审计",
    Role.HQ: "总行运营",
    Role.ADMIN: "系统管理",
}


class Branch(SQLModel, table=True):
    """A branch 支行."""

    id: UUID = key()
    code: str = Field(unique=True)
    name: str


class Staff(SQLModel, table=True):
    """A member of staff; `userid` is the WeCom member id."""

    id: UUID = key()
    userid: str = Field(unique=True)
    name: str
    roles: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    branch_id: UUID | None = Field(default=None, foreign_key="branch.id", index=True)
    title: str = ""
    certified_until: date | None = None
    enabled: bool = True


class AuditEntry(SQLModel, table=True):
    """One line of the audit book 审计: written in the transaction it tells of, never changed."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_subject", "subject", "subject_id"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    at: datetime = instant(index=True)
    actor: str = Field(description="userid of the person, or `system`")
    action: str = Field(description="area:subject:verb, e.g. content:version:approve")
    subject: str
    subject_id: str
    detail: dict[str, Any] = document(default_factory=dict)
