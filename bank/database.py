"""The database session: one engine a process, one transaction a request.

Nobody below the edges commits: the page middleware (`desk/shell.py`) and the loops of
`scheduler/clock.py` do. `flush()` where an id is needed. Sending is the exception
(docs/decisions/0003).
"""

import enum
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy import TIMESTAMP, Column, Enum, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlmodel import Field, SQLModel

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = MetaData(naming_convention=NAMES).naming_convention

Sessions = async_sessionmaker[AsyncSession]


def utc_now() -> datetime:
    """The present, aware, in UTC: the clock that `bot/app.py` hands down."""
    return datetime.now(UTC)


def key() -> Any:
    """A random primary key that cannot be guessed from another."""
    return Field(default_factory=uuid4, primary_key=True)


def instant(**options: Any) -> Any:
    """A moment, stored with its zone as UTC."""
    return Field(sa_type=TIMESTAMP(timezone=True), **options)


def document(**options: Any) -> Any:
    """A JSON value that is read and written whole."""
    return Field(sa_column=Column(JSONB, nullable=False), **options)


def word(kind: type[enum.StrEnum], **options: Any) -> Any:
    """A value of a closed list, stored as its word and kept by a check constraint."""
    column = Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=32,
        name=kind.__name__.lower(),
        values_callable=lambda members: [member.value for member in members],
    )
    return Field(sa_type=column, **options)


def async_url(url: str) -> str:
    """The same address for SQLAlchemy's asyncio engine on psycopg 3."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ValueError(
            f"SIYU_DATABASE_URL must start with postgresql:// — got {scheme or 'nothing'}://"
        )
    return f"postgresql+psycopg://{rest}"


def plain_url(url: str) -> str:
    """The same address for psycopg itself."""
    return async_url(url).replace("postgresql+psycopg://", "postgresql://", 1)


def open_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine whose connections are checked before use, so a restarted server is no error."""
    return create_async_engine(
        async_url(url), pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True
    )


def open_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions of that engine; objects stay readable after their commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def ring(session: AsyncSession, bell: str, payload: str = "") -> None:
    """Ring a bell that every process hears when this transaction commits, and not before."""
    await session.execute(
        text("SELECT pg_notify(:bell, :payload)"), {"bell": bell, "payload": payload}
    )


@asynccontextmanager
async def listening(url: str, *bells: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection that hears the named bells; iterate over its `notifies()`."""
    connection = await psycopg.AsyncConnection.connect(plain_url(url), autocommit=True)
    try:
        wish = psycopg.sql.SQL("LISTEN {}")
        wishes = [wish.format(psycopg.sql.Identifier(bell)) for bell in bells]
        await connection.execute(psycopg.sql.SQL("; ").join(wishes))
        yield connection
    finally:
        await connection.close()
