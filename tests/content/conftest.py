"""An editorial office for every test that wants one."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tests.content.worlds import Office, an_office


@pytest.fixture
async def office(session: AsyncSession, tmp_path: Path) -> Office:
    """One author, two reviewers, and the files."""
    return await an_office(session, tmp_path / "home" / "files")
