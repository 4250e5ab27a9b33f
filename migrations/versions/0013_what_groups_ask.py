"""What is said and asked in customer groups, who refuses the archive there, gaps heard in groups."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None

ADVICE = sa.Enum('reply', 'private', 'none', name='advice', native_enum=False, create_constraint=True, length=32)
STATES = sa.Enum('open', 'answered', 'passed', name='questionstate', native_enum=False, create_constraint=True, length=32)

# As in 0010: `c` is a customer under hold, $1 the row. What is said in a group a held customer is or
# was in stays whole, as the group's callbacks do.
HELD = {
    'group_message': """c.id = CAST($1 ->> 'customer_id' AS uuid)
        OR c.external_userid = $1 ->> 'member_id' OR EXISTS (
        SELECT 1 FROM group_member m
        WHERE m.customer_id = c.id AND m.group_id = CAST($1 ->> 'group_id' AS uuid))""",
    'group_question': """EXISTS (SELECT 1 FROM group_member m
        WHERE m.customer_id = c.id AND m.group_id = CAST($1 ->> 'group_id' AS uuid))""",
    'group_asking': """EXISTS (SELECT 1 FROM group_message s JOIN group_member m ON m.group_id = s.group_id
        WHERE m.customer_id = c.id AND s.id = CAST($1 ->> 'message_id' AS uuid))""",
    'heard_question': """c.id = CAST($1 ->> 'customer_id' AS uuid)
        OR c.external_userid = $1 ->> 'member_id'""",
}


def upgrade() -> None:
    op.add_column('customer_group', sa.Column('consent_asked_at', sa.TIMESTAMP(timezone=True), nullable=True))
    op.add_column('group_member', sa.Column('archive_refused', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.alter_column('group_member', 'archive_refused', server_default=None)
    op.create_table('group_message',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('msgid', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('group_id', sa.Uuid(), nullable=False),
    sa.Column('member_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('is_staff', sa.Boolean(), nullable=False),
    sa.Column('customer_id', sa.Uuid(), nullable=True),
    sa.Column('text', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('sent_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('stored_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('looked_at', sa.Boolean(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('failure', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customer.id'], name=op.f('fk_group_message_customer_id_customer')),
    sa.ForeignKeyConstraint(['group_id'], ['customer_group.id'], name=op.f('fk_group_message_group_id_customer_group')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_group_message')),
    sa.UniqueConstraint('msgid', name=op.f('uq_group_message_msgid'))
    )
    op.create_index('ix_group_message_group', 'group_message', ['group_id', 'sent_at'], unique=False)
    op.create_index('ix_group_message_waiting', 'group_message', ['group_id', 'sent_at'], unique=False, postgresql_where=sa.text('NOT looked_at'))
    op.create_index(op.f('ix_group_message_member_id'), 'group_message', ['member_id'], unique=False)
    op.create_index(op.f('ix_group_message_customer_id'), 'group_message', ['customer_id'], unique=False)
    op.create_table('group_question',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('group_id', sa.Uuid(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('question', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('asked_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('advice', ADVICE, nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('draft', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('version_id', sa.Uuid(), nullable=True),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('tier', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', STATES, nullable=False),
    sa.Column('settled_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('settled_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('answer_id', sa.Uuid(), nullable=True),
    sa.CheckConstraint("(state = 'open') = (settled_at IS NULL)", name=op.f('ck_group_question_settled_unless_open')),
    sa.CheckConstraint("(advice = 'reply') = (version_id IS NOT NULL)", name=op.f('ck_group_question_reply_has_source')),
    sa.CheckConstraint("(advice = 'none') = (draft = '')", name=op.f('ck_group_question_draft_unless_none')),
    sa.ForeignKeyConstraint(['answer_id'], ['group_message.id'], name=op.f('fk_group_question_answer_id_group_message')),
    sa.ForeignKeyConstraint(['group_id'], ['customer_group.id'], name=op.f('fk_group_question_group_id_customer_group')),
    sa.ForeignKeyConstraint(['version_id'], ['version.id'], name=op.f('fk_group_question_version_id_version')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_group_question'))
    )
    op.create_index('ix_group_question_day', 'group_question', ['group_id', 'day'], unique=False)
    op.create_index('ix_group_question_open', 'group_question', ['group_id'], unique=False, postgresql_where=sa.text("state = 'open'"))
    op.create_index('ix_group_question_asked_on', 'group_question', ['day'], unique=False)
    op.create_index(op.f('ix_group_question_version_id'), 'group_question', ['version_id'], unique=False)
    op.create_table('group_asking',
    sa.Column('message_id', sa.Uuid(), nullable=False),
    sa.Column('question_id', sa.Uuid(), nullable=False),
    sa.Column('wording', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['group_message.id'], name=op.f('fk_group_asking_message_id_group_message')),
    sa.ForeignKeyConstraint(['question_id'], ['group_question.id'], name=op.f('fk_group_asking_question_id_group_question')),
    sa.PrimaryKeyConstraint('message_id', name=op.f('pk_group_asking'))
    )
    op.create_index(op.f('ix_group_asking_question_id'), 'group_asking', ['question_id'], unique=False)
    op.create_table('heard_question',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('source_id', sa.Uuid(), nullable=False),
    sa.Column('member_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('customer_id', sa.Uuid(), nullable=True),
    sa.Column('question', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('created_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('gap_id', sa.Uuid(), nullable=True),
    sa.ForeignKeyConstraint(['customer_id'], ['customer.id'], name=op.f('fk_heard_question_customer_id_customer')),
    sa.ForeignKeyConstraint(['gap_id'], ['content_gap.id'], name=op.f('fk_heard_question_gap_id_content_gap')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_heard_question')),
    sa.UniqueConstraint('source_id', name=op.f('uq_heard_question_source_id'))
    )
    op.create_index('ix_heard_question_ungrouped', 'heard_question', ['created_at'], unique=False, postgresql_where=sa.text('gap_id IS NULL'))
    op.create_index(op.f('ix_heard_question_gap_id'), 'heard_question', ['gap_id'], unique=False)
    op.create_index(op.f('ix_heard_question_customer_id'), 'heard_question', ['customer_id'], unique=False)
    for table, condition in HELD.items():
        told = condition.replace("'", "''")
        op.execute(
            f'CREATE TRIGGER kept_for_held_customer BEFORE DELETE ON {table} '
            f"FOR EACH ROW EXECUTE FUNCTION kept_for_held_customer('{told}')"
        )


def downgrade() -> None:
    for table in HELD:
        op.execute(f'DROP TRIGGER kept_for_held_customer ON {table}')
    for table in ('heard_question', 'group_asking', 'group_question', 'group_message'):
        op.drop_table(table)
    op.drop_column('group_member', 'archive_refused')
    op.drop_column('customer_group', 'consent_asked_at')
