"""Vectors by id: the filter acts inside the search, a damaged file is never loaded."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.index import FaissIndex, IndexDamaged, VectorIndex


def filled(count: int = 6) -> FaissIndex:
    index = FaissIndex(count, encoder="unit")
    index.add(np.arange(count) + 10, np.eye(count, dtype=np.float32))
    return index


def nearest(index: VectorIndex, axis: int, k: int, allowed: list[int], size: int = 6) -> list[int]:
    ids, _ = index.search(np.eye(size, dtype=np.float32)[axis], k, allowed)
    return [int(number) for number in ids]


def test_the_nearest_comes_first() -> None:
    ids, scores = filled().search(np.array([0, 1, 0.5, 0, 0, 0]), 2, np.arange(30))
    assert ids.tolist() == [11, 12]
    assert scores.tolist() == [1, 0.5]


def test_the_filter_acts_inside_so_a_full_page_comes_back() -> None:
    assert sorted(nearest(filled(), axis=0, k=3, allowed=[13, 14, 15])) == [13, 14, 15]


def test_a_mask_says_by_its_place_who_is_allowed() -> None:
    mask = np.zeros(16, dtype=bool)
    mask[[12, 15]] = True
    ids, _ = filled().search(np.eye(6, dtype=np.float32)[0], 6, mask)
    assert sorted(ids.tolist()) == [12, 15]


def test_nobody_allowed_nothing_found() -> None:
    assert nearest(filled(), axis=0, k=3, allowed=[]) == []
    assert nearest(FaissIndex(6), axis=0, k=3, allowed=[1]) == []
    assert nearest(filled(), axis=0, k=0, allowed=[10]) == []


@settings(deadline=None)
@given(st.sets(st.integers(0, 19)), st.integers(0, 5), st.integers(1, 8))
def test_only_the_allowed_are_found_and_as_many_as_there_are(
    allowed: set[int], axis: int, k: int
) -> None:
    found = nearest(filled(), axis, k, sorted(allowed))
    there = allowed & set(range(10, 16))
    assert set(found) <= there
    assert len(found) == min(k, len(there))


def test_adding_an_id_again_replaces_it_and_removing_forgets_it() -> None:
    index = filled()
    index.add(np.array([10]), np.array([[0, 0, 0, 0, 0, 2]], dtype=np.float32))
    assert len(index) == 6
    assert nearest(index, axis=5, k=1, allowed=[10, 15]) == [10]
    index.remove(np.array([10, 99]))
    assert nearest(index, axis=5, k=6, allowed=list(range(30)))[0] == 15
    with pytest.raises(KeyError):
        index.vectors(np.array([10]))
    assert index.vectors(np.array([12, 11]))[0].tolist() == [0, 0, 1, 0, 0, 0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="dimension 6"):
        filled().add(np.array([1]), np.ones((1, 5), dtype=np.float32))
    with pytest.raises(ValueError, match="twice"):
        filled().add(np.array([1, 1]), np.ones((2, 6), dtype=np.float32))


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    filled().save(tmp_path / "a.vectors")
    index = FaissIndex.load(tmp_path / "a.vectors", dimension=6, encoder="unit")
    assert nearest(index, axis=3, k=1, allowed=list(range(30))) == [13]
    assert [file.name for file in tmp_path.iterdir()] == ["a.vectors"]


@pytest.mark.parametrize("where", [0, 20, 200, -1])
def test_a_changed_byte_is_noticed(tmp_path: Path, where: int) -> None:
    path = tmp_path / "a.vectors"
    filled().save(path)
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(IndexDamaged):
        FaissIndex.load(path, dimension=6, encoder="unit")


def test_a_short_missing_or_foreign_file_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.vectors"
    with pytest.raises(IndexDamaged, match="cannot be read"):
        FaissIndex.load(path, dimension=6)
    filled().save(path)
    with pytest.raises(IndexDamaged, match="encoder differs"):
        FaissIndex.load(path, dimension=6, encoder="other")
    with pytest.raises(IndexDamaged, match="dimension differs"):
        FaissIndex.load(path, dimension=7, encoder="unit")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(IndexDamaged, match="sha256 differs"):
        FaissIndex.load(path, dimension=6, encoder="unit")
