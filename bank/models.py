"""Tables of the institution: branches, staff, the audit trail."""

import enum
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, LargeBinary, Text
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
    certified_until: date | None = Field(
        default=None, description="none: only investor education; `bank/certificates.py` writes it"
    )
    enabled: bool = True


class CertificateChange(SQLModel, table=True):
    """Another end of an RM's certificate 从业资格 asked for; it counts once a second person agrees.

    Who proposed it, who agreed and whose certificate it is are three people.
    """

    __tablename__ = "certificate_change"
    __table_args__ = (
        CheckConstraint("decided_by <> proposed_by", name="four_eyes"),
        CheckConstraint("staff_id NOT IN (proposed_by, decided_by)", name="not_their_own"),
        CheckConstraint(
            "(agreed IS NULL) = (decided_by IS NULL) AND (agreed IS NULL) = (decided_at IS NULL)",
            name="decision_is_whole",
        ),
        Index(
            "uq_certificate_change_open",
            "staff_id",
            unique=True,
            postgresql_where="agreed IS NULL",
        ),
    )

    id: UUID = key()
    staff_id: UUID = Field(foreign_key="staff.id", index=True)
    before: date | None = None
    until: date | None = Field(default=None, description="none: the certificate is taken away")
    reason: str
    proposed_by: UUID = Field(foreign_key="staff.id")
    proposed_at: datetime = instant()
    agreed: bool | None = None
    decided_by: UUID | None = Field(default=None, foreign_key="staff.id")
    decided_at: datetime | None = instant(default=None)
    note: str = Field(default="", description="why it was refused")


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


class AuditWaiting(SQLModel, table=True):
    """A line that is not linked yet; the database itself puts it here when the line is written."""

    __tablename__ = "audit_waiting"

    entry_id: int = Field(
        sa_column=Column(BigInteger, primary_key=True, autoincrement=False),
        description="no foreign key: a line that vanished must stay known here",
    )


class AuditLink(SQLModel, table=True):
    """The link of one line to the one before it; written once, never changed."""

    __tablename__ = "audit_link"

    position: int = Field(
        sa_column=Column(BigInteger, primary_key=True, autoincrement=False),
        description="1, 2, 3 … in the order of linking, without gaps",
    )
    entry_id: int = Field(sa_column=Column(BigInteger, nullable=False, unique=True))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    chain: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    linked_at: datetime = instant()


class AuditCheck(SQLModel, table=True):
    """A check of the whole book: asked for by somebody, made by a worker."""

    __tablename__ = "audit_check"
    __table_args__ = (
        Index("ix_audit_check_open", "asked_at", postgresql_where="finished_at IS NULL"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    asked_by: str = Field(description="userid, or `system` once a day")
    asked_at: datetime = instant(index=True)
    lease_until: datetime | None = instant(default=None)
    finished_at: datetime | None = instant(default=None)
    lines: int = 0
    sound: bool | None = None
    result: dict[str, Any] = document(default_factory=dict)
