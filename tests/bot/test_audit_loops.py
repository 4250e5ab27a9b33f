"""A worker as it runs: lines are linked within moments, and a check that was asked for is made."""

import asyncio

from bank.audit_chain import waiting
from bank.audit_heads import open_heads
from bank.audit_keeping import ask_check
from bank.models import AuditCheck
from bank.settings import Settings
from bot.loops import running_loops
from tests.bank.auditing import Book
from tests.builders import MONDAY
from tests.conftest import Product

PATIENCE_SECONDS = 30


async def test_a_worker_links_the_book_and_checks_it_when_asked(
    product: Product, settings: Settings
) -> None:
    parts = product.parts
    book = Book(parts.sessions, settings)
    await book.write(5)
    async with parts.sessions.begin() as session:
        await ask_check(session, "zhoulan", MONDAY)
    async with running_loops(settings, parts, "worker"):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await done(product):
                pass
    assert book.check().sound
    assert open_heads(settings).tip() is not None
    async with parts.sessions() as session:
        made = await session.get_one(AuditCheck, 1)
    assert made.sound is True


async def done(product: Product) -> bool:
    """Whether nothing waits any more, and the check has its result."""
    async with product.parts.sessions() as session:
        made = await session.get_one(AuditCheck, 1)
        return made.finished_at is not None and not await waiting(session)
