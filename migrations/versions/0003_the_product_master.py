"""The product master: head office's list, documents, changes with a second person, suspensions."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('product', sa.Column('listed_from', sa.Date(), nullable=True))
    op.add_column('product', sa.Column('listed_until', sa.Date(), nullable=True))
    op.add_column('product', sa.Column('prospectus_id', sa.Uuid(), nullable=True))
    op.add_column('product', sa.Column('risk_disclosure_id', sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f('fk_product_prospectus_id_stored_file'), 'product', 'stored_file', ['prospectus_id'], ['id'])
    op.create_foreign_key(op.f('fk_product_risk_disclosure_id_stored_file'), 'product', 'stored_file', ['risk_disclosure_id'], ['id'])
    # What was offered before there was a list stays offered.
    op.execute("UPDATE product SET listed_from = inception")
    op.create_check_constraint(op.f('ck_product_rated'), 'product', 'issuer_rating BETWEEN 0 AND 5 AND bank_rating BETWEEN 0 AND 5')
    op.create_check_constraint(op.f('ck_product_listed_in_order'), 'product', 'listed_until IS NULL OR (listed_from IS NOT NULL AND listed_from < listed_until)')
    op.create_table('product_change',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('product_id', sa.Uuid(), nullable=False),
    sa.Column('fields', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sa.Enum('proposed', 'confirmed', 'rejected', 'cancelled', name='changestate', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('proposed_by', sa.Uuid(), nullable=True),
    sa.Column('proposed_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('decided_by', sa.Uuid(), nullable=True),
    sa.Column('decided_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.CheckConstraint("(source <> '') = (proposed_by IS NULL)", name=op.f('ck_product_change_somebody_proposes')),
    sa.CheckConstraint("state <> 'confirmed' OR source <> '' OR (decided_by IS NOT NULL AND decided_by <> proposed_by)", name=op.f('ck_product_change_four_eyes')),
    sa.CheckConstraint("(state = 'proposed') = (decided_at IS NULL)", name=op.f('ck_product_change_decided_once')),
    sa.ForeignKeyConstraint(['decided_by'], ['staff.id'], name=op.f('fk_product_change_decided_by_staff')),
    sa.ForeignKeyConstraint(['product_id'], ['product.id'], name=op.f('fk_product_change_product_id_product')),
    sa.ForeignKeyConstraint(['proposed_by'], ['staff.id'], name=op.f('fk_product_change_proposed_by_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_product_change'))
    )
    op.create_index('ix_product_change_product', 'product_change', ['product_id', 'proposed_at'], unique=False)
    op.create_index('uq_product_change_open', 'product_change', ['product_id'], unique=True, postgresql_where="state = 'proposed'")
    op.add_column('version', sa.Column('suspended_at', sa.TIMESTAMP(timezone=True), nullable=True))
    op.add_column('version', sa.Column('suspended_reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default=''))
    op.alter_column('version', 'suspended_reason', server_default=None)
    op.create_check_constraint(op.f('ck_version_suspended_with_reason'), 'version', "(suspended_at IS NULL) = (suspended_reason = '')")


def downgrade() -> None:
    op.drop_constraint(op.f('ck_version_suspended_with_reason'), 'version', type_='check')
    op.drop_column('version', 'suspended_reason')
    op.drop_column('version', 'suspended_at')
    op.drop_index('uq_product_change_open', table_name='product_change')
    op.drop_index('ix_product_change_product', table_name='product_change')
    op.drop_table('product_change')
    op.drop_constraint(op.f('fk_product_risk_disclosure_id_stored_file'), 'product', type_='foreignkey')
    op.drop_constraint(op.f('fk_product_prospectus_id_stored_file'), 'product', type_='foreignkey')
    op.drop_constraint(op.f('ck_product_listed_in_order'), 'product', type_='check')
    op.drop_constraint(op.f('ck_product_rated'), 'product', type_='check')
    op.drop_column('product', 'risk_disclosure_id')
    op.drop_column('product', 'prospectus_id')
    op.drop_column('product', 'listed_until')
    op.drop_column('product', 'listed_from')
