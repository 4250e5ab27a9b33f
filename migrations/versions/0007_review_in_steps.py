"""Review in steps: roads, review steps, who looked, comments on spans, public links."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0007'
down_revision = "0006"
branch_labels = None
depends_on = None

STATES = ('draft', 'submitted', 'approved', 'rejected', 'superseded', 'withdrawn', 'expired')
DESKS = ('business', 'compliance', 'head_office', 'recheck')
RISKS = ('low', 'ordinary', 'high')
# What waits for a decision today is decided as it would have been: one step, one other person.
WAITING = """
    INSERT INTO review_step (id, version_id, author_id, position, desk, risk, hours, checks,
                             opened_at, due_at, reason, hasty)
    SELECT gen_random_uuid(), id, author_id, 1, 'business', 'ordinary', 24,
           ARRAY['产品要素、费率和规则与说明书一致', '表述客观完整，没有诱导、承诺或片面宣传',
                 '渠道、支行和有效期与内容相符'],
           submitted_at, submitted_at + interval '24 hours', '', false
    FROM version WHERE state = 'submitted'
"""


def upgrade() -> None:
    _states(*STATES, 'returned')
    op.create_unique_constraint(op.f('uq_version_id_author_id'), 'version', ['id', 'author_id'])
    op.create_table('review_road',
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('risk', sa.Enum(*RISKS, name='reviewrisk', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('steps', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('changed_by', sa.Uuid(), nullable=False),
    sa.Column('changed_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.CheckConstraint('jsonb_array_length(steps) >= 1', name=op.f('ck_review_road_has_steps')),
    sa.ForeignKeyConstraint(['changed_by'], ['staff.id'], name=op.f('fk_review_road_changed_by_staff')),
    sa.PrimaryKeyConstraint('kind', 'risk', name=op.f('pk_review_road'))
    )
    op.create_table('review_step',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('version_id', sa.Uuid(), nullable=False),
    sa.Column('author_id', sa.Uuid(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('desk', sa.Enum(*DESKS, name='reviewdesk', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('risk', sa.Enum(*RISKS, name='reviewrisk', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('hours', sa.Integer(), nullable=False),
    sa.Column('checks', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('opened_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('due_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('claimed_by', sa.Uuid(), nullable=True),
    sa.Column('claimed_until', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('decided_by', sa.Uuid(), nullable=True),
    sa.Column('decided_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('verdict', sa.Enum('passed', 'rejected', 'changes', name='reviewverdict', native_enum=False, create_constraint=True, length=32), nullable=True),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('hasty', sa.Boolean(), nullable=False),
    sa.CheckConstraint('(decided_by IS NULL) = (verdict IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)', name=op.f('ck_review_step_decision_is_whole')),
    sa.CheckConstraint('claimed_by IS DISTINCT FROM author_id', name=op.f('ck_review_step_not_claimed_by_author')),
    sa.CheckConstraint('decided_at IS NULL OR opened_at IS NOT NULL', name=op.f('ck_review_step_opened_first')),
    sa.CheckConstraint('decided_by IS DISTINCT FROM author_id', name=op.f('ck_review_step_not_by_author')),
    sa.ForeignKeyConstraint(['claimed_by'], ['staff.id'], name=op.f('fk_review_step_claimed_by_staff')),
    sa.ForeignKeyConstraint(['decided_by'], ['staff.id'], name=op.f('fk_review_step_decided_by_staff')),
    sa.ForeignKeyConstraint(['version_id', 'author_id'], ['version.id', 'version.author_id'], name='fk_review_step_version'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_review_step')),
    sa.UniqueConstraint('version_id', 'position', name=op.f('uq_review_step_version_id_position'))
    )
    op.create_index(op.f('ix_review_step_decided_by'), 'review_step', ['decided_by'], unique=False)
    op.create_index(op.f('ix_review_step_due_at'), 'review_step', ['due_at'], unique=False)
    op.create_index('uq_review_step_person', 'review_step', ['version_id', 'decided_by'], unique=True, postgresql_where='decided_by IS NOT NULL')
    op.create_index('uq_review_step_open', 'review_step', ['version_id'], unique=True, postgresql_where='opened_at IS NOT NULL AND decided_at IS NULL')
    op.create_table('review_look',
    sa.Column('step_id', sa.Uuid(), nullable=False),
    sa.Column('staff_id', sa.Uuid(), nullable=False),
    sa.Column('at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_review_look_staff_id_staff')),
    sa.ForeignKeyConstraint(['step_id'], ['review_step.id'], name=op.f('fk_review_look_step_id_review_step')),
    sa.PrimaryKeyConstraint('step_id', 'staff_id', name=op.f('pk_review_look'))
    )
    op.create_table('comment',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('version_id', sa.Uuid(), nullable=False),
    sa.Column('field', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('start', sa.Integer(), nullable=False),
    sa.Column('end', sa.Integer(), nullable=False),
    sa.Column('quoted', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('text', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('written_by', sa.Uuid(), nullable=False),
    sa.Column('written_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column('resolved_by', sa.Uuid(), nullable=True),
    sa.Column('resolved_at', sa.TIMESTAMP(timezone=True), nullable=True),
    sa.Column('carried_from', sa.Uuid(), nullable=True),
    sa.CheckConstraint('start >= 0 AND start <= "end"', name=op.f('ck_comment_span')),
    sa.ForeignKeyConstraint(['carried_from'], ['comment.id'], name=op.f('fk_comment_carried_from_comment')),
    sa.ForeignKeyConstraint(['resolved_by'], ['staff.id'], name=op.f('fk_comment_resolved_by_staff')),
    sa.ForeignKeyConstraint(['version_id'], ['version.id'], name=op.f('fk_comment_version_id_version')),
    sa.ForeignKeyConstraint(['written_by'], ['staff.id'], name=op.f('fk_comment_written_by_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_comment'))
    )
    op.create_index(op.f('ix_comment_version_id'), 'comment', ['version_id'], unique=False)
    op.create_table('material_link',
    sa.Column('token', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('version_id', sa.Uuid(), nullable=False),
    sa.Column('made_by', sa.Uuid(), nullable=False),
    sa.Column('made_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['made_by'], ['staff.id'], name=op.f('fk_material_link_made_by_staff')),
    sa.ForeignKeyConstraint(['version_id'], ['version.id'], name=op.f('fk_material_link_version_id_version')),
    sa.PrimaryKeyConstraint('token', name=op.f('pk_material_link'))
    )
    op.create_index(op.f('ix_material_link_version_id'), 'material_link', ['version_id'], unique=False)
    op.execute(WAITING)


def downgrade() -> None:
    op.drop_table('material_link')
    op.drop_table('comment')
    op.drop_table('review_look')
    op.drop_table('review_step')
    op.drop_table('review_road')
    op.drop_constraint(op.f('uq_version_id_author_id'), 'version', type_='unique')
    op.execute("UPDATE version SET state = 'rejected' WHERE state = 'returned'")
    _states(*STATES)


def _states(*words: str) -> None:
    op.drop_constraint(op.f('ck_version_state'), 'version', type_='check')
    op.create_check_constraint(op.f('ck_version_state'), 'version', sa.column('state').in_(words))
