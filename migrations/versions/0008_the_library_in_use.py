"""The library in use: content gaps, cards about what ends, the library of scripts."""

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
    _scripts()


def _scripts() -> None:
    op.create_table(
        "script_folder",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Enum("branch", "personal", name="scriptlevel", native_enum=False, create_constraint=True, length=32), nullable=False),
        sa.Column("branch_id", sa.Uuid(), nullable=True),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("series", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("made_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("(level = 'branch') = (branch_id IS NOT NULL) AND (level = 'personal') = (staff_id IS NOT NULL)", name=op.f("ck_script_folder_somebodys")),
        sa.ForeignKeyConstraint(["branch_id"], ["branch.id"], name=op.f("fk_script_folder_branch_id_branch")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_script_folder_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_script_folder")),
        sa.UniqueConstraint("level", "branch_id", "staff_id", "name", name=op.f("uq_script_folder_level_branch_id_staff_id_name"), postgresql_nulls_not_distinct=True),
    )
    op.create_index(op.f("ix_script_folder_branch_id"), "script_folder", ["branch_id"])
    op.create_index(op.f("ix_script_folder_staff_id"), "script_folder", ["staff_id"])
    op.create_table(
        "script_place",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("folder_id", sa.Uuid(), nullable=True),
        sa.Column("material_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["folder_id"], ["script_folder.id"], name=op.f("fk_script_place_folder_id_script_folder"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["material_id"], ["material.id"], name=op.f("fk_script_place_material_id_material")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_script_place")),
        sa.UniqueConstraint("folder_id", "material_id", name=op.f("uq_script_place_folder_id_material_id"), postgresql_nulls_not_distinct=True),
    )
    op.create_index("ix_script_place_material", "script_place", ["material_id"])
    op.create_table(
        "script_favourite",
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("material_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["material_id"], ["material.id"], name=op.f("fk_script_favourite_material_id_material")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_script_favourite_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", "material_id", name=op.f("pk_script_favourite")),
    )


def downgrade() -> None:
    op.drop_table("script_favourite")
    op.drop_table("script_place")
    op.drop_table("script_folder")
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
