"""The machine the figures belong to, its cores, and a place that is cleared away afterwards."""

import logging
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
from pydantic import SecretStr

from bank import logs
from bank.embedded import EmbeddedPostgres
from bank.settings import Settings

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


def split_cores() -> tuple[list[int], list[int]]:
    """One core for what is measured, the others for all that serves to measure it."""
    *others, last = cores()
    return [last], others or [last]


def stay_on(chosen: Sequence[int]) -> None:
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
def a_bank(database_on: Sequence[int] = ()) -> Iterator[Settings]:
    """Settings of a bank with a folder and an empty database of its own, on these cores if any."""
    with a_home() as home:
        server = EmbeddedPostgres(home)
        try:
            with _kept_on(database_on or cores()):
                url = server.start()
            yield bank_at(home, url)
        finally:
            server.stop()


@contextmanager
def _kept_on(chosen: Sequence[int]) -> Iterator[None]:
    """What is started inside the block stays on these cores."""
    everywhere = cores()
    stay_on(chosen)
    try:
        yield
    finally:
        stay_on(everywhere)


def bank_at(home: Path, database_url: str) -> Settings:
    """Settings of a bank with nothing outside: nobody answers at its WeCom."""
    return Settings(
        _env_file=None,
        home=home,
        database_url=database_url,
        wecom_base_url="http://127.0.0.1:9",
        wecom_corp_id="wwbench00000000001",
        wecom_token=SecretStr("benchCallbackToken"),
        wecom_aes_key=SecretStr("bEnCh" * 8 + "bEn"),
    )


def postgresql_version(url: str) -> str:
    """Version of the server, and how it keeps its promises."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'),"
            " current_setting('synchronous_commit')"
        ).fetchone()
    assert row is not None
    return f"{row[0]}, fsync {row[1]}, synchronous_commit {row[2]}"


def quiet(least: int = logging.WARNING) -> None:
    """Only warnings, or what is graver, are logged, so that nothing is measured but the work."""
    logs.set_up("console", least)
    logging.disable(least - 1)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that share of the ordered values does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
