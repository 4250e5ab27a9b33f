"""Three indexes, one contract: the filter acts inside the search, a damaged one is never taken."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from uuid import UUID, uuid4

import faiss
import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from bank.database import plain_url
from knowledge.conditions import Audience, Conditions, Within
from knowledge.encoder import Vectors, unit
from knowledge.index import (
    FaissStore,
    IndexDamaged,
    IvfIndex,
    Rows,
    VectorIndex,
    VectorsGone,
    VectorStore,
)
from knowledge.pgvector import (
    SCHEMA,
    PgvectorStore,
    PgvectorUnusable,
    grant_vectors,
    prepare,
)

OPENS = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CLOSES = datetime(2026, 6, 30, 16, 0, tzinfo=UTC)
NOON = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
BUND, PUDONG = UUID(int=1), UUID(int=2)
RM = Audience(NOON, "single_chat", BUND, 3)
NEVER = 1 << 40


@dataclass(frozen=True)
class Row:
    """Conditions of a row; as they stand, everybody may find it."""

    valid_from: datetime = OPENS
    valid_until: datetime = CLOSES
    channels: frozenset[str] = frozenset({"single_chat"})
    branches: frozenset[UUID] | None = None
    risk: int = 2


# Each of them is for somebody else, or for another time.
CLOSED = (
    Row(valid_until=NOON),
    Row(valid_from=NOON + timedelta(microseconds=1)),
    Row(risk=4),
    Row(channels=frozenset({"group"})),
    Row(channels=frozenset()),
    Row(branches=frozenset({PUDONG})),
    Row(branches=frozenset()),
)


def rows_of(vectors: Vectors, *conditions: Row) -> Rows:
    """Rows with these conditions; open ones where none are given."""
    told = conditions or (Row(),) * len(vectors)
    return Rows(vectors.astype(np.float32), Conditions.of(told), "unit")


def within(rows: Rows, audience: Audience = RM, alive: NDArray[np.bool_] | None = None) -> Within:
    """What that audience may find of the rows that live."""
    lives = np.ones(len(rows.vectors), dtype=bool) if alive is None else alive
    return Within(rows.conditions.allow(audience) & lives, lives, audience)


def around(count: int, dimension: int = 32, seed: int = 5) -> Vectors:
    """Unit vectors in thirty heaps, as the texts of a library lie."""
    dice = np.random.default_rng(seed)
    heaps = dice.normal(size=(30, dimension))
    noise = 0.5 * dice.normal(size=(count, dimension))
    return unit((heaps[dice.integers(30, size=count)] + noise).astype(np.float32))


@pytest.fixture(params=["flat", "ivf", "pgvector", "pgvector with a graph"])
def store(request: pytest.FixtureRequest) -> Iterator[VectorStore]:
    """Each index there is."""
    if not request.param.startswith("pgvector"):
        yield FaissStore(ivf_from=NEVER if request.param == "flat" else 1)
        return
    url = request.getfixturevalue("database")
    prepare(url)
    opened = PgvectorStore(url, graph_from=1 if "graph" in request.param else NEVER)
    yield opened
    opened.close()


class TestEveryIndex:
    """What search relies on, whichever index holds the vectors."""

    def test_the_nearest_comes_first(self, store: VectorStore) -> None:
        rows = rows_of(np.eye(6, dtype=np.float32))
        asked = np.array([0, 1, 0.5, 0, 0, 0], dtype=np.float32)
        found, scores = store.hold(rows).search(asked, 2, within(rows))
        assert found.tolist() == [1, 2]
        assert scores.tolist() == pytest.approx([1, 0.5], abs=1e-3)

    def test_nobody_allowed_nothing_found(self, store: VectorStore) -> None:
        rows = rows_of(np.eye(6, dtype=np.float32))
        index, asked = store.hold(rows), np.eye(6, dtype=np.float32)[0]
        nobody = within(rows, replace(RM, channel="elsewhere"))
        assert index.search(asked, 3, nobody)[0].tolist() == []
        assert index.search(asked, 0, within(rows))[0].tolist() == []
        dead = within(rows, alive=np.zeros(6, dtype=bool))
        assert index.search(asked, 3, dead)[0].tolist() == []

    def test_only_the_allowed_are_found_and_as_many_as_there_are(self, store: VectorStore) -> None:
        dice = np.random.default_rng(3)
        vectors = around(300)
        rows = rows_of(vectors, *((Row(), *CLOSED)[n] for n in dice.integers(8, size=300)))
        index = store.hold(rows)
        for _ in range(60):
            alive = dice.random(300) < dice.choice([0.02, 0.5, 1.0])
            audience = replace(
                RM,
                risk_ceiling=int(dice.integers(0, 6)),
                branch=dice.choice([None, BUND, PUDONG]),  # type: ignore[arg-type]
                channel=str(dice.choice(["single_chat", "group"])),
            )
            limits, k = within(rows, audience, alive), int(dice.integers(1, 40))
            found, scores = index.search(vectors[dice.integers(300)], k, limits)
            assert limits.mask[found].all()
            assert len(set(found.tolist())) == len(found) == min(k, limits.count())
            assert (np.diff(scores) <= 1e-3).all()

    def test_a_twin_that_is_not_allowed_never_appears_in_a_thousand_trials(
        self, store: VectorStore
    ) -> None:
        """The same vector twice: once for this audience, once withdrawn or for another one."""
        dice, count = np.random.default_rng(11), 210
        vectors = np.repeat(around(count), 2, axis=0)
        told = [row for n in range(count) for row in (Row(), CLOSED[n % len(CLOSED)])]
        rows = rows_of(vectors, *told)
        alive = np.ones(2 * count, dtype=bool)
        withdrawn = 2 * dice.choice(count, size=20, replace=False)
        alive[withdrawn] = False
        limits, index = within(rows, alive=alive), store.hold(rows)
        assert not limits.mask[1::2].any()
        for number in dice.integers(count, size=1000):
            found, _ = index.search(vectors[2 * number], int(dice.integers(1, 12)), limits)
            assert not (found % 2).any()
            assert not set(found.tolist()) & set(withdrawn.tolist())
            if alive[2 * number]:
                assert 2 * number in found

    def test_only_a_few_rows_may_be_asked_for(self, store: VectorStore) -> None:
        rows = rows_of(around(100))
        few = np.array([7, 40, 41])
        mask = np.zeros(100, dtype=bool)
        mask[few] = True
        limits = replace(within(rows), mask=mask, only=few)
        found, _ = store.hold(rows).search(rows.vectors[3], 10, limits)
        assert sorted(found.tolist()) == few.tolist()

    def test_stored_vectors_come_back_in_order(self, store: VectorStore) -> None:
        rows = rows_of(around(50))
        index = store.hold(rows)
        asked = np.array([7, 3, 7, 49])
        assert index.vectors(asked) == pytest.approx(rows.vectors[asked], abs=1e-3)
        assert index.vectors(asked[:0]).shape == (0, 32)
        for absent in (-1, 50):
            with pytest.raises(KeyError):
                index.vectors(np.array([0, absent]))

    def test_what_was_kept_is_taken_up_and_answers_the_same(
        self, store: VectorStore, tmp_path: Path
    ) -> None:
        rows = rows_of(around(200))
        index = store.hold(rows)
        name = store.keep(index, tmp_path)
        again = store.take(name, tmp_path, rows=200, dimension=32)
        assert store.holds(again)
        for number in range(0, 200, 10):
            one, other = (
                each.search(rows.vectors[number], 5, within(rows)) for each in (index, again)
            )
            assert one[0].tolist() == other[0].tolist()
        assert again.vectors(np.arange(200)) == pytest.approx(rows.vectors, abs=1e-3)

    def test_what_does_not_fit_is_not_taken(self, store: VectorStore, tmp_path: Path) -> None:
        name = store.keep(store.hold(rows_of(around(20))), tmp_path)
        for rows, dimension in ((21, 32), (20, 31)):
            with pytest.raises(IndexDamaged):
                store.take(name, tmp_path, rows=rows, dimension=dimension)
        with pytest.raises(IndexDamaged):
            store.take("0" * 32 + ".vectors", tmp_path, rows=20, dimension=32)

    def test_an_empty_library_is_an_index_too(self, store: VectorStore, tmp_path: Path) -> None:
        if isinstance(store, FaissStore):
            store = FaissStore()  # nothing to learn cells from
        rows = rows_of(np.zeros((0, 8), dtype=np.float32))
        index = store.hold(rows)
        assert len(index) == 0
        assert index.search(np.ones(8, dtype=np.float32), 3, within(rows))[0].tolist() == []
        store.take(store.keep(index, tmp_path), tmp_path, rows=0, dimension=8)


@pytest.mark.parametrize("ivf_from", [NEVER, 1])
def test_what_was_taken_from_a_file_is_kept_again_even_when_that_is_gone(
    tmp_path: Path, ivf_from: int
) -> None:
    store, rows = FaissStore(ivf_from), rows_of(around(300))
    name = store.keep(store.hold(rows), tmp_path)
    taken = store.take(name, tmp_path, rows=300, dimension=32)
    assert store.keep(taken, tmp_path) == name
    (tmp_path / name).unlink()
    again = store.take(store.keep(taken, tmp_path), tmp_path, rows=300, dimension=32)
    found, _ = again.search(rows.vectors[7], 1, within(rows))
    assert found.tolist() == [7]
    assert [file.suffix for file in tmp_path.iterdir()] == [".vectors"]


@pytest.mark.parametrize("ivf_from", [NEVER, 1])
@pytest.mark.parametrize("where", [0, 20, 200, -1])
def test_a_changed_byte_of_the_file_is_noticed(tmp_path: Path, where: int, ivf_from: int) -> None:
    store = FaissStore(ivf_from)
    name = store.keep(store.hold(rows_of(around(30))), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    content = bytearray((tmp_path / name).read_bytes())
    content[where] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IndexDamaged, match="checksum"):
        store.take(name, tmp_path, rows=30, dimension=32)


def test_cells_are_looked_into_until_nearly_all_neighbours_are_found() -> None:
    vectors = around(6_000, dimension=64)
    index, rows = IvfIndex.trained(vectors), rows_of(vectors)
    assert index.looked_into < index.cells
    asked = unit(vectors[:200] + 0.05 * np.random.default_rng(2).normal(size=(200, 64)))
    exact = np.sort(asked @ vectors.T, axis=1)[:, -10]
    near = [index.search(vector.astype(np.float32), 10, within(rows))[1] for vector in asked]
    right = sum(
        int((scores >= least - 1e-3).sum()) for scores, least in zip(near, exact, strict=True)
    )
    assert right / (10 * len(asked)) >= 0.98


def test_a_rare_row_is_found_wherever_its_cell_is() -> None:
    vectors = around(6_000, dimension=64)
    told = [Row(branches=frozenset({PUDONG}))] * 6_000
    told[4321] = Row(branches=frozenset({BUND}))
    rows = rows_of(vectors, *told)
    found, _ = IvfIndex.trained(vectors).search(-vectors[4321], 5, within(rows))
    assert found.tolist() == [4321]


@pytest.fixture
def tables(database: str) -> Iterator[PgvectorStore]:
    """Vectors in the test's database."""
    prepare(database)
    prepare(database)
    store = PgvectorStore(database)
    yield store
    store.close()


