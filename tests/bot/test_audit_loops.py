"""A worker as it runs: lines are linked within moments, and a check that was asked for is made."""

import asyncio

from sqlmodel import col, select

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
    parts, heads = product.parts, open_heads(settings)
    book = Book(parts.sessions, settings)
    await book.write(5)
    async with running_loops(settings, parts, "worker"), asyncio.timeout(PATIENCE_SECONDS):
        while await unlinked(product) or heads.tip() is None:
            pass
        async with parts.sessions.begin() as session:
            await ask_check(session, "zhoulan", MONDAY)
        while not (made := await newest_check(product)).finished_at:
            pass
    assert book.check().sound
    assert made.sound is True


async def unlinked(product: Product) -> int:
    """How many lines wait for their link."""
    async with product.parts.sessions() as session:
        return await waiting(session)


async def newest_check(product: Product) -> AuditCheck:
    """The check made last, or under way."""
    async with product.parts.sessions() as session:
        newest = select(AuditCheck).order_by(col(AuditCheck.id).desc()).limit(1)
        return (await session.execute(newest)).scalar_one()
