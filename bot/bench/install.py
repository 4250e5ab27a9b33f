"""From nothing to the first page: clone, `make setup`, `make demo`, and how large it all is."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bot.bench.machine import a_home
from bot.bench.processes import answers, running, until_served

REPOSITORY = Path(__file__).parents[2]
ADDRESS = "http://127.0.0.1:8800/"


@dataclass(frozen=True)
class Installed:
    """Seconds of each part and megabytes of the environment."""

    clone_seconds: float
    setup_seconds: float
    environment_mb: float
    packages: int
    first_page_seconds: float
    again_seconds: float

    @property
    def whole_seconds(self) -> float:
        """From the clone to the first page."""
        return self.clone_seconds + self.setup_seconds + self.first_page_seconds


class PortTaken(RuntimeError):
    """Something already answers on http://127.0.0.1:8800/; stop it first."""


class CommandFailed(RuntimeError):
    """A step of the installation did not succeed."""

    def __init__(self, command: Sequence[str], last_words: str) -> None:
        super().__init__(f"{self.__doc__} {' '.join(command)}: {last_words}")


def measure(repository: Path = REPOSITORY) -> Installed:
    """Do what the README's first lines say, in a fresh folder, with this machine's pip."""
    if answers(ADDRESS):
        raise PortTaken(PortTaken.__doc__)
    with a_home() as folder:
        checkout = folder / "siyu"
        clone = _timed(["git", "clone", "--quiet", str(repository), str(checkout)], folder)
        setup = _timed(["make", "setup"], checkout)
        environment = checkout / ".venv"
        first, again = (_first_page(checkout, folder / "home") for _ in range(2))
        return Installed(
            clone, setup, _megabytes(environment), _packages(environment), first, again
        )


def _timed(command: Sequence[str], folder: Path) -> float:
    began = perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise CommandFailed(command, done.stderr.strip()[-500:])
    return perf_counter() - began


def _first_page(checkout: Path, home: Path) -> float:
    with running(["make", "demo"], checkout, home) as started:
        return until_served(ADDRESS, started)


def _megabytes(folder: Path) -> float:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(path.stat().st_size for path in files) / 1e6


def _packages(environment: Path) -> int:
    return len(list(environment.glob("lib/python*/site-packages/*.dist-info")))
