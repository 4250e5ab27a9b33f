"""What the child may use, and how much a file may hold (trust.md S-05, S-07)."""

import sys
from pathlib import Path
from typing import Any

CPU_SECONDS = 20
MEMORY_BYTES = 512 * 1024 * 1024
# Text recognition maps its models and their workspace; only pictures get this much.
PICTURE_MEMORY_BYTES = 3 * 1024 * 1024 * 1024

MOST_ENTRIES = 2_000
MOST_UNPACKED = 200 * 1024 * 1024
MOST_RATIO = 100
# Small entries compress absurdly well without harm; the ratio counts from here.
RATIO_COUNTS_FROM = 1024 * 1024

MOST_CHARACTERS = 200_000
FEWEST_CHARACTERS = 10
MOST_PIXELS = 40_000_000
LONGEST_SIDE = 20_000

# Of Linux' unshare(2).
NEW_USER, NEW_NETWORK = 0x1000_0000, 0x4000_0000

RECOGNISED = frozenset({"png", "jpg", "mark:png", "mark:jpg"})


class Refusal(Exception):
    """The file is not taken; the word says why."""


def limit_self(kind: str) -> None:
    """CPU, memory, no files written, no sockets."""
    if sys.platform != "win32":
        import resource

        memory = PICTURE_MEMORY_BYTES if kind in RECOGNISED else MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    leave_network()
    sys.addaudithook(no_way_out)


def peak_kib() -> int:
    """The most memory this process ever held; unlike rusage it knows nothing of who started it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line), 0)


def leave_network() -> bool:
    """A network of its own with nothing in it, where the kernel lets us: libraries in C obey too.

    Elsewhere the audit hook stands alone; it stops what is written in Python.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    left: int = ctypes.CDLL(None, use_errno=True).unshare(NEW_USER | NEW_NETWORK)
    return left == 0


def no_way_out(event: str, _: tuple[Any, ...]) -> None:
    """Refuse sockets and further processes."""
    if event.startswith(("socket.connect", "socket.bind", "subprocess.", "os.system", "os.exec")):
        raise PermissionError(event)
