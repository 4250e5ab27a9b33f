"""Holdings come as files: each once by customer, product and day, and ended ones are kept."""

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = "0017"
branch_labels = None
depends_on = None

# Rows told twice for one day are one holding.
ADDED_UP = """
UPDATE holding SET amount_cents = told.amount, matures_on = told.matures
FROM (SELECT min(id::text)::uuid AS id, sum(amount_cents) AS amount, min(matures_on) AS matures
      FROM holding GROUP BY customer_id, product_code, bought_on HAVING count(*) > 1) AS told
WHERE holding.id = told.id
"""
ONCE = """
DELETE FROM holding USING holding AS first
WHERE holding.customer_id = first.customer_id AND holding.product_code = first.product_code
  AND holding.bought_on = first.bought_on AND holding.id::text > first.id::text
"""


def upgrade() -> None:
    op.add_column('holding', sa.Column('ended_on', sa.Date(), nullable=True))
    # The rows of a held customer stay as well: nothing of them is lost by being added up.
    op.execute('ALTER TABLE holding DISABLE TRIGGER kept_for_held_customer')
    op.execute(ADDED_UP)
    op.execute(ONCE)
    op.execute('ALTER TABLE holding ENABLE TRIGGER kept_for_held_customer')
    op.execute("UPDATE holding SET amount_cents = 1, ended_on = bought_on WHERE amount_cents <= 0")
    op.create_unique_constraint(op.f('uq_holding_customer_id_product_code_bought_on'), 'holding', ['customer_id', 'product_code', 'bought_on'])
    op.create_check_constraint('something_is_held', 'holding', 'amount_cents > 0')


def downgrade() -> None:
    op.drop_constraint(op.f('ck_holding_something_is_held'), 'holding')
    op.drop_constraint(op.f('uq_holding_customer_id_product_code_bought_on'), 'holding')
    op.drop_column('holding', 'ended_on')
