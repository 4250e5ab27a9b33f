"""The audit book is a chain: links, what waits for one, checks; nothing in it can be changed."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0004'
down_revision = "0003"
branch_labels = None
depends_on = None

# Rows of the chain are only ever added. Whoever owns the tables could switch this off: the
# application connects as somebody else (docs/howto/verify-the-audit-book.md).
APPEND_ONLY = """
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit book is append-only: % of % refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$
"""
WAITS = """
CREATE FUNCTION audit_line_waits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_waiting (entry_id) SELECT id FROM written;
    RETURN NULL;
END $$
"""
LINE_WAITS = """
CREATE TRIGGER audit_line_waits AFTER INSERT ON audit_entry
REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION audit_line_waits()
"""

# Whoever deletes, whatever the reason: rows of a customer under legal hold stay.
HELD = """
CREATE FUNCTION kept_by_legal_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM legal_hold
               WHERE customer_id = CAST(to_jsonb(OLD) ->> TG_ARGV[0] AS uuid)
                 AND released_at IS NULL) THEN
        RAISE EXCEPTION 'a row of % stays: its customer is under legal hold', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$
"""
OF_CUSTOMERS = {
    'customer': 'id',
    **dict.fromkeys(
        ('follow', 'consent', 'message', 'suggestion', 'enrolment', 'touch', 'touchpoint',
         'conversion', 'legal_hold'), 'customer_id'),
}


def upgrade() -> None:
    op.create_table('audit_waiting',
    sa.Column('entry_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.PrimaryKeyConstraint('entry_id', name=op.f('pk_audit_waiting'))
    )
    op.create_table('audit_link',
    sa.Column('position', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('entry_id', sa.BigInteger(), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.Column('chain', sa.LargeBinary(), nullable=False),
    sa.Column('linked_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('position', name=op.f('pk_audit_link')),
    sa.UniqueConstraint('entry_id', name=op.f('uq_audit_link_entry_id'))
    )
    op.create_table('audit_check',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('asked_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('asked_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('lease_until', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('finished_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('lines', sa.Integer(), nullable=False),
    sa.Column('sound', sa.Boolean(), nullable=True),
    sa.Column('result', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_check'))
    )
    op.create_index('ix_audit_check_open', 'audit_check', ['asked_at'], unique=False, postgresql_where='finished_at IS NULL')
    op.create_index(op.f('ix_audit_check_asked_at'), 'audit_check', ['asked_at'], unique=False)
    op.create_table('legal_hold',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('customer_id', sa.Uuid(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('placed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('placed_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('released_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('released_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('release_reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customer.id'], name=op.f('fk_legal_hold_customer_id_customer')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_legal_hold'))
    )
    op.create_index(op.f('ix_legal_hold_customer_id'), 'legal_hold', ['customer_id'], unique=False)
    op.create_index('uq_legal_hold_in_force', 'legal_hold', ['customer_id'], unique=True, postgresql_where='released_at IS NULL')
    op.create_table('export_request',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('query', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('rows', sa.Integer(), nullable=False),
    sa.Column('last_entry', sa.BigInteger(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('asked_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('asked_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('agreed', sa.Boolean(), nullable=True),
    sa.Column('decided_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('decided_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('fetched_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.CheckConstraint('decided_by <> asked_by', name=op.f('ck_export_request_second_person')),
    sa.CheckConstraint('(agreed IS NULL) = (decided_by IS NULL)', name=op.f('ck_export_request_decided_by_somebody')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_export_request'))
    )
    op.create_index(op.f('ix_export_request_asked_at'), 'export_request', ['asked_at'], unique=False)
    op.execute(HELD)
    for table, owner in OF_CUSTOMERS.items():
        op.execute(
            f'CREATE TRIGGER kept_by_legal_hold BEFORE DELETE ON {table} '
            f"FOR EACH ROW EXECUTE FUNCTION kept_by_legal_hold('{owner}')"
        )
    op.execute('INSERT INTO audit_waiting (entry_id) SELECT id FROM audit_entry')
    op.execute(APPEND_ONLY)
    op.execute(WAITS)
    op.execute(LINE_WAITS)
    for table in ('audit_entry', 'audit_link'):
        op.execute(
            f'CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} '
            'FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()'
        )


def downgrade() -> None:
    op.drop_index(op.f('ix_export_request_asked_at'), table_name='export_request')
    op.drop_table('export_request')
    for table in OF_CUSTOMERS:
        op.execute(f'DROP TRIGGER kept_by_legal_hold ON {table}')
    op.execute('DROP FUNCTION kept_by_legal_hold()')
    op.drop_index('uq_legal_hold_in_force', table_name='legal_hold', postgresql_where='released_at IS NULL')
    op.drop_index(op.f('ix_legal_hold_customer_id'), table_name='legal_hold')
    op.drop_table('legal_hold')
    for table in ('audit_entry', 'audit_link'):
        op.execute(f'DROP TRIGGER audit_is_append_only ON {table}')
    op.execute('DROP TRIGGER audit_line_waits ON audit_entry')
    op.execute('DROP FUNCTION audit_line_waits()')
    op.execute('DROP FUNCTION audit_is_append_only()')
    op.drop_index(op.f('ix_audit_check_asked_at'), table_name='audit_check')
    op.drop_index('ix_audit_check_open', table_name='audit_check', postgresql_where='finished_at IS NULL')
    op.drop_table('audit_check')
    op.drop_table('audit_link')
    op.drop_table('audit_waiting')
