"""What may be put before whom: one rule in two forms, and small facts about people."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.models import Kind, Use
from content.particulars import Persona
from knowledge.fitting import (
    Age,
    Exclusion,
    Piece,
    Shelf,
    Standing,
    against,
    age_of,
    is_marketing,
    personas_of,
)

BRANCHES = [UUID(int=number) for number in range(3)]
PERSONAS = [persona.value for persona in Persona]

standings = st.builds(
    Standing,
    branch_id=st.sampled_from([None, *BRANCHES]),
    ceiling=st.integers(0, 5),
    age=st.sampled_from(Age),
    consents=st.booleans(),
    personas=st.frozensets(st.sampled_from(PERSONAS)),
    complains=st.booleans(),
)
pieces = st.builds(
    Piece,
    version_id=st.uuids(),
    material_id=st.uuids(),
    code=st.text(max_size=4),
    title=st.just("标题"),
    kind=st.sampled_from(Kind),
    use=st.sampled_from(Use),
    risk=st.integers(0, 5),
    branches=st.none() | st.frozensets(st.sampled_from(BRANCHES)),
    personas=st.frozensets(st.sampled_from(PERSONAS), max_size=2),
    marketing=st.booleans(),
    products=st.frozensets(st.sampled_from(["P1", "P2"])),
)


@given(standings, st.lists(pieces, max_size=30))
def test_the_mask_allows_exactly_what_nothing_stands_against(
    who: Standing, on_shelf: Sequence[Piece]
) -> None:
    allowed = Shelf(on_shelf).allowed(who)
    assert allowed.tolist() == [not against(who, piece) for piece in on_shelf]


@given(standings, pieces)
def test_each_reason_says_what_is_so(who: Standing, piece: Piece) -> None:
    found = against(who, piece)
    assert (Exclusion.RISK in found) == (piece.risk > who.ceiling)
    assert (Exclusion.NO_CONSENT in found) == (piece.marketing and not who.consents)
    assert (Exclusion.COMPLAINT in found) == (piece.marketing and who.complains)
    assert (Exclusion.MINOR in found) == (who.age is Age.MINOR and piece.marketing)
    assert (Exclusion.SENIOR in found) == (who.age is Age.SENIOR and piece.risk >= 3)
    elsewhere = piece.branches is not None and who.branch_id not in piece.branches
    assert (Exclusion.BRANCH in found) == elsewhere


@pytest.mark.parametrize(
    ("years", "age"),
    [(None, Age.ADULT), (17, Age.MINOR), (18, Age.ADULT), (64, Age.ADULT), (65, Age.SENIOR)],
)
def test_ages_turn_on_the_birthday(years: int | None, age: Age) -> None:
    assert age_of(years) is age


def test_nobody_belongs_to_a_persona_by_what_is_not_known() -> None:
    assert personas_of(None, "", "", None) == frozenset()
    assert personas_of(62, "私行", "企业主", 10) == {"newcomer", "retired", "owner", "wealthy"}


@pytest.mark.parametrize(
    ("kind", "use", "products", "marketing"),
    [
        (Kind.EDUCATION, Use.AROUSE, [], False),
        (Kind.ARTICLE, Use.AROUSE, [], True),
        (Kind.FAQ, Use.ACCOMPANY, [], False),
        (Kind.FAQ, Use.ACCOMPANY, ["P1"], True),
        (Kind.EDUCATION, Use.TRUST, ["P1"], True),
    ],
)
def test_what_needs_consent(kind: Kind, use: Use, products: list[str], marketing: bool) -> None:
    assert is_marketing(kind, use, products) is marketing
