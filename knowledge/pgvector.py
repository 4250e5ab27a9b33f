"""Vectors in PostgreSQL, for many processes on one database; the filter is in the query.

A generation's vectors are one table of the schema `siyu_vectors`, named by what is in it: processes
that learnt the same share it, and a table that is being written is seen by nobody.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg import errors, sql
from sqlalchemy import Engine, create_engine, event

from bank.database import async_url, plain_url
from knowledge.conditions import Place, Within, microseconds
from knowledge.index import Ids, IndexDamaged, Rows, VectorIndex, Vectors, VectorsGone

SCHEMA = "siyu_vectors"
# Filters and graphs work together from this version on (iterative scans).
LEAST_VERSION = (0, 8)
# Rows from which a graph is worth the minutes it takes to build; below, PostgreSQL looks at all.
GRAPH_FROM = 200_000
BUILDING_MEMORY = "1GB"
UNUSED_FOR = "1 day"
CONNECTIONS = 4

TEXT_OID, UUID_OID = 25, 2950
COPY_HEAD = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
COPY_END = struct.pack(">h", -1)
COLUMNS = "number, opens, closes, risk, channels, branches, vector"

MADE_ONCE = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
    f"""
    CREATE TABLE IF NOT EXISTS {SCHEMA}.vector_set (
        name text PRIMARY KEY, rows bigint NOT NULL, dimension int NOT NULL,
        graph boolean NOT NULL, used_at timestamptz NOT NULL DEFAULT now())
    """,
)
TABLE = """
CREATE TABLE {table} (
    number int NOT NULL, opens bigint NOT NULL, closes bigint NOT NULL, risk smallint NOT NULL,
    channels text[] NOT NULL, branches uuid[], vector halfvec({dimension}) NOT NULL)
"""
GRAPH = "CREATE INDEX ON {table} USING hnsw (vector halfvec_ip_ops) WITH (ef_construction = 100)"
# Iterative: a graph goes on until enough allowed rows are found. The breadth is the most there may
# be: with 400 a million rows gave 0.81 of the ten nearest, with 1,000 0.93.
SESSION = (
    "SET hnsw.iterative_scan = 'strict_order'",
    "SET hnsw.ef_search = 1000",
    "SET plan_cache_mode = 'force_custom_plan'",
)


class PgvectorUnusable(RuntimeError):
    """SIYU_VECTORS=pgvector needs the extension `vector`, 0.8 or newer, in the database."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{self.__doc__} {why}")


INSTALL = (
    "It is not installed on the server: install pgvector there (postgresql-NN-pgvector), or set"
    " SIYU_VECTORS=faiss."
)
ENABLE = (
    "Our role may not enable it: as the database's owner run `siyu migrate --grant-to ROLE` with"
    " SIYU_VECTORS=pgvector, or set SIYU_VECTORS=faiss."
)


def prepare(url: str) -> None:
    """Enable pgvector and make its schema where that is not done; PgvectorUnusable if it cannot."""
    try:
        with psycopg.connect(plain_url(url)) as connection:
            if _first(connection, f"SELECT to_regclass('{SCHEMA}.vector_set')") is None:
                connection.execute("SELECT pg_advisory_xact_lock(hashtext('siyu_vectors'))")
                _refuse_uninstalled(connection)
                for statement in MADE_ONCE:
                    connection.execute(statement.encode())
            _refuse_old(connection)
    except errors.InsufficientPrivilege as refused:
        raise PgvectorUnusable(ENABLE) from refused


def _refuse_uninstalled(connection: psycopg.Connection[Any]) -> None:
    offered = "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
    if _first(connection, offered) is None:
        raise PgvectorUnusable(INSTALL)


def _refuse_old(connection: psycopg.Connection[Any]) -> None:
    installed = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    version = str(_first(connection, installed))
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_VERSION:
        raise PgvectorUnusable(f"It is {version}: ALTER EXTENSION vector UPDATE.")


def grant_vectors(url: str, role: str) -> None:
    """Let the application's role make and drop tables of vectors, and nothing else there."""
    statements = (
        f"GRANT USAGE, CREATE ON SCHEMA {SCHEMA} TO {{role}}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {SCHEMA}.vector_set TO {{role}}",
    )
    with psycopg.connect(plain_url(url)) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement).format(role=sql.Identifier(role)))


def _first(connection: psycopg.Connection[Any], query: str, *values: Any) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    return row[0] if row else None


