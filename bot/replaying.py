"""`siyu replay`: everything a suggestion kept about how it came to be, and what became of it."""

from typing import Any
from uuid import UUID

from bank.database import open_engine, open_sessions
from bank.settings import Settings
from knowledge.models import Suggestion
from outbound import records


async def replayed(settings: Settings, wanted: UUID) -> dict[str, Any] | None:
    """The suggestion as JSON, with what the RM tried to send of it; None where there is none."""
    engine = open_engine(settings.database_url)
    try:
        async with open_sessions(engine)() as session:
            found = await session.get(Suggestion, wanted)
            if found is None:
                return None
            tried = await records.of_source(session, "suggestion", wanted)
            attempts = [row.model_dump(mode="json") for row in tried]
            return found.model_dump(mode="json") | {"attempts": attempts}
    finally:
        await engine.dispose()
