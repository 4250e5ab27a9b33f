"""Finding by direction: vectors with ids, searched only among the ids that are allowed."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]
Allowed = NDArray[np.bool_] | NDArray[np.int64] | Sequence[int]

FORMAT = "siyu-vectors-1"
# Its stubs know the C++ signatures, not the Python ones put over them.
engine: Any = faiss


class IndexDamaged(RuntimeError):
    """The stored index is damaged or was built by another encoder; rebuild it from the database."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{self.__doc__} ({path.name}: {why})")


class VectorIndex(Protocol):
    """Vectors by id, nearest first by inner product."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Take in vectors; an id already there is replaced."""

    def remove(self, ids: Ids) -> None:
        """Forget these ids; unknown ones are no error."""

    def search(self, vector: Vectors, k: int, allowed: Allowed) -> tuple[Ids, Vectors]:
        """Up to k (ids, inner products) among the allowed, best first.

        `allowed` is a mask whose place is the id, or the ids themselves; others are never visited.
        """

    def vectors(self, ids: Ids) -> Vectors:
        """The stored vectors of these ids, in their order; KeyError for an id that is not there."""

    def save(self, path: Path) -> None:
        """Write to a file that is either the old one or the whole new one."""


class FaissIndex:
    """Exact inner product over vectors in memory; the filter acts inside the search."""

    def __init__(self, dimension: int, *, encoder: str = "") -> None:
        """`encoder` names what made the vectors; a file of another one is not loaded."""
        self.dimension = dimension
        self.encoder = encoder
        self._faiss: Any = engine.IndexIDMap2(engine.IndexFlatIP(dimension))

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Take in vectors; an id already there is replaced, an id given twice is refused."""
        ids = np.ascontiguousarray(ids, dtype=np.int64)
        if vectors.shape != (len(ids), self.dimension):
            raise ValueError(f"{len(ids)} ids, vectors {vectors.shape}, dimension {self.dimension}")
        if len(np.unique(ids)) != len(ids):
            raise ValueError("an id is given twice")
        if len(ids):
            self.remove(ids)
            self._faiss.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), ids)

    def remove(self, ids: Ids) -> None:
        """Forget these ids; unknown ones are no error."""
        if len(ids) and len(self):
            self._faiss.remove_ids(engine.IDSelectorBatch(np.asarray(ids, dtype=np.int64)))

    def search(self, vector: Vectors, k: int, allowed: Allowed) -> tuple[Ids, Vectors]:
        """Up to k (ids, inner products) among the allowed, best first; others are never visited."""
        if not len(self) or k < 1:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        wanted = np.asarray(allowed)
        if wanted.dtype == np.bool_:
            bits = np.packbits(wanted, bitorder="little")
            selector = engine.IDSelectorBitmap(bits)
        else:
            selector = engine.IDSelectorBatch(wanted.astype(np.int64))
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        within = engine.SearchParameters(sel=selector)
        scores, ids = self._faiss.search(query, min(k, len(self)), params=within)
        found = ids[0] >= 0
        return ids[0][found], scores[0][found]

    def vectors(self, ids: Ids) -> Vectors:
        """The stored vectors of these ids, in their order; KeyError for an id that is not there."""
        if not len(ids):
            return np.zeros((0, self.dimension), dtype=np.float32)
        try:
            stored: Vectors = self._faiss.reconstruct_batch(np.asarray(ids, dtype=np.int64))
        except RuntimeError as missing:
            raise KeyError("an id is not in the index") from missing
        return stored

    def save(self, path: Path) -> None:
        """Write to a file that is either the old one or the whole new one, with a checksum."""
        body = engine.serialize_index(self._faiss).tobytes()
        facts = {
            "format": FORMAT,
            "encoder": self.encoder,
            "dimension": self.dimension,
            "count": len(self),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        replace_file(path, json.dumps(facts).encode() + b"\n" + body)

    @classmethod
    def load(cls, path: Path, *, dimension: int, encoder: str = "") -> "FaissIndex":
        """Read what `save` wrote; IndexDamaged when anything about it is not as expected."""
        try:
            head, _, body = path.read_bytes().partition(b"\n")
            facts = json.loads(head)
        except (OSError, ValueError) as broken:
            raise IndexDamaged(path, "cannot be read") from broken
        expected = {
            "format": FORMAT,
            "encoder": encoder,
            "dimension": dimension,
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        for fact, value in expected.items():
            if not isinstance(facts, dict) or facts.get(fact) != value:
                raise IndexDamaged(path, f"{fact} differs")
        index = cls(dimension, encoder=encoder)
        index._faiss = engine.deserialize_index(np.frombuffer(body, dtype=np.uint8))
        if len(index) != facts.get("count"):
            raise IndexDamaged(path, "count differs")
        return index


def replace_file(path: Path, content: bytes) -> None:
    """Write beside the file, then put it in its place in one step: no reader sees half a file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
