"""Materials of every kind: particulars and flags on versions, strength of links, imports."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0006'
down_revision = "0005"
branch_labels = None
depends_on = None

KINDS = ('faq', 'script', 'product_note', 'education', 'market_note')
MORE = ('article', 'image', 'video', 'file', 'link', 'mini_program')


def upgrade() -> None:
    _kinds(KINDS + MORE)
    op.add_column('material_product', sa.Column('strength', sa.Integer(), server_default='2', nullable=False))
    op.create_check_constraint(op.f('ck_material_product_strength'), 'material_product', 'strength BETWEEN 1 AND 3')
    op.add_column('version', sa.Column('particulars', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False))
    op.add_column('version', sa.Column('flags', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False))
    op.add_column('version', sa.Column('flags_seen_by', sa.Uuid(), nullable=True))
    op.add_column('version', sa.Column('flags_seen_at', sa.TIMESTAMP(timezone=True), nullable=True))
    op.create_foreign_key(op.f('fk_version_flags_seen_by_staff'), 'version', 'staff', ['flags_seen_by'], ['id'])
    op.create_check_constraint(
        op.f('ck_version_flags_are_seen'), 'version',
        "state <> 'approved' OR flags = '[]'::jsonb OR flags_seen_by IS NOT NULL",
    )
    op.create_check_constraint(
        op.f('ck_version_flags_four_eyes'), 'version',
        "flags_seen_by IS DISTINCT FROM author_id OR flags_seen_by IS NULL",
    )
    op.add_column('stored_file', sa.Column('made_of', sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f('fk_stored_file_made_of_stored_file'), 'stored_file', 'stored_file', ['made_of'], ['id'])
    op.create_table('material_import',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('counts', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('rejects', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('version_ids', postgresql.ARRAY(sa.Uuid()), nullable=False),
    sa.Column('imported_by', sa.Uuid(), nullable=False),
    sa.Column('imported_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['imported_by'], ['staff.id'], name=op.f('fk_material_import_imported_by_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_material_import'))
    )
    op.create_index(op.f('ix_material_import_imported_at'), 'material_import', ['imported_at'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_material_import_imported_at'), table_name='material_import')
    op.drop_table('material_import')
    op.drop_constraint(op.f('fk_stored_file_made_of_stored_file'), 'stored_file')
    op.drop_column('stored_file', 'made_of')
    op.drop_constraint(op.f('ck_version_flags_four_eyes'), 'version')
    op.drop_constraint(op.f('ck_version_flags_are_seen'), 'version')
    op.drop_constraint(op.f('fk_version_flags_seen_by_staff'), 'version')
    for name in ('flags_seen_at', 'flags_seen_by', 'flags', 'particulars'):
        op.drop_column('version', name)
    op.drop_constraint(op.f('ck_material_product_strength'), 'material_product')
    op.drop_column('material_product', 'strength')
    # Materials of newer kinds stay; only new rows are held to the older list.
    _kinds(KINDS, not_valid=True)


def _kinds(kinds: tuple[str, ...], *, not_valid: bool = False) -> None:
    op.drop_constraint(op.f('ck_material_kind'), 'material')
    told = ', '.join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(
        op.f('ck_material_kind'), 'material', f'kind IN ({told})', postgresql_not_valid=not_valid
    )
