"""Tables: products, materials, their immutable versions, passages, changes of the library."""

import enum
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Numeric,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from bank.database import instant, key, word


class ProductKind(enum.StrEnum):
    """What a product is in law; it decides the reminder that must go with it."""

    WEALTH = "wealth"
    FUND = "fund"
    INSURANCE = "insurance"
    DEPOSIT = "deposit"

    @property
    def label(self) -> str:
        return {"wealth": "银行理财", "fund": "公募基金", "insurance": "保险", "deposit": "存款类"}[
            self
        ]


class SaleStatus(enum.StrEnum):
    """Whether the product may be offered today."""

    ON_SALE = "on_sale"
    SUSPENDED = "suspended"
    CLOSED = "closed"

    @property
    def label(self) -> str:
        return {"on_sale": "在售", "suspended": "暂停", "closed": "已结束"}[self]


class ChangeState(enum.StrEnum):
    """Where a proposed change of a product stands."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"

    @property
    def label(self) -> str:
        return {
            "proposed": "待确认",
            "confirmed": "已生效",
            "rejected": "已驳回",
            "cancelled": "已撤回",
        }[self]


class Kind(enum.StrEnum):
    """What sort of material it is."""

    FAQ = "faq"
    SCRIPT = "script"
    PRODUCT_NOTE = "product_note"
    EDUCATION = "education"
    MARKET_NOTE = "market_note"
    ARTICLE = "article"
    IMAGE = "image"
    VIDEO = "video"
    FILE = "file"
    LINK = "link"
    MINI_PROGRAM = "mini_program"

    @property
    def label(self) -> str:
        return KIND_LABELS[self]


KIND_LABELS = {
    Kind.FAQ: "常见问题",
    Kind.SCRIPT: "话术",
    Kind.PRODUCT_NOTE: "产品说明",
    Kind.EDUCATION: "投资者教育",
    Kind.MARKET_NOTE: "市场解读",
    Kind.ARTICLE: "图文",
    Kind.IMAGE: "图片海报",
    Kind.VIDEO: "视频",
    Kind.FILE: "文件",
    Kind.LINK: "链接",
    Kind.MINI_PROGRAM: "小程序卡片",
}


class Use(enum.StrEnum):
    """What the material is for in the course of a relation 用途."""

    AROUSE = "arouse"
    TRUST = "trust"
    CONVERT = "convert"
    ACCOMPANY = "accompany"

    @property
    def label(self) -> str:
        return {
            "arouse": "需求激发",
            "trust": "建立信任",
            "convert": "促进转化",
            "accompany": "持续陪伴",
        }[self]


# What an RM who sends it unasked is advertising with: it arouses a need, or sells.
PROMOTING = (Use.AROUSE, Use.CONVERT)


class State(enum.StrEnum):
    """Where a version stands; only `content/review.py` writes it."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"
    RETURNED = "returned"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"

    @property
    def label(self) -> str:
        return STATE_LABELS[self]


STATE_LABELS = {
    State.DRAFT: "草稿",
    State.SUBMITTED: "待审",
    State.APPROVED: "已上线",
    State.REJECTED: "已驳回",
    State.RETURNED: "退回修改",
    State.SUPERSEDED: "已被新版替代",
    State.WITHDRAWN: "已下线",
    State.EXPIRED: "已过期",
}


class Product(SQLModel, table=True):
    """A product 产品 the bank offers; the higher of the two ratings counts."""

    __table_args__ = (
        CheckConstraint(
            "issuer_rating BETWEEN 0 AND 5 AND bank_rating BETWEEN 0 AND 5", name="rated"
        ),
        CheckConstraint(
            "listed_until IS NULL OR (listed_from IS NOT NULL AND listed_from < listed_until)",
            name="listed_in_order",
        ),
    )

    id: UUID = key()
    code: str = Field(unique=True)
    name: str
    kind: ProductKind = word(ProductKind)
    issuer: str
    issuer_rating: int = Field(ge=0, le=5, description="R1–R5; 0: not rated yet")
    bank_rating: int = Field(ge=0, le=5)
    regime: str = Field(description="NFRA or CSRC: whose suitability rules apply")
    offering: str = Field(description="public or private")
    agency: bool
    term_days: int | None = None
    open_rule: str
    min_amount_cents: int = Field(sa_type=BigInteger)
    fees: str
    benchmark: str | None = None
    benchmark_basis: str | None = None
    inception: date
    redemption: str
    description: str
    sale_status: SaleStatus = word(SaleStatus, default=SaleStatus.ON_SALE)
    listed_from: date | None = Field(
        default=None, description="since when head office lists it 总行名单; null: not listed"
    )
    listed_until: date | None = Field(default=None, description="first day off the list again")
    prospectus_id: UUID | None = Field(default=None, foreign_key="stored_file.id")
    risk_disclosure_id: UUID | None = Field(default=None, foreign_key="stored_file.id")

    @property
    def rating(self) -> int:
        """Effective rating 1–5: the stricter of issuer and bank (金融机构产品适当性管理办法)."""
        return max(self.issuer_rating, self.bank_rating)

    def is_listed(self, day: date) -> bool:
        """Whether head office's list of that day holds it (代销办法, C-09)."""
        if self.listed_from is None or day < self.listed_from:
            return False
        return self.listed_until is None or day < self.listed_until


