"""The best of many: exact, filtered inside, the same in any cut, fair to materials."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.blocks import (
    AT_ONCE,
    NEVER,
    NOBODY,
    ROUND,
    Best,
    Crowd,
    Materials,
    Portion,
    Spots,
    Vectors,
    blocks,
    top,
)
from knowledge.encoder import unit

K = 10


def drawn(seed: int, customers: int, materials: int) -> tuple[Portion, Vectors]:
    """Customers of three groups, a few pairs of which score otherwise, and materials."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.standard_normal((materials, 16)).astype(np.float32))
    shut = np.where(rng.random((3, materials)) < 0.5, NEVER, np.float32(0))
    rows = np.repeat(np.arange(customers), 1)
    spots = Spots(
        rows,
        rng.integers(0, materials, customers),
        rng.choice([np.float32(-np.inf), np.float32(0.3)], customers).astype(np.float32),
    )
    needs = unit(rng.standard_normal((customers, 16)).astype(np.float32))
    groups = rng.integers(0, 3, customers).astype(np.int32)
    return Portion(needs, groups, shut.astype(np.float32), spots), vectors


def nobody_yet(materials: int) -> Crowd:
    """As at the beginning of a run."""
    return Crowd(np.zeros(materials, dtype=np.int64))


def by_hand(portion: Portion, vectors: Vectors) -> Vectors:
    """Every score, without blocks, strips or crowd."""
    scores = portion.needs @ vectors.T + portion.shut[portion.groups]
    scores[portion.spots.rows, portion.spots.columns] += portion.spots.values
    rounded: Vectors = np.round(scores, ROUND)
    return rounded


def found_in(portion: Portion, vectors: Vectors) -> Best:
    """By the product's own road."""
    [best] = blocks([portion], Materials(vectors), nobody_yet(len(vectors)), K)
    return best


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, AT_ONCE), st.integers(1, 700))
def test_the_best_are_the_best_and_nothing_shut_is_among_them(
    seed: int, customers: int, materials: int
) -> None:
    portion, vectors = drawn(seed, customers, materials)
    best, scores = found_in(portion, vectors), by_hand(portion, vectors)
    for row in range(customers):
        columns = best.columns[row][best.columns[row] != NOBODY]
        allowed = np.count_nonzero(scores[row] > NEVER)
        assert len(set(columns.tolist())) == len(columns) == min(K, allowed)
        assert (scores[row][columns] > NEVER).all()
        highest = np.sort(scores[row])[::-1][: len(columns)]
        np.testing.assert_allclose(best.scores[row][: len(columns)], highest, atol=3e-5)
        assert (best.columns[row][len(columns) :] == NOBODY).all()


def test_any_cut_of_the_customers_gives_the_same() -> None:
    portion, vectors = drawn(7, AT_ONCE, 500)
    whole = found_in(portion, vectors)
    again = found_in(portion, vectors)
    assert (whole.columns == again.columns).all()
    for row in (0, 17, AT_ONCE - 1):
        cut = Portion(
            portion.needs[row : row + 1],
            portion.groups[row : row + 1],
            portion.shut,
            portion.spots.between(row, row + 1),
        )
        assert (found_in(cut, vectors).columns[0] == whole.columns[row]).all()


def test_a_row_with_nothing_open_gets_nothing() -> None:
    best = top(np.full((2, 64), NEVER), K)
    assert (best.columns == NOBODY).all()


def test_no_material_floods_the_bank_and_nobody_goes_without() -> None:
    """Everybody needs the same; forty materials are about equally good."""
    rng, customers = np.random.default_rng(1), 40 * AT_ONCE
    middle = unit(rng.standard_normal((1, 64)).astype(np.float32))
    near = 0.02 * rng.standard_normal((40, 64)).astype(np.float32)
    vectors = unit(middle + near)
    same = np.repeat(middle, AT_ONCE, axis=0)
    nothing_shut = np.zeros((1, len(vectors)), dtype=np.float32)
    portion = Portion(same, np.zeros(AT_ONCE, dtype=np.int32), nothing_shut)
    crowd = nobody_yet(len(vectors))
    found = list(blocks([portion] * 40, Materials(vectors), crowd, K))
    assert all((best.columns != NOBODY).all() for best in found)
    assert crowd.served == customers
    assert crowd.shown.sum() == K * customers
    assert crowd.shown.max() / customers < 0.5
    assert np.count_nonzero(crowd.shown) > 30


def test_a_run_that_goes_on_counts_on() -> None:
    portion, vectors = drawn(3, AT_ONCE, 200)
    through = nobody_yet(200)
    straight = list(blocks([portion] * 4, Materials(vectors), through, K))
    first = nobody_yet(200)
    list(blocks([portion] * 2, Materials(vectors), first, K))
    second = Crowd(first.shown.copy(), first.served)
    resumed = list(blocks([portion] * 2, Materials(vectors), second, K))
    assert (second.shown == through.shown).all()
    for one, other in zip(straight[2:], resumed, strict=True):
        assert (one.columns == other.columns).all()
