"""Looking through the book: each filter finds what its words say, in a fixed number of queries."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import event, true
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from compliance.suitability import EDUCATION_ONLY, customer_ceiling
from customers.consent import withdraw
from customers.models import Stage
from customers.scan import Found, Wanted, scan, tiers
from tests.builders import MONDAY, a_branch, a_customer, a_follow, a_staff
from tests.customers.worlds import a_holding

TICK = timedelta(microseconds=1)


async def found(session: AsyncSession, **wanted: object) -> Found:
    """What the whole bank's list shows on Monday morning."""
    return await scan(session, true(), Wanted(**wanted), MONDAY)  # type: ignore[arg-type]


async def names(session: AsyncSession, **wanted: object) -> set[str]:
    """The names it shows."""
    return {line.customer.name for line in (await found(session, **wanted)).lines}


async def test_by_part_of_a_name_or_a_whole_number(session: AsyncSession) -> None:
    li = await a_customer(session, name="李女士")
    await a_customer(session, name="百分%先生")
    assert await names(session, text="李") == {"李女士"}
    assert await names(session, text=li.bank_no) == {"李女士"}
    assert await names(session, text=(li.bank_no or "")[:4]) == set()
    assert await names(session, text="%") == {"百分%先生"}


async def test_by_risk(session: AsyncSession) -> None:
    old = MONDAY - timedelta(days=366)
    await a_customer(session, name="三", risk=3)
    await a_customer(session, name="旧三", risk=3, assessed_at=old)
    await a_customer(session, name="五", risk=5)
    await a_customer(session, name="无", risk=None)
    assert await names(session, risk="3") == {"三", "旧三"}
    assert await names(session, risk="expired") == {"旧三"}
    assert await names(session, risk="none") == {"无"}
    assert await names(session, risk="?") == {"三", "旧三", "五", "无"}


LEAP_DAY = datetime(2024, 2, 29, 6, 0, tzinfo=UTC)
A_YEAR_AFTER_LEAP_DAY = datetime(2025, 2, 28, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("made", "now"),
    [
        (LEAP_DAY, A_YEAR_AFTER_LEAP_DAY),
        (LEAP_DAY, A_YEAR_AFTER_LEAP_DAY + TICK),
        (LEAP_DAY + timedelta(hours=4), A_YEAR_AFTER_LEAP_DAY + timedelta(hours=3)),
        (datetime(2025, 12, 31, 18, 0, tzinfo=UTC), datetime(2026, 12, 31, 18, 0, tzinfo=UTC)),
        (datetime(2025, 12, 31, 18, 0, tzinfo=UTC), datetime(2026, 12, 31, 18, 1, tzinfo=UTC)),
        (MONDAY, MONDAY - TICK),
    ],
)
async def test_the_list_and_the_rule_agree_on_what_has_expired(
    session: AsyncSession, made: datetime, now: datetime
) -> None:
    await a_customer(session, assessed_at=made)
    listed = await scan(session, true(), Wanted(risk="expired"), now)
    expired = customer_ceiling(3, made, now) == EDUCATION_ONLY
    assert (listed.total == 1) is expired
    everyone = await scan(session, true(), Wanted(), now)
    assert everyone.lines[0].risk_expired is expired


async def test_by_consent(session: AsyncSession) -> None:
    await a_customer(session, name="授权")
    await a_customer(session, name="从未", consents=False)
    stopped = await a_customer(session, name="撤回")
    await withdraw(session, stopped, by="rm1", now=MONDAY)
    assert await names(session, consent="yes") == {"授权"}
    assert await names(session, consent="no") == {"从未", "撤回"}
    lines = (await found(session)).lines
    words = {line.customer.name: line.consent for line in lines}
    assert words == {"授权": "yes", "从未": "no", "撤回": "withdrawn"}


async def test_by_tier_stage_rm_and_branch(session: AsyncSession) -> None:
    branch = await a_branch(session)
    rm = await a_staff(session, Role.RM, branch=branch)
    one = await a_customer(session, name="甲", branch=branch)
    other = await a_customer(session, name="乙")
    one.tier, other.tier, other.stage = "私行", "金卡", Stage.CLOSED
    await a_follow(session, rm, one)
    await session.flush()
    assert await names(session, tier="私行") == {"甲"}
    assert await names(session, stage="closed") == {"乙"}
    assert await names(session, stage="gone") == {"甲", "乙"}
    assert await names(session, rm=rm.id) == {"甲"}
    assert await names(session, branch=branch.id) == {"甲"}
    assert set(await tiers(session, true())) == {"私行", "金卡"}


async def test_most_held_first_and_turned_round(session: AsyncSession) -> None:
    for name, yuan in (("少", 1), ("多", 300), ("中", 20)):
        customer = await a_customer(session, name=name)
        for day in (1, 2):
            await a_holding(session, customer, yuan=yuan, bought_on=date(2026, 9, day))
    most = (await found(session)).lines
    assert [(line.customer.name, line.held_cents) for line in most] == [
        ("多", 60_000),
        ("中", 4_000),
        ("少", 200),
    ]
    least = (await found(session, descending=False)).lines
    assert [line.customer.name for line in least] == ["少", "中", "多"]


async def test_unassessed_customers_come_last_either_way(session: AsyncSession) -> None:
    for risk in (None, 2, 4):
        await a_customer(session, name=str(risk), risk=risk)
    up = (await found(session, sort="risk", descending=False)).lines
    down = (await found(session, sort="risk")).lines
    assert [line.customer.name for line in up] == ["2", "4", "None"]
    assert [line.customer.name for line in down] == ["4", "2", "None"]


async def test_twenty_a_page_in_as_many_queries_as_one(session: AsyncSession) -> None:
    rm = await a_staff(session, Role.RM)
    await a_follow(session, rm, await a_customer(session))
    sent: list[str] = []
    assert session.bind is not None
    event.listen(session.bind.sync_engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
    await found(session)
    alone = len(sent)
    for _ in range(44):
        await a_follow(session, rm, await a_customer(session))
    sent.clear()
    pages = [await found(session, page=number) for number in (1, 2, 3, 99)]
    assert [len(page.lines) for page in pages] == [20, 20, 5, 5]
    assert (pages[0].total, pages[0].pages, pages[3].page) == (45, 3, 3)
    assert len({line.customer.id for page in pages[:3] for line in page.lines}) == 45
    assert len(sent) == 4 * alone
    assert all(line.rms == [rm.name] for line in pages[0].lines)