class ProductChange(SQLModel, table=True):
    """A change of a product's facts 产品变更: proposed by one, in force once another confirms.

    A change told by the bank's own master file names its `source` and nobody: it is in force at
    once (docs/decisions/0015).
    """

    __tablename__ = "product_change"
    __table_args__ = (
        CheckConstraint("(source <> '') = (proposed_by IS NULL)", name="somebody_proposes"),
        CheckConstraint(
            "state <> 'confirmed' OR source <> ''"
            " OR (decided_by IS NOT NULL AND decided_by <> proposed_by)",
            name="four_eyes",
        ),
        CheckConstraint("(state = 'proposed') = (decided_at IS NULL)", name="decided_once"),
        # One proposal of a product waits at a time.
        Index(
            "uq_product_change_open",
            "product_id",
            unique=True,
            postgresql_where="state = 'proposed'",
        ),
        Index("ix_product_change_product", "product_id", "proposed_at"),
    )

    id: UUID = key()
    product_id: UUID = Field(foreign_key="product.id")
    fields: dict[str, list[str]] = Field(
        sa_column=Column(JSONB, nullable=False), description="field → [old, new], as written"
    )
    reason: str = Field(default="", description="why, in the proposer's words")
    source: str = Field(default="", description="system of the master file; empty: a person")
    state: ChangeState = word(ChangeState, default=ChangeState.PROPOSED)
    proposed_by: UUID | None = Field(default=None, foreign_key="staff.id")
    proposed_at: datetime = instant()
    decided_by: UUID | None = Field(default=None, foreign_key="staff.id")
    decided_at: datetime | None = instant(default=None)
    note: str = Field(default="", description="why it was rejected")


class Nav(SQLModel, table=True):
    """Net asset value of a product on a day 净值."""

    product_id: UUID = Field(foreign_key="product.id", primary_key=True)
    on: date = Field(primary_key=True)
    value: Decimal = Field(sa_column=Column(Numeric(12, 6), nullable=False))


class StoredFile(SQLModel, table=True):
    """A file as uploaded; its bytes lie in the file store under `id`."""

    __tablename__ = "stored_file"

    id: UUID = key()
    name: str
    media_type: str
    size: int
    sha256: str
    uploaded_by: UUID = Field(foreign_key="staff.id")
    uploaded_at: datetime = instant()
    made_of: UUID | None = Field(
        default=None,
        foreign_key="stored_file.id",
        description="the file as uploaded, of which this is a labelled copy",
    )


class Material(SQLModel, table=True):
    """A material 素材: the thread that its versions hang on."""

    id: UUID = key()
    code: str = Field(unique=True)
    kind: Kind = word(Kind)
    title: str
    use: Use = word(Use)
    owner_id: UUID = Field(foreign_key="staff.id", index=True)
    created_at: datetime = instant()
    gap_id: UUID | None = Field(
        default=None, index=True, description="the content gap it was written for; knowledge has it"
    )


class MaterialProduct(SQLModel, table=True):
    """A material speaks of a product, and how much."""

    __tablename__ = "material_product"
    __table_args__ = (CheckConstraint("strength BETWEEN 1 AND 3", name="strength"),)

    material_id: UUID = Field(foreign_key="material.id", primary_key=True)
    product_id: UUID = Field(foreign_key="product.id", primary_key=True, index=True)
    strength: int = Field(
        default=2,
        sa_column_kwargs={"server_default": "2"},
        description="3 it is about the product, 2 it explains it, 1 it mentions it",
    )


