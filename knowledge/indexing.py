"""The index as a projection of the library: caught up from a cursor, rebuilt from nothing.

Every process keeps its own copy in memory; what it shows is checked again in the database, so a
copy that lags can hide a new material for a moment but never show a withdrawn one.
"""

import asyncio
from datetime import UTC, datetime, timedelta
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
from knowledge.index import FaissStore, IndexDamaged, VectorStore
from knowledge.models import IndexState
from knowledge.snapshot import Document, Role

log = structlog.get_logger("knowledge")

BELL = "library"
REBUILD_BELL = "index_rebuild"
NAME = "library"
AT_ONCE = 500
TIDY_EVERY = timedelta(hours=1)
NOT_SAVED = "nothing is saved here yet"


class LibraryIndex:
    """The searchable copy of the library in this process, and how far it has caught up.

    `caught_up` once everything was taken in that there was; `seq` is the last change known.
    """

    def __init__(self, encoder: Encoder, folder: Path, store: VectorStore | None = None) -> None:
        self.encoder = encoder
        self.store = store or FaissStore()
        self.hybrid = HybridIndex(encoder, store=self.store)
        self.seq = 0
        self.caught_up = False
        self.has_more_to_learn = False
        self.is_learning = False
        self._folder = folder
        self._turn = asyncio.Lock()
        self._tidied_at: datetime | None = None

    async def restore(self, session: AsyncSession) -> str:
        """Go on from what was saved, if this database has been there; else from nothing.

        Returns why nothing could be taken up, and nothing when it was.
        """
        saved = HybridIndex(self.encoder, store=self.store)
        try:
            if not self._folder.exists():
                return NOT_SAVED
            mark = await asyncio.to_thread(saved.load, self._folder)
            number = mark.partition(" ")[0]
            seq = int(number) if number.isdecimal() else 0
            if mark != await _mark(session, seq):
                raise IndexDamaged(self._folder, "saved from another history of the library")
        except IndexDamaged as damage:
            log.warning("index_rebuilt", why=str(damage))
            return str(damage)
        self.hybrid, self.seq = saved, seq
        return ""

    async def catch_up(self, session: AsyncSession, now: datetime) -> int:
        """Take in what changed in the library since last time; returns how many changes."""
        async with self._turn:
            await self._tidy(now)
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

    async def _tidy(self, now: datetime) -> None:
        """Hourly; vectors that were taken away meanwhile are built again by the next learning."""
        if self._tidied_at is None or now - self._tidied_at >= TIDY_EVERY:
            await asyncio.to_thread(self.hybrid.tidy)
            self._tidied_at = now
        if self.hybrid.is_missing_vectors:
            self.has_more_to_learn = True

    async def rebuild(self, session: AsyncSession, now: datetime) -> None:
        """Build everything from the database again, beside what serves; swapped in when whole."""
        fresh = LibraryIndex(self.encoder, self._folder, self.store)
        await fresh.catch_up(session, now)
        await asyncio.to_thread(fresh.hybrid.fit)
        async with self._turn:
            self.hybrid, self.seq = fresh.hybrid, fresh.seq
            await self._save(session, now)
        await self.catch_up(session, now)

    async def learn(self, session: AsyncSession, now: datetime) -> None:
        """Fit to the library's example questions and save; searches go on meanwhile."""
        self.has_more_to_learn, self.is_learning = False, True
        try:
            await asyncio.to_thread(self.hybrid.fit)
        finally:
            self.is_learning = False
        async with self._turn:
            await self._save(session, now)

    async def _save(self, session: AsyncSession, now: datetime) -> None:
        mark = await _mark(session, self.seq)
        await asyncio.to_thread(self.hybrid.save, self._folder, mark)
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


async def _mark(session: AsyncSession, seq: int) -> str:
    """How far an index goes, in a word no other history of the library has."""
    change = await session.get(LibraryChange, seq)
    if change is None:
        return str(seq)
    return f"{seq} {change.version_id} {change.at.astimezone(UTC).isoformat()}"


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
            products=frozenset((*document.product_codes, *document.product_names)),
        )
        for role, position, text in texts
    ]


LIBRARY_INDEX = web.AppKey("LIBRARY_INDEX", LibraryIndex)
