"""What speaks for a material besides its words stays small, and says why."""

from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import Role
from content import library
from knowledge import effects
from knowledge.matching import Candidate, rank
from knowledge.merit import UNKNOWN, Merit, prior, reasons
from knowledge.models import MaterialEffect, Suggestion, SuggestionState
from tests.builders import MONDAY, a_customer, a_staff, an_approved_material

merits = st.builds(
    lambda days, decided, share, credited: Merit(days, decided, int(decided * share), credited),
    st.floats(0, 4000),
    st.integers(0, 10_000),
    st.floats(0, 1),
    st.integers(0, 10_000),
)


@given(merits)
def test_it_decides_only_between_materials_that_fit_alike(merit: Merit) -> None:
    assert -0.03 <= prior(merit) <= 0.07


def test_what_is_not_known_adds_nothing() -> None:
    assert prior(UNKNOWN) == 0
    assert reasons(UNKNOWN) == ()


def test_fresher_better_liked_and_worth_more_each_add() -> None:
    usual = Merit(90, 100, 50, 2)
    assert prior(Merit(9, 100, 50, 2)) > prior(usual)
    assert prior(Merit(90, 100, 90, 2)) > prior(usual) > prior(Merit(90, 100, 5, 2))
    assert prior(Merit(90, 100, 50, 9)) > prior(usual)
    assert prior(Merit(90, 1, 0, 0)) > prior(Merit(90, 100, 0, 0))


def test_the_better_liked_of_two_equal_materials_comes_first_and_says_so() -> None:
    plain = Candidate(
        version_id=uuid4(),
        material_id=uuid4(),
        title="甲",
        kind="faq",
        score=0.6,
        lexical=0.6,
        dense=0.6,
        matched_text="赎回几天到账",
        matched_role="question",
        passage_position=0,
        risk=0,
        product_codes=frozenset(),
    )
    liked = Candidate(
        **{**vars(plain), "version_id": uuid4(), "title": "乙", "merit": Merit(1, 40, 38, 3)}
    )
    first, second = rank([plain, liked], held=frozenset())
    assert (first.candidate, second.candidate) == (liked, plain)
    assert "近期客户经理采用 38/40 次" in first.reasons
    assert "近期带来 3 笔转化" in first.reasons


async def test_decisions_of_the_last_thirty_days_are_counted(session: AsyncSession) -> None:
    version = await an_approved_material(session)
    rm, customer = await a_staff(session, Role.RM), await a_customer(session)
    became = [
        (SuggestionState.SENT, 1),
        (SuggestionState.EDITED, 2),
        (SuggestionState.REJECTED, 3),
        (SuggestionState.OFFERED, 3),
        (SuggestionState.SENT, 31),
    ]
    session.add_all(
        Suggestion(
            question_key=f"typed:{number}",
            customer_id=customer.id,
            staff_id=rm.id,
            channel="single_chat",
            question="赎回几天到账",
            created_at=MONDAY - timedelta(days=days),
            state=state,
            tier="answer",
            confidence=0.9,
            draft="",
            writer="quoting",
            generation="g",
            version_id=version.id,
        )
        for number, (state, days) in enumerate(became)
    )
    await session.flush()
    for _ in range(2):
        assert await effects.count(session, "linear", MONDAY) == 1
    [row] = (await session.execute(select(MaterialEffect))).scalars()
    assert (row.material_id, row.decided, row.taken, row.credited) == (version.material_id, 3, 2, 0)
    [document] = await library.documents(session, [version.id])
    candidate = Candidate(
        version_id=version.id,
        material_id=version.material_id,
        title="",
        kind="faq",
        score=0.5,
        lexical=0.5,
        dense=0.5,
        matched_text="",
        matched_role="title",
        passage_position=0,
        risk=0,
        product_codes=frozenset(),
    )
    [weighed] = await effects.weighed(session, [candidate], {version.id: document}, MONDAY)
    assert weighed.merit == Merit(pytest.approx(1.0), 3, 2, 0)
