"""`siyu index`: how far the saved index is, and building it again from the database."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from bank import logs
from bank.database import Sessions, open_engine, open_sessions, ring, utc_now
from bank.settings import Settings
from bot import serve
from content import library
from knowledge.encoder import load_encoder
from knowledge.indexing import REBUILD_BELL, LibraryIndex
from knowledge.vectors import open_store

commands = typer.Typer(
    help="The search index: how far it is, and building it again from the database.",
    no_args_is_help=True,
)


@dataclass(frozen=True)
class Status:
    """The index as saved here, beside the library; `damage` says why it cannot be used."""

    damage: str
    vectors: str
    generation: str
    documents: int
    seq: int
    newest: int
    held_by: list[str]

    @property
    def sound(self) -> bool:
        """Whether the next start can go on from it."""
        return not self.damage

    def lines(self) -> list[str]:
        """For a terminal."""
        if not self.sound:
            return [
                f"DAMAGED: {self.damage}",
                "下次启动时会从数据库重建；也可执行 siyu index rebuild。",
            ]
        behind = self.newest - self.seq
        return [
            f"ok: {self.documents:,} documents, generation {self.generation}, {self.vectors}"
            f" ({', '.join(self.held_by) or 'empty'})",
            f"已收录到第 {self.seq:,} 次素材库变更，其后还有 {behind:,} 次，启动后自动补上。",
        ]


def _settings() -> Settings:
    settings = Settings()
    logs.set_up(settings.log_format)
    return settings


@commands.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Whether the index saved on this machine is whole, and how far it goes; exit 1 if damaged.

    Example: siyu index status
    """
    with serve.with_database(_settings()) as ready:
        found = asyncio.run(status_of(ready))
    told = [json.dumps(asdict(found), ensure_ascii=False)] if as_json else found.lines()
    typer.echo("\n".join(told))
    raise SystemExit(0 if found.sound else 1)


@commands.command()
def rebuild() -> None:
    """Build the index from the database again, here and in every running process.

    Example: siyu index rebuild
    """
    with serve.with_database(_settings()) as ready:
        found = asyncio.run(rebuilt(ready))
    typer.echo(json.dumps(asdict(found), ensure_ascii=False))


async def status_of(settings: Settings) -> Status:
    """The saved index, read whole."""
    async with _opened(settings) as (sessions, index):
        return await _status(sessions, index, settings)


async def rebuilt(settings: Settings) -> Status:
    """Build and save it, and tell running processes to build theirs; they serve meanwhile."""
    async with _opened(settings) as (sessions, index):
        async with sessions.begin() as session:
            await index.rebuild(session, utc_now())
            await ring(session, REBUILD_BELL)
        return await _status(sessions, index, settings)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Sessions, LibraryIndex]]:
    engine = open_engine(settings.database_url, pool_size=2)
    store = open_store(settings.vectors, settings.database_url)
    try:
        index = LibraryIndex(load_encoder(settings.encoder), settings.home / "index", store)
        yield open_sessions(engine), index
    finally:
        store.close()
        await engine.dispose()


async def _status(sessions: Sessions, index: LibraryIndex, settings: Settings) -> Status:
    saved = LibraryIndex(index.encoder, settings.home / "index", index.store)
    async with sessions() as session:
        damage = await saved.restore(session)
        newest = await library.newest_seq(session)
    return Status(
        damage=damage,
        vectors=index.store.name,
        generation=saved.hybrid.generation,
        documents=len(saved.hybrid),
        seq=saved.seq,
        newest=newest,
        held_by=[f"{kind} {rows}" for kind, rows in saved.hybrid.held_by],
    )
