"""What of a question nothing answers stands apart: of several in one message it may be one."""

import sqlalchemy as sa
from alembic import op

revision = '0019'
down_revision = "0018"
branch_labels = None
depends_on = None

OF_GAPS = """
UPDATE suggestion SET unanswered = trim(question)
WHERE state = 'no_match' OR id IN (SELECT suggestion_id FROM gap_question)
"""


def upgrade() -> None:
    op.add_column('suggestion', sa.Column('unanswered', sa.String(), nullable=False, server_default=''))
    op.alter_column('suggestion', 'unanswered', server_default=None)
    op.execute(OF_GAPS)
    op.drop_index('ix_suggestion_no_match', table_name='suggestion')
    op.create_index('ix_suggestion_unanswered', 'suggestion', ['created_at'], postgresql_where="unanswered <> ''")


def downgrade() -> None:
    op.drop_index('ix_suggestion_unanswered', table_name='suggestion')
    op.create_index('ix_suggestion_no_match', 'suggestion', ['created_at'], postgresql_where="state = 'no_match'")
    op.drop_column('suggestion', 'unanswered')
