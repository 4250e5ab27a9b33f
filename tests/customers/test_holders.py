"""Who holds a product, and whom it no longer suits after its rating changed."""

from datetime import date, timedelta

from sqlalchemy import true
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from customers import holders
from tests.builders import MONDAY, a_branch, a_customer, a_follow, a_staff
from tests.conftest import Product
from tests.customers.worlds import a_holding


async def test_those_it_no_longer_suits_come_first_and_are_counted(session: AsyncSession) -> None:
    cases = {
        "够": (4, MONDAY - timedelta(days=10), 1_000_000),
        "恰好": (3, MONDAY - timedelta(days=365), 500),
        "过期": (5, MONDAY - timedelta(days=366), 300),
        "不够": (2, MONDAY - timedelta(days=10), 900),
        "未测评": (None, None, 100),
    }
    for name, (risk, assessed, yuan) in cases.items():
        customer = await a_customer(session, name=name, risk=risk, assessed_at=assessed)
        await a_holding(session, customer, yuan=yuan, matures_on=date(2027, 1, 5))
        await a_holding(session, customer, yuan=1, product="OTHER")
    found = await holders.of_product(session, true(), "YX90D", 3, MONDAY)
    assert [line.customer.name for line in found.lines] == ["不够", "过期", "未测评", "够", "恰好"]
    assert [line.suits for line in found.lines] == [False, False, False, True, True]
    assert [line.ceiling for line in found.lines] == [2, 0, 0, 4, 3]
    assert (found.total, found.unsuited) == (5, 3)
    assert found.amount_cents == sum(yuan for _, _, yuan in cases.values()) * 100


SEPTEMBER = date(2026, 9, 15)


async def test_several_holdings_of_one_customer_are_one_line(session: AsyncSession) -> None:
    customer = await a_customer(session)
    await a_holding(session, customer, yuan=100, matures_on=date(2027, 3, 1))
    await a_holding(session, customer, yuan=200, matures_on=date(2027, 1, 5), bought_on=SEPTEMBER)
    found = await holders.of_product(session, true(), "YX90D", 3, MONDAY)
    [line] = found.lines
    assert (line.amount_cents, line.matures_on) == (30_000, date(2027, 1, 5))


async def test_many_are_turned_over_page_by_page(session: AsyncSession) -> None:
    for _ in range(holders.PAGE + 1):
        await a_holding(session, await a_customer(session))
    pages = [
        await holders.of_product(session, true(), "YX90D", 3, MONDAY, number) for number in (1, 9)
    ]
    assert [(len(found.lines), found.page, found.pages) for found in pages] == [
        (holders.PAGE, 1, 2),
        (1, 2, 2),
    ]
    assert len({line.customer.id for found in pages for line in found.lines}) == holders.PAGE + 1


async def test_the_part_shows_only_whom_one_may_see(
    product: Product, session: AsyncSession
) -> None:
    branch = await a_branch(session)
    rm = await a_staff(session, Role.RM, branch=branch, name="王敏")
    mine, other = [
        await a_customer(session, name=name, risk=2, branch=branch) for name in ("李女士", "赵先生")
    ]
    await a_follow(session, rm, mine)
    for customer in (mine, other):
        await a_holding(session, customer, yuan=50_000)
    hq = await a_staff(session, Role.HQ)
    editor = await a_staff(session, Role.EDITOR)
    await session.commit()
    address = "/customers/holders/YX90D?rating=3"
    seen = await (await product.client(rm)).text(address)
    assert "李女士" in seen
    assert "赵先生" not in seen
    assert "持有客户 1 位" in seen
    everyone = await (await product.client(hq)).text(address)
    for words in ("李女士", "赵先生", "须告知并重新匹配", "测评失效 2 位", "10.0 万元"):
        assert words in everyone
    assert (await (await product.client(editor)).get(address)).status == 403
    assert "没有人持有" in await (await product.client(hq)).text("/customers/holders/NONE?rating=3")
    assert (await (await product.client(hq)).get("/customers/holders/YX90D?rating=x")).status == 400
