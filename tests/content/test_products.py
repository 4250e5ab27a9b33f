"""What the product master answers: facts as of today, in an order no benchmark decides."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from content import benchmarks, checks, products
from content.models import Nav, Product, ProductKind
from content.product_cards import Incomplete, ProductCard, card_of
from tests.builders import MONDAY, a_product, an_approved_material

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("day", "before"),
    [
        (date(2026, 11, 23), date(2026, 10, 23)),
        (date(2026, 3, 31), date(2026, 2, 28)),
        (date(2024, 3, 30), date(2024, 2, 29)),
        (date(2026, 1, 1), date(2025, 12, 1)),
    ],
)
def test_a_month_ends_on_the_day_it_began(day: date, before: date) -> None:
    assert products.a_month_before(day) == before


@pytest.mark.parametrize(
    ("inception", "shown"),
    [(date(2026, 10, 23), True), (date(2026, 10, 24), False), (date(2026, 11, 30), False)],
)
async def test_performance_is_null_in_the_first_month(
    session: AsyncSession, inception: date, shown: bool
) -> None:
    product = await a_product(session)
    product.inception = inception
    session.add(Nav(product_id=product.id, on=TODAY, value=Decimal("1.0213")))
    await session.flush()
    facts = (await products.facts_of(session, [product.code], MONDAY))[product.code]
    assert (facts.nav, facts.nav_on) == ((Decimal("1.0213"), TODAY) if shown else (None, None))
    assert facts.inception == inception


async def test_permuting_benchmarks_and_values_leaves_every_order_unchanged(
    session: AsyncSession,
) -> None:
    shelf = [await a_product(session, name=f"安心{n}号") for n in "甲乙丙"]
    await an_approved_material(session, products=shelf)
    orders = set()
    for values in permutations(("1.10%", "2.20%", "3.30%")):
        for product, value in zip(shelf, values, strict=True):
            product.benchmark, product.benchmark_basis = value, "依据"
            nav = Decimal(value[:3])
            await session.merge(Nav(product_id=product.id, on=TODAY, value=nav))
        await session.flush()
        listed = [product.code for product in await products.find(session)]
        by_codes = [p.code for p in await products.by_codes(session, listed)]
        orders.add((tuple(listed), tuple(by_codes)))
    codes = tuple(sorted(product.code for product in shelf))
    assert orders == {(codes, codes)}


@pytest.mark.parametrize(
    ("since", "until", "listed"),
    [
        (None, None, False),
        (TODAY, None, True),
        (TODAY + timedelta(days=1), None, False),
        (date(2024, 1, 8), TODAY, False),
        (date(2024, 1, 8), TODAY + timedelta(days=1), True),
    ],
)
async def test_the_list_is_the_one_of_today_in_python_and_in_the_database(
    session: AsyncSession, since: date | None, until: date | None, listed: bool
) -> None:
    product = await a_product(session)
    product.listed_from, product.listed_until = since, until
    await session.flush()
    assert product.is_listed(TODAY) is listed
    on = await products.find(session, listed=(True, TODAY))
    off = await products.find(session, listed=(False, TODAY))
    assert (on, off) == (([product], []) if listed else ([], [product]))
    facts = (await products.facts_of(session, [product.code], MONDAY))[product.code]
    assert facts.listed is listed


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("bank_rating = 6", "ck_product_rated"),
        ("listed_until = listed_from", "ck_product_listed_in_order"),
        ("listed_from = NULL, listed_until = '2027-01-01'", "ck_product_listed_in_order"),
    ],
)
async def test_the_table_refuses_what_cannot_be(
    session: AsyncSession, change: str, constraint: str
) -> None:
    await a_product(session)
    with pytest.raises(IntegrityError, match=constraint):
        await session.execute(text(f"UPDATE product SET {change}"))


# ------------------------------------------------------------------------------------------- card


async def test_a_card_tells_issuer_agency_rating_term_and_fees(session: AsyncSession) -> None:
    product = await a_product(session, rating=3)
    card = card_of(product)
    assert isinstance(card, ProductCard)
    assert card.rating == 3
    assert card.term == "无固定期限，每个工作日开放"
    assert "本行为代销机构" in card.statement
    assert card.issuer in card.statement
    product.agency, product.term_days = False, 90
    own = card_of(product)
    assert isinstance(own, ProductCard)
    assert (own.statement, own.term) == ("本产品由本行发行与管理。", "90 天")


@pytest.mark.parametrize(
    ("changed", "lacks"),
    [
        ({"issuer": " "}, "发行机构"),
        ({"bank_rating": 0}, "风险评级"),
        ({"open_rule": ""}, "期限或开放规则"),
        ({"fees": ""}, "费用"),
    ],
)
async def test_without_one_of_them_there_is_no_card_and_no_approval(
    session: AsyncSession, changed: dict[str, object], lacks: str
) -> None:
    product = await a_product(session)
    assert not checks.blocking(checks.findings_of("标题", "正文", [product]))
    for name, value in changed.items():
        setattr(product, name, value)
    assert card_of(product) == Incomplete((lacks,))
    blocking = [f for f in checks.findings_of("标题", "正文", [product]) if f.level == "block"]
    assert [finding.rule for finding in blocking] == ["concealment.product_card"]
    assert lacks in blocking[0].reason


# ------------------------------------------------------------------------------------- benchmarks


@pytest.mark.parametrize(
    ("said", "value", "held"),
    [
        ("基准 1.60%–2.10%。", "1.60%–2.10%", True),
        ("基准１.６０％ ～ ２.１０％", "1.60%–2.10%", True),
        ("基准1.60%至2.10%", "1.60%-2.10%", True),
        ("基准 11.60%–2.10%", "1.60%–2.10%", False),
        ("基准 1.60%–2.105%", "1.60%–2.10%", False),
        ("任何文字", "", False),
        ("7天通知 存款利率", "7天通知存款利率", True),
    ],
)
def test_a_value_is_found_however_it_is_written(said: str, value: str, held: bool) -> None:
    assert benchmarks.holds(said, value) is held


@pytest.mark.parametrize(
    ("said", "foreign"),
    [
        ("业绩比较基准为1.60%–2.10%", []),
        ("业绩比较基准：1.6%—2.1%", []),
        ("业绩比较基准为1.60-2.30%", ["2.30%"]),
        ("业绩基准3%，与过往无关", ["3%"]),
        ("费率0.20%/年。业绩比较基准见说明书。收费0.3%", []),
    ],
)
def test_figures_told_as_a_benchmark_must_stand_in_the_master(
    said: str, foreign: list[str]
) -> None:
    assert benchmarks.foreign_figures(said, ["1.60%–2.10%"]) == foreign


def test_a_stray_benchmark_blocks_at_its_place() -> None:
    sold = Product(
        code="X", name="云岫", kind=ProductKind.WEALTH, issuer="云州理财", issuer_rating=2,
        bank_rating=2, regime="NFRA", offering="public", agency=True, term_days=30, open_rule="",
        min_amount_cents=1, fees="无", benchmark="1.60%–2.10%", benchmark_basis="依据",
        inception=TODAY, redemption="", description="",
    )  # fmt: skip
    body = "业绩比较基准为3.00%，依据见说明书。"
    [found] = [
        f for f in checks.findings_of("标题", body, [sold]) if f.rule.endswith("not_in_master")
    ]
    assert (found.level, found.field, body[found.start : found.end]) == ("block", "body", "3.00%")


@pytest.mark.parametrize(
    ("said", "rating", "says"),
    [("风险等级Ｒ２", 2, True), ("R2（中低风险）", 2, True), ("PR2、R20", 2, False)],
)
def test_a_rating_is_read_as_written(said: str, rating: int, says: bool) -> None:
    assert benchmarks.says_rating(said, rating) is says
