"""Finding by direction: rows of vectors, searched only among those that may be found.

Two indexes in this process: exact (`FlatIndex`), and for large libraries one that looks only where
the neighbours are (`IvfIndex`). A third one asks the database (`knowledge/pgvector.py`).
"""

import hashlib
import math
import os
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from knowledge.conditions import Conditions, Within

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]

# Rows from which looking at all of them takes longer than a suggestion has (README, figures).
IVF_FROM = 50_000
# Of the ten nearest rows, so many must be found; measured at every training.
LEAST_RECALL = 0.99
NEAREST, ASKED = 10, 200
# k-means learns no more from further rows.
ROWS_A_CELL = 64
# Half-precision scores of equal rows differ by less.
SAME = 1e-3
# What is asked at a training: rows moved aside by half more than their length. Questions of
# customers lie otherwise; measured on 100,000 rows, they need up to eight times the cells.
ASIDE, MARGIN = 1.5, 8

# Its stubs know the C++ signatures, not the Python ones put over them.
engine: Any = faiss


class IndexDamaged(RuntimeError):
    """The stored index is damaged or was built by another encoder; rebuild it from the database."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{self.__doc__} ({path.name}: {why})")


class VectorsGone(KeyError):
    """The vectors of this index were taken away; words alone are searched until it is rebuilt."""


class VectorIndex(Protocol):
    """Rows of vectors, nearest first by inner product; built whole, never changed."""

    @property
    def kind(self) -> str:
        """What it is, in a word."""

    @property
    def gone(self) -> bool:
        """Whether its vectors were taken away, so that another one must be built."""

    def __len__(self) -> int: ...

    def search(self, vector: Vectors, k: int, within: Within) -> tuple[Ids, Vectors]:
        """Up to k (rows, inner products), best first; rows not allowed are never among them.

        As many come back as there are allowed rows, up to k.
        """

    def vectors(self, rows: Ids) -> Vectors:
        """The stored vectors of these rows, in their order; KeyError for one that is not there."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What an index is made of: vectors, who may find which of them, and what made them."""

    vectors: Vectors
    conditions: Conditions
    encoder: str


class VectorStore(Protocol):
    """Where the vectors of a generation are held while it serves, and kept for the next start."""

    @property
    def name(self) -> str:
        """The word of `SIYU_VECTORS`."""

    def hold(self, rows: Rows) -> VectorIndex:
        """An index over these rows; nobody finds anything in it before it is whole."""

    def holds(self, index: VectorIndex) -> bool:
        """Whether that index is as `hold` would make it."""

    def keep(self, index: VectorIndex, folder: Path, /) -> str:
        """Make sure that `take` finds it again by the returned name, after any crash."""

    def take(self, name: str, folder: Path, /, *, rows: int, dimension: int) -> VectorIndex:
        """What was kept; IndexDamaged when it is not there or not as it was."""

    def tidy(self, index: VectorIndex | None) -> None:
        """Note that this index is in use, and clear away what nobody has used for long."""

    def close(self) -> None:
        """Let go of what is open."""


def _nothing() -> tuple[Ids, Vectors]:
    return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)


def _alone() -> None:
    """Let FAISS work in the calling thread alone.

    A search is over before others have started, and these then wait for more by keeping a core
    busy: two threads took twice as long for 26,666 rows, and twice the processor time.
    """
    engine.omp_set_num_threads(1)


class FaissIndex(ABC):
    """What both indexes in this process share: the filter acts inside the search."""

    kind = "faiss"
    gone = False

    def __init__(self, built: Any) -> None:
        self._faiss = built
        self.file: Path | None = None

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return int(self._faiss.d)

    def search(self, vector: Vectors, k: int, within: Within) -> tuple[Ids, Vectors]:
        """Up to k (rows, inner products) among the allowed, best first."""
        allowed = within.count()
        wanted = min(k, allowed)
        if wanted < 1:
            return _nothing()
        _alone()
        selector = engine.IDSelectorBitmap(np.packbits(within.mask, bitorder="little"))
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        return self._nearest(query, wanted, selector, allowed)

    @abstractmethod
    def _nearest(
        self, query: Vectors, wanted: int, selector: Any, allowed: int
    ) -> tuple[Ids, Vectors]:
        """So many rows among the selected, best first."""

    def _asked(self, query: Vectors, wanted: int, within: Any) -> tuple[Ids, Vectors]:
        scores, rows = self._faiss.search(query, wanted, params=within)
        found = rows[0] >= 0
        return rows[0][found], scores[0][found]

    def vectors(self, rows: Ids) -> Vectors:
        """The stored vectors of these rows, in their order; KeyError for one that is not there."""
        if not len(rows):
            return np.zeros((0, self.dimension), dtype=np.float32)
        if rows.min() < 0 or rows.max() >= len(self):
            raise KeyError("a row is not in the index")
        _alone()
        stored: Vectors = self._faiss.reconstruct_batch(np.asarray(rows, dtype=np.int64))
        return stored

    def write(self, path: Path) -> None:
        """Write it down as FAISS does."""
        engine.write_index(self._faiss, str(path))


class FlatIndex(FaissIndex):
    """Exact: every allowed row is looked at."""

    kind = "flat"

    @classmethod
    def of(cls, vectors: Vectors) -> "FlatIndex":
        """The index over these rows."""
        built = engine.IndexFlatIP(vectors.shape[1])
        built.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(built)

    def _nearest(
        self, query: Vectors, wanted: int, selector: Any, allowed: int
    ) -> tuple[Ids, Vectors]:
        within = None if allowed == len(self) else engine.SearchParameters(sel=selector)
        return self._asked(query, wanted, within)


