"""The machine the figures belong to, its cores, and a place that is cleared away afterwards."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil
import psycopg

from bank.embedded import EmbeddedPostgres

CPU_FACTS = Path("/proc/cpuinfo")
LIBRARIES = ("aiohttp", "uvloop", "psycopg", "sqlalchemy", "faiss-cpu")


@dataclass(frozen=True)
class Machine:
    """What the figures were measured on; `load` is the load average before the first of them."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    postgresql: str
    libraries: dict[str, str]
    load: float


def machine(postgresql: str) -> Machine:
    """This machine, as it is now."""
    return Machine(
        cpu=_cpu(),
        cores=len(cores()),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        postgresql=postgresql,
        libraries={name: version(name) for name in LIBRARIES},
        load=round(psutil.getloadavg()[0], 2),
    )


def _cpu() -> str:
    if not CPU_FACTS.exists():
        return platform.processor() or platform.machine()
    lines = CPU_FACTS.read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cores() -> list[int]:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def stay_on(chosen: list[int]) -> None:
    """Keep this process, and what it starts from now on, on these cores where that is possible."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, chosen)


@contextmanager
def a_home() -> Iterator[Path]:
    """A folder for one measurement, removed in the end."""
    home = Path(tempfile.mkdtemp(prefix="siyu-bench-"))
    # PostgreSQL started by root runs as somebody else, who must be able to enter.
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def a_database() -> Iterator[str]:
    """Address of an empty database on an embedded PostgreSQL of its own, stopped in the end."""
    with a_home() as home:
        server = EmbeddedPostgres(home)
        try:
            yield server.start()
        finally:
            server.stop()


def postgresql_version(url: str) -> str:
    """Version of the server, and how it keeps its promises."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'),"
            " current_setting('synchronous_commit')"
        ).fetchone()
    assert row is not None
    return f"{row[0]}, fsync {row[1]}, synchronous_commit {row[2]}"


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that share of the ordered values does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
