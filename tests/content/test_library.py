"""Whether a version may be used: the check made when a text is shown and again when it is sent."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from content import library, products
from content.models import Nav, Product, SaleStatus, State, Version
from tests.builders import MONDAY, a_branch, a_product, an_approved_material


async def usable(
    session: AsyncSession,
    *versions: Version,
    channel: str = "single_chat",
    branch: UUID | None = None,
    ceiling: int = 5,
) -> set[UUID]:
    ids = [version.id for version in versions]
    return await library.only_live(
        session, ids, now=MONDAY, channel=channel, branch_id=branch, risk_ceiling=ceiling
    )


async def test_nothing_asked_is_nothing_answered(session: AsyncSession) -> None:
    assert await usable(session) == set()


@pytest.mark.parametrize("state", [state for state in State if state != State.APPROVED])
async def test_only_approved_versions_are_usable(session: AsyncSession, state: State) -> None:
    version = await an_approved_material(session, state=state)
    assert await usable(session, version) == set()


async def test_a_version_not_yet_valid_is_not_usable(session: AsyncSession) -> None:
    version = await an_approved_material(session)
    version.valid_from = MONDAY + timedelta(seconds=1)
    await session.flush()
    assert await usable(session, version) == set()


async def test_a_version_is_usable_on_its_channels_only(session: AsyncSession) -> None:
    version = await an_approved_material(session, channels=["single_chat"])
    assert await usable(session, version) == {version.id}
    assert await usable(session, version, channel="group") == set()


async def test_a_version_is_usable_in_its_branches_only(session: AsyncSession) -> None:
    east, west = await a_branch(session), await a_branch(session, "城西支行")
    version = await an_approved_material(session, branch_ids=[east.id])
    assert await usable(session, version, branch=east.id) == {version.id}
    assert await usable(session, version, branch=west.id) == set()
    assert await usable(session, version, branch=None) == set()


async def test_a_version_above_the_customers_risk_level_is_not_usable(
    session: AsyncSession,
) -> None:
    version = await an_approved_material(session, risk=3)
    assert await usable(session, version, ceiling=3) == {version.id}
    assert await usable(session, version, ceiling=2) == set()


async def test_a_product_rated_up_after_approval_counts_at_once(session: AsyncSession) -> None:
    product = await a_product(session, rating=2)
    version = await an_approved_material(session, risk=2, products=[product])
    assert await usable(session, version, ceiling=2) == {version.id}
    product.bank_rating = 4
    await session.flush()
    assert await usable(session, version, ceiling=3) == set()
    assert [d.risk for d in await library.documents(session, [version.id])] == [4]


@pytest.mark.parametrize("status", [SaleStatus.SUSPENDED, SaleStatus.CLOSED])
async def test_a_material_of_a_product_not_on_sale_is_not_usable(
    session: AsyncSession, status: SaleStatus
) -> None:
    on_sale, stopped = await a_product(session), await a_product(session, name="云岫60天")
    version = await an_approved_material(session, products=[on_sale, stopped])
    assert await usable(session, version) == {version.id}
    stopped.sale_status = status
    await session.flush()
    assert await usable(session, version) == set()


async def test_a_private_offering_never_reaches_a_group(session: AsyncSession) -> None:
    product = await a_product(session)
    product.offering = "private"
    everywhere = ["single_chat", "group", "kf", "moments"]
    version = await an_approved_material(session, products=[product], channels=everywhere)
    assert await usable(session, version) == {version.id}
    assert await usable(session, version, channel="group") == set()
    assert await usable(session, version, channel="moments") == set()


@given(issuer=st.integers(1, 5), bank=st.integers(1, 5))
def test_the_higher_of_the_two_ratings_counts(issuer: int, bank: int) -> None:
    product = Product.model_construct(issuer_rating=issuer, bank_rating=bank)
    low = Product.model_construct(issuer_rating=1, bank_rating=1)
    assert product.rating == max(issuer, bank)
    assert products.highest_rating([product, low]) == max(issuer, bank)
    assert products.highest_rating([]) == 0


async def test_documents_carry_all_an_index_needs(session: AsyncSession) -> None:
    product = await a_product(session)
    body = "第一段，说的是赎回的受理时间。\n\n第二段，说的是到账时间。"
    version = await an_approved_material(session, title="赎回", body=body, products=[product])
    (document,) = await library.documents(session, [version.id])
    assert (document.version_id, document.number, document.title) == (version.id, 1, "赎回")
    assert [passage.position for passage in document.passages] == [0, 1]
    assert document.product_names == (product.name,)
    assert document.questions == tuple(version.questions)


async def test_live_documents_and_titles_follow_the_same_rules(session: AsyncSession) -> None:
    shown = await an_approved_material(session, title="赎回到账")
    await an_approved_material(session, title="赎回到账旧版", state=State.WITHDRAWN)
    risky = await an_approved_material(session, title="赎回高风险", risk=5)
    assert _ids(await library.live_documents(session, MONDAY)) == {shown.id, risky.id}
    here = {"channel": "single_chat", "branch_id": None, "risk_ceiling": 2}
    assert _ids(await library.live_documents(session, MONDAY, **here)) == {shown.id}  # type: ignore[arg-type]
    assert _ids(await library.search_titles(session, "赎回", MONDAY, **here)) == {shown.id}  # type: ignore[arg-type]
    assert await library.search_titles(session, "100%_", MONDAY, **here) == []  # type: ignore[arg-type]


def _ids(documents: Sequence[library.LibraryDocument]) -> set[UUID]:
    return {document.version_id for document in documents}


async def test_facts_carry_the_newest_value_and_the_effective_rating(
    session: AsyncSession,
) -> None:
    product = await a_product(session, rating=2)
    product.issuer_rating = 3
    for day, value in ((2, "1.0020"), (1, "1.0010")):
        session.add(Nav(product_id=product.id, on=date(2026, 11, day), value=Decimal(value)))
    await session.flush()
    facts = (await products.facts_of(session, [product.code, "NONE"], MONDAY))[product.code]
    assert (facts.rating, facts.nav, facts.min_amount_cents) == (3, Decimal("1.002"), 100)
    series = await products.nav_series(session, product.id)
    assert [on.day for on, _ in series] == [1, 2]
