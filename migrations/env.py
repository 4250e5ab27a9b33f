"""Alembic's entry: the one place that imports every package's tables."""

from alembic import context
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

import scheduler.models  # noqa: F401  (imported for its tables)

# Two processes that start together must not both create the tables.
LOCK = 5_198_001

engine = create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.run_migrations()
engine.dispose()
