"""Tables: suggestions and what it takes to replay them, content gaps, effects, the cursor."""

import enum
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from bank.database import instant, key, word
from knowledge.intents import Intent


class SuggestionState(enum.StrEnum):
    """What became of a suggestion; `suggestions.py` writes the first one, `replies.py` the rest."""

    OFFERED = "offered"
    NO_MATCH = "no_match"
    BLOCKED = "blocked"
    SENT = "sent"
    EDITED = "edited"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    HELD = "held"

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
            "held": "不作推荐",
        }[self]


def _json(**options: Any) -> Any:
    return Field(sa_column=Column(JSONB, nullable=False), **options)


class Suggestion(SQLModel, table=True):
    """A suggestion 推荐回复 for one question of one customer, offered to one RM."""

    __table_args__ = (
        UniqueConstraint("question_key", "variant"),
        Index("ix_suggestion_staff_customer", "staff_id", "customer_id", "created_at"),
        # Questions nobody could answer are looked for every few seconds, among millions answered.
        Index("ix_suggestion_unanswered", "created_at", postgresql_where="unanswered <> ''"),
    )

    id: UUID = key()
    question_key: str = Field(description="`message:<id>` or `typed:<uuid>`: what it answers, once")
    variant: int = Field(default=0, description="0 first, 1 after 换一条, …")
    customer_id: UUID = Field(foreign_key="customer.id", index=True)
    staff_id: UUID = Field(foreign_key="staff.id")
    channel: str
    question: str = Field(description="as asked, personal data masked")
    intent: Intent | None = word(
        Intent, default=None, nullable=True, description="none where the RM picked by hand"
    )
    conversation: dict[str, Any] = _json(default_factory=dict)  # last turns, the question completed
    created_at: datetime = instant(index=True)
    state: SuggestionState = word(SuggestionState, default=SuggestionState.OFFERED)
    tier: str = Field(description="answer, candidates or none")
    confidence: float
    draft: str
    citations: list[dict[str, Any]] = _json(
        default_factory=list
    )  # sentence → version, material, passage, title, quoted text
    figures: list[dict[str, Any]] = _json(default_factory=list)  # own figures put in by code
    variants: list[dict[str, Any]] = _json(default_factory=list)  # other drafts the RM may take
    candidates: list[dict[str, Any]] = _json(default_factory=list)
    filters: dict[str, Any] = _json(default_factory=dict)
    verdict: dict[str, Any] = _json(default_factory=dict)
    reasons: list[str] = _json(default_factory=list)
    unanswered: str = Field(
        default="", description="what of the question no approved material answers; empty for none"
    )
    writer: str
    prompt_hash: str = Field(default="", description="SHA-256 of what a model was asked")
    generation: str = Field(description="generation of the index that answered")
    version_id: UUID | None = Field(default=None, foreign_key="version.id", index=True)
    attached: list[str] = _json(default_factory=list)  # versions sent beside the text, in order
    sent_text: str = Field(default="", description="the text cleared last, or what was sent")
    cleared_at: datetime | None = instant(default=None)
    cleared_in: str = Field(default="", description="the open sidebar page that may send it now")
    edit_share: float | None = Field(
        default=None, description="how much of the draft the RM changed, 0 to 1; none until sent"
    )
    reject_reason: str = ""
    decided_at: datetime | None = instant(default=None)
    help: dict[str, Any] = _json(default_factory=dict)  # 转人工 or 提需求 → note, when, of whom

    @property
    def quoted(self) -> set[UUID]:
        """The versions its sentences are taken from."""
        cited = {UUID(citation["version_id"]) for citation in self.citations}
        return cited | ({self.version_id} if self.version_id else set())


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


class Address(enum.StrEnum):
    """How an RM's replies begin."""

    NONE = "none"
    POLITE = "polite"
    NAMED = "named"

    @property
    def label(self) -> str:
        return {
            "none": "不加称呼，按素材原文",
            "polite": "您好，",
            "named": "称呼客户，如“李女士您好，”",
        }[self]


class Tone(enum.StrEnum):
    """The sentence between address and answer."""

    PLAIN = "plain"
    THANKING = "thanking"
    CARING = "caring"

    @property
    def phrase(self) -> str:
        """What is said."""
        return {
            "plain": "",
            "thanking": "感谢您的咨询。",
            "caring": "您的问题我认真看过了。",
        }[self]

    @property
    def label(self) -> str:
        return {"plain": "简洁：直接答复", "thanking": "礼貌：", "caring": "亲切："}[
            self
        ] + self.phrase


