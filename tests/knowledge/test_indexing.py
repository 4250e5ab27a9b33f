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
from content import library, review
from content.models import LibraryChange, Version
from knowledge.encoder import Encoder, load_encoder
from knowledge.hybrid import Audience
from knowledge.indexing import LibraryIndex
from knowledge.models import IndexState
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


async def test_a_stale_or_damaged_folder_is_built_anew(
    index: LibraryIndex, office: Office, encoder: Encoder, tmp_path: Path
) -> None:
    first = await office.live()
    await index.catch_up(office.session, MONDAY)
    await index.learn(office.session, MONDAY)
    await office.session.commit()
    shutil.copytree(tmp_path / "index", tmp_path / "yesterday")
    await withdraw(office, first)
    second = await office.live(title="另一份赎回说明")
    await office.session.commit()
    await index.catch_up(office.session, MONDAY)
    await index.learn(office.session, MONDAY)
    await office.session.commit()
    for file in (tmp_path / "index").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-1] + b"?")
    for folder in ("yesterday", "index", "nowhere"):
        after = LibraryIndex(encoder, tmp_path / folder)
        await after.restore(office.session)
        assert after.seq == 0, folder
        await after.catch_up(office.session, MONDAY)
        assert found(after) == {second.id}, folder


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
