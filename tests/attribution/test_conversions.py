"""Conversions come in once, are credited to the cent, and are never rewritten."""

from datetime import timedelta
from itertools import product
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from attribution.conversions import Ingested, credits_of, ingest, match, settle
from attribution.models import (
    Conversion,
    ConversionState,
    Credit,
    CreditRun,
    Dimension,
    Model,
    Touchpoint,
    TouchpointKind,
)
from attribution.touchpoints import Seen, leading_to, record
from bank import audit
from tests.attribution.worlds import WINDOW_DAYS, Book, a_book, a_row, a_touchpoint, days, sums
from tests.builders import MONDAY, a_customer, a_staff, an_approved_material

WINDOW = timedelta(days=WINDOW_DAYS)


@pytest.fixture
async def book(session: AsyncSession) -> Book:
    """Two RMs, two customers, two materials."""
    return await a_book(session)


async def take_in(
    session: AsyncSession, *rows: dict[str, Any], source: str = "理财系统"
) -> Ingested:
    """Import these rows on Monday morning."""
    return await ingest(session, rows, source=source, now=MONDAY, window_days=WINDOW_DAYS)


async def lines(session: AsyncSession, model: Model, dimension: Dimension) -> list[Credit]:
    """The credit lines in the order of their touchpoints."""
    query = select(Credit).where(col(Credit.model) == model, col(Credit.dimension) == dimension)
    rows = await session.execute(query.order_by(col(Credit.touchpoint_id)))
    return list(rows.scalars())


async def test_first_last_and_linear_over_content_and_rms(
    session: AsyncSession, book: Book
) -> None:
    early = await a_touchpoint(
        session, book.customer, book.other_rm, MONDAY - days(9), version=book.arousing
    )
    plain = await a_touchpoint(session, book.customer, book.rm, MONDAY - days(5))
    late = await a_touchpoint(
        session, book.customer, book.rm, MONDAY - days(1), version=book.closing
    )
    outcome = await take_in(session, a_row(book.customer, amount="100.00"))

    assert outcome.new[0].state == ConversionState.CREDITED
    by_content = {
        model: [
            (line.subject_id, line.cents) for line in await lines(session, model, Dimension.CONTENT)
        ]
        for model in Model
    }
    arousing, closing = book.arousing.material_id, book.closing.material_id
    assert by_content == {
        Model.FIRST: [(arousing, 10_000)],
        Model.LAST: [(closing, 10_000)],
        Model.LINEAR: [(arousing, 5_000), (closing, 5_000)],
    }
    linear = await lines(session, Model.LINEAR, Dimension.RM)
    assert [(x.subject_id, x.touchpoint_id, x.cents) for x in linear] == [
        (book.other_rm.id, early.id, 3_334),
        (book.rm.id, plain.id, 3_333),
        (book.rm.id, late.id, 3_333),
    ]


async def test_every_model_and_dimension_adds_up_to_the_cent(
    session: AsyncSession, book: Book
) -> None:
    for n in range(7):
        await a_touchpoint(session, book.customer, book.rm, MONDAY - days(n), version=book.arousing)
    amounts = ["0.01", "99.99", "1,234,567.89", "-45.67"]
    await take_in(
        session,
        *(a_row(book.customer, reference=f"R{n}", amount=a) for n, a in enumerate(amounts)),
    )
    total = 1 + 9_999 + 123_456_789 - 4_567
    assert await sums(session) == {(m, d): total for m in Model for d in Dimension}


async def test_both_edges_of_the_window_count_and_nothing_beyond(
    session: AsyncSession, book: Book
) -> None:
    tick = timedelta(microseconds=1)
    at = MONDAY - days(1)
    for moment in (at - WINDOW - tick, at - WINDOW, at, at + tick):
        await a_touchpoint(session, book.customer, book.rm, moment)
    found = await leading_to(session, book.customer.id, at, WINDOW)
    assert [point.at for point in found] == [at - WINDOW, at]

    await take_in(session, a_row(book.customer, at=at))
    earned = [line.touchpoint_id for line in await lines(session, Model.LINEAR, Dimension.RM)]
    assert earned == [point.id for point in found]


async def test_at_the_same_moment_the_one_recorded_first_is_first(
    session: AsyncSession, book: Book
) -> None:
    at = MONDAY - days(1)
    one = await a_touchpoint(session, book.customer, book.rm, at, version=book.arousing)
    other = await a_touchpoint(session, book.customer, book.rm, at, version=book.closing)
    await take_in(session, a_row(book.customer))
    first = await lines(session, Model.FIRST, Dimension.CONTENT)
    last = await lines(session, Model.LAST, Dimension.CONTENT)
    assert [line.touchpoint_id for line in (*first, *last)] == [one.id, other.id]