def names(database: str) -> list[str]:
    """The tables of vectors there are."""
    query = f"SELECT tablename FROM pg_tables WHERE schemaname = '{SCHEMA}' ORDER BY 1"
    with psycopg.connect(plain_url(database)) as connection:
        return [name for (name,) in connection.execute(query.encode()) if name != "vector_set"]


def test_processes_that_learnt_the_same_share_a_table(tables: PgvectorStore, database: str) -> None:
    other = PgvectorStore(database)
    one, two = tables.hold(rows_of(around(20))), other.hold(rows_of(around(20)))
    assert one.name == two.name
    tables.hold(rows_of(around(20), *[Row(risk=3)] * 20))
    assert len(names(database)) == 2
    other.close()


def test_what_nobody_has_used_for_a_day_is_dropped(tables: PgvectorStore, database: str) -> None:
    mine, left = tables.hold(rows_of(around(20))), tables.hold(rows_of(around(21)))
    with psycopg.connect(plain_url(database)) as connection:
        late = f"UPDATE {SCHEMA}.vector_set SET used_at = now() - interval '25 hours'"
        connection.execute(late.encode())
    tables.tidy(mine)
    assert names(database) == [mine.name]
    assert not mine.gone
    tables.tidy(left)
    assert left.gone


def test_a_table_dropped_under_a_reader_is_said_to_be_gone(
    tables: PgvectorStore, database: str, tmp_path: Path
) -> None:
    rows = rows_of(around(20))
    index = tables.hold(rows)
    with psycopg.connect(plain_url(database)) as connection:
        connection.execute(f"DROP TABLE {SCHEMA}.{index.name}".encode())
    with pytest.raises(VectorsGone):
        index.search(rows.vectors[0], 3, within(rows))
    assert index.gone
    with pytest.raises(IndexDamaged):
        tables.take(index.name, tmp_path, rows=20, dimension=32)
    healed: VectorIndex = tables.hold(rows)
    assert len(healed.search(rows.vectors[0], 3, within(rows))[0]) == 3


