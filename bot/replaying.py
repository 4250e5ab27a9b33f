"""`siyu replay`: everything a suggestion kept about how it came to be."""

from typing import Any
from uuid import UUID

from bank.database import open_engine, open_sessions
from bank.settings import Settings
from knowledge.models import Suggestion


async def replayed(settings: Settings, wanted: UUID) -> dict[str, Any] | None:
    """The suggestion as JSON; None where there is no such one."""
    engine = open_engine(settings.database_url)
    try:
        async with open_sessions(engine)() as session:
            found = await session.get(Suggestion, wanted)
            return found.model_dump(mode="json") if found else None
    finally:
        await engine.dispose()
