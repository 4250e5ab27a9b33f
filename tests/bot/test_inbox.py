"""Durable first: nobody is answered before the commit or the flush that holds their event."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlmodel import select

from bank.database import Sessions
from bank.sealing import Seal
from bot.inbound import inbox as doors
from bot.inbound.inbox import AT_ONCE, PATIENCE_SECONDS, Inbox, NotKept, TextGone, text_of
from bot.inbound.spool import Spool
from bot.models import InboundEvent, InboundState
from tests.builders import MONDAY

SEAL = Seal([bytes(range(32))])


def an_inbox(database: str, folder: Path, limit: int = 1 << 20) -> Inbox:
    return Inbox(database, SEAL, Spool(folder / "spool", limit))


@pytest.fixture
def inbox(database: str, tmp_path: Path) -> Inbox:
    """The door of one process."""
    return an_inbox(database, tmp_path)


async def events(sessions: Sessions) -> list[InboundEvent]:
    async with sessions() as session:
        rows = await session.execute(select(InboundEvent).order_by(InboundEvent.id))  # type: ignore[arg-type]
        return list(rows.scalars())


async def bodies(sessions: Sessions) -> list[str]:
    """What is stored, in the order it came."""
    return [text_of(event, SEAL) for event in await events(sessions)]


async def test_what_is_answered_is_stored(inbox: Inbox, sessions: Sessions) -> None:
    async with inbox.running():
        await inbox.put("<xml>1</xml>", "", MONDAY)
        assert await bodies(sessions) == ["<xml>1</xml>"]


async def test_the_text_lies_sealed_and_its_kind_beside_it(
    inbox: Inbox, sessions: Sessions
) -> None:
    async with inbox.running():
        await inbox.put("<xml>女士</xml>", "wm1", MONDAY, kind="msgaudit_notify", urgent=True)
    [event] = await events(sessions)
    assert "女士".encode() not in bytes(event.sealed or b"")
    assert (event.kind, event.urgent, event.order_key) == ("msgaudit_notify", True, "wm1")
    event.sealed = None
    with pytest.raises(TextGone):
        text_of(event, SEAL)


async def test_many_at_once_share_commits_and_keep_their_order(
    inbox: Inbox, sessions: Sessions
) -> None:
    wanted = [f"<xml>{n}</xml>" for n in range(1200)]
    async with inbox.running():
        await asyncio.gather(*(inbox.put(body, "", MONDAY) for body in wanted))
    assert await bodies(sessions) == wanted


async def test_the_same_content_twice_is_stored_once(inbox: Inbox, sessions: Sessions) -> None:
    async with inbox.running():
        await asyncio.gather(*(inbox.put("<xml>same</xml>", "", MONDAY) for _ in range(5)))
        await inbox.put("<xml>same</xml>", "", MONDAY)
    assert await bodies(sessions) == ["<xml>same</xml>"]


async def test_words_no_table_can_hold_stop_nobody(inbox: Inbox, sessions: Sessions) -> None:
    async with inbox.running():
        await asyncio.gather(
            inbox.put(b"\x00\xff\xfe", "wm\0" + "x" * 5000, MONDAY, kind="k\0" * 5000),
            inbox.put("<xml>fine</xml>", "", MONDAY),
        )
    assert len(await events(sessions)) == 2


async def test_a_held_event_tells_whether_it_was_known(inbox: Inbox, sessions: Sessions) -> None:
    signed = MONDAY - timedelta(hours=2)
    async with inbox.running():
        assert await inbox.put("<xml>late</xml>", "wm1", MONDAY, sent_at=signed)
        assert not await inbox.put("<xml>late</xml>", "wm1", MONDAY, sent_at=signed)
        assert await inbox.put("<xml>late</xml>", "wm1", MONDAY)
    [event] = await events(sessions)
    assert (event.state, event.sent_at) == (InboundState.HELD, signed)


async def test_a_closed_inbox_refuses_instead_of_losing(inbox: Inbox) -> None:
    async with inbox.running():
        pass
    waiting = asyncio.ensure_future(inbox.put("<xml>late</xml>", "", MONDAY))
    await asyncio.sleep(0)
    assert not waiting.done()
    async with inbox.running():
        await waiting


# ----------------------------------------------------------------------- while the database is away


async def test_a_lost_connection_costs_nobody_an_answer(inbox: Inbox, sessions: Sessions) -> None:
    async with inbox.running():
        await inbox.put("<xml>before</xml>", "", MONDAY)
        async with sessions.begin() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            )
        await inbox.put("<xml>during</xml>", "", MONDAY)
        await inbox.put("<xml>after</xml>", "", MONDAY)
        await drained(inbox)
    assert await bodies(sessions) == [
        f"<xml>{word}</xml>" for word in ("before", "during", "after")
    ]


async def drained(inbox: Inbox) -> None:
    async with asyncio.timeout(20):
        while inbox.spooled:  # noqa: ASYNC110 - nobody rings when it is done
            await asyncio.sleep(0.01)


@asynccontextmanager
async def frozen_table(database: str) -> AsyncIterator[None]:
    """Nobody can write events until the block is left: every query waits."""
    async with await psycopg.AsyncConnection.connect(database) as holder:
        await holder.execute("LOCK TABLE inbound_event IN ACCESS EXCLUSIVE MODE")
        yield
        await holder.rollback()


async def test_a_database_that_hangs_is_passed_by_and_the_order_kept(
    inbox: Inbox, database: str, sessions: Sessions
) -> None:
    loop = asyncio.get_running_loop()
    async with inbox.running():
        await inbox.put("<xml>0</xml>", "wm1", MONDAY)
        async with frozen_table(database):
            for number in range(1, 4):
                began = loop.time()
                await inbox.put(f"<xml>{number}</xml>", "wm1", MONDAY)
                assert loop.time() - began < PATIENCE_SECONDS + 1
            assert inbox.spooled == 3
        await drained(inbox)
        await inbox.put("<xml>4</xml>", "wm1", MONDAY)
    assert await bodies(sessions) == [f"<xml>{number}</xml>" for number in range(5)]


async def test_what_a_process_left_in_its_spool_is_stored_by_the_next(
    database: str, tmp_path: Path, sessions: Sessions
) -> None:
    away = an_inbox("postgresql://127.0.0.1:9/nowhere", tmp_path)
    async with away.running():
        await away.put("<xml>kept</xml>", "wm1", MONDAY, kind="text", urgent=True)
        await away.put("<xml>held</xml>", "", MONDAY, sent_at=MONDAY - timedelta(hours=1))
    back = an_inbox(database, tmp_path)
    async with back.running():
        await back.put("<xml>new</xml>", "", MONDAY)
        await drained(back)
    kept, held, new = await events(sessions)
    assert (kept.kind, kept.urgent, kept.order_key, kept.received_at) == (
        "text",
        True,
        "wm1",
        MONDAY,
    )
    assert (held.state, held.sent_at) == (InboundState.HELD, MONDAY - timedelta(hours=1))
    assert text_of(new, SEAL) == "<xml>new</xml>"
    assert list((tmp_path / "spool").iterdir()) == []


async def test_a_living_process_takes_over_from_a_dead_one(
    database: str,
    tmp_path: Path,
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doors, "ADOPT_SECONDS", 0.05)
    living = an_inbox(database, tmp_path)
    dying = an_inbox("postgresql://127.0.0.1:9/nowhere", tmp_path)
    async with living.running():
        await living.put("<xml>1</xml>", "", MONDAY)
        async with dying.running():
            await dying.put("<xml>2</xml>", "", MONDAY)
        async with asyncio.timeout(20):
            while len(await events(sessions)) < 2:  # noqa: ASYNC110 - nobody rings when it is done
                await asyncio.sleep(0.01)
    assert sorted(await bodies(sessions)) == ["<xml>1</xml>", "<xml>2</xml>"]


async def test_with_neither_database_nor_room_nobody_is_told_it_is_safe(tmp_path: Path) -> None:
    inbox = an_inbox("postgresql://127.0.0.1:9/nowhere", tmp_path, limit=2000)
    async with inbox.running():
        answers = [
            await asyncio.gather(inbox.put(f"<xml>{n}</xml>", "", MONDAY), return_exceptions=True)
            for n in range(AT_ONCE // 10)
        ]
        kept = [answer for [answer] in answers if answer is True]
        assert 0 < len(kept) == inbox.spooled < len(answers)
        with pytest.raises(NotKept):
            await inbox.put("<xml>one more</xml>", "", MONDAY)
