"""The library in use: cards about what ends."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CARDS = ("handover", "churn", "tasks", "conduct")


def upgrade() -> None:
    _cards(*CARDS, "expiry")


def downgrade() -> None:
    op.execute("DELETE FROM member_card WHERE kind = 'expiry'")
    _cards(*CARDS)


def _cards(*words: str) -> None:
    op.drop_constraint(op.f("ck_member_card_cardkind"), "member_card", type_="check")
    op.create_check_constraint(
        op.f("ck_member_card_cardkind"), "member_card", sa.column("kind").in_(words)
    )
