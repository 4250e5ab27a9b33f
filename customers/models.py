"""Tables: customers, follow relations, tags, consents, holdings."""

import enum
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from bank.database import document, instant, key, word


class Stage(enum.StrEnum):
    """Where the relation stands."""

    NEW = "new"
    FOLLOWING = "following"
    CLOSED = "closed"
    UNINTERESTED = "uninterested"
    LOST = "lost"

    @property
    def label(self) -> str:
        return STAGE_LABELS[self]


STAGE_LABELS = {
    Stage.NEW: "待跟进",
    Stage.FOLLOWING: "跟进中",
    Stage.CLOSED: "已成交",
    Stage.UNINTERESTED: "无意向",
    Stage.LOST: "已流失",
}


class FollowState(enum.StrEnum):
    """Whether RM and customer are still connected."""

    ACTIVE = "active"
    REMOVED_BY_CUSTOMER = "removed_by_customer"
    REMOVED_BY_RM = "removed_by_rm"
    TRANSFERRED = "transferred"
    GONE = "gone"

    @property
    def label(self) -> str:
        return {
            "active": "跟进中",
            "removed_by_customer": "客户已删除",
            "removed_by_rm": "已解除",
            "transferred": "已移交",
            "gone": "关系已不存在",
        }[self]


class Purpose(enum.StrEnum):
    """What a consent 授权 is given for."""

    MARKETING = "marketing"
    PROFILING = "profiling"


class Customer(SQLModel, table=True):
    """A customer 客户 of the bank; `external_userid` once bound to a WeCom contact."""

    id: UUID = key()
    bank_no: str | None = Field(default=None, unique=True)
    external_userid: str | None = Field(default=None, unique=True)
    name: str
    gender: int = 0
    born_on: date | None = None
    mobile: str = Field(default="", description="masked, 138****1234")
    risk_level: int | None = Field(default=None, ge=1, le=5)
    risk_assessed_at: datetime | None = instant(default=None)
    tier: str = ""
    occupation: str = ""
    stage: Stage = word(Stage, default=Stage.NEW)
    branch_id: UUID | None = Field(default=None, foreign_key="branch.id", index=True)
    created_at: datetime = instant()


class Follow(SQLModel, table=True):
    """An RM's relation with a customer 跟进关系; it decides who may see the customer."""

    __table_args__ = (UniqueConstraint("staff_id", "customer_id"),)

    id: UUID = key()
    staff_id: UUID = Field(foreign_key="staff.id", index=True)
    customer_id: UUID = Field(foreign_key="customer.id", index=True)
    state: FollowState = word(FollowState, default=FollowState.ACTIVE)
    added_at: datetime = instant()
    removed_at: datetime | None = instant(default=None)
    source: str = Field(default="", description="`state` of the contact way it came by")
    add_way: int | None = Field(default=None, description="WeCom's number for how they met")
    remark: str = ""
    archive_agreed_at: datetime | None = instant(default=None)
    transfer_failure: str = Field(default="", description="why a handover to another RM failed")


class CustomerTag(SQLModel, table=True):
    """A tag 标签 on a customer, with where it comes from."""

    __tablename__ = "customer_tag"
    __table_args__ = (UniqueConstraint("customer_id", "name"),)

    id: UUID = key()
    customer_id: UUID = Field(foreign_key="customer.id", index=True)
    name: str
    source: str
    tagged_at: datetime = instant()


class Consent(SQLModel, table=True):
    """A customer's consent 授权 for a purpose, kept with the version of the text they agreed to."""

    __table_args__ = (Index("ix_consent_customer_purpose", "customer_id", "purpose"),)

    id: UUID = key()
    customer_id: UUID = Field(foreign_key="customer.id")
    purpose: Purpose = word(Purpose)
    channel: str
    text_version: str
    granted_at: datetime = instant()
    withdrawn_at: datetime | None = instant(default=None)


class LegalHold(SQLModel, table=True):
    """A legal hold 法律保全 on a customer: until it is released, nothing of them is removed."""

    __tablename__ = "legal_hold"
    __table_args__ = (
        Index(
            "uq_legal_hold_in_force",
            "customer_id",
            unique=True,
            postgresql_where="released_at IS NULL",
        ),
    )

    id: UUID = key()
    customer_id: UUID = Field(foreign_key="customer.id", index=True)
    reason: str
    placed_by: str
    placed_at: datetime = instant()
    released_at: datetime | None = instant(default=None)
    released_by: str = ""
    release_reason: str = ""


class CareKind(enum.StrEnum):
    """What a customer's words ask of a person."""

    COMPLAINT = "complaint"
    REFUSAL = "refusal"
    VULNERABLE = "vulnerable"

    @property
    def label(self) -> str:
        return {
            "complaint": "投诉",
            "refusal": "拒绝营销",
            "vulnerable": "需要特别照顾",
        }[self]