class Closing(enum.StrEnum):
    """How an RM's replies end."""

    NONE = "none"
    ASK_ME = "ask_me"
    AT_SERVICE = "at_service"

    @property
    def phrase(self) -> str:
        """What is said."""
        return {
            "none": "",
            "ask_me": "如有疑问，请随时联系我。",
            "at_service": "有需要帮助的地方，请随时告诉我。",
        }[self]

    @property
    def label(self) -> str:
        return self.phrase or "不加结尾"


class ReplyStyle(SQLModel, table=True):
    """How an RM's drafts begin and end 回复风格; only phrases of the bank."""

    __tablename__ = "reply_style"

    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    address: Address = word(Address, default=Address.NONE)
    tone: Tone = word(Tone, default=Tone.PLAIN)
    closing: Closing = word(Closing, default=Closing.NONE)


class CandidateState(enum.StrEnum):
    """What an editor made of a candidate question; only `candidates.py` writes it."""

    ADDED = "added"
    DISMISSED = "dismissed"

    @property
    def label(self) -> str:
        return {"added": "已加入新版本", "dismissed": "不采用"}[self]


class CandidateQuestion(SQLModel, table=True):
    """A candidate question 候选问法 an editor has decided about, once for a material."""

    __tablename__ = "candidate_question"
    __table_args__ = (
        UniqueConstraint("material_id", "question"),
        CheckConstraint("(state = 'added') = (version_id IS NOT NULL)", name="added_to_version"),
    )

    id: UUID = key()
    material_id: UUID = Field(foreign_key="material.id", index=True)
    question: str = Field(description="as customers asked, personal data masked")
    state: CandidateState = word(CandidateState)
    version_id: UUID | None = Field(
        default=None, foreign_key="version.id", description="the draft that carries it to review"
    )
    decided_by: UUID = Field(foreign_key="staff.id")
    decided_at: datetime = instant()


class HeardQuestion(SQLModel, table=True):
    """A question heard in a customer group 群内缺口问法 that no material for groups answers."""

    __tablename__ = "heard_question"
    __table_args__ = (
        Index("ix_heard_question_ungrouped", "created_at", postgresql_where="gap_id IS NULL"),
    )

    id: UUID = key()
    source_id: UUID = Field(unique=True, description="the message it was asked in, once")
    member_id: str = Field(description="who asked, by WeCom id")
    customer_id: UUID | None = Field(default=None, foreign_key="customer.id", index=True)
    question: str = Field(description="as asked, personal data masked")
    created_at: datetime = instant(description="when it was asked")
    gap_id: UUID | None = Field(default=None, foreign_key="content_gap.id", index=True)


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


class MatchRun(SQLModel, table=True):
    """A match run 匹配批次: all customers against all live materials, once a local day.

    `cursor` is the last customer done; a run that was cut short goes on from there.
    """

    __tablename__ = "match_run"

    generation: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(), primary_key=True)
    )
    day: date = Field(unique=True)
    started_at: datetime = instant()
    cursor: UUID | None = None
    customers: int = 0
    matches: int = 0
    materials: int = 0
    shown: dict[str, int] = _json(default_factory=dict)  # version → to how many customers so far
    done_at: datetime | None = instant(default=None)


class CustomerMatch(SQLModel, table=True):
    """A match 匹配: a material in its place for a customer; made anew by every run.

    Whether it may still be shown is asked again when it is read.
    """

    __tablename__ = "customer_match"
    __table_args__ = (
        UniqueConstraint("customer_id", "version_id"),
        CheckConstraint("place BETWEEN 1 AND 10", name="place"),
        CheckConstraint("jsonb_array_length(reasons) > 0", name="has_reasons"),
    )

    customer_id: UUID = Field(foreign_key="customer.id", primary_key=True)
    place: int = Field(primary_key=True, description="1 is the best")
    version_id: UUID = Field(foreign_key="version.id", index=True)
    score: float
    urgency: int = Field(description="how much its reasons call for a contact; 0: not at all")
    reasons: list[list[str]] = _json()  # code, what it is about, day
    made_at: datetime = instant()
    generation: int = Field(sa_type=BigInteger, foreign_key="match_run.generation", index=True)


class ModelDay(SQLModel, table=True):
    """What models took on one local day 模型用量, for the whole bank.

    `tokens` holds what is under way too, as it was set aside for it.
    """

    __tablename__ = "model_day"
    __table_args__ = (
        CheckConstraint("tokens >= 0 AND askings >= 0 AND turned_away >= 0", name="counts"),
    )

    day: date = Field(primary_key=True)
    tokens: int = Field(default=0, sa_type=BigInteger)
    askings: int = 0
    turned_away: int = Field(default=0, description="quoted because the day's budget was used up")
