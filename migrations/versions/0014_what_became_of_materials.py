"""What became of each material lately, counted for ranking."""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('material_effect',
    sa.Column('material_id', sa.Uuid(), nullable=False),
    sa.Column('decided', sa.Integer(), nullable=False),
    sa.Column('taken', sa.Integer(), nullable=False),
    sa.Column('credited', sa.Integer(), nullable=False),
    sa.Column('counted_at', sa.TIMESTAMP(timezone=True), nullable=False),
    sa.CheckConstraint('taken >= 0 AND taken <= decided AND credited >= 0', name=op.f('ck_material_effect_counts')),
    sa.ForeignKeyConstraint(['material_id'], ['material.id'], name=op.f('fk_material_effect_material_id_material')),
    sa.PrimaryKeyConstraint('material_id', name=op.f('pk_material_effect'))
    )


def downgrade() -> None:
    op.drop_table('material_effect')
