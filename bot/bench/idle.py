"""The demo at rest: seconds to its first page, at first and again, and the memory it holds."""

import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from bot.bench.machine import a_home
from bot.bench.processes import Memory, memory_of, postgres_in, program, running, until_served

SIYU = Path(sys.executable).with_name("siyu")
REST_SECONDS = 20.0


@dataclass(frozen=True)
class Idle:
    """What `siyu demo` takes when nobody uses it."""

    first_start_seconds: float
    second_start_seconds: float
    rest_seconds: float
    product: Memory
    postgresql: Memory


def measure(rest_seconds: float = REST_SECONDS) -> Idle:
    """Start the demo on an empty folder, let it rest, stop it, start it again."""
    with a_home() as folder:
        home, port = folder / "home", free_port()
        address, command = f"http://127.0.0.1:{port}/", [str(SIYU), "demo", "--port", str(port)]
        with running(command, folder, home) as started:
            first = until_served(address, started)
            sleep(rest_seconds)
            product = memory_of(program(started))
            postgresql = memory_of(postgres_in(home / "postgres"))
        with running(command, folder, home) as started:
            second = until_served(address, started)
    return Idle(first, second, rest_seconds, product, postgresql)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
