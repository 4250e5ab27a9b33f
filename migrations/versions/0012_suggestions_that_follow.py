"""Suggestions that follow a conversation, care alerts, reply styles, candidate questions."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATES = ("offered", "no_match", "blocked", "sent", "edited", "rejected", "withdrawn")
INTENTS = ("question", "complaint", "worry", "buy", "refusal", "thanks", "small_talk", "other")
CARDS = ("handover", "churn", "tasks", "conduct", "expiry")
TEXT = sqlmodel.sql.sqltypes.AutoString
JSON = postgresql.JSONB(astext_type=sa.Text())


def _word(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    _among("suggestion", "suggestionstate", "state", *STATES, "held")
    _among("member_card", "cardkind", "kind", *CARDS, "care")
    op.add_column("suggestion", sa.Column("intent", _word("intent", *INTENTS), nullable=True))
    for name, empty in (("conversation", "{}"), ("figures", "[]"), ("variants", "[]")):
        op.add_column("suggestion", sa.Column(name, JSON, nullable=False, server_default=empty))
        op.alter_column("suggestion", name, server_default=None)
    op.add_column("suggestion", sa.Column("edit_share", sa.Float(), nullable=True))
    _care()
    _styles()
    _candidates()


def _care() -> None:
    op.create_table(
        "care_alert",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", _word("carekind", "complaint", "refusal", "vulnerable"), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("source", TEXT(), nullable=False),
        sa.Column("sentence", TEXT(), nullable=False),
        sa.Column("because", JSON, nullable=False),
        sa.Column("consents", JSON, nullable=False),
        sa.Column("raised_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("state", _word("carestate", "open", "confirmed", "undone"), nullable=False),
        sa.Column("decided_by", TEXT(), nullable=False),
        sa.Column("decided_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("reason", TEXT(), nullable=False),
        sa.Column("lease_until", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("told_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'open') = (decided_at IS NULL) AND (state = 'open') = (decided_by = '')", name=op.f("ck_care_alert_decided_by_somebody")),
        sa.CheckConstraint("state = 'open' OR reason <> ''", name=op.f("ck_care_alert_decided_with_reason")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_care_alert_customer_id_customer")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_care_alert_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_care_alert")),
        sa.UniqueConstraint("kind", "source", name=op.f("uq_care_alert_kind_source")),
    )
    op.create_index(op.f("ix_care_alert_customer_id"), "care_alert", ["customer_id"])
    op.create_index(
        "ix_care_alert_open_complaint", "care_alert", ["customer_id"],
        postgresql_where="kind = 'complaint' AND state = 'open'",
    )
    op.create_index("ix_care_alert_state", "care_alert", ["state", "raised_at"])
    op.execute(
        "CREATE TRIGGER kept_by_legal_hold BEFORE DELETE ON care_alert "
        "FOR EACH ROW EXECUTE FUNCTION kept_by_legal_hold('customer_id')"
    )


def _styles() -> None:
    op.create_table(
        "reply_style",
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("address", _word("address", "none", "polite", "named"), nullable=False),
        sa.Column("tone", _word("tone", "plain", "thanking", "caring"), nullable=False),
        sa.Column("closing", _word("closing", "none", "ask_me", "at_service"), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_reply_style_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_reply_style")),
    )


def _candidates() -> None:
    op.create_table(
        "candidate_question",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("material_id", sa.Uuid(), nullable=False),
        sa.Column("question", TEXT(), nullable=False),
        sa.Column("state", _word("candidatestate", "added", "dismissed"), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("decided_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("(state = 'added') = (version_id IS NOT NULL)", name=op.f("ck_candidate_question_added_to_version")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_candidate_question_decided_by_staff")),
        sa.ForeignKeyConstraint(["material_id"], ["material.id"], name=op.f("fk_candidate_question_material_id_material")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_candidate_question_version_id_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidate_question")),
        sa.UniqueConstraint("material_id", "question", name=op.f("uq_candidate_question_material_id_question")),
    )
    op.create_index(op.f("ix_candidate_question_material_id"), "candidate_question", ["material_id"])


def downgrade() -> None:
    op.drop_table("candidate_question")
    op.drop_table("reply_style")
    op.drop_table("care_alert")
    for name in ("edit_share", "variants", "figures", "conversation", "intent"):
        op.drop_column("suggestion", name)
    op.execute("DELETE FROM member_card WHERE kind = 'care'")
    op.execute("UPDATE suggestion SET state = 'rejected', reject_reason = '不作推荐' WHERE state = 'held'")
    _among("member_card", "cardkind", "kind", *CARDS)
    _among("suggestion", "suggestionstate", "state", *STATES)


def _among(table: str, kind: str, column: str, *words: str) -> None:
    name = op.f(f"ck_{table}_{kind}")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, sa.column(column).in_(words))
