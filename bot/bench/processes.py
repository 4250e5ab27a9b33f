"""Commands run as somebody would run them: started, waited for, looked at, stopped."""

import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter, sleep
from typing import IO

import psutil

PATIENCE_SECONDS = 600.0
GOODBYE_SECONDS = 60.0


class DidNotServe(RuntimeError):
    """The command ended, or time ran out, before its first page could be opened."""

    def __init__(self, last_words: str) -> None:
        super().__init__(f"{self.__doc__} {last_words}")


@dataclass(frozen=True)
class Memory:
    """Memory of some processes in MiB; `pss` divides what is shared among those who share it."""

    processes: int
    rss_mib: float
    pss_mib: float


@dataclass(frozen=True)
class Started:
    """A command that was started, and what it writes to stderr."""

    process: subprocess.Popen[bytes]
    words: IO[bytes]

    def last_words(self) -> str:
        """The end of what it wrote."""
        self.words.seek(0)
        return self.words.read().decode(errors="replace").strip()[-500:]


@contextmanager
def running(command: Sequence[str], folder: Path, home: Path) -> Iterator[Started]:
    """The command with that home and no other setting, interrupted in the end as Ctrl-C would."""
    inherited = {name: value for name, value in os.environ.items() if "SIYU_" not in name}
    with TemporaryFile() as words:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=inherited | {"SIYU_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=words,
            start_new_session=True,
        )
        try:
            yield Started(process, words)
        finally:
            _stop(process)
            for left in postgres_in(home / "postgres"):
                with suppress(psutil.NoSuchProcess):
                    left.terminate()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(GOODBYE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until_served(address: str, started: Started) -> float:
    """Seconds until the address answers with 200; DidNotServe if it never does."""
    began = perf_counter()
    while perf_counter() - began < PATIENCE_SECONDS:
        if answers(address):
            return perf_counter() - began
        if started.process.poll() is not None:
            break
        sleep(0.05)
    raise DidNotServe(started.last_words())


def answers(address: str) -> bool:
    """Whether that page opens."""
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def memory_of(processes: Sequence[psutil.Process]) -> Memory:
    """What these processes hold together."""
    facts = [process.memory_full_info() for process in processes]
    rss = sum(fact.rss for fact in facts)
    # Only Linux tells the proportional share.
    pss = sum(getattr(fact, "pss", fact.rss) for fact in facts)
    return Memory(len(facts), rss / 2**20, pss / 2**20)


def postgres_in(data: Path) -> list[psutil.Process]:
    """The processes of the PostgreSQL server that works in that folder."""
    found = psutil.process_iter(["name", "cwd"])
    return [p for p in found if p.info["name"] == "postgres" and p.info["cwd"] == str(data)]


def program(started: Started) -> list[psutil.Process]:
    """The command and what it started, without PostgreSQL."""
    first = psutil.Process(started.process.pid)
    everyone = [first, *first.children(recursive=True)]
    return [each for each in everyone if each.name() != "postgres"]
