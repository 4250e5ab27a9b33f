"""Where callbacks wait on this machine's disk while the database is away.

    SIYU_HOME/spool/<random>.spool      record = length (4 bytes) · CRC-32 (4 bytes) · sealed text

Each process appends to a file of its own and holds its lock; what a dead process left behind is
taken over by whoever finds it unlocked. What a crash tore at the end was never acknowledged.
"""

import os
import secrets
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

import structlog

log = structlog.get_logger("bot")

HEAD = struct.Struct(">II")
# Two days of an ordinary bank's callbacks, or a quarter of an hour of the worst burst.
LIMIT = 512 << 20
LONGEST_RECORD = 4 << 20


class SpoolUnavailable(OSError):
    """The spool cannot be written or is full; nothing may be acknowledged."""


class Spool:
    """A queue of records on disk: durable once appended, in order, gone once dropped."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._files: deque[SpoolFile] = deque()
        self._own: SpoolFile | None = None
        # A flush runs in a thread that no cancellation stops: nothing is closed under it.
        self._flushing = Lock()

    @property
    def pending(self) -> int:
        """How many records wait."""
        return sum(file.pending for file in tuple(self._files))

    def adopt(self) -> int:
        """Take over what dead processes left behind; returns how many records."""
        found = 0
        known = {file.path for file in self._files}
        for path in sorted(self._folder.glob("*.spool"), key=_age):
            if path not in known and (file := SpoolFile.left_at(path)) is not None:
                # In front of ours: they came before.
                self._files.appendleft(file)
                found += file.pending
        if found:
            log.warning("spool_adopted", records=found)
        return found

    def append(self, records: Sequence[bytes]) -> None:
        """Return when all of them are on disk; SpoolUnavailable if not one may count on it."""
        data = b"".join(HEAD.pack(len(r), zlib.crc32(r)) + r for r in records)
        if sum(file.size for file in tuple(self._files)) + len(data) > self._limit:
            raise SpoolUnavailable(SpoolUnavailable.__doc__)
        try:
            with self._flushing:
                self._mine().append(data, len(records))
        except SpoolUnavailable:
            raise
        except OSError as failed:
            raise SpoolUnavailable(SpoolUnavailable.__doc__) from failed

    def read(self, limit: int) -> list[bytes]:
        """The oldest records, at most that many; they stay until they are dropped."""
        return self._files[0].read(limit) if self._files else []

    def drop(self) -> None:
        """Forget what was read last: it is safe elsewhere."""
        first = self._files[0]
        first.forget_read()
        if first.pending == 0 and first is not self._own:
            self._files.popleft().remove()

    def close(self) -> None:
        """Leave what waits for the next process; remove what is empty."""
        with self._flushing:
            for file in self._files:
                file.close() if file.pending else file.remove()
            self._files.clear()
            self._own = None

    def _mine(self) -> "SpoolFile":
        if self._own is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._own = SpoolFile.made_at(self._folder / f"{secrets.token_hex(8)}.spool")
            self._files.append(self._own)
        return self._own


class SpoolFile:
    """One file under its lock; `size` is how far it is known to be on disk."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = 0
        self.pending = 0
        self._descriptor = descriptor
        self._dropped = 0
        self._read_until = 0
        self._read = 0
        self._broken = False

    @classmethod
    def made_at(cls, path: Path) -> "SpoolFile":
        """A new file of ours, its name on disk too."""
        # Under another name until it is locked: nobody may take it for a dead process's.
        draft = path.with_suffix(".draft")
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        _locked(descriptor)
        draft.rename(path)
        _sync_folder(path.parent)
        return cls(path, descriptor)

    @classmethod
    def left_at(cls, path: Path) -> "SpoolFile | None":
        """What a dead process left, up to its last whole record; None while it lives."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        if not _locked(descriptor):
            os.close(descriptor)
            return None
        file = cls(path, descriptor)
        file._measure()
        if file.pending == 0:
            file.remove()
            return None
        return file

    def _measure(self) -> None:
        self.size, whole_until = os.fstat(self._descriptor).st_size, 0
        for end, record in self._records(0):
            if record is not None:
                self.pending, whole_until = self.pending + 1, end
        if whole_until < self.size:
            log.warning("spool_torn", dropped_bytes=self.size - whole_until)
        self.size = whole_until

    def append(self, data: bytes, count: int) -> None:
        """Write and flush; after a failed flush this file is never written again."""
        if self._broken:
            raise SpoolUnavailable(SpoolUnavailable.__doc__)
        try:
            _write_all(self._descriptor, data, self.size)
        except OSError:
            # A full disk: what was half written must not stand in the way of the next.
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        try:
            os.fsync(self._descriptor)
        except OSError:
            # The kernel may have thrown the pages away and would call the next flush a success.
            self._broken = True
            raise
        self.size += len(data)
        self.pending += count

    def read(self, limit: int) -> list[bytes]:
        """The oldest records that were not dropped."""
        found: list[bytes] = []
        self._read_until = self._dropped
        for end, record in self._records(self._dropped):
            self._read_until = end
            if record is not None:
                found.append(record)
            if len(found) == limit:
                break
        self._read = len(found)
        if not found:
            # Not one readable record is left, whatever was counted.
            self._read_until = self.size
        return found

    def forget_read(self) -> None:
        """What was read last is dropped; an empty file starts again."""
        self._dropped, self.pending = self._read_until, self.pending - self._read
        self._read = 0
        if self._dropped >= self.size:
            os.ftruncate(self._descriptor, 0)
            self.size = self._dropped = self._read_until = self.pending = 0

    def _records(self, start: int) -> Iterator[tuple[int, bytes | None]]:
        """Each record with its end; None for one whose bytes have changed on disk."""
        while start + HEAD.size <= self.size:
            length, checksum = HEAD.unpack(os.pread(self._descriptor, HEAD.size, start))
            end = start + HEAD.size + length
            # Zeros are what a crash leaves where the file grew before its bytes came.
            if length == 0 or length > LONGEST_RECORD or end > self.size:
                return
            record = os.pread(self._descriptor, length, start + HEAD.size)
            whole = zlib.crc32(record) == checksum
            if not whole:
                log.error("spool_record_broken", offset=start)
            yield end, record if whole else None
            start = end

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Delete the file while it is still ours."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.close()


def _locked(descriptor: int) -> bool:
    """Whether nobody alive holds this file; it is ours then until we close it or die."""
    # Here, because where there is no such module the demo still starts.
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