class IvfIndex(FaissIndex):
    """Rows in cells around centres, at half precision; only the nearest cells are looked into."""

    kind = "ivf"

    @classmethod
    def trained(cls, vectors: Vectors, least_recall: float = LEAST_RECALL) -> "IvfIndex":
        """Cells learnt from these rows, and as many looked into as that recall takes."""
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        count, dimension = vectors.shape
        cells = max(1, round(2 * math.sqrt(count)))
        built = engine.index_factory(dimension, f"IVF{cells},SQfp16", engine.METRIC_INNER_PRODUCT)
        built.by_residual = False
        built.cp.min_points_per_centroid = 1
        dice = np.random.default_rng(1)
        learnt = dice.permutation(count)[: ROWS_A_CELL * cells]
        built.train(vectors[learnt])
        built.add(vectors)
        built.nprobe = _cells_for(least_recall, built, vectors, dice)
        return cls.ready(built)

    @classmethod
    def ready(cls, built: Any) -> "IvfIndex":
        """The same, able to tell the vector of a row."""
        built.make_direct_map()
        lists = engine.downcast_InvertedLists(built.invlists)
        if hasattr(lists, "prefetch_nthread"):
            # On a mapped file every search would start threads to read ahead.
            lists.prefetch_nthread = 0
        return cls(built)

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return int(self._faiss.nlist)

    @property
    def looked_into(self) -> int:
        """How many of them a search without a filter looks into."""
        return int(self._faiss.nprobe)

    def _nearest(
        self, query: Vectors, wanted: int, selector: Any, allowed: int
    ) -> tuple[Ids, Vectors]:
        # The rarer the allowed rows, the more cells hold the nearest of them.
        cells = min(self.cells, math.ceil(self.looked_into * len(self) / allowed))
        found = self._asked(query, wanted, self._into(cells, selector))
        if len(found[0]) < wanted:
            found = self._asked(query, wanted, self._into(self.cells, selector))
        return found

    def _into(self, cells: int, selector: Any) -> Any:
        return engine.SearchParametersIVF(sel=selector, nprobe=cells)


def _cells_for(least: float, built: Any, vectors: Vectors, dice: np.random.Generator) -> int:
    """As many cells as find that share of the ten nearest, against all rows, with a margin."""
    chosen = vectors[dice.integers(len(vectors), size=min(ASKED, len(vectors)))]
    noise = dice.normal(size=chosen.shape).astype(np.float32)
    noise *= ASIDE / np.linalg.norm(noise, axis=1, keepdims=True)
    asked = np.ascontiguousarray(chosen + noise, dtype=np.float32)
    nearest = min(NEAREST, len(vectors))
    best, _ = engine.knn(asked, vectors, nearest, metric=engine.METRIC_INNER_PRODUCT)
    cells = 1
    while cells < built.nlist:
        within = engine.SearchParametersIVF(nprobe=cells)
        scores, _ = built.search(asked, nearest, params=within)
        if float((scores >= best[:, -1:] - SAME).mean()) >= least:
            return min(MARGIN * cells, int(built.nlist))
        cells *= 2
    return int(built.nlist)


class FaissStore:
    """Vectors in this process, and in a file of the index's folder for the next start."""

    name = "faiss"

    def __init__(self, ivf_from: int = IVF_FROM) -> None:
        self._ivf_from = ivf_from

    def hold(self, rows: Rows) -> FaissIndex:
        """Exact below `IVF_FROM` rows, cells from there on; the conditions stay in the segment."""
        if len(rows.vectors) < self._ivf_from:
            return FlatIndex.of(rows.vectors)
        return IvfIndex.trained(rows.vectors)

    def holds(self, index: VectorIndex) -> bool:
        """Whether it is of the kind its size asks for."""
        return index.kind == ("flat" if len(index) < self._ivf_from else "ivf")

    def keep(self, index: VectorIndex, folder: Path) -> str:
        """Write a file whose name is its checksum; it appears whole or not at all."""
        if not isinstance(index, FaissIndex):
            raise TypeError("vectors of another store")
        if index.file is not None and index.file.parent == folder and index.file.exists():
            return index.file.name
        if index.file is not None and isinstance(index, IvfIndex):
            # Its cells are mapped: written again, they would only name the file that is gone.
            index = IvfIndex.trained(index.vectors(np.arange(len(index))))
        beside = folder / f".vectors.{os.getpid()}"
        index.write(beside)
        with beside.open("r+b") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        name = f"{digest}.vectors"
        beside.replace(folder / name)
        return name

    def take(self, name: str, folder: Path, *, rows: int, dimension: int) -> FaissIndex:
        """The file's index; cells are mapped, not read: they need memory only where looked into."""
        path = folder / name
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as missing:
            raise IndexDamaged(path, "cannot be read") from missing
        if digest != name.partition(".")[0]:
            raise IndexDamaged(path, "checksum differs")
        built = engine.read_index(str(path), engine.IO_FLAG_MMAP)
        if (built.ntotal, built.d) != (rows, dimension):
            raise IndexDamaged(path, "count or dimension differs")
        cells = isinstance(built, engine.IndexIVF)
        index: FaissIndex = IvfIndex.ready(built) if cells else FlatIndex(built)
        index.file = path
        return index

    def tidy(self, index: VectorIndex | None) -> None:
        """Files are cleared away as others are written."""

    def close(self) -> None:
        """Nothing is open."""


def replace_file(path: Path, content: bytes) -> None:
    """Write beside the file, then put it in its place in one step: no reader sees half a file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def remove_file(path: Path) -> None:
    """Remove it; one that is gone, or that a reader still has mapped on Windows, is no error."""
    with suppress(FileNotFoundError, PermissionError):
        path.unlink()
