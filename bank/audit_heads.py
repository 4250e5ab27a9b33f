"""Heads of the audit book: where its chain ended, signed, in files outside the database.

    heads.jsonl   one signed record a day and on demand, only ever added to; each record carries
                  the hash of the one before
    tip.json      where the chain ended last, put in place anew after every linking

Whoever rewrites or cuts the book in the database contradicts what stands here. Copy the folder to
where the database's administrators cannot write.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bank.audit_chain import Place, canonical
from bank.calendar import local_day
from bank.settings import Settings
from bank.signing import Signer, open_signer

HEADS = "heads.jsonl"
TIP = "tip.json"
HEAD, RESTORED = "head", "restored"


@dataclass(frozen=True, slots=True)
class Head:
    """A signed record of where the chain ended; `fault` says in words what is wrong with it."""

    kind: str
    place: Place
    at: datetime
    key: str
    reason: str = ""
    fault: str = ""

    @property
    def good(self) -> bool:
        """Whether it is as somebody with the key wrote it."""
        return not self.fault


class Heads:
    """The folder of the heads."""

    def __init__(self, folder: Path, signer: Signer) -> None:
        self.folder, self.signer = folder, signer

    def write(self, place: Place, now: datetime, *, kind: str = HEAD, reason: str = "") -> None:
        """Add a signed record and return when it is on disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / HEADS
        with path.open("ab+") as file:
            _cut_torn(file.fileno())
            before = _last_line(path)
            previous = hashlib.sha256(before).hexdigest() if before else ""
            file.write(self._record(kind, place, now, reason, previous) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def put_tip(self, place: Place, now: datetime) -> None:
        """Say where the chain ends now; a reader sees the old tip or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f"{TIP}.{secrets.token_hex(4)}"
        try:
            with beside.open("xb") as file:
                file.write(self._record("tip", place, now, "", ""))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.folder / TIP)
        finally:
            beside.unlink(missing_ok=True)

    def read(self) -> list[Head]:
        """Every record in order, good or not."""
        return list(self._read())

    def tip(self) -> Head | None:
        """Where the chain ended when it was last linked from here."""
        try:
            line = (self.folder / TIP).read_bytes()
        except FileNotFoundError:
            return None
        head, _ = self._parsed(line, "链尾文件 tip.json")
        return head

    def wants_today(self, now: datetime) -> bool:
        """Whether this local day has no head yet."""
        heads = [head for head in self._read() if head.good]
        return not heads or local_day(heads[-1].at) < local_day(now)

    def _read(self) -> Iterator[Head]:
        before = b""
        for number, line in enumerate(_lines(self.folder / HEADS), 1):
            head, previous = self._parsed(line, f"库外链头第 {number} 条")
            expected = hashlib.sha256(before).hexdigest() if before else ""
            if head.good and previous != expected:
                yield Head(**_facts(head), fault=f"库外链头第 {number} 条之前有记录被删除或改动")
            else:
                yield head
            before = line

    def _record(self, kind: str, place: Place, now: datetime, reason: str, previous: str) -> bytes:
        said: dict[str, Any] = {
            "kind": kind,
            "position": place.position,
            "chain": place.chain.hex(),
            "at": now.astimezone(UTC).isoformat(),
            "reason": reason,
            "previous": previous,
            "key": self.signer.key,
        }
        return canonical(said | {"signature": self.signer.sign(canonical(said))})

    def _parsed(self, line: bytes, name: str) -> tuple[Head, str]:
        try:
            said = json.loads(line)
            signature = str(said.pop("signature"))
            place = Place(int(said["position"]), bytes.fromhex(said["chain"]))
            at, key = datetime.fromisoformat(said["at"]), str(said["key"])
            head = Head(str(said["kind"]), place, at, key, str(said["reason"]))
            previous = str(said["previous"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return Head(
                "", Place(0, b""), datetime.min.replace(tzinfo=UTC), "", fault=f"{name}无法读取"
            ), ""
        if not self.signer.knows(key):
            return Head(**_facts(head), fault=f"{name}由未知密钥 {key} 签名"), previous
        if not self.signer.signed(key, signature, canonical(said)):
            return Head(**_facts(head), fault=f"{name}签名不符"), previous
        return head, previous


def open_heads(settings: Settings) -> Heads:
    """The heads of the settings."""
    return Heads(settings.audit_heads or settings.home / "audit-heads", open_signer(settings))


def _facts(head: Head) -> dict[str, Any]:
    return {"kind": head.kind, "place": head.place, "at": head.at, "key": head.key}


def _lines(path: Path) -> list[bytes]:
    """The records; what follows the last line end was never finished."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def _last_line(path: Path) -> bytes:
    lines = _lines(path)
    return lines[-1] if lines else b""


def _cut_torn(descriptor: int) -> None:
    """A record that a crash cut short was never relied on: remove it before the next one."""
    size = os.fstat(descriptor).st_size
    whole = os.pread(descriptor, size, 0).rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)
