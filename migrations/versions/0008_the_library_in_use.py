"""The library in use: content gaps, cards about what ends."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CARDS = ("handover", "churn", "tasks", "conduct")
GAPS = ("open", "writing", "answered", "dismissed")


def upgrade() -> None:
    _cards(*CARDS, "expiry")
    op.add_column("material", sa.Column("gap_id", sa.Uuid(), nullable=True))
    op.create_index(op.f("ix_material_gap_id"), "material", ["gap_id"])
    op.create_index(
        "ix_suggestion_no_match", "suggestion", ["created_at"], postgresql_where="state = 'no_match'"
    )
    op.create_table(
        "content_gap",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("question", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("state", sa.Enum(*GAPS, name="gapstate", native_enum=False, create_constraint=True, length=32), nullable=False),
        sa.Column("opened_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("material_id", sa.Uuid(), nullable=True),
        sa.Column("checked_in", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'dismissed') = (reason <> '')", name=op.f("ck_content_gap_dismissed_with_reason")),
        sa.CheckConstraint("(state = 'dismissed') = (decided_by IS NOT NULL AND decided_at IS NOT NULL)", name=op.f("ck_content_gap_dismissed_by_somebody")),
        sa.CheckConstraint("(state IN ('writing', 'answered')) = (material_id IS NOT NULL)", name=op.f("ck_content_gap_names_material")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name=op.f("fk_content_gap_decided_by_staff")),
        sa.ForeignKeyConstraint(["material_id"], ["material.id"], name=op.f("fk_content_gap_material_id_material")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content_gap")),
    )
    op.create_index("ix_content_gap_state", "content_gap", ["state"])
    op.create_table(
        "gap_question",
        sa.Column("suggestion_id", sa.Uuid(), nullable=False),
        sa.Column("gap_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["gap_id"], ["content_gap.id"], name=op.f("fk_gap_question_gap_id_content_gap")),
        sa.ForeignKeyConstraint(["suggestion_id"], ["suggestion.id"], name=op.f("fk_gap_question_suggestion_id_suggestion")),
        sa.PrimaryKeyConstraint("suggestion_id", name=op.f("pk_gap_question")),
    )
    op.create_index(op.f("ix_gap_question_gap_id"), "gap_question", ["gap_id"])


def downgrade() -> None:
    op.drop_table("gap_question")
    op.drop_table("content_gap")
    op.drop_index("ix_suggestion_no_match", table_name="suggestion")
    op.drop_index(op.f("ix_material_gap_id"), table_name="material")
    op.drop_column("material", "gap_id")
    op.execute("DELETE FROM member_card WHERE kind = 'expiry'")
    _cards(*CARDS)


def _cards(*words: str) -> None:
    op.drop_constraint(op.f("ck_member_card_cardkind"), "member_card", type_="check")
    op.create_check_constraint(
        op.f("ck_member_card_cardkind"), "member_card", sa.column("kind").in_(words)
    )