class CareState(enum.StrEnum):
    """Where a care alert stands; only `care.py` writes it."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    UNDONE = "undone"

    @property
    def label(self) -> str:
        return {"open": "待复核", "confirmed": "已确认", "undone": "已撤销"}[self]


class CareAlert(SQLModel, table=True):
    """What a customer wrote that a person must look at 关怀提醒, once for the same message.

    At 微信客服 somebody may write whom we know as a `contact` only, and to no RM.
    """

    __tablename__ = "care_alert"
    __table_args__ = (
        UniqueConstraint("kind", "source"),
        CheckConstraint(
            "(state = 'open') = (decided_at IS NULL) AND (state = 'open') = (decided_by = '')",
            name="decided_by_somebody",
        ),
        CheckConstraint("state = 'open' OR reason <> ''", name="decided_with_reason"),
        # Asked before every marketing message: has this customer a complaint nobody dealt with?
        Index(
            "ix_care_alert_open_complaint",
            "customer_id",
            postgresql_where="kind = 'complaint' AND state = 'open'",
        ),
        Index("ix_care_alert_state", "state", "raised_at"),
        CheckConstraint("customer_id IS NOT NULL OR contact <> ''", name="of_somebody"),
        # Asked before every answer at 微信客服: does a person have to look after this one?
        Index(
            "ix_care_alert_open_contact",
            "contact",
            postgresql_where="contact <> '' AND state = 'open'",
        ),
    )

    id: UUID = key()
    kind: CareKind = word(CareKind)
    customer_id: UUID | None = Field(default=None, foreign_key="customer.id", index=True)
    staff_id: UUID | None = Field(
        default=None, foreign_key="staff.id", description="the RM it was written to, or who follows"
    )
    contact: str = Field(default="", description="WeCom's id of whoever wrote at 微信客服")
    source: str = Field(
        description="`message:<id>`, `typed:<uuid>` or `service:<session>:<msgid>`: where it stands"
    )
    sentence: str = Field(description="the customer's words, personal data masked")
    because: list[str] = document(default_factory=list)  # how it was recognised, in words
    consents: list[str] = document(default_factory=list)  # that were ended because of it
    raised_at: datetime = instant()
    state: CareState = word(CareState, default=CareState.OPEN)
    decided_by: str = Field(default="", description="userid of whoever looked at it")
    decided_at: datetime | None = instant(default=None)
    reason: str = ""
    lease_until: datetime | None = instant(default=None)
    told_at: datetime | None = instant(default=None)


class Holding(SQLModel, table=True):
    """What a customer holds of a product, or held until `ended_on`."""

    __table_args__ = (
        UniqueConstraint("customer_id", "product_code", "bought_on"),
        CheckConstraint("amount_cents > 0", name="something_is_held"),
    )

    id: UUID = key()
    customer_id: UUID = Field(foreign_key="customer.id", index=True)
    product_code: str = Field(index=True)
    amount_cents: int = Field(sa_type=BigInteger)
    bought_on: date
    matures_on: date | None = None
    ended_on: date | None = None


class CorpTag(SQLModel, table=True):
    """A tag of the company as WeCom keeps it 企业标签."""

    __tablename__ = "corp_tag"

    tag_id: str = Field(primary_key=True)
    group_id: str = ""
    group_name: str = ""
    name: str
    deleted_at: datetime | None = instant(default=None)


class CustomerGroup(SQLModel, table=True):
    """A customer group 客户群 as WeCom last told it."""

    __tablename__ = "customer_group"

    id: UUID = key()
    chat_id: str = Field(unique=True)
    name: str = ""
    notice: str = ""
    owner_userid: str = Field(default="", index=True)
    created_at: datetime | None = instant(default=None)
    dismissed_at: datetime | None = instant(default=None)
    member_version: str = ""
    checked_at: datetime | None = instant(default=None)
    consent_asked_at: datetime | None = instant(
        default=None, description="when WeCom was last asked who agrees to archiving"
    )


class GroupMember(SQLModel, table=True):
    """Somebody in a customer group, or who was: a member of staff or a customer."""

    __tablename__ = "group_member"
    __table_args__ = (UniqueConstraint("group_id", "member_id"),)

    id: UUID = key()
    group_id: UUID = Field(foreign_key="customer_group.id")
    member_id: str = Field(index=True, description="userid, or external_userid of a customer")
    is_staff: bool = False
    customer_id: UUID | None = Field(default=None, foreign_key="customer.id", index=True)
    nickname: str = ""
    joined_at: datetime = instant()
    left_at: datetime | None = instant(default=None)
    join_scene: int | None = None
    quit_scene: int | None = None
    channel_key: str = Field(default="", description="`state` of the join way it came by")
    invited_by: str = ""
    archive_refused: bool = Field(default=False, description="does not agree to archiving")
