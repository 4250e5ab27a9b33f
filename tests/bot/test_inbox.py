"""Durable first: nobody is answered before the commit that holds their event."""

import asyncio

import pytest
from sqlmodel import select

from bank.database import Sessions
from bot.inbox import Inbox
from bot.models import InboundEvent
from tests.builders import MONDAY


async def bodies(sessions: Sessions) -> list[str]:
    """What is stored, in the order it came."""
    async with sessions() as session:
        rows = await session.execute(select(InboundEvent).order_by(InboundEvent.id))  # type: ignore[arg-type]
        return [event.body for event in rows.scalars()]


async def test_what_is_answered_is_stored(database: str, sessions: Sessions) -> None:
    inbox = Inbox(database)
    async with inbox.running():
        await inbox.put("<xml>1</xml>", "", MONDAY)
        assert await bodies(sessions) == ["<xml>1</xml>"]


async def test_many_at_once_share_commits_and_keep_their_order(
    database: str, sessions: Sessions
) -> None:
    inbox = Inbox(database)
    wanted = [f"<xml>{n}</xml>" for n in range(1200)]
    async with inbox.running():
        await asyncio.gather(*(inbox.put(body, "", MONDAY) for body in wanted))
    assert await bodies(sessions) == wanted


async def test_the_same_content_twice_is_stored_once(database: str, sessions: Sessions) -> None:
    inbox = Inbox(database)
    async with inbox.running():
        await asyncio.gather(*(inbox.put("<xml>same</xml>", "", MONDAY) for _ in range(5)))
        await inbox.put("<xml>same</xml>", "", MONDAY)
    assert await bodies(sessions) == ["<xml>same</xml>"]


async def test_a_closed_inbox_refuses_instead_of_losing(database: str) -> None:
    inbox = Inbox(database)
    async with inbox.running():
        pass
    waiting = asyncio.ensure_future(inbox.put("<xml>late</xml>", "", MONDAY))
    await asyncio.sleep(0)
    assert not waiting.done()
    async with inbox.running():
        await waiting


async def test_a_lost_connection_refuses_who_waits_and_is_opened_again(
    database: str, sessions: Sessions
) -> None:
    inbox = Inbox(database)
    async with inbox.running():
        await inbox.put("<xml>before</xml>", "", MONDAY)
        async with sessions.begin() as session:
            from sqlalchemy import text

            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            )
        with pytest.raises(Exception, match=r".+"):
            await inbox.put("<xml>during</xml>", "", MONDAY)
        await inbox.put("<xml>after</xml>", "", MONDAY)
    assert (await bodies(sessions))[0] == "<xml>before</xml>"
    assert "<xml>after</xml>" in await bodies(sessions)
