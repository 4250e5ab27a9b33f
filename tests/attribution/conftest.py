"""Looking at what is asked of the database."""

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession


@pytest.fixture
def statements(session: AsyncSession) -> list[str]:
    """Every statement that this session's engine sends, in order."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    assert session.bind is not None
    event.listen(session.bind.sync_engine, "before_cursor_execute", note)
    return sent