class Version(SQLModel, table=True):
    """One immutable version 版本 of a material: what is approved is exactly these bytes."""

    __table_args__ = (
        UniqueConstraint("material_id", "number"),
        UniqueConstraint("id", "author_id"),  # review steps hold on to both
        CheckConstraint(
            "approved_by IS DISTINCT FROM author_id OR approved_by IS NULL", name="four_eyes"
        ),
        CheckConstraint(
            "state <> 'approved' OR (approved_by IS NOT NULL AND valid_from IS NOT NULL"
            " AND valid_until IS NOT NULL AND valid_from < valid_until)",
            name="approved_is_complete",
        ),
        CheckConstraint(
            "(suspended_at IS NULL) = (suspended_reason = '')", name="suspended_with_reason"
        ),
        # Hidden or system-like text goes live only after a second person has looked at it.
        CheckConstraint(
            "state <> 'approved' OR flags = '[]'::jsonb OR flags_seen_by IS NOT NULL",
            name="flags_are_seen",
        ),
        CheckConstraint(
            "flags_seen_by IS DISTINCT FROM author_id OR flags_seen_by IS NULL",
            name="flags_four_eyes",
        ),
        # At most one live version of a material.
        Index("uq_version_live", "material_id", unique=True, postgresql_where="state = 'approved'"),
        Index("ix_version_state", "state"),
    )

    id: UUID = key()
    material_id: UUID = Field(foreign_key="material.id")
    number: int
    title: str
    body: str
    questions: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    file_id: UUID | None = Field(default=None, foreign_key="stored_file.id")
    sha256: str = Field(description="over title, body, questions, file bytes and particulars")
    particulars: dict[str, Any] = Field(
        default_factory=dict,
        sa_column=Column(JSONB, nullable=False, server_default="{}"),
        description="what content/particulars.py says of it; empty on versions older than that",
    )
    flags: list[dict[str, Any]] = Field(
        default_factory=list,
        sa_column=Column(JSONB, nullable=False, server_default="[]"),
        description="hidden or system-like text, as content/flags.py found it",
    )
    flags_seen_by: UUID | None = Field(default=None, foreign_key="staff.id")
    flags_seen_at: datetime | None = instant(default=None)
    risk: int = Field(ge=0, le=5, description="highest rating of its products, 0 without any")
    state: State = word(State, default=State.DRAFT)
    author_id: UUID = Field(foreign_key="staff.id", index=True)
    created_at: datetime = instant()
    submitted_at: datetime | None = instant(default=None)
    findings: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False)
    )
    approved_by: UUID | None = Field(default=None, foreign_key="staff.id")
    approved_at: datetime | None = instant(default=None)
    valid_from: datetime | None = instant(default=None)
    valid_until: datetime | None = instant(default=None)
    channels: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    branch_ids: list[UUID] | None = Field(
        default=None,
        sa_column=Column(ARRAY(Uuid), nullable=True),
        description="branches it is for; null: all",
    )
    reason: str = Field(default="", description="why it was rejected or withdrawn")
    ended_at: datetime | None = instant(default=None)
    suspended_at: datetime | None = instant(
        default=None, description="out of use until a reviewer resumes it; content/suspensions.py"
    )
    suspended_reason: str = ""


class MaterialImport(SQLModel, table=True):
    """An import of many materials at once: what was taken, and what was not and why."""

    __tablename__ = "material_import"

    id: UUID = key()
    name: str = Field(description="of the file")
    counts: dict[str, int] = Field(sa_column=Column(JSONB, nullable=False))
    rejects: list[dict[str, str]] = Field(sa_column=Column(JSONB, nullable=False))
    version_ids: list[UUID] = Field(sa_column=Column(ARRAY(Uuid), nullable=False))
    imported_by: UUID = Field(foreign_key="staff.id")
    imported_at: datetime = instant(index=True)


class Passage(SQLModel, table=True):
    """A passage 段落 of a version: what is indexed and cited."""

    __table_args__ = (UniqueConstraint("version_id", "position"),)

    id: UUID = key()
    version_id: UUID = Field(foreign_key="version.id")
    position: int
    text: str
    place: str = Field(default="", description="page or paragraph in the uploaded file")


class LibraryChange(SQLModel, table=True):
    """A version went live or ended; projections follow these by `seq`."""

    __tablename__ = "library_change"

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(), primary_key=True)
    )
    version_id: UUID = Field(foreign_key="version.id")
    live: bool
    at: datetime = instant()
