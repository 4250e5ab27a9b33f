"""What suits whom: match runs and the matches they make."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0011'
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('match_run',
    sa.Column('generation', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('started_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('cursor', sa.Uuid(), nullable=True),
    sa.Column('customers', sa.Integer(), nullable=False),
    sa.Column('matches', sa.Integer(), nullable=False),
    sa.Column('materials', sa.Integer(), nullable=False),
    sa.Column('shown', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('done_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('generation', name=op.f('pk_match_run')),
    sa.UniqueConstraint('day', name=op.f('uq_match_run_day'))
    )
    op.create_table('customer_match',
    sa.Column('customer_id', sa.Uuid(), nullable=False),
    sa.Column('place', sa.Integer(), nullable=False),
    sa.Column('version_id', sa.Uuid(), nullable=False),
    sa.Column('score', sa.Float(), nullable=False),
    sa.Column('urgency', sa.Integer(), nullable=False),
    sa.Column('reasons', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('made_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('generation', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('place BETWEEN 1 AND 10', name=op.f('ck_customer_match_place')),
    sa.CheckConstraint('jsonb_array_length(reasons) > 0', name=op.f('ck_customer_match_has_reasons')),
    sa.ForeignKeyConstraint(['customer_id'], ['customer.id'], name=op.f('fk_customer_match_customer_id_customer')),
    sa.ForeignKeyConstraint(['generation'], ['match_run.generation'], name=op.f('fk_customer_match_generation_match_run')),
    sa.ForeignKeyConstraint(['version_id'], ['version.id'], name=op.f('fk_customer_match_version_id_version')),
    sa.PrimaryKeyConstraint('customer_id', 'place', name=op.f('pk_customer_match')),
    sa.UniqueConstraint('customer_id', 'version_id', name=op.f('uq_customer_match_customer_id_version_id'))
    )
    op.create_index(op.f('ix_customer_match_generation'), 'customer_match', ['generation'], unique=False)
    op.create_index(op.f('ix_customer_match_version_id'), 'customer_match', ['version_id'], unique=False)


def downgrade() -> None:
    op.drop_table('customer_match')
    op.drop_table('match_run')
