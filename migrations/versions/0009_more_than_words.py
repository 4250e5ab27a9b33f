"""What goes out beside words, into groups, and what stops it: attachments, media, the model's stop."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0009'
down_revision = "0008"
branch_labels = None
depends_on = None

DOORS = ("'sidebar'", "'welcome'", "'touch'", "'service'")
JSONS = ('attachments', 'recipients')


def doors(*words: str) -> None:
    op.drop_constraint(op.f('ck_outbound_message_door'), 'outbound_message')
    op.create_check_constraint(op.f('ck_outbound_message_door'), 'outbound_message', f"door IN ({', '.join(words)})")


def added(table: str, name: str, kind: sa.types.TypeEngine, before: str) -> None:
    """A column that rows from before have a value in; later ones are given theirs."""
    op.add_column(table, sa.Column(name, kind, server_default=sa.text(before), nullable=False))
    op.alter_column(table, name, server_default=None)


def upgrade() -> None:
    doors(*DOORS, "'group'")
    for name in JSONS:
        added('outbound_message', name, postgresql.JSONB(astext_type=sa.Text()), "'[]'::jsonb")
    added('outbound_message', 'delivered', sa.Integer(), '0')
    added('outbound_message', 'chat_id', sqlmodel.sql.sqltypes.AutoString(), "''")
    added('outbound_message', 'special_notice', sa.Boolean(), 'false')
    added('suggestion', 'attached', postgresql.JSONB(astext_type=sa.Text()), "'[]'::jsonb")
    op.create_table('uploaded_media',
    sa.Column('sha256', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('filename', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('file_id', sa.Uuid(), nullable=False),
    sa.Column('media_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('uploaded_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('used_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['file_id'], ['stored_file.id'], name=op.f('fk_uploaded_media_file_id_stored_file')),
    sa.PrimaryKeyConstraint('sha256', 'kind', 'filename', name=op.f('pk_uploaded_media'))
    )
    op.create_index(op.f('ix_uploaded_media_used_at'), 'uploaded_media', ['used_at'], unique=False)
    op.create_table('model_stop',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('stopped_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('stopped_by', sa.Uuid(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('asked_by', sa.Uuid(), nullable=True),
    sa.Column('asked_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('asked_because', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('lifted_by', sa.Uuid(), nullable=True),
    sa.Column('lifted_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.CheckConstraint('(lifted_at IS NULL) = (lifted_by IS NULL)', name=op.f('ck_model_stop_lifting_is_whole')),
    sa.CheckConstraint('lifted_at IS NULL OR (asked_by IS NOT NULL AND asked_by <> lifted_by)', name=op.f('ck_model_stop_lifted_by_two')),
    sa.ForeignKeyConstraint(['asked_by'], ['staff.id'], name=op.f('fk_model_stop_asked_by_staff')),
    sa.ForeignKeyConstraint(['lifted_by'], ['staff.id'], name=op.f('fk_model_stop_lifted_by_staff')),
    sa.ForeignKeyConstraint(['stopped_by'], ['staff.id'], name=op.f('fk_model_stop_stopped_by_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_model_stop'))
    )
    op.create_index('uq_model_stop_open', 'model_stop', [sa.literal_column('(lifted_at IS NULL)')], unique=True, postgresql_where=sa.text('lifted_at IS NULL'))


def downgrade() -> None:
    op.drop_index('uq_model_stop_open', table_name='model_stop', postgresql_where=sa.text('lifted_at IS NULL'))
    op.drop_table('model_stop')
    op.drop_index(op.f('ix_uploaded_media_used_at'), table_name='uploaded_media')
    op.drop_table('uploaded_media')
    op.drop_column('suggestion', 'attached')
    for name in (*JSONS, 'delivered', 'chat_id', 'special_notice'):
        op.drop_column('outbound_message', name)
    op.execute("DELETE FROM conduct_alert WHERE message_id IN (SELECT id FROM outbound_message WHERE door = 'group')")
    op.execute("DELETE FROM outbound_message WHERE door = 'group'")
    doors(*DOORS)
