"""The index as a projection of the library: caught up from a cursor, rebuilt from nothing.

Every process keeps its own copy in memory; what it shows is checked again in the database, so a
copy that lags can hide a new material for a moment but never show a withdrawn one.
"""

import asyncio
from datetime import datetime
from pathlib import Path
from uuid import UUID

import structlog
from aiohttp import web
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from content import library
from content.models import LibraryChange
from knowledge.encoder import Encoder
from knowledge.hybrid import Entry, HybridIndex
from knowledge.index import IndexDamaged
from knowledge.models import IndexState
from knowledge.snapshot import Document, Role

log = structlog.get_logger("knowledge")

BELL = "library"
NAME = "library"
AT_ONCE = 500


class LibraryIndex:
    """The searchable copy of the library in this process, and how far it has caught up.

    `caught_up` once everything was taken in that there was; `seq` is the last change known.
    """

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.encoder = encoder
        self.hybrid = HybridIndex(encoder)
        self.seq = 0
        self.caught_up = False
        self.has_more_to_learn = False
        self.is_learning = False
        self._folder = folder
        self._turn = asyncio.Lock()

    async def restore(self, session: AsyncSession) -> None:
        """Go on from what was saved, if it is what this database last noted; else from nothing."""
        noted = await session.get(IndexState, NAME)
        if noted is None or not self._folder.exists():
            return
        try:
            await asyncio.to_thread(self.hybrid.load, self._folder)
        except IndexDamaged as damage:
            log.warning("index_rebuilt", why=str(damage))
            return
        if self.hybrid.generation == noted.generation:
            self.seq = noted.seq
        else:
            self.hybrid = HybridIndex(self.encoder)

    async def catch_up(self, session: AsyncSession, now: datetime) -> int:
        """Take in what changed in the library since last time; returns how many changes."""
        async with self._turn:
            taken = 0
            while changes := await library.changes_since(session, self.seq, AT_ONCE):
                await self._take_in(session, changes)
                self.seq = changes[-1].seq or self.seq
                taken += len(changes)
            if taken:
                self.has_more_to_learn = True
                await self._note(session, now)
                log.info("index_caught_up", seq=self.seq, changes=taken)
            self.caught_up = True
            return taken

    async def learn(self, session: AsyncSession, now: datetime) -> None:
        """Fit to the library's example questions and save; searches go on meanwhile."""
        self.has_more_to_learn, self.is_learning = False, True
        try:
            await asyncio.to_thread(self.hybrid.fit)
        finally:
            self.is_learning = False
        async with self._turn:
            await asyncio.to_thread(self.hybrid.save, self._folder)
            await self._note(session, now)

    async def _take_in(self, session: AsyncSession, changes: list[LibraryChange]) -> None:
        # Of several changes to a version only the last one counts.
        live_now = {change.version_id: change.live for change in changes}
        live = await library.documents(session, [v for v, is_live in live_now.items() if is_live])
        gone = [v for v, is_live in live_now.items() if not is_live]
        await asyncio.to_thread(self._replace, live, gone)

    def _replace(self, live: list[library.LibraryDocument], gone: list[UUID]) -> None:
        entries: dict[Document, list[Entry]] = {version_id: [] for version_id in gone}
        entries |= {document.version_id: entries_of(document) for document in live}
        self.hybrid.replace_documents(entries)

    def holds(self, version_id: UUID) -> bool:
        """Whether a search here can find that version."""
        return version_id in self.hybrid

    async def _note(self, session: AsyncSession, now: datetime) -> None:
        facts = {
            "seq": self.seq,
            "generation": self.hybrid.generation,
            "documents": len(self.hybrid),
            "caught_up_at": now,
        }
        row = insert(IndexState).values(name=NAME, **facts)
        await session.execute(row.on_conflict_do_update(index_elements=["name"], set_=facts))


def entries_of(document: library.LibraryDocument) -> list[Entry]:
    """The rows of a document that can be found: its title, its passages, its example questions."""
    if document.valid_from is None or document.valid_until is None:
        raise ValueError(f"version {document.version_id} is live without a validity")
    texts: list[tuple[Role, int, str]] = [("title", 0, document.title)]
    texts += [("passage", passage.position, passage.text) for passage in document.passages]
    texts += [("question", i, question) for i, question in enumerate(document.questions)]
    return [
        Entry(
            key=0,
            document=document.version_id,
            role=role,
            position=position,
            text=text,
            valid_from=document.valid_from,
            valid_until=document.valid_until,
            channels=frozenset(document.channels),
            branches=None if document.branch_ids is None else frozenset(document.branch_ids),
            risk=document.risk,
        )
        for role, position, text in texts
    ]


LIBRARY_INDEX = web.AppKey("LIBRARY_INDEX", LibraryIndex)
