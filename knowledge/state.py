"""The whole index as one value, kept in a folder: a manifest, entries, vectors, what was taught."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from knowledge.calibration import Calibration
from knowledge.conditions import Conditions
from knowledge.encoder import Encoder, StaticEncoder, Vectors
from knowledge.index import IndexDamaged, Rows, VectorIndex, VectorStore, remove_file, replace_file
from knowledge.snapshot import Document, Entry, Fusion, Snapshot

MANIFEST = "manifest.json"
FORMAT = "siyu-index-2"


@dataclass(frozen=True, slots=True)
class State:
    """Everything a search reads, changed only as a whole; `calibration` is None until learnt."""

    encoder: Encoder
    snapshot: Snapshot
    calibration: Calibration | None
    digests: Mapping[Document, int]
    generation: str = field(init=False)

    def __post_init__(self) -> None:
        """Name it once, not at every search: contents in any order, encoder, calibration."""
        contents = sum(self.digests.values()) % 2**256
        learnt = f" {self.calibration}" if self.calibration else ""
        named = hashlib.sha256(f"{contents:x} {self.encoder.name}{learnt}".encode())
        object.__setattr__(self, "generation", named.hexdigest()[:16])


@dataclass(frozen=True, slots=True)
class Stored:
    """What a folder held, checked: enough to build the state again without encoding a text."""

    encoder: Encoder
    entries: list[Entry]
    dense: VectorIndex
    calibration: Calibration | None
    generation: str
    mark: str


def digest(entries: Sequence[Entry]) -> int:
    """A number for the whole contents of a document, the same in any order of its entries."""
    lines = sorted(json.dumps(_plain(entry), ensure_ascii=False) for entry in entries)
    return int.from_bytes(hashlib.sha256("\n".join(lines).encode()).digest())


def save(state: State, untaught: Encoder, folder: Path, store: VectorStore, mark: str = "") -> None:
    """Write the state; a crash at any moment leaves the folder at the old state or the new one.

    `mark` is the owner's word for how far the contents go; it comes back with them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = list(state.snapshot.entries())
    lines = [json.dumps(_plain(entry), ensure_ascii=False) for entry in entries]
    files = {
        "entries": _write(folder, "entries.jsonl", "\n".join(lines).encode()),
        "taught": _write(folder, "taught.npz", _taught_rows(state.encoder, untaught)),
        "vectors": store.keep(_whole(state, entries, store), folder),
    }
    manifest = {
        "format": FORMAT,
        "generation": state.generation,
        "mark": mark,
        "untaught": untaught.name,
        "encoder": state.encoder.name,
        "store": store.name,
        "calibration": asdict(state.calibration) if state.calibration else None,
        "files": files,
    }
    body = json.dumps(manifest)
    sealed = {"manifest": manifest, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    replace_file(folder / MANIFEST, json.dumps(sealed).encode())
    for file in folder.iterdir():
        if file.name not in {MANIFEST, *files.values()}:
            remove_file(file)


def _whole(state: State, entries: list[Entry], store: VectorStore) -> VectorIndex:
    """All living rows in one index of the store: the published one, unless something changed."""
    if state.snapshot.is_whole(store.holds):
        return state.snapshot.segments[0].dense
    vectors = state.snapshot.vectors(state.encoder.dimension)
    return store.hold(Rows(vectors, Conditions.of(entries), state.encoder.name))


def load(folder: Path, untaught: Encoder, store: VectorStore) -> Stored:
    """Read what `save` wrote; IndexDamaged for a file missing, changed or of another encoder."""
    manifest = _manifest(folder / MANIFEST)
    if manifest["untaught"] != untaught.name:
        raise IndexDamaged(folder / MANIFEST, "encoder differs")
    if manifest["store"] != store.name:
        raise IndexDamaged(folder / MANIFEST, "SIYU_VECTORS differs")
    files = manifest["files"]
    lines = _read(folder, files["entries"]).decode().splitlines()
    encoder = _teach(untaught, _read(folder, files["taught"]))
    if encoder.name != manifest["encoder"]:
        raise IndexDamaged(folder / files["taught"], "taught rows differ")
    dense = store.take(files["vectors"], folder, rows=len(lines), dimension=encoder.dimension)
    return Stored(
        encoder=encoder,
        entries=[_entry(json.loads(line)) for line in lines],
        dense=dense,
        calibration=_calibration(manifest["calibration"]),
        generation=manifest["generation"],
        mark=manifest["mark"],
    )


def _manifest(path: Path) -> dict[str, Any]:
    try:
        sealed = json.loads(path.read_bytes())
        manifest: dict[str, Any] = sealed["manifest"]
        body = json.dumps(manifest).encode()
        whole = sealed["sha256"] == hashlib.sha256(body).hexdigest()
    except (OSError, ValueError, KeyError, TypeError) as broken:
        raise IndexDamaged(path, "cannot be read") from broken
    if not whole or manifest["format"] != FORMAT:
        raise IndexDamaged(path, "checksum or format differs")
    return manifest


def _write(folder: Path, name: str, content: bytes) -> str:
    """Write under a name that carries the content's checksum; returns that name."""
    full = f"{hashlib.sha256(content).hexdigest()}.{name}"
    replace_file(folder / full, content)
    return full


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as missing:
        raise IndexDamaged(path, "cannot be read") from missing
    if hashlib.sha256(content).hexdigest() != name.partition(".")[0]:
        raise IndexDamaged(path, "checksum differs")
    return content


def _taught_rows(encoder: Encoder, untaught: Encoder) -> bytes:
    rows: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    values: Vectors = np.zeros((0, encoder.dimension), dtype=np.float32)
    if isinstance(encoder, StaticEncoder) and isinstance(untaught, StaticEncoder):
        rows = np.flatnonzero((encoder.table != untaught.table).any(axis=1))
        values = encoder.table[rows]
    content = io.BytesIO()
    np.savez(content, rows=rows, values=values)
    return content.getvalue()


def _teach(untaught: Encoder, content: bytes) -> Encoder:
    with np.load(io.BytesIO(content), allow_pickle=False) as taught:
        if len(taught["rows"]) and isinstance(untaught, StaticEncoder):
            return untaught.with_rows(taught["rows"], taught["values"])
    return untaught


def _calibration(facts: dict[str, Any] | None) -> Calibration | None:
    if facts is None:
        return None
    return Calibration(
        **{**facts, "fusion": Fusion(**facts["fusion"]), "slopes": tuple(facts["slopes"])}
    )


def _plain(entry: Entry) -> dict[str, Any]:
    branches = entry.branches
    return {
        "key": entry.key,
        "document": str(entry.document),
        "uuid": isinstance(entry.document, UUID),
        "role": entry.role,
        "position": entry.position,
        "text": entry.text,
        "valid_from": entry.valid_from.isoformat(),
        "valid_until": entry.valid_until.isoformat(),
        "channels": sorted(entry.channels),
        "branches": None if branches is None else sorted(map(str, branches)),
        "risk": entry.risk,
        "products": sorted(entry.products),
    }


def _entry(facts: dict[str, Any]) -> Entry:
    branches = facts["branches"]
    return Entry(
        key=facts["key"],
        document=UUID(facts["document"]) if facts["uuid"] else facts["document"],
        role=facts["role"],
        position=facts["position"],
        text=facts["text"],
        valid_from=datetime.fromisoformat(facts["valid_from"]),
        valid_until=datetime.fromisoformat(facts["valid_until"]),
        channels=frozenset(facts["channels"]),
        branches=None if branches is None else frozenset(map(UUID, branches)),
        risk=facts["risk"],
        products=frozenset(facts["products"]),
    )
