"""An editorial office for every test that wants one, and a product with people around it."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from content.models import Product
from tests.builders import a_product, a_staff
from tests.content.worlds import BASIS, OLD, Office, an_office


@pytest.fixture
async def office(session: AsyncSession, tmp_path: Path) -> Office:
    """One author, two reviewers, and the files."""
    return await an_office(session, tmp_path / "home" / "files")


@pytest.fixture
async def editor(session: AsyncSession) -> Staff:
    """Who may propose."""
    return await a_staff(session, Role.EDITOR, name="周编")


@pytest.fixture
async def hq(session: AsyncSession) -> Staff:
    """Who may propose and confirm."""
    return await a_staff(session, Role.HQ, name="高总")


@pytest.fixture
async def compliance(session: AsyncSession) -> Staff:
    """Who may confirm."""
    return await a_staff(session, Role.COMPLIANCE, name="孙合规")


@pytest.fixture
async def sold(session: AsyncSession) -> Product:
    """A product of R2 with a benchmark."""
    product = await a_product(session, rating=2)
    product.benchmark, product.benchmark_basis = OLD, BASIS
    await session.flush()
    return product
