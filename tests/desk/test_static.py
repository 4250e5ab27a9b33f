"""Scripts, styles and pictures: kept by browsers for good, and never the wrong ones."""

import re

from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from desk.render import static
from tests.builders import a_staff
from tests.conftest import Product, Visitor

FOR_GOOD = "public, max-age=31536000, immutable"


async def asked(visitor: Visitor, address: str) -> tuple[int, str]:
    """The status of a file and how long it may be kept."""
    async with await visitor.get(address) as answer:
        return answer.status, answer.headers["Cache-Control"]


async def test_what_a_page_needs_is_kept_for_good(session: AsyncSession, product: Product) -> None:
    """An address names what it holds, so that a page after an update asks for other ones."""
    admin = await a_staff(session, Role.ADMIN)
    await session.commit()
    visitor = await product.client(admin)
    shown = await visitor.text("/system/components")
    needed = set(re.findall(r'="(/static/[^"#]+)', shown))
    assert {static("app.css"), static("app.js"), static("icons.svg")} <= needed
    for address in needed:
        assert await asked(visitor, address) == (200, FOR_GOOD), address


async def test_another_state_of_a_file_is_not_kept_for_good(product: Product) -> None:
    """As between two processes while the one of the old release still answers."""
    visitor = await product.client()
    for address in ("/static/app.css", "/static/app.css?v=000000000000", "/static/mark.svg"):
        assert await asked(visitor, address) == (200, "public, max-age=600"), address


async def test_a_file_that_is_not_there_is_not_kept(product: Product) -> None:
    """Nor is one outside the folder ever looked at."""
    visitor = await product.client()
    for address in ("/static/nothing.js?v=1", "/static/%2e%2e/render.py?v=1", "/static/?v=1"):
        status, kept = await asked(visitor, address)
        assert status in (403, 404), address
        assert kept == "no-store"