def test_a_table_that_lost_rows_is_not_taken_and_is_written_again(
    tables: PgvectorStore, database: str, tmp_path: Path
) -> None:
    rows = rows_of(around(20))
    name = tables.keep(tables.hold(rows), tmp_path)
    with psycopg.connect(plain_url(database)) as connection:
        connection.execute(f"DELETE FROM {SCHEMA}.{name} WHERE number = 3".encode())
    with pytest.raises(IndexDamaged, match="count differs"):
        tables.take(name, tmp_path, rows=20, dimension=32)
    tables.hold(rows)
    assert len(tables.take(name, tmp_path, rows=20, dimension=32)) == 20


@pytest.fixture
def role(database: str) -> Iterator[str]:
    """A role of the application that owns nothing."""
    name = f"siyu_app_{uuid4().hex[:8]}"
    with psycopg.connect(plain_url(database), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
    yield name
    with psycopg.connect(plain_url(database), autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def test_a_role_that_may_not_enable_it_is_told_what_to_do(database: str, role: str) -> None:
    with pytest.raises(PgvectorUnusable, match="siyu migrate --grant-to"):
        prepare(database.replace("//postgres:", f"//{role}:", 1))


def test_a_role_that_was_granted_it_works_and_reads_nothing_more(database: str, role: str) -> None:
    prepare(database)
    grant_vectors(database, role)
    as_role = database.replace("//postgres:", f"//{role}:", 1)
    prepare(as_role)
    store, rows = PgvectorStore(as_role), rows_of(around(20))
    index = store.hold(rows)
    store.tidy(index)
    assert len(index.search(rows.vectors[0], 3, within(rows))[0]) == 3
    store.close()
    with (
        psycopg.connect(plain_url(as_role)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT count(*) FROM customer")


@pytest.mark.parametrize("ivf_from", [NEVER, 1])
def test_a_search_works_in_the_thread_that_asks_and_in_no_other(ivf_from: int) -> None:
    vectors = unit(np.random.default_rng(1).normal(size=(3_000, 64)).astype(np.float32))
    index = FaissStore(ivf_from=ivf_from).hold(rows_of(vectors))
    threads = []

    def asks() -> None:
        index.search(vectors[0], 200, Within.every(len(vectors)))
        threads.append(faiss.omp_get_max_threads())

    asking = Thread(target=asks)
    asking.start()
    asking.join()
    assert threads == [1]
