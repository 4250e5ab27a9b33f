"""Tables: inbound events as stored before they are answered, messages, cursors."""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

from bank.database import document, instant, key, word


class InboundState(enum.StrEnum):
    NEW = "new"
    DONE = "done"
    QUARANTINED = "quarantined"
    HELD = "held"

    @property
    def label(self) -> str:
        return {
            "new": "待处理",
            "done": "已处理",
            "quarantined": "已隔离",
            "held": "时间异常，待核对",
        }[self]


class Speaker(enum.StrEnum):
    CUSTOMER = "customer"
    RM = "rm"


class InboundEvent(SQLModel, table=True):
    """A callback as decrypted, once for its content; stored before WeCom gets its answer.

    The text itself is sealed (`bank/sealing.py`) and removed after `SIYU_RAW_BODY_DAYS`.
    """

    __tablename__ = "inbound_event"
    __table_args__ = (
        Index("ix_inbound_event_new", "id", postgresql_where="state = 'new'"),
        Index("ix_inbound_event_order_key", "order_key", "id", postgresql_where="state = 'new'"),
        Index("ix_inbound_event_urgent", "id", postgresql_where="urgent"),
        Index("ix_inbound_event_handled", "handled_at", postgresql_where="sealed IS NOT NULL"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    sealed: bytes | None = Field(
        default=None,
        sa_column=Column(LargeBinary, nullable=True),
        description="the text as it came; removed when its time is over",
    )
    kind: str = Field(default="", description="WeCom's word for it, such as msgaudit_notify")
    urgent: bool = Field(default=False, description="holds a welcome code that nobody has used yet")
    order_key: str = Field(description="whose events must be handled in order; empty: nobody's")
    sent_at: datetime | None = instant(
        default=None, description="the signed time, where it is far from ours (state held)"
    )
    received_at: datetime = instant()
    state: InboundState = word(InboundState, default=InboundState.NEW)
    attempts: int = 0
    lease_until: datetime | None = instant(default=None)
    handled_at: datetime | None = instant(default=None)
    outcome: str = ""


class CallbackRejection(SQLModel, table=True):
    """How often callbacks were refused, for each reason; never what they said."""

    __tablename__ = "callback_rejection"

    reason: str = Field(primary_key=True)
    times: int = 0
    last_at: datetime = instant()
    receiver: str = Field(default="", description="whom the last one was meant for, if not us")


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


class WeComGrant(SQLModel, table=True):
    """An access token or ticket, shared by every process."""

    __tablename__ = "wecom_grant"

    name: str = Field(primary_key=True, description="corp, app and what it is; no part of a secret")
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    renew_at: datetime = instant()
    expires_at: datetime = instant()


class IntentState(enum.StrEnum):
    """What is known of something we asked WeCom to create."""

    INTENT = "intent"
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"

    @property
    def label(self) -> str:
        return {
            "intent": "正在创建",
            "done": "已创建",
            "refused": "被企业微信拒绝",
            "unknown": "结果不明，待人工核对",
            "abandoned": "确认未创建",
        }[self]


class PlatformIntent(SQLModel, table=True):
    """Something to be created at WeCom, written down before it is asked for."""

    __tablename__ = "platform_intent"
    __table_args__ = (
        Index("ix_platform_intent_open", "created_at", postgresql_where="state = 'intent'"),
    )

    id: UUID = key()
    call: str
    facts: dict[str, Any] = document(default_factory=dict)
    state: IntentState = word(IntentState, default=IntentState.INTENT)
    result: str = Field(default="", description="WeCom's id of it, or why not")
    attempts: int = Field(default=0, description="how often it was looked up")
    created_at: datetime = instant()
    settled_at: datetime | None = instant(default=None)


class WayState(enum.StrEnum):
    """Whether a contact way can be scanned."""

    MAKING = "making"
    LIVE = "live"
    FAILED = "failed"
    RETIRED = "retired"

    @property
    def label(self) -> str:
        return {"making": "生成中", "live": "使用中", "failed": "生成失败", "retired": "已停用"}[
            self
        ]


class ContactWay(SQLModel, table=True):
    """A code of one RM for one channel 渠道活码; its `state` tells where a customer comes from."""

    __tablename__ = "contact_way"
    __table_args__ = (
        Index(
            "uq_contact_way_staff_channel",
            "staff_id",
            "channel",
            unique=True,
            postgresql_where="state <> 'retired'",
        ),
    )

    id: UUID = key()
    staff_id: UUID = Field(foreign_key="staff.id", index=True)
    channel: str = Field(description="where it is shown, such as 大堂易拉宝")
    key: str = Field(unique=True, description="the `state` WeCom gives back, 30 characters at most")
    state: WayState = word(WayState, default=WayState.MAKING)
    config_id: str | None = Field(default=None, unique=True)
    qr_code: str = ""
    welcome_material_id: UUID | None = Field(default=None, foreign_key="material.id")
    skip_verify: bool = True
    failure: str = ""
    made_by: str = ""
    made_at: datetime = instant()
    retired_at: datetime | None = instant(default=None)


class WelcomeState(enum.StrEnum):
    """What became of the one welcome a new customer can get."""

    SENDING = "sending"
    SENT = "sent"
    EXPIRED = "expired"
    TAKEN = "taken"
    AWAITING_CONSENT = "awaiting_consent"
    NO_MATERIAL = "no_material"
    REFUSED = "refused"
    UNKNOWN = "unknown"

    @property
    def label(self) -> str:
        return {
            "sending": "发送中",
            "sent": "已发送",
            "expired": "超过 20 秒未发出",
            "taken": "已由其他应用或本人欢迎",
            "awaiting_consent": "待客户同意存档",
            "no_material": "没有可用的欢迎语",
            "refused": "被企业微信拒绝",
            "unknown": "结果不明",
        }[self]


class Welcome(SQLModel, table=True):
    """A welcome 欢迎语, once for each welcome code."""

    __table_args__ = (
        Index("ix_welcome_received_at", "received_at"),
        Index("ix_welcome_sending", "lease_until", postgresql_where="state = 'sending'"),
    )

    id: UUID = key()
    code_digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    userid: str
    external_userid: str
    channel_key: str = Field(default="", description="the `state` of the event")
    contact_way_id: UUID | None = Field(default=None, foreign_key="contact_way.id", index=True)
    version_id: UUID | None = Field(default=None, foreign_key="version.id")
    event_id: int | None = Field(
        default=None, sa_column=Column(BigInteger, index=True), description="its text has the code"
    )
    state: WelcomeState = word(WelcomeState, default=WelcomeState.SENDING)
    reason: str = ""
    attempts: int = 0
    created_at: datetime = instant(description="when the relation began, by WeCom's clock")
    received_at: datetime = instant()
    lease_until: datetime | None = instant(default=None)
    settled_at: datetime | None = instant(default=None)


class WelcomeChoice(SQLModel, table=True):
    """Which material welcomes the customers of an RM; without an RM, those of all others."""

    __tablename__ = "welcome_choice"
    __table_args__ = (UniqueConstraint("staff_id", postgresql_nulls_not_distinct=True),)

    id: UUID = key()
    staff_id: UUID | None = Field(default=None, foreign_key="staff.id")
    material_id: UUID = Field(foreign_key="material.id")
    chosen_by: str
    chosen_at: datetime = instant()


class ServiceAccount(SQLModel, table=True):
    """A 微信客服 account and how far it has been read."""

    __tablename__ = "service_account"

    open_kfid: str = Field(primary_key=True)
    name: str = ""
    automatic: bool = Field(default=False, description="questions are answered without a person")
    cursor: str = ""
    checked_at: datetime | None = instant(default=None)


class ServiceSession(SQLModel, table=True):
    """A customer at a 微信客服 account; `state` is WeCom's own number, 0 to 4."""

    __tablename__ = "service_session"
    __table_args__ = (UniqueConstraint("open_kfid", "external_userid"),)

    id: UUID = key()
    open_kfid: str = Field(foreign_key="service_account.open_kfid")
    external_userid: str = Field(index=True)
    nickname: str = ""
    state: int = Field(default=0, ge=0, le=4)
    servicer: str = Field(default="", description="userid of the member who has taken over")
    handover_reason: str = ""
    wrote_at: datetime | None = instant(default=None, description="the customer's last message")
    sent_since: int = Field(default=0, description="messages of ours after it; five at most")
    opened_at: datetime = instant()
    changed_at: datetime = instant(index=True)


class ServiceSpeaker(enum.StrEnum):
    CUSTOMER = "customer"
    ROBOT = "robot"
    SERVICER = "servicer"
    SYSTEM = "system"

    @property
    def label(self) -> str:
        return {
            "customer": "客户",
            "robot": "智能助手",
            "servicer": "人工客服",
            "system": "系统",
        }[self]


class ServiceMessage(SQLModel, table=True):
    """A message of a 微信客服 conversation, once for the platform's message id."""

    __tablename__ = "service_message"
    __table_args__ = (
        Index("ix_service_message_session", "session_id", "sent_at"),
        Index("ix_service_message_unanswered", "sent_at", postgresql_where="NOT answered"),
    )

    id: UUID = key()
    msgid: str = Field(unique=True)
    session_id: UUID = Field(foreign_key="service_session.id")
    speaker: ServiceSpeaker = word(ServiceSpeaker)
    kind: str
    text: str
    sent_at: datetime = instant()
    stored_at: datetime = instant()
    answered: bool = Field(default=False, description="answered, handed over, or not a question")
    attempts: int = 0
    lease_until: datetime | None = instant(default=None)
    failure: str = Field(default="", description="why ours did not reach the customer")
    version_ids: list[str] = document(default_factory=list)
    confidence: float | None = None


class CardKind(enum.StrEnum):
    """What a card asks of the member who gets it."""

    HANDOVER = "handover"
    CHURN = "churn"
    TASKS = "tasks"
    CONDUCT = "conduct"
    EXPIRY = "expiry"
    CARE = "care"


class MemberCard(SQLModel, table=True):
    """A card with buttons on a member's desktop, and what they pressed."""

    __tablename__ = "member_card"

    task_id: str = Field(primary_key=True)
    kind: CardKind = word(CardKind)
    userids: list[str] = document(default_factory=list)
    subject_id: str = Field(index=True)
    sent_at: datetime = instant()
    pressed_at: datetime | None = instant(default=None)
    pressed_by: str = ""
    button: str = ""


class RobotAnswer(SQLModel, table=True):
    """An answer of the internal robot, streamed to the member who asked."""

    __tablename__ = "robot_answer"

    stream_id: str = Field(primary_key=True)
    msgid: str = Field(unique=True)
    userid: str = Field(index=True)
    question: str = ""
    content: str = ""
    finished: bool = False
    asked_at: datetime = instant()


class Repair(SQLModel, table=True):
    """One round of comparing ourselves with WeCom 对账, and what it mended."""

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    kind: str = Field(description="relations, groups, tags")
    started_at: datetime = instant(index=True)
    finished_at: datetime | None = instant(default=None)
    looked_at: int = 0
    mended: dict[str, int] = document(default_factory=dict)
    failure: str = ""


class RepairMark(SQLModel, table=True):
    """When an RM's relations were last compared with WeCom."""

    __tablename__ = "repair_mark"

    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    compared_at: datetime = instant(index=True)


class ExportKind(enum.StrEnum):
    """What an export would take out of the bank."""

    AUDIT = "audit"
    RECIPIENTS = "recipients"
    HOLDERS = "holders"

    @property
    def label(self) -> str:
        return {"audit": "操作日志", "recipients": "素材接收名单", "holders": "产品持有客户"}[self]


class ExportRequest(SQLModel, table=True):
    """A wish to export many rows 导出申请; another person has to agree."""

    __tablename__ = "export_request"
    __table_args__ = (
        CheckConstraint("decided_by <> asked_by", name="second_person"),
        CheckConstraint("(agreed IS NULL) = (decided_by IS NULL)", name="decided_by_somebody"),
    )

    id: UUID = key()
    what: ExportKind = word(ExportKind)
    query: dict[str, Any] = document(default_factory=dict)
    rows: int
    last_entry: int | None = Field(
        default=None, sa_type=BigInteger, description="later lines of the book are not part of it"
    )
    reason: str
    asked_by: str
    asked_at: datetime = instant(index=True)
    agreed: bool | None = None
    decided_by: str | None = None
    decided_at: datetime | None = instant(default=None)
    fetched_at: datetime | None = instant(default=None)