async def test_what_the_customer_wrote_earns_nobody_a_share(
    session: AsyncSession, book: Book
) -> None:
    wrote = TouchpointKind.CUSTOMER_WROTE
    await a_touchpoint(session, book.customer, book.rm, MONDAY - days(1), kind=wrote)
    outcome = await take_in(session, a_row(book.customer))
    assert outcome.new[0].state == ConversionState.UNATTRIBUTED
    assert await sums(session) == {}


async def test_another_customers_touchpoints_do_not_count(
    session: AsyncSession, book: Book
) -> None:
    await a_touchpoint(session, book.other_customer, book.rm, MONDAY - days(1))
    outcome = await take_in(session, a_row(book.customer))
    assert outcome.new[0].state == ConversionState.UNATTRIBUTED


async def test_without_material_only_the_rm_is_credited(session: AsyncSession, book: Book) -> None:
    await a_touchpoint(session, book.customer, book.rm, MONDAY - days(1))
    await take_in(session, a_row(book.customer))
    assert await sums(session) == {(model, Dimension.RM): 10_000 for model in Model}


async def test_importing_twice_changes_nothing(session: AsyncSession, book: Book) -> None:
    await a_touchpoint(session, book.customer, book.rm, MONDAY - days(1))
    rows = [a_row(book.customer), a_row("C999999", reference="R2")]
    first = await take_in(session, *rows)
    before = await sums(session)
    again = await take_in(session, *rows)
    assert first.counts() | {"changed": 0} == {
        "read": 2,
        "new": 2,
        "changed": 0,
        "same": 0,
        "held": 1,
        "rejected": 0,
    }
    assert again.counts() == {
        "read": 2,
        "new": 0,
        "changed": 0,
        "same": 2,
        "held": 0,
        "rejected": 0,
    }
    assert await sums(session) == before
    assert len(await audit.history(session, "import", "理财系统")) == 1


async def test_the_same_reference_with_other_facts_is_rejected_with_a_reason(
    session: AsyncSession, book: Book
) -> None:
    await take_in(session, a_row(book.customer))
    outcome = await take_in(session, a_row(book.customer, amount="200.00"))
    assert outcome.counts_by["rejected"] == 1
    assert outcome.rejects[0]["amount"] == "200.00"
    assert "冲正" in outcome.rejects[0]["reason"]
    stored = (await session.execute(select(Conversion))).scalar_one()
    assert stored.amount_cents == 10_000


async def test_a_file_may_not_tell_one_reference_in_two_ways(
    session: AsyncSession, book: Book
) -> None:
    row = a_row(book.customer)
    outcome = await take_in(session, row, row, row | {"amount": "5.00"})
    assert outcome.counts() == {
        "read": 3,
        "new": 1,
        "changed": 0,
        "same": 1,
        "held": 0,
        "rejected": 1,
    }


async def test_a_file_that_comes_again_under_another_name_is_not_counted_twice(
    session: AsyncSession, book: Book
) -> None:
    await take_in(session, a_row(book.customer), source="conversions-2026-11")
    again = await take_in(session, a_row(book.customer), source="conversions-2026-11 (1)")
    assert again.counts_by["rejected"] == 1
    assert "conversions-2026-11" in again.rejects[0]["reason"]
    other = a_row(book.customer, at=MONDAY - days(2))
    assert (await take_in(session, other, source="基金系统")).counts_by["new"] == 1


async def test_rejected_rows_come_back_as_they_were(session: AsyncSession, book: Book) -> None:
    bad = a_row(book.customer, amount="很多") | {"remark": "柜面"}
    outcome = await take_in(session, bad, a_row(book.customer, reference="R2"))
    assert outcome.rejects == [bad | {"reason": outcome.rejects[0]["reason"]}]
    assert outcome.counts_by["new"] == 1


async def test_an_unknown_customer_is_held_and_credited_once_matched(
    session: AsyncSession, book: Book
) -> None:
    await a_touchpoint(session, book.customer, book.rm, MONDAY - days(1))
    held = (await take_in(session, a_row("C-WRONG"))).new[0]
    assert (held.state, await sums(session)) == (ConversionState.HELD, {})

    later = MONDAY + days(1)
    facts = {"by": "hq1", "now": later, "window_days": WINDOW_DAYS}
    assert await match(session, held, book.customer, **facts) is None
    assert held.state == ConversionState.CREDITED
    assert await sums(session) == {(model, Dimension.RM): 10_000 for model in Model}
    entry = (await audit.history(session, "conversion", held.id))[0]
    assert (entry.actor, entry.detail["customer"]) == ("hq1", str(book.customer.id))

    refused = await match(session, held, book.other_customer, **facts)
    assert refused is not None
    assert held.customer_id == book.customer.id
    assert (await take_in(session, a_row("C-WRONG"))).counts_by["same"] == 1


