"""WeCom, whole: sealed callbacks, groups, tags, contact ways, welcomes, 微信客服, cards, repairs."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('callback_rejection',
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('times', sa.Integer(), nullable=False),
    sa.Column('last_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('receiver', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('reason', name=op.f('pk_callback_rejection'))
    )
    op.create_table('corp_tag',
    sa.Column('tag_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('group_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('group_name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('deleted_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('tag_id', name=op.f('pk_corp_tag'))
    )
    op.create_table('customer_group',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('chat_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('notice', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('owner_userid', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('created_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('dismissed_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('member_version', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('checked_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_customer_group')),
    sa.UniqueConstraint('chat_id', name=op.f('uq_customer_group_chat_id'))
    )
    op.create_index(op.f('ix_customer_group_owner_userid'), 'customer_group', ['owner_userid'], unique=False)
    op.create_table('member_card',
    sa.Column('task_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sa.Enum('handover', 'churn', 'tasks', name='cardkind', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('userids', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('subject_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('sent_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('pressed_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('pressed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('button', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('task_id', name=op.f('pk_member_card'))
    )
    op.create_index(op.f('ix_member_card_subject_id'), 'member_card', ['subject_id'], unique=False)
    op.create_table('platform_intent',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('call', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('facts', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('state', sa.Enum('intent', 'done', 'refused', 'unknown', 'abandoned', name='intentstate', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('result', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('settled_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_platform_intent'))
    )
    op.create_index('ix_platform_intent_open', 'platform_intent', ['created_at'], unique=False, postgresql_where="state = 'intent'")
    op.create_table('repair',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('started_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('finished_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('looked_at', sa.Integer(), nullable=False),
    sa.Column('mended', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('failure', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_repair'))
    )
    op.create_index(op.f('ix_repair_started_at'), 'repair', ['started_at'], unique=False)
    op.create_table('robot_answer',
    sa.Column('stream_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('msgid', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('userid', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('question', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('content', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('finished', sa.Boolean(), nullable=False),
    sa.Column('asked_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('stream_id', name=op.f('pk_robot_answer')),
    sa.UniqueConstraint('msgid', name=op.f('uq_robot_answer_msgid'))
    )
    op.create_index(op.f('ix_robot_answer_userid'), 'robot_answer', ['userid'], unique=False)
    op.create_table('service_account',
    sa.Column('open_kfid', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('automatic', sa.Boolean(), nullable=False),
    sa.Column('cursor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('checked_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('open_kfid', name=op.f('pk_service_account'))
    )
    op.create_table('wecom_grant',
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.Column('renew_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('expires_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_wecom_grant'))
    )
    op.create_table('service_session',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('open_kfid', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('external_userid', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('nickname', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sa.Integer(), nullable=False),
    sa.Column('servicer', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('handover_reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('wrote_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('sent_since', sa.Integer(), nullable=False),
    sa.Column('opened_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('changed_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['open_kfid'], ['service_account.open_kfid'], name=op.f('fk_service_session_open_kfid_service_account')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_service_session')),
    sa.UniqueConstraint('open_kfid', 'external_userid', name=op.f('uq_service_session_open_kfid_external_userid'))
    )
    op.create_index(op.f('ix_service_session_changed_at'), 'service_session', ['changed_at'], unique=False)
    op.create_index(op.f('ix_service_session_external_userid'), 'service_session', ['external_userid'], unique=False)
    op.create_table('group_member',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('group_id', sa.Uuid(), nullable=False),
    sa.Column('member_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('is_staff', sa.Boolean(), nullable=False),
    sa.Column('customer_id', sa.Uuid(), nullable=True),
    sa.Column('nickname', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('joined_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('left_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('join_scene', sa.Integer(), nullable=True),
    sa.Column('quit_scene', sa.Integer(), nullable=True),
    sa.Column('channel_key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('invited_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.ForeignKeyConstraint(['customer_id'], ['customer.id'], name=op.f('fk_group_member_customer_id_customer')),
    sa.ForeignKeyConstraint(['group_id'], ['customer_group.id'], name=op.f('fk_group_member_group_id_customer_group')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_group_member')),
    sa.UniqueConstraint('group_id', 'member_id', name=op.f('uq_group_member_group_id_member_id'))
    )
    op.create_index(op.f('ix_group_member_customer_id'), 'group_member', ['customer_id'], unique=False)
    op.create_index(op.f('ix_group_member_member_id'), 'group_member', ['member_id'], unique=False)
    op.create_table('reminder',
    sa.Column('staff_id', sa.Uuid(), nullable=False),
    sa.Column('told_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('silent_until', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_reminder_staff_id_staff')),
    sa.PrimaryKeyConstraint('staff_id', name=op.f('pk_reminder'))
    )
    op.create_table('repair_mark',
    sa.Column('staff_id', sa.Uuid(), nullable=False),
    sa.Column('compared_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_repair_mark_staff_id_staff')),
    sa.PrimaryKeyConstraint('staff_id', name=op.f('pk_repair_mark'))
    )
    op.create_index(op.f('ix_repair_mark_compared_at'), 'repair_mark', ['compared_at'], unique=False)
    op.create_table('service_message',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('msgid', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('session_id', sa.Uuid(), nullable=False),
    sa.Column('speaker', sa.Enum('customer', 'robot', 'servicer', 'system', name='servicespeaker', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('text', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('sent_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('stored_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('answered', sa.Boolean(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('lease_until', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('failure', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('version_ids', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('confidence', sa.Float(), nullable=True),
    sa.ForeignKeyConstraint(['session_id'], ['service_session.id'], name=op.f('fk_service_message_session_id_service_session')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_service_message')),
    sa.UniqueConstraint('msgid', name=op.f('uq_service_message_msgid'))
    )
    op.create_index('ix_service_message_session', 'service_message', ['session_id', 'sent_at'], unique=False)
    op.create_index('ix_service_message_unanswered', 'service_message', ['sent_at'], unique=False, postgresql_where='NOT answered')
    op.create_table('contact_way',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('staff_id', sa.Uuid(), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sa.Enum('making', 'live', 'failed', 'retired', name='waystate', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('config_id', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('qr_code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('welcome_material_id', sa.Uuid(), nullable=True),
    sa.Column('skip_verify', sa.Boolean(), nullable=False),
    sa.Column('failure', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('made_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('made_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('retired_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_contact_way_staff_id_staff')),
    sa.ForeignKeyConstraint(['welcome_material_id'], ['material.id'], name=op.f('fk_contact_way_welcome_material_id_material')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_contact_way')),
    sa.UniqueConstraint('config_id', name=op.f('uq_contact_way_config_id')),
    sa.UniqueConstraint('key', name=op.f('uq_contact_way_key'))
    )
    op.create_index(op.f('ix_contact_way_staff_id'), 'contact_way', ['staff_id'], unique=False)
    op.create_index('uq_contact_way_staff_channel', 'contact_way', ['staff_id', 'channel'], unique=True, postgresql_where="state <> 'retired'")
    op.create_table('welcome',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('code_digest', sa.LargeBinary(), nullable=False),
    sa.Column('userid', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('external_userid', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('channel_key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('contact_way_id', sa.Uuid(), nullable=True),
    sa.Column('version_id', sa.Uuid(), nullable=True),
    sa.Column('event_id', sa.BigInteger(), nullable=True),
    sa.Column('state', sa.Enum('sending', 'sent', 'expired', 'taken', 'awaiting_consent', 'no_material', 'refused', 'unknown', name='welcomestate', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('received_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('lease_until', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('settled_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['contact_way_id'], ['contact_way.id'], name=op.f('fk_welcome_contact_way_id_contact_way')),
    sa.ForeignKeyConstraint(['version_id'], ['version.id'], name=op.f('fk_welcome_version_id_version')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_welcome')),
    sa.UniqueConstraint('code_digest', name=op.f('uq_welcome_code_digest'))
    )
    op.create_index(op.f('ix_welcome_contact_way_id'), 'welcome', ['contact_way_id'], unique=False)
    op.create_index('ix_welcome_received_at', 'welcome', ['received_at'], unique=False)
    op.create_index(op.f('ix_welcome_event_id'), 'welcome', ['event_id'], unique=False)
    op.create_index('ix_welcome_sending', 'welcome', ['lease_until'], unique=False, postgresql_where="state = 'sending'")
    op.create_table('welcome_choice',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('staff_id', sa.Uuid(), nullable=True),
    sa.Column('material_id', sa.Uuid(), nullable=False),
    sa.Column('chosen_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('chosen_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['material_id'], ['material.id'], name=op.f('fk_welcome_choice_material_id_material')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_welcome_choice_staff_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_welcome_choice')),
    sa.UniqueConstraint('staff_id', name=op.f('uq_welcome_choice_staff_id'), postgresql_nulls_not_distinct=True)
    )
    op.add_column('follow', sa.Column('add_way', sa.Integer(), nullable=True))
    op.add_column('follow', sa.Column('archive_agreed_at', sa.TIMESTAMP(timezone=True), nullable=True))
    op.add_column('follow', sa.Column('transfer_failure', sqlmodel.sql.sqltypes.AutoString(), server_default='', nullable=False))
    op.add_column('inbound_event', sa.Column('sealed', sa.LargeBinary(), nullable=True))
    op.add_column('inbound_event', sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), server_default='', nullable=False))
    op.add_column('inbound_event', sa.Column('urgent', sa.Boolean(), server_default='false', nullable=False))
    op.add_column('inbound_event', sa.Column('sent_at', sa.TIMESTAMP(timezone=True), nullable=True))
    op.create_index('ix_inbound_event_handled', 'inbound_event', ['handled_at'], unique=False, postgresql_where='sealed IS NOT NULL')
    op.drop_index('ix_inbound_event_order_key', table_name='inbound_event', postgresql_where="state = 'new'")
    op.create_index('ix_inbound_event_order_key', 'inbound_event', ['order_key', 'id'], unique=False, postgresql_where="state = 'new'")
    op.create_index('ix_inbound_event_urgent', 'inbound_event', ['id'], unique=False, postgresql_where='urgent')
    # Four zero bytes: in the clear. The database has no key to seal with.
    op.execute("UPDATE inbound_event SET sealed = '\\x00000000'::bytea || convert_to(body, 'UTF8')")
    op.drop_column('inbound_event', 'body')
    for table, column in (('follow', 'transfer_failure'), ('inbound_event', 'kind'), ('inbound_event', 'urgent')):
        op.alter_column(table, column, server_default=None)
    _words('inbound_event', 'inboundstate', 'new', 'done', 'quarantined', 'held')
    _words(
        'follow', 'followstate',
        'active', 'removed_by_customer', 'removed_by_rm', 'transferred', 'gone',
    )


def _words(table: str, name: str, *words: str) -> None:
    op.drop_constraint(op.f(f'ck_{table}_{name}'), table, type_='check')
    op.create_check_constraint(op.f(f'ck_{table}_{name}'), table, sa.column('state').in_(words))


def downgrade() -> None:
    op.execute("DELETE FROM inbound_event WHERE state = 'held'")
    op.execute("UPDATE follow SET state = 'removed_by_rm' WHERE state IN ('transferred', 'gone')")
    _words('inbound_event', 'inboundstate', 'new', 'done', 'quarantined')
    _words('follow', 'followstate', 'active', 'removed_by_customer', 'removed_by_rm')
    op.add_column('inbound_event', sa.Column('body', sa.VARCHAR(), server_default='', nullable=False))
    op.drop_index('ix_inbound_event_urgent', table_name='inbound_event', postgresql_where='urgent')
    op.drop_index('ix_inbound_event_order_key', table_name='inbound_event', postgresql_where="state = 'new'")
    op.create_index('ix_inbound_event_order_key', 'inbound_event', ['order_key'], unique=False, postgresql_where="state = 'new'")
    op.drop_index('ix_inbound_event_handled', table_name='inbound_event', postgresql_where='sealed IS NOT NULL')
    op.drop_column('inbound_event', 'sent_at')
    op.drop_column('inbound_event', 'urgent')
    op.drop_column('inbound_event', 'kind')
    op.drop_column('inbound_event', 'sealed')
    op.drop_column('follow', 'transfer_failure')
    op.drop_column('follow', 'archive_agreed_at')
    op.drop_column('follow', 'add_way')
    op.drop_table('welcome_choice')
    op.drop_index('ix_welcome_sending', table_name='welcome', postgresql_where="state = 'sending'")
    op.drop_index(op.f('ix_welcome_event_id'), table_name='welcome')
    op.drop_index('ix_welcome_received_at', table_name='welcome')
    op.drop_index(op.f('ix_welcome_contact_way_id'), table_name='welcome')
    op.drop_table('welcome')
    op.drop_index('uq_contact_way_staff_channel', table_name='contact_way', postgresql_where="state <> 'retired'")
    op.drop_index(op.f('ix_contact_way_staff_id'), table_name='contact_way')
    op.drop_table('contact_way')
    op.drop_index('ix_service_message_unanswered', table_name='service_message', postgresql_where='NOT answered')
    op.drop_index('ix_service_message_session', table_name='service_message')
    op.drop_table('service_message')
    op.drop_index(op.f('ix_repair_mark_compared_at'), table_name='repair_mark')
    op.drop_table('repair_mark')
    op.drop_index(op.f('ix_group_member_member_id'), table_name='group_member')
    op.drop_index(op.f('ix_group_member_customer_id'), table_name='group_member')
    op.drop_table('group_member')
    op.drop_table('reminder')
    op.drop_index(op.f('ix_service_session_external_userid'), table_name='service_session')
    op.drop_index(op.f('ix_service_session_changed_at'), table_name='service_session')
    op.drop_table('service_session')
    op.drop_table('wecom_grant')
    op.drop_table('service_account')
    op.drop_index(op.f('ix_robot_answer_userid'), table_name='robot_answer')
    op.drop_table('robot_answer')
    op.drop_index(op.f('ix_repair_started_at'), table_name='repair')
    op.drop_table('repair')
    op.drop_index('ix_platform_intent_open', table_name='platform_intent', postgresql_where="state = 'intent'")
    op.drop_table('platform_intent')
    op.drop_index(op.f('ix_member_card_subject_id'), table_name='member_card')
    op.drop_table('member_card')
    op.drop_index(op.f('ix_customer_group_owner_userid'), table_name='customer_group')
    op.drop_table('customer_group')
    op.drop_table('corp_tag')
    op.drop_table('callback_rejection')
