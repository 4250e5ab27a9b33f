"""The application's own database role: it can do its work, and cannot touch the audit book."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from bank import audit
from bank.audit_keeping import Keeper
from bank.database import open_engine, open_sessions, plain_url
from bank.settings import Settings
from bot.doctor import Health, inside
from migrations import migrate
from migrations.granting import NoSuchRole, grant_to
from tests.bank.auditing import Book
from tests.builders import MONDAY, a_customer


@pytest.fixture
def role(database: str) -> Iterator[str]:
    """A role of the application, with what `siyu migrate --grant-to` gives it."""
    name = f"siyu_app_{uuid4().hex[:8]}"
    with psycopg.connect(plain_url(database), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
    grant_to(database, name)
    yield name
    with psycopg.connect(plain_url(database), autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


@pytest.fixture
def as_role(database: str, role: str) -> str:
    """The database's address for that role."""
    return database.replace("//postgres:", f"//{role}:", 1)


async def test_it_works_as_the_application_and_starts_on_a_migrated_database(
    as_role: str, role: str, settings: Settings
) -> None:
    migrate(as_role)
    engine = open_engine(as_role)
    sessions = open_sessions(engine)
    with psycopg.connect(plain_url(as_role)) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (role,)
    async with sessions.begin() as session:
        customer = await a_customer(session)
        audit.record(session, "customers:customer:stage", customer.id, by="a", now=MONDAY)
    async with sessions.begin() as session:
        customer = await session.get_one(type(customer), customer.id)
        customer.name = "王女士"
    ours = settings.model_copy(update={"database_url": as_role})
    book = Book(sessions, ours)
    assert await Keeper(sessions, book.heads).link(MONDAY) == 1
    assert book.check().sound
    await engine.dispose()


async def test_the_doctor_tells_both_apart(as_role: str, role: str, settings: Settings) -> None:
    ours = settings.model_copy(update={"database_url": as_role})
    owner, app = [
        next(each for each in await inside.look(one) if each.subject == inside.BOOK)
        for one in (settings, ours)
    ]
    assert (owner.health, "--grant-to" in owner.says.zh) == (Health.NOTE, True)
    assert (app.health, "只能追加" in app.says.zh) == (Health.OK, True)


FORBIDDEN = [
    "UPDATE audit_entry SET actor = 'x'",
    "DELETE FROM audit_entry",
    "TRUNCATE audit_entry",
    "UPDATE audit_link SET chain = ''",
    "DELETE FROM audit_link",
    "TRUNCATE audit_link",
    "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_is_append_only ON audit_link",
    "DROP TABLE audit_link",
    "SET session_replication_role = replica",
    "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE sql AS ''",
    "UPDATE alembic_version SET version_num = '0001'",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_it_cannot_change_the_book_nor_switch_its_guard_off(
    as_role: str, statement: str
) -> None:
    with (
        psycopg.connect(plain_url(as_role)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege) as refused,
    ):
        connection.execute(statement.encode())
    assert "append-only" not in str(refused.value)  # the grant holds, before any trigger


def test_a_role_that_is_not_there_or_is_above_grants_is_refused(database: str) -> None:
    with pytest.raises(NoSuchRole, match="CREATE ROLE"):
        grant_to(database, "nobody_here")
    with pytest.raises(NoSuchRole, match="superuser"):
        grant_to(database, "postgres")
