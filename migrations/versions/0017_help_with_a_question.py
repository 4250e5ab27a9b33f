"""Help an RM asks for with a question that nothing answers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0017'
down_revision = "0016"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.add_column('suggestion', sa.Column('help', JSON, nullable=False, server_default='{}'))
    op.alter_column('suggestion', 'help', server_default=None)


def downgrade() -> None:
    op.drop_column('suggestion', 'help')
