"""Tokens of a day that models took, and care alerts raised at 微信客服."""

import sqlalchemy as sa
from alembic import op

revision = '0016'
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('model_day',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('tokens', sa.BigInteger(), nullable=False),
    sa.Column('askings', sa.Integer(), nullable=False),
    sa.Column('turned_away', sa.Integer(), nullable=False),
    sa.CheckConstraint('tokens >= 0 AND askings >= 0 AND turned_away >= 0', name=op.f('ck_model_day_counts')),
    sa.PrimaryKeyConstraint('day', name=op.f('pk_model_day'))
    )
    op.alter_column('care_alert', 'customer_id', existing_type=sa.Uuid(), nullable=True)
    op.alter_column('care_alert', 'staff_id', existing_type=sa.Uuid(), nullable=True)
    op.add_column('care_alert', sa.Column('contact', sa.String(), nullable=False, server_default=''))
    op.alter_column('care_alert', 'contact', server_default=None)
    op.create_check_constraint(op.f('ck_care_alert_of_somebody'), 'care_alert', "customer_id IS NOT NULL OR contact <> ''")
    op.create_index('ix_care_alert_open_contact', 'care_alert', ['contact'], unique=False, postgresql_where="contact <> '' AND state = 'open'")


def downgrade() -> None:
    op.drop_index('ix_care_alert_open_contact', table_name='care_alert')
    op.drop_constraint(op.f('ck_care_alert_of_somebody'), 'care_alert')
    op.execute("DELETE FROM care_alert WHERE customer_id IS NULL OR staff_id IS NULL")
    op.drop_column('care_alert', 'contact')
    op.alter_column('care_alert', 'staff_id', existing_type=sa.Uuid(), nullable=False)
    op.alter_column('care_alert', 'customer_id', existing_type=sa.Uuid(), nullable=False)
    op.drop_table('model_day')
