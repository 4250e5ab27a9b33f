"""The embedded PostgreSQL: found again, durable through kill -9, never left running."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from bank.embedded import EmbeddedPostgres, NotDurable, check_durable, wait_until_ready
from bot.bench.processes import postgres_in

ROOT = Path(__file__).parents[2]

WRITER = """
import sys
from pathlib import Path
import psycopg
from bank.embedded import EmbeddedPostgres
url = EmbeddedPostgres(Path(sys.argv[1])).start()
with psycopg.connect(url, autocommit=True) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS note (n int PRIMARY KEY)")
    first = connection.execute("SELECT coalesce(max(n), 0) + 1 FROM note").fetchone()[0]
    for n in range(first, 10**9):
        connection.execute("INSERT INTO note VALUES (%s)", (n,))
        print(n, flush=True)
"""


@contextmanager
def a_writer(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes numbers and says each one once it is committed."""
    command = [sys.executable, "-c", WRITER, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        yield writer
        writer.kill()


def acknowledged(writer: subprocess.Popen[str], at_least: int) -> int:
    """Read until that many numbers were acknowledged; the last one."""
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= at_least:
            return int(line)
    raise AssertionError("the writer stopped by itself")


def stored(home: Path) -> list[int]:
    """All numbers that a fresh start finds, in order."""
    server = EmbeddedPostgres(home)
    with psycopg.connect(server.start()) as connection:
        numbers = [row[0] for row in connection.execute("SELECT n FROM note ORDER BY n")]
    server.stop()
    return numbers


def test_a_second_start_finds_what_the_first_one_stored(home: Path) -> None:
    server = EmbeddedPostgres(home)
    with psycopg.connect(server.start(), autocommit=True) as connection:
        connection.execute("CREATE TABLE note (n int)")
        connection.execute("INSERT INTO note VALUES (7)")
    server.stop()
    assert stored(home) == [7]


def test_it_does_not_stay_behind_when_the_last_one_leaves(home: Path) -> None:
    server = EmbeddedPostgres(home)
    server.start()
    assert postgres_in(home / "postgres")
    server.stop()
    assert not postgres_in(home / "postgres")


def test_two_processes_share_it_and_the_first_to_leave_does_not_stop_it(home: Path) -> None:
    server = EmbeddedPostgres(home)
    url = server.start()
    with a_writer(home) as writer:
        acknowledged(writer, 3)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM note").fetchone()
    server.stop()


def test_kill_9_of_our_process_loses_nothing_acknowledged(home: Path) -> None:
    with a_writer(home) as writer:
        last = acknowledged(writer, 50)
    assert stored(home)[:last] == list(range(1, last + 1))
    assert not postgres_in(home / "postgres")


@pytest.mark.parametrize("round_", range(3))
def test_kill_9_of_the_server_loses_nothing_acknowledged(home: Path, round_: int) -> None:
    with a_writer(home) as writer:
        last = acknowledged(writer, 60 + 37 * round_)
        for process in postgres_in(home / "postgres"):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    assert stored(home)[:last] == list(range(1, last + 1))


def test_a_server_that_could_lose_commits_is_refused(home: Path) -> None:
    server = EmbeddedPostgres(home)
    url = server.start()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("ALTER DATABASE siyu SET synchronous_commit = off")
    with pytest.raises(NotDurable, match="synchronous_commit=off"):
        check_durable(url)
    server.stop()


def test_waiting_gives_up_with_the_servers_own_words(tmp_path: Path) -> None:
    with pytest.raises(psycopg.OperationalError):
        wait_until_ready(f"postgresql://postgres@/siyu?host={tmp_path}", patience=0.0)