class PgvectorStore:
    """Tables of vectors in the database; nothing of them in this process or its files."""

    name = "pgvector"

    def __init__(self, url: str, graph_from: int = GRAPH_FROM) -> None:
        """`prepare` must have been called on that database."""
        self._graph_from = graph_from
        self._engine = create_engine(
            async_url(url), pool_size=CONNECTIONS, max_overflow=CONNECTIONS, pool_pre_ping=True
        )
        event.listen(self._engine, "connect", _set_up)

    def hold(self, rows: Rows) -> "PgvectorIndex":
        """The table of these rows, written in one transaction unless somebody wrote it already."""
        name = _name(rows)
        count, dimension = rows.vectors.shape
        graph = count >= self._graph_from
        with _connected(self._engine) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (name,))
            if not _is_whole(connection, name, count):
                _write(connection, name, rows, graph)
            noted = (
                f"INSERT INTO {SCHEMA}.vector_set VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (name) DO UPDATE SET used_at = now()"
            )
            connection.execute(noted.encode(), (name, count, dimension, graph))
        return PgvectorIndex(self._engine, name, count, dimension, graph)

    def holds(self, index: VectorIndex) -> bool:
        """Whether it is a table that is still there."""
        return isinstance(index, PgvectorIndex) and not index.gone

    def keep(self, index: VectorIndex, _: Path) -> str:
        """It is in the database already."""
        if not isinstance(index, PgvectorIndex):
            raise TypeError("vectors of another store")
        return index.name

    def take(self, name: str, _: Path, *, rows: int, dimension: int) -> "PgvectorIndex":
        """The table of that name; IndexDamaged when it is gone or has lost rows."""
        query = f"SELECT rows, dimension, graph FROM {SCHEMA}.vector_set WHERE name = %s"
        with _connected(self._engine) as connection:
            noted = connection.execute(query.encode(), (name,)).fetchone()
            if noted is None or noted[:2] != (rows, dimension):
                raise IndexDamaged(Path(name), "not in the database")
            if not _is_whole(connection, name, rows):
                raise IndexDamaged(Path(name), "count differs")
        return PgvectorIndex(self._engine, name, rows, dimension, noted[2])

    def tidy(self, index: VectorIndex | None) -> None:
        """Note that this table is in use; drop those no process has used for a day.

        Times are the database's own, the one clock all processes share.
        """
        if isinstance(index, PgvectorIndex):
            used = (
                f"UPDATE {SCHEMA}.vector_set SET used_at = now() WHERE name = %s"
                " RETURNING to_regclass(%s)"
            )
            with _connected(self._engine) as connection:
                there = _first(connection, used, index.name, f"{SCHEMA}.{index.name}")
                index.gone = there is None
        # A table of another role stays: it is its owner's to drop.
        with suppress(errors.InsufficientPrivilege), _connected(self._engine) as connection:
            unused = (
                f"DELETE FROM {SCHEMA}.vector_set"
                f" WHERE used_at < now() - interval '{UNUSED_FOR}' RETURNING name"
            )
            for (name,) in connection.execute(unused.encode()).fetchall():
                connection.execute(_about("DROP TABLE IF EXISTS {table}", name))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


