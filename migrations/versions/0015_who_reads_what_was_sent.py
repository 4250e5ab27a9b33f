"""Tracked links, one for each sending, and what was opened of them."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0015'
down_revision = "0014"
branch_labels = None
depends_on = None

# As 0010 keeps the rows of customers under legal hold: `c` is one of them, $1 the row.
LINK = "c.id = CAST($1 ->> 'customer_id' AS uuid) OR c.external_userid = $1 ->> 'contact'"
OF_CUSTOMERS = {
    'tracked_link': LINK,
    'opening': """c.id = CAST($1 ->> 'customer_id' AS uuid) OR EXISTS (
        SELECT 1 FROM tracked_link l WHERE l.code = $1 ->> 'code'
          AND (l.customer_id = c.id OR l.contact = c.external_userid))""",
}


def upgrade() -> None:
    op.create_table('tracked_link',
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('source_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('version_id', sa.Uuid(), nullable=False),
    sa.Column('customer_id', sa.Uuid(), nullable=True),
    sa.Column('contact', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('chat_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('staff_id', sa.Uuid(), nullable=True),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('made_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.CheckConstraint('length(code) >= 32', name=op.f('ck_tracked_link_not_to_be_guessed')),
    sa.ForeignKeyConstraint(['customer_id'], ['customer.id'], name=op.f('fk_tracked_link_customer_id_customer')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_tracked_link_staff_id_staff')),
    sa.ForeignKeyConstraint(['version_id'], ['version.id'], name=op.f('fk_tracked_link_version_id_version')),
    sa.PrimaryKeyConstraint('code', name=op.f('pk_tracked_link')),
    sa.UniqueConstraint('source', 'source_id', 'version_id', name=op.f('uq_tracked_link_source_source_id_version_id'))
    )
    op.create_index(op.f('ix_tracked_link_contact'), 'tracked_link', ['contact'], unique=False)
    op.create_index(op.f('ix_tracked_link_customer_id'), 'tracked_link', ['customer_id'], unique=False)
    op.create_index(op.f('ix_tracked_link_version_id'), 'tracked_link', ['version_id'], unique=False)
    op.create_table('opening',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('version_id', sa.Uuid(), nullable=False),
    sa.Column('material_id', sa.Uuid(), nullable=False),
    sa.Column('customer_id', sa.Uuid(), nullable=True),
    sa.Column('staff_id', sa.Uuid(), nullable=True),
    sa.Column('at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('device', sa.Enum('phone', 'desktop', 'bot', 'preview', name='device', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('opener', sa.Enum('presumed', 'addressee', 'other', 'stranger', 'unknown', 'unnamed', name='opener', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('timed', sa.Boolean(), nullable=False),
    sa.Column('seconds', sa.Integer(), nullable=False),
    sa.Column('progress', sa.Integer(), nullable=False),
    sa.CheckConstraint("device IN ('phone', 'desktop')", name=op.f('ck_opening_by_a_person')),
    sa.CheckConstraint('seconds BETWEEN 0 AND 1800 AND progress BETWEEN 0 AND 100', name=op.f('ck_opening_read')),
    sa.CheckConstraint("(opener = 'unnamed') = (code IS NULL)", name=op.f('ck_opening_named_by_its_link')),
    sa.CheckConstraint("opener <> 'unnamed' OR (customer_id IS NULL AND staff_id IS NULL)", name=op.f('ck_opening_unnamed_is_nobody')),
    sa.ForeignKeyConstraint(['code'], ['tracked_link.code'], name=op.f('fk_opening_code_tracked_link')),
    sa.ForeignKeyConstraint(['customer_id'], ['customer.id'], name=op.f('fk_opening_customer_id_customer')),
    sa.ForeignKeyConstraint(['material_id'], ['material.id'], name=op.f('fk_opening_material_id_material')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_opening_staff_id_staff')),
    sa.ForeignKeyConstraint(['version_id'], ['version.id'], name=op.f('fk_opening_version_id_version')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_opening'))
    )
    op.create_index(op.f('ix_opening_at'), 'opening', ['at'], unique=False)
    op.create_index(op.f('ix_opening_code'), 'opening', ['code'], unique=False)
    op.create_index('ix_opening_customer_at', 'opening', ['customer_id', 'at'], unique=False)
    op.create_index('ix_opening_material_at', 'opening', ['material_id', 'at'], unique=False)
    for table, condition in OF_CUSTOMERS.items():
        told = condition.replace("'", "''")
        op.execute(
            f'CREATE TRIGGER kept_for_held_customer BEFORE DELETE ON {table} '
            f"FOR EACH ROW EXECUTE FUNCTION kept_for_held_customer('{told}')"
        )


def downgrade() -> None:
    op.drop_table('opening')
    op.drop_table('tracked_link')
