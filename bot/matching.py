"""`siyu match`: match all customers and materials now, from where today's run stands."""

import asyncio
from datetime import datetime
from typing import Any

from bank.calendar import local_day
from bank.database import open_engine, open_sessions
from bank.settings import Settings
from knowledge import matches
from knowledge.encoder import load_encoder
from scheduler import sops


async def match_all(settings: Settings, now: datetime, *, afresh: bool) -> dict[str, Any]:
    """Run to the end; what the run of the day came to."""
    engine = open_engine(settings.database_url)
    sessions = open_sessions(engine)
    try:
        encoder = await asyncio.to_thread(load_encoder, settings.encoder)
        async with sessions() as session:
            steps = await sops.materials_in_steps(session)
        done = await matches.run(sessions, encoder, now, steps=steps, afresh=afresh)
        async with sessions() as session:
            of_today = await matches.run_of(session, local_day(now))
    finally:
        await engine.dispose()
    assert of_today is not None
    return {
        "generation": of_today.generation,
        "matched_now": done,
        "customers": of_today.customers,
        "materials": of_today.materials,
        "matches": of_today.matches,
    }
