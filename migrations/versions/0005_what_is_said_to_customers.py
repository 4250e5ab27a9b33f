"""What is said to customers, what was kept from them, and what compliance must know of."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0005'
down_revision = "0004"
branch_labels = None
depends_on = None

CARDS = ("'handover'", "'churn'", "'tasks'")


def cards(*words: str) -> None:
    op.drop_constraint(op.f('ck_member_card_cardkind'), 'member_card')
    op.create_check_constraint(op.f('ck_member_card_cardkind'), 'member_card', f"kind IN ({', '.join(words)})")


def upgrade() -> None:
    op.create_table('outbound_message',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('door', sa.Enum('sidebar', 'welcome', 'touch', 'service', name='door', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('source_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('staff_id', sa.Uuid(), nullable=True),
    sa.Column('customer_id', sa.Uuid(), nullable=True),
    sa.Column('contact', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('text', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('text_hash', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('suggested_hash', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('edited', sa.Boolean(), nullable=False),
    sa.Column('versions', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('passages', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('writer', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('prompt_hash', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('ai_assisted', sa.Boolean(), nullable=False),
    sa.Column('ai_marked', sa.Boolean(), nullable=False),
    sa.Column('marketing', sa.Boolean(), nullable=False),
    sa.Column('verdict', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('reasons', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('consent_id', sa.Uuid(), nullable=True),
    sa.Column('customer_level', sa.Integer(), nullable=True),
    sa.Column('customer_ceiling', sa.Integer(), nullable=False),
    sa.Column('product_level', sa.Integer(), nullable=False),
    sa.Column('state', sa.Enum('cleared', 'sent', 'unsent', 'refused', name='outboundstate', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('settled_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.CheckConstraint("state <> 'refused' OR jsonb_array_length(reasons) > 0", name=op.f('ck_outbound_message_refused_says_why')),
    sa.CheckConstraint("state = 'refused' OR verdict ->> 'level' IN ('pass', 'warn')", name=op.f('ck_outbound_message_never_blocked')),
    sa.ForeignKeyConstraint(['consent_id'], ['consent.id'], name=op.f('fk_outbound_message_consent_id_consent')),
    sa.ForeignKeyConstraint(['customer_id'], ['customer.id'], name=op.f('fk_outbound_message_customer_id_customer')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_outbound_message_staff_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_outbound_message'))
    )
    op.create_index(op.f('ix_outbound_message_at'), 'outbound_message', ['at'], unique=False)
    op.create_index('ix_outbound_message_contact', 'outbound_message', ['contact', 'at'], unique=False)
    op.create_index(op.f('ix_outbound_message_customer_id'), 'outbound_message', ['customer_id'], unique=False)
    op.create_index('ix_outbound_message_source', 'outbound_message', ['source', 'source_id'], unique=False)
    op.create_index(op.f('ix_outbound_message_staff_id'), 'outbound_message', ['staff_id'], unique=False)
    op.create_index('uq_outbound_message_open', 'outbound_message', ['source', 'source_id'], unique=True, postgresql_where="state IN ('cleared', 'sent')")
    op.create_table('conduct_alert',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('message_id', sa.Uuid(), nullable=False),
    sa.Column('digest', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('categories', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('raised_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('lease_until', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('told_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('seen_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('seen_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['outbound_message.id'], name=op.f('fk_conduct_alert_message_id_outbound_message')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_conduct_alert')),
    sa.UniqueConstraint('digest', name=op.f('uq_conduct_alert_digest')),
    sa.UniqueConstraint('message_id', name=op.f('uq_conduct_alert_message_id'))
    )
    op.create_index(op.f('ix_conduct_alert_raised_at'), 'conduct_alert', ['raised_at'], unique=False)
    op.add_column('suggestion', sa.Column('prompt_hash', sqlmodel.sql.sqltypes.AutoString(), server_default='', nullable=False))
    op.alter_column('suggestion', 'prompt_hash', server_default=None)
    cards(*CARDS, "'conduct'")


def downgrade() -> None:
    op.execute("DELETE FROM member_card WHERE kind = 'conduct'")
    cards(*CARDS)
    op.drop_column('suggestion', 'prompt_hash')
    op.drop_index(op.f('ix_conduct_alert_raised_at'), table_name='conduct_alert')
    op.drop_table('conduct_alert')
    op.drop_index('uq_outbound_message_open', table_name='outbound_message', postgresql_where="state IN ('cleared', 'sent')")
    op.drop_index(op.f('ix_outbound_message_staff_id'), table_name='outbound_message')
    op.drop_index('ix_outbound_message_source', table_name='outbound_message')
    op.drop_index(op.f('ix_outbound_message_customer_id'), table_name='outbound_message')
    op.drop_index('ix_outbound_message_contact', table_name='outbound_message')
    op.drop_index(op.f('ix_outbound_message_at'), table_name='outbound_message')
    op.drop_table('outbound_message')
