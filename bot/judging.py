"""`siyu judge`: accepted suggestions asked again of today's index and writer, before a release."""

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bank.database import open_engine, open_sessions, utc_now
from bank.settings import Settings
from bot.app import writer as writer_of
from knowledge import evaluation
from knowledge.encoder import load_encoder
from knowledge.indexing import LibraryIndex
from knowledge.metering import Meter
from knowledge.writer import OpenAIWriter, QuotingWriter, Writer


async def judged(settings: Settings, now: datetime, limit: int, ask_model: bool) -> dict[str, Any]:
    """The report over the newest accepted suggestions; nothing but a model's tokens is written."""
    engine = open_engine(settings.database_url)
    writer: Writer = QuotingWriter()
    if ask_model:
        writer = writer_of(
            settings, Meter(open_sessions(engine), settings.llm_tokens_a_day, utc_now)
        )
    try:
        async with open_sessions(engine)() as session:
            with TemporaryDirectory(prefix="siyu-judge-") as folder:
                index = await _built(session, settings, Path(folder), now)
            report = (await evaluation.judge(session, index, writer, now, limit)).report()
            await session.rollback()
            return report | {"generation": index.hybrid.generation, "writer": writer.name}
    finally:
        if isinstance(writer, OpenAIWriter):
            await writer.close()
        await engine.dispose()


async def _built(
    session: AsyncSession, settings: Settings, folder: Path, now: datetime
) -> LibraryIndex:
    """An index of its own over today's library; what a running process has noted stays."""
    index = LibraryIndex(load_encoder(settings.encoder), folder)
    await index.catch_up(session, now)
    if index.has_more_to_learn:
        await index.learn(session, now)
    await session.rollback()
    return index