async def test_settling_again_credits_nobody_twice(session: AsyncSession, book: Book) -> None:
    await a_touchpoint(session, book.customer, book.rm, MONDAY - days(1))
    outcome = await take_in(session, a_row(book.customer))
    before = await sums(session)
    await settle(session, outcome.new, now=MONDAY + days(1), window_days=WINDOW_DAYS)
    assert await sums(session) == before
    runs = (await session.execute(select(CreditRun))).scalars().all()
    assert {(r.model, r.window_days, r.conversions, r.amount_cents) for r in runs} == {
        (model, WINDOW_DAYS, 1, 10_000) for model in Model
    }


async def test_a_reversal_mirrors_the_sale(session: AsyncSession, book: Book) -> None:
    for n in range(3):
        await a_touchpoint(session, book.customer, book.rm, MONDAY - days(n + 1))
    await take_in(
        session,
        a_row(book.customer, amount="100.00"),
        a_row(book.customer, reference="R1-冲正", amount="-100.00"),
    )
    assert set((await sums(session)).values()) == {0}
    by_touchpoint = select(col(Credit.touchpoint_id), func.sum(Credit.cents)).group_by(
        col(Credit.touchpoint_id)
    )
    assert all(cents == 0 for _, cents in await session.execute(by_touchpoint))


async def test_a_large_file_takes_the_same_few_queries_a_batch(
    session: AsyncSession, book: Book, statements: list[str]
) -> None:
    await a_touchpoint(session, book.customer, book.rm, MONDAY - days(1))
    rows = [a_row(book.customer, reference=f"R{n}") for n in range(400)]
    statements.clear()
    outcome = await take_in(session, *rows)
    assert outcome.counts_by["new"] == 400
    assert len(statements) < 20


async def test_a_touchpoint_is_recorded_once_for_its_source(
    session: AsyncSession, book: Book
) -> None:
    seen = Seen(
        customer_id=book.customer.id,
        staff_id=book.rm.id,
        kind=TouchpointKind.REPLY_SENT,
        channel="single_chat",
        at=MONDAY,
        source="touch",
        source_id="7",
        version_id=book.arousing.id,
    )
    await record(session, seen)
    await record(session, seen)
    point = (await session.execute(select(Touchpoint))).scalar_one()
    assert point.material_id == book.arousing.material_id


async def test_after_a_handover_the_share_stays_with_the_rm_of_the_touchpoint(
    session: AsyncSession, book: Book
) -> None:
    former = await a_staff(session, name="孙前任")
    customer = await a_customer(session, name="钱女士")
    material = await an_approved_material(session)
    await a_touchpoint(session, customer, former, MONDAY - days(3), version=material)
    await take_in(session, a_row(customer))
    assert {x.subject_id for x in await lines(session, Model.LAST, Dimension.RM)} == {former.id}


def a_path(drawn: list[tuple[int, int]]) -> list[Touchpoint]:
    """One RM's replies with one material, each (hours after Monday ten o'clock, id)."""
    customer, rm, material = uuid4(), uuid4(), uuid4()
    return [
        Touchpoint(
            id=id_,
            customer_id=customer,
            staff_id=rm,
            kind=TouchpointKind.REPLY_SENT,
            channel="single_chat",
            at=MONDAY + timedelta(hours=hour),
            material_id=material,
            source="suggestion",
            source_id=str(id_),
        )
        for hour, id_ in drawn
    ]


def divided(path: list[Touchpoint], cents: int) -> list[tuple[Model, Dimension, int, int]]:
    """How an amount is divided over that path."""
    conversion = Conversion(
        source="s",
        reference="r",
        bank_no="c",
        product_code="p",
        amount_cents=cents,
        at=MONDAY,
        imported_at=MONDAY,
    )
    runs = {
        model: CreditRun(model=model, window_days=30, at=MONDAY, conversions=1, amount_cents=cents)
        for model in Model
    }
    credited = credits_of(conversion, path, runs)
    return [(x.model, x.dimension, x.touchpoint_id, x.cents) for x in credited]


POINTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 99)),
    min_size=1,
    max_size=12,
    unique_by=lambda point: point[1],
)
CENTS = st.integers(-(10**9), 10**9).filter(bool)


@given(POINTS, st.randoms(), CENTS)
def test_the_order_in_which_touchpoints_are_read_changes_nothing(
    drawn: list[tuple[int, int]], random: Random, cents: int
) -> None:
    path = a_path(drawn)
    lines = divided(path, cents)
    random.shuffle(path)
    assert divided(path, cents) == lines
    for part in product(Model, Dimension):
        assert sum(amount for *of, _, amount in lines if tuple(of) == part) == cents
