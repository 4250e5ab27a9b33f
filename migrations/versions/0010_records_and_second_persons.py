"""Holds on every row of a customer, touches that end with their material, second persons."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

# 0004 holds rows by their own customer_id. These are a customer's by other ways: `c` is a customer
# under hold, $1 the row. Who is in a held group keeps the group's callbacks (bot/inbound/retention).
CONTACT = "c.external_userid = $1 ->> 'external_userid'"
BY_ID = "c.id = CAST($1 ->> 'customer_id' AS uuid)"
OF_CUSTOMERS = {
    'holding': BY_ID,
    'group_member': BY_ID,
    'gap_question': BY_ID,
    'outbound_message': f"{BY_ID} OR c.external_userid = $1 ->> 'contact'",
    'conduct_alert': """EXISTS (SELECT 1 FROM outbound_message m
        WHERE m.id = CAST($1 ->> 'message_id' AS uuid)
          AND (m.customer_id = c.id OR m.contact = c.external_userid))""",
    'credit': """EXISTS (SELECT 1 FROM conversion o
        WHERE o.id = CAST($1 ->> 'conversion_id' AS uuid) AND o.customer_id = c.id)""",
    'welcome': CONTACT,
    'service_session': CONTACT,
    'service_message': """EXISTS (SELECT 1 FROM service_session s
        WHERE s.id = CAST($1 ->> 'session_id' AS uuid)
          AND s.external_userid = c.external_userid)""",
    'inbound_event': """c.external_userid = $1 ->> 'order_key' OR EXISTS (
        SELECT 1 FROM group_member m JOIN customer_group g ON g.id = m.group_id
        WHERE m.customer_id = c.id AND g.chat_id = $1 ->> 'order_key')""",
}
HELD = """
CREATE FUNCTION kept_for_held_customer() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE held boolean;
BEGIN
    EXECUTE 'SELECT EXISTS (SELECT 1 FROM legal_hold h JOIN customer c ON c.id = h.customer_id
             WHERE h.released_at IS NULL AND (' || TG_ARGV[0] || '))' INTO held USING to_jsonb(OLD);
    IF held THEN
        RAISE EXCEPTION 'a row of % stays: its customer is under legal hold', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$
"""

# In the transaction in which a version stops being live, its touches stop too; the reason is
# scheduler.touches.DEAD_MATERIAL. A row that somebody holds is passed by: its holder looks at the
# version itself before it calls, and waiting for it here could close a ring of locks.
TOUCHES = """
CREATE FUNCTION touches_end_with_material() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE touch SET state = 'refused', reasons = ARRAY['素材已下线或过期'], lease_until = NULL,
                     settled_at = coalesce(NEW.ended_at, NEW.suspended_at)
    WHERE id IN (SELECT t.id FROM touch t JOIN step s ON s.id = t.step_id
                 WHERE s.material_id = NEW.material_id AND t.state IN ('planned', 'handed')
                 FOR UPDATE OF t SKIP LOCKED);
    RETURN NULL;
END $$
"""
TOUCHES_END = """
CREATE TRIGGER touches_end_with_material AFTER UPDATE OF state, suspended_at ON version
FOR EACH ROW WHEN (OLD.state = 'approved' AND OLD.suspended_at IS NULL AND
                   (NEW.state IN ('withdrawn', 'expired') OR NEW.suspended_at IS NOT NULL))
EXECUTE FUNCTION touches_end_with_material()
"""
KINDS = sa.Enum('audit', 'recipients', 'holders', name='exportkind', native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    op.create_table('certificate_change',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('staff_id', sa.Uuid(), nullable=False),
    sa.Column('before', sa.Date(), nullable=True),
    sa.Column('until', sa.Date(), nullable=True),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('proposed_by', sa.Uuid(), nullable=False),
    sa.Column('proposed_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('agreed', sa.Boolean(), nullable=True),
    sa.Column('decided_by', sa.Uuid(), nullable=True),
    sa.Column('decided_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.CheckConstraint('decided_by <> proposed_by', name=op.f('ck_certificate_change_four_eyes')),
    sa.CheckConstraint('staff_id NOT IN (proposed_by, decided_by)', name=op.f('ck_certificate_change_not_their_own')),
    sa.CheckConstraint('(agreed IS NULL) = (decided_by IS NULL) AND (agreed IS NULL) = (decided_at IS NULL)', name=op.f('ck_certificate_change_decision_is_whole')),
    sa.ForeignKeyConstraint(['decided_by'], ['staff.id'], name=op.f('fk_certificate_change_decided_by_staff')),
    sa.ForeignKeyConstraint(['proposed_by'], ['staff.id'], name=op.f('fk_certificate_change_proposed_by_staff')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_certificate_change_staff_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_certificate_change'))
    )
    op.create_index(op.f('ix_certificate_change_staff_id'), 'certificate_change', ['staff_id'], unique=False)
    op.create_index('uq_certificate_change_open', 'certificate_change', ['staff_id'], unique=True, postgresql_where='agreed IS NULL')
    op.add_column('export_request', sa.Column('what', KINDS, nullable=False, server_default='audit'))
    op.alter_column('export_request', 'what', server_default=None)
    op.alter_column('export_request', 'last_entry', nullable=True)
    op.execute(HELD)
    for table, condition in OF_CUSTOMERS.items():
        told = condition.replace("'", "''")
        op.execute(
            f'CREATE TRIGGER kept_for_held_customer BEFORE DELETE ON {table} '
            f"FOR EACH ROW EXECUTE FUNCTION kept_for_held_customer('{told}')"
        )
    op.execute(TOUCHES)
    op.execute(TOUCHES_END)


def downgrade() -> None:
    op.execute('DROP TRIGGER touches_end_with_material ON version')
    op.execute('DROP FUNCTION touches_end_with_material()')
    for table in OF_CUSTOMERS:
        op.execute(f'DROP TRIGGER kept_for_held_customer ON {table}')
    op.execute('DROP FUNCTION kept_for_held_customer()')
    op.execute("DELETE FROM export_request WHERE what <> 'audit'")
    op.alter_column('export_request', 'last_entry', nullable=False)
    op.drop_column('export_request', 'what')
    op.drop_index('uq_certificate_change_open', table_name='certificate_change', postgresql_where='agreed IS NULL')
    op.drop_index(op.f('ix_certificate_change_staff_id'), table_name='certificate_change')
    op.drop_table('certificate_change')
