"""After a change of rating an open suggestion about the product can no longer be sent (C-03)."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from content.models import Kind
from content.models import Product as Sold
from knowledge.models import SuggestionState
from tests.builders import a_product, an_approved_material
from tests.conftest import Product
from tests.content.worlds import re_rated
from tests.knowledge.test_suggestions import Desk


@pytest.fixture
async def selling(product: Product, session: AsyncSession) -> tuple[Desk, Sold]:
    """An offered reply made from material about a product."""
    about = await a_product(session, rating=2)
    await an_approved_material(session, kind=Kind.PRODUCT_NOTE, risk=2, products=[about])
    return await Desk(product, session).opens(), about


async def test_an_open_suggestion_can_no_longer_be_sent_or_seen_as_sendable(
    selling: tuple[Desk, Sold], session: AsyncSession
) -> None:
    desk, about = selling
    made = await desk.asks()
    assert made.state is SuggestionState.OFFERED
    contact = desk.customer.external_userid
    assert "data-send" in await desk.sidebar.text(f"/sidebar/{contact}/suggestions")
    await re_rated(session, about, 3, desk.product.clock())
    await session.commit()
    # At once: before any index or loop hears of it.
    assert "data-send" not in await desk.sidebar.text(f"/sidebar/{contact}/suggestions")
    said = await desk.clears(made, made.draft)
    assert "已下线、过期或不再适合该客户" in said["refused"][0]
    assert (await desk.now(made)).state is SuggestionState.WITHDRAWN
    again = await desk.asks("我赎回的钱几天能到账呢")
    assert again.state is SuggestionState.NO_MATCH


async def test_an_edit_naming_a_product_off_the_list_is_refused(
    selling: tuple[Desk, Sold], session: AsyncSession
) -> None:
    desk, about = selling
    off = await a_product(session, name="云岫私享专户")
    await session.commit()
    made = await desk.asks()
    edit = f"{made.draft}\n也可以看看{off.name}。"
    unlisted = "“云岫私享专户”不在总行今天的产品名单内，不得向客户提及"
    assert unlisted not in (await desk.clears(made, edit, "one"))["refused"]
    off.listed_from = None
    await session.commit()
    assert unlisted in (await desk.clears(made, edit, "one"))["refused"]
    assert "text" in await desk.clears(made, f"{made.draft}\n{about.name}也可以咨询。", "one")
