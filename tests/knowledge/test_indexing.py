"""The index follows the library: nothing skipped, nothing kept that was taken away."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.database import Sessions
from bot.chaos.indexes import take_away_vectors
from content import library, review
from content.models import LibraryChange, Version
from knowledge.encoder import Encoder, load_encoder
from knowledge.hybrid import Audience
from knowledge.indexing import LibraryIndex
from knowledge.models import IndexState
from knowledge.pgvector import PgvectorStore, prepare
from tests.builders import MONDAY, an_approved_material
from tests.content.worlds import Office, an_office

QUESTION = "赎回几天到账"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("builtin")


@pytest.fixture
def index(encoder: Encoder, tmp_path: Path) -> LibraryIndex:
    return LibraryIndex(encoder, tmp_path / "index")


@pytest.fixture
async def office(session: AsyncSession, tmp_path: Path) -> Office:
    return await an_office(session, tmp_path / "files")


async def withdraw(office: Office, version: Version) -> None:
    outcome = await review.withdraw(
        office.session, version.id, by=office.compliance, reason="口径有变", now=MONDAY
    )
    assert isinstance(outcome, review.Withdrawn)
    await office.session.commit()


def found(index: LibraryIndex) -> set[object]:
    audience = Audience(MONDAY + timedelta(hours=1), "single_chat", None, 5)
    return {hit.document for hit in index.hybrid.search(QUESTION, audience, 10).hits}


async def test_what_is_approved_is_found_and_what_is_withdrawn_is_not(
    index: LibraryIndex, office: Office
) -> None:
    version = await office.live()
    await office.session.commit()
    assert not index.caught_up
    assert await index.catch_up(office.session, MONDAY) == 1
    assert index.caught_up
    assert found(index) == {version.id}
    assert index.holds(version.id)
    await withdraw(office, version)
    assert await index.catch_up(office.session, MONDAY) == 1
    assert found(index) == set()
    assert await index.catch_up(office.session, MONDAY) == 0


async def test_a_cursor_never_passes_a_change_that_commits_late(
    index: LibraryIndex, office: Office, sessions: Sessions
) -> None:
    """Numbers are given before the commit: the second writer must wait for the first."""
    first, second = await office.live(), await office.live(title="另一份赎回说明")
    await office.session.commit()
    await index.catch_up(office.session, MONDAY)
    await office.session.commit()
    slow = sessions()
    await review.withdraw(slow, first.id, by=office.compliance, reason="慢", now=MONDAY)

    async def quick() -> None:
        async with sessions.begin() as session:
            await review.withdraw(session, second.id, by=office.compliance, reason="快", now=MONDAY)

    waiting = asyncio.create_task(quick())
    async with sessions() as looking:
        while not await waits_for_a_turn(looking):
            assert not waiting.done()
        assert await index.catch_up(looking, MONDAY) == 0
    await slow.commit()
    await slow.close()
    await waiting
    async with sessions() as looking:
        assert await index.catch_up(looking, MONDAY) == 2
        assert index.seq == await library.newest_seq(looking)
    assert found(index) == set()


async def waits_for_a_turn(session: AsyncSession) -> bool:
    """Whether somebody waits for an advisory lock."""
    query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    return bool((await session.execute(query)).scalar_one())


async def test_many_writers_at_once_leave_no_gap(
    index: LibraryIndex, office: Office, sessions: Sessions
) -> None:
    versions = [await office.live(title=f"赎回说明之{n}") for n in range(6)]
    await office.session.commit()

    async def end(version: Version) -> None:
        async with sessions.begin() as session:
            await review.withdraw(session, version.id, by=office.compliance, reason="x", now=MONDAY)

    async def follow() -> None:
        async with sessions() as session:
            while len(index.hybrid) or not index.caught_up:
                await index.catch_up(session, MONDAY)
                await session.commit()

    await asyncio.wait_for(asyncio.gather(follow(), *(end(v) for v in versions)), 20)
    assert found(index) == set()


async def test_a_restart_goes_on_from_what_was_saved_and_hears_what_it_missed(
    index: LibraryIndex, office: Office, encoder: Encoder, tmp_path: Path
) -> None:
    kept, gone = await office.live(), await office.live(title="另一份赎回说明")
    await office.session.commit()
    await index.catch_up(office.session, MONDAY)
    await index.learn(office.session, MONDAY)
    await office.session.commit()
    await withdraw(office, gone)  # while nobody runs
    after = LibraryIndex(encoder, tmp_path / "index")
    await after.restore(office.session)
    assert after.seq == index.seq
    assert not after.caught_up
    assert await after.catch_up(office.session, MONDAY) == 1
    assert found(after) == {kept.id}


async def test_a_folder_of_yesterday_goes_on_from_there(
    index: LibraryIndex, office: Office, encoder: Encoder, tmp_path: Path
) -> None:
    first = await office.live()
    await index.catch_up(office.session, MONDAY)
    await index.learn(office.session, MONDAY)
    await office.session.commit()
    shutil.copytree(tmp_path / "index", tmp_path / "yesterday")
    was = index.seq
    await withdraw(office, first)
    second = await office.live(title="另一份赎回说明")
    await office.session.commit()
    await index.catch_up(office.session, MONDAY)
    await index.learn(office.session, MONDAY)
    after = LibraryIndex(encoder, tmp_path / "yesterday")
    assert await after.restore(office.session) == ""
    assert after.seq == was
    assert await after.catch_up(office.session, MONDAY) == 2
    assert found(after) == {second.id}


async def test_a_damaged_foreign_or_missing_folder_is_built_anew(
    index: LibraryIndex, office: Office, encoder: Encoder, tmp_path: Path
) -> None:
    version = await office.live()
    await index.catch_up(office.session, MONDAY)
    index.hybrid.save(tmp_path / "foreign", f"{index.seq} of another bank")
    await index.learn(office.session, MONDAY)
    await office.session.commit()
    damage(tmp_path / "index")
    for folder in ("foreign", "index", "nowhere"):
        after = LibraryIndex(encoder, tmp_path / folder)
        assert await after.restore(office.session), folder
        assert after.seq == 0, folder
        await after.catch_up(office.session, MONDAY)
        assert found(after) == {version.id}, folder


def damage(folder: Path) -> None:
    """Every file ends otherwise."""
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"?")


async def test_building_again_replaces_the_whole_and_saves_it(
    index: LibraryIndex, office: Office, encoder: Encoder, tmp_path: Path
) -> None:
    version = await office.live()
    await office.session.commit()
    await index.catch_up(office.session, MONDAY)
    before = index.hybrid
    await index.rebuild(office.session, MONDAY)
    await office.session.commit()
    assert index.hybrid is not before
    assert found(index) == {version.id}
    after = LibraryIndex(encoder, tmp_path / "index")
    assert await after.restore(office.session) == ""
    assert (after.seq, after.hybrid.generation) == (index.seq, index.hybrid.generation)


async def test_with_vectors_in_the_database_a_restart_takes_them_up_from_there(
    office: Office, encoder: Encoder, tmp_path: Path, database: str
) -> None:
    prepare(database)
    store = PgvectorStore(database)
    index = LibraryIndex(encoder, tmp_path / "index", store)
    version = await office.live()
    await office.session.commit()
    await index.catch_up(office.session, MONDAY)
    await index.learn(office.session, MONDAY)
    assert [kind for kind, _ in index.hybrid.held_by] == ["pgvector"]
    after = LibraryIndex(encoder, tmp_path / "index", store)
    assert await after.restore(office.session) == ""
    assert after.hybrid.held_by == index.hybrid.held_by
    assert found(after) == {version.id}
    take_away_vectors(database)
    await after.catch_up(office.session, MONDAY)
    assert found(after) == {version.id}
    await after.catch_up(office.session, MONDAY)
    assert after.has_more_to_learn
    await after.learn(office.session, MONDAY)
    assert not after.hybrid.is_missing_vectors
    store.close()


async def test_an_empty_library_is_caught_up(index: LibraryIndex, session: AsyncSession) -> None:
    assert await index.catch_up(session, MONDAY) == 0
    assert index.caught_up
    assert (await session.execute(select(func.count()).select_from(IndexState))).scalar() == 0


async def test_only_the_last_of_several_changes_counts(
    index: LibraryIndex, session: AsyncSession
) -> None:
    version = await an_approved_material(session, now=MONDAY)
    session.add(LibraryChange(version_id=version.id, live=False, at=MONDAY))
    await session.commit()
    assert await index.catch_up(session, MONDAY) == 2
    assert found(index) == set()
