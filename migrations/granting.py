"""What the application's own database role may do: everything but change the audit book."""

import psycopg
from psycopg import sql

from bank.database import plain_url

# Lines and links are read and added. The queue of lines that wait is emptied as they are linked.
APPEND_ONLY = ("audit_entry", "audit_link")


class NoSuchRole(ValueError):
    """That role is not in the database; create it first: CREATE ROLE siyu_app LOGIN PASSWORD …"""


def grant_to(url: str, role: str) -> None:
    """Give the role what `siyu serve` needs on today's tables, and nothing it could use to alter
    the audit book; to be run again after every migration, as the owner of the tables."""
    with psycopg.connect(plain_url(url)) as connection:
        _refuse_unknown(connection, role)
        for statement in STATEMENTS:
            connection.execute(sql.SQL(statement).format(role=sql.Identifier(role)))
        for table in APPEND_ONLY:
            connection.execute(
                sql.SQL("REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {role}").format(
                    table=sql.Identifier(table), role=sql.Identifier(role)
                )
            )


STATEMENTS = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
    # The schema's own mark is read at every start and written by migrations alone.
    "REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}",
)


def _refuse_unknown(connection: psycopg.Connection[tuple[object, ...]], role: str) -> None:
    found = connection.execute(
        "SELECT rolsuper FROM pg_roles WHERE rolname = %s", (role,)
    ).fetchone()
    if found is None:
        raise NoSuchRole(f"{NoSuchRole.__doc__} ({role})")
    if found[0]:
        raise NoSuchRole(f"{role} is a superuser, whom no grant can hold back; use another role")