class PgvectorIndex:
    """One table of vectors."""

    kind = "pgvector"

    def __init__(self, engine: Engine, name: str, rows: int, dimension: int, graph: bool) -> None:
        self._engine, self.name, self._rows = engine, name, rows
        self.dimension, self._graph = dimension, graph
        self.gone = False

    def __len__(self) -> int:
        return self._rows

    def search(self, vector: Vectors, k: int, within: Within) -> tuple[Ids, Vectors]:
        """Up to k (rows, inner products) among the allowed, best first."""
        wanted = min(k, within.count())
        if wanted < 1:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        query, values = _query(self.name, vector, wanted, within)
        with self._asking() as connection:
            found = connection.execute(query, values).fetchall()
            if self._graph and len(found) < wanted:
                # The graph gave up among too many rows that are not allowed: look at all.
                connection.execute("SET LOCAL enable_indexscan = off")
                found = connection.execute(query, values).fetchall()
        rows = np.array([row for row, _ in found], dtype=np.int64)
        scores = np.array([score for _, score in found], dtype=np.float32)
        # The query has filtered; a row it should not have let through is dropped all the same.
        kept = within.mask[rows]
        return rows[kept], scores[kept]

    def vectors(self, rows: Ids) -> Vectors:
        """The stored vectors of these rows, in their order; KeyError for one that is not there."""
        if not len(rows):
            return np.zeros((0, self.dimension), dtype=np.float32)
        unique, place = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        query = "SELECT halfvec_send(vector) FROM {table} WHERE number = ANY(%s) ORDER BY number"
        with self._asking() as connection, connection.cursor(binary=True) as cursor:
            cursor.execute(_about(query, self.name), (unique.tolist(),))
            found = [packed[4:] for (packed,) in cursor]
        if len(found) != len(unique):
            raise KeyError("a row is not in the index")
        stored = np.frombuffer(b"".join(found), dtype=">f2").reshape(len(found), self.dimension)
        vectors: Vectors = stored.astype(np.float32)[place]
        return vectors

    @contextmanager
    def _asking(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            with _connected(self._engine) as connection:
                yield connection
        except errors.UndefinedTable as dropped:
            self.gone = True
            raise VectorsGone(VectorsGone.__doc__) from dropped


def _query(
    name: str, vector: Vectors, wanted: int, within: Within
) -> tuple[sql.Composed, dict[str, Any]]:
    """The nearest rows under every condition of the audience, as one statement."""
    asked = np.asarray(vector, dtype=np.float32).ravel()
    values: dict[str, Any] = {
        "asked": "[" + ",".join(f"{number:.6g}" for number in asked) + "]",
        "wanted": wanted,
    }
    conditions = ["true"]
    if (audience := within.audience) is not None:
        conditions += [
            "opens <= %(now)s AND %(now)s < closes",
            "risk <= %(ceiling)s",
            "%(channel)s = ANY(channels)",
            "(branches IS NULL OR %(branch)s::uuid = ANY(branches))",
        ]
        values |= {
            "now": microseconds(audience.now),
            "ceiling": audience.risk_ceiling,
            "channel": audience.channel,
            "branch": audience.branch,
        }
    if within.only is not None:
        conditions.append("number = ANY(%(only)s)")
        values["only"] = within.only.tolist()
    if len(dead := np.flatnonzero(~within.alive)):
        conditions.append("number <> ALL(%(dead)s)")
        values["dead"] = dead.tolist()
    statement = (
        "SELECT number, -(vector <#> %(asked)s::halfvec) FROM {table} WHERE "
        + " AND ".join(conditions)
        + " ORDER BY vector <#> %(asked)s::halfvec LIMIT %(wanted)s"
    )
    return _about(statement, name), values


def _about(statement: str, name: str, **more: sql.Composable) -> sql.Composed:
    """The statement about that table."""
    table = sql.Identifier(SCHEMA, name)
    return sql.SQL(statement).format(table=table, **more)


def _name(rows: Rows) -> str:
    """Names a table by all that is in it: equal contents, equal name, in every process."""
    conditions, digest = rows.conditions, hashlib.sha256(rows.encoder.encode())
    for part in (rows.vectors, conditions.opens, conditions.closes, conditions.risks):
        digest.update(np.ascontiguousarray(part).tobytes())
    packed = [_place(place) for place in conditions.places]
    for number in conditions.place_of:
        digest.update(packed[number])
    return f"v_{digest.hexdigest()[:32]}"


def _is_whole(connection: psycopg.Connection[Any], name: str, rows: int) -> bool:
    """Whether the table is there with all its rows."""
    if _first(connection, "SELECT to_regclass(%s)", f"{SCHEMA}.{name}") is None:
        return False
    counted = connection.execute(_about("SELECT count(*) FROM {table}", name))
    return counted.fetchall() == [(rows,)]


def _write(connection: psycopg.Connection[Any], name: str, rows: Rows, graph: bool) -> None:
    connection.execute(_about("DROP TABLE IF EXISTS {table}", name))
    dimension = sql.Literal(rows.vectors.shape[1])
    connection.execute(_about(TABLE, name, dimension=dimension))
    into = f"COPY {{table}} ({COLUMNS}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(_about(into, name)) as copy:
        copy.write(COPY_HEAD)
        for line in _lines(rows):
            copy.write(line)
        copy.write(COPY_END)
    connection.execute(_about("CREATE UNIQUE INDEX ON {table} (number)", name))
    if graph:
        _draw_graph(connection, name)
    connection.execute(_about("ANALYZE {table}", name))


def _draw_graph(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute(f"SET LOCAL maintenance_work_mem = '{BUILDING_MEMORY}'".encode())
    try:
        with connection.transaction():
            connection.execute(_about(GRAPH, name))
    except (errors.DiskFull, errors.OutOfMemory):
        # A container's shared memory may be too small for several builders; one needs none.
        connection.execute("SET LOCAL max_parallel_maintenance_workers = 0")
        connection.execute(_about(GRAPH, name))


def _lines(rows: Rows) -> Iterable[bytes]:
    """Rows as PostgreSQL's binary COPY reads them."""
    conditions, halves = rows.conditions, rows.vectors.astype(">f2")
    size = halves.shape[1]
    head = struct.pack(">ihh", 4 + 2 * size, size, 0)
    places = [_place(place) for place in conditions.places]
    facts = zip(conditions.opens, conditions.closes, conditions.risks, strict=True)
    for row, (opens, closes, risk) in enumerate(facts):
        numbers = struct.pack(">hiiiqiqih", 7, 4, row, 8, opens, 8, closes, 2, risk)
        yield numbers + places[conditions.place_of[row]] + head + halves[row].tobytes()


def _place(place: Place) -> bytes:
    """The fields `channels` and `branches`."""
    channels, branches = place
    told = _array(TEXT_OID, [channel.encode() for channel in sorted(channels)])
    if branches is None:
        return told + struct.pack(">i", -1)
    return told + _array(UUID_OID, sorted(branch.bytes for branch in branches))


def _array(kind: int, members: list[bytes]) -> bytes:
    body = b"".join(struct.pack(">i", len(member)) + member for member in members)
    if members:
        body = struct.pack(">iiiii", 1, 0, kind, len(members), 1) + body
    else:
        body = struct.pack(">iii", 0, 0, kind)
    return struct.pack(">i", len(body)) + body


def _set_up(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        for statement in SESSION:
            cursor.execute(statement)
    connection.commit()


@contextmanager
def _connected(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the pool and one transaction on it."""
    pooled = engine.raw_connection()
    try:
        connection = pooled.driver_connection
        assert connection is not None
        yield connection
        connection.commit()
    except BaseException:
        pooled.rollback()
        raise
    finally:
        pooled.close()
