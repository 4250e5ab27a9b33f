"""Turning text into vectors: a table, shipped or tuned, or any sentence model."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from knowledge.grams import grams

Vectors = NDArray[np.float32]

BUILTIN = "builtin"
TABLE_SUFFIX = ".npz"
TABLE_FILE = Path(__file__).with_name(f"static_table{TABLE_SUFFIX}")
BUCKETS = 2**15
DIMENSION = 256
# Grams looked up at once: 64 thousand rows of 256 floats are 64 MiB.
GRAMS_AT_ONCE = 65_536


class TableDamaged(ValueError):
    """The encoder table is damaged or of another build; install the package or tune again."""


class ModelsNotInstalled(RuntimeError):
    """A sentence model needs the extra packages: pip install siyu[models]."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Encoder(Protocol):
    """Texts in, unit vectors out."""

    @property
    def name(self) -> str:
        """Tells two encoders apart whose vectors must not be mixed in one index."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 for each text; zeros for a text with nothing known in it."""


def unit(vectors: Vectors) -> Vectors:
    """The rows at length 1; rows of zeros stay as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def buckets(keys: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
    """The table row of each gram: the key well mixed, modulo the size (splitmix64's last steps)."""
    mixed = keys * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    return (mixed % np.uint64(size)).astype(np.int64)


class StaticEncoder:
    """A text is the sum of the table rows of its characters and pairs, brought to length 1."""

    def __init__(self, table: NDArray[Any], scales: NDArray[Any], *, name: str = "static") -> None:
        """`table` is rows × dimension (small integers or floats), `scales` one factor a row."""
        if table.ndim != 2 or scales.shape != (len(table),):
            raise ValueError(f"table {table.shape} needs one scale a row, got {scales.shape}")
        self.name = name
        self.table: Vectors = table.astype(np.float32) * scales.astype(np.float32)[:, None]

    @classmethod
    def builtin(cls) -> Self:
        """The table shipped with the product; TableDamaged when the file is not what was built."""
        return cls.stored(TABLE_FILE, BUILTIN)

    @classmethod
    def stored(cls, file: Path, title: str = "tuned") -> Self:
        """The table in a file, named by what is in it; TableDamaged when it is not as written."""
        packed, scales, digest = _read_table(file)
        return cls(unpack(packed), scales, name=f"{title}-{digest[:12]}")

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return int(self.table.shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text; zeros for a text without a letter or digit."""
        found = grams(texts)
        rows = buckets(found.keys, len(self.table))
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start, end in _portions(found.offsets):
            offsets = found.offsets[start : end + 1]
            filled = start + np.flatnonzero(np.diff(offsets))
            if len(filled):
                gathered = self.table[rows[offsets[0] : offsets[-1]]]
                starts = found.offsets[filled] - offsets[0]
                vectors[filled] = np.add.reduceat(gathered, starts, axis=0)
        return unit(vectors)

    def with_rows(self, rows: NDArray[np.int64], values: Vectors) -> "StaticEncoder":
        """The same encoder with some table rows replaced, under a name of its own."""
        changed = (self.table[rows] != values).any(axis=1)
        rows, values = rows[changed], values[changed]
        table = self.table.copy()
        table[rows] = values
        digest = hashlib.sha256(rows.tobytes() + values.tobytes()).hexdigest()
        name = f"{self.name.partition('+')[0]}+{digest[:12]}"
        return StaticEncoder(table, np.ones(len(table)), name=name)


class SentenceTransformersEncoder:
    """Any sentence-transformers model, by folder or name.

    A model in a folder is called by what is in it: trained again in its place, it is another one.
    """

    def __init__(self, path_or_name: str) -> None:
        """Load the model; ModelsNotInstalled without the extra packages."""
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as missing:
            raise ModelsNotInstalled from missing
        folder = Path(path_or_name)
        self.name = _folder_name(folder) if folder.is_dir() else path_or_name
        self.model = SentenceTransformer(path_or_name)
        self.dimension = len(self.model.encode("字", show_progress_bar=False))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text; zeros for a blank text."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        filled = [number for number, text in enumerate(texts) if text.strip()]
        if filled:
            told = [texts[number] for number in filled]
            vectors[filled] = self.model.encode(told, show_progress_bar=False)
        return unit(vectors)


@cache
def load_encoder(spec: str) -> Encoder:
    """The encoder named in the settings; a process loads each once, and who asks again gets it."""
    return open_encoder(spec)


def is_table(spec: str) -> bool:
    """Whether it names a table, shipped or tuned, and not a sentence model."""
    return spec == BUILTIN or spec.endswith(TABLE_SUFFIX)


def open_encoder(spec: str) -> Encoder:
    """`builtin`, the file of a tuned table, or the folder or name of a sentence model."""
    if not is_table(spec):
        return SentenceTransformersEncoder(spec)
    return StaticEncoder.builtin() if spec == BUILTIN else StaticEncoder.stored(Path(spec))


def pack(levels: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Two whole numbers from -8 to 7 in a byte: rows × dimension → rows × dimension/2."""
    shifted = (levels + 8).astype(np.uint8)
    packed: NDArray[np.uint8] = (shifted[:, 0::2] << np.uint8(4)) | shifted[:, 1::2]
    return packed


def unpack(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The inverse of `pack`."""
    levels = np.empty((len(packed), packed.shape[1] * 2), dtype=np.int8)
    levels[:, 0::2] = packed >> 4
    levels[:, 1::2] = packed & 15
    return levels - 8


def quantise(vectors: Vectors) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Each row as whole numbers from -7 to 7 and a factor."""
    scales = (np.abs(vectors).max(axis=1) / 7).astype(np.float16)
    safe = np.where(scales > 0, scales, 1).astype(np.float32)
    levels = np.clip(np.rint(vectors / safe[:, None]), -7, 7)
    return levels.astype(np.int8), scales


def table_digest(packed: NDArray[np.uint8], scales: NDArray[np.float16]) -> str:
    """SHA-256 over the table as stored."""
    return hashlib.sha256(packed.tobytes() + scales.tobytes()).hexdigest()


def _folder_name(folder: Path) -> str:
    """The folder's name and a digest of its files; what is only there to be read does not count."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix != ".md":
            digest.update(str(file.relative_to(folder)).encode())
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return f"{folder.resolve().name}-{digest.hexdigest()[:12]}"


def _read_table(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float16], str]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            packed, scales, digest = stored["table"], stored["scales"], str(stored["sha256"])
    except Exception as broken:
        raise TableDamaged(f"{TableDamaged.__doc__} ({path.name}: {broken})") from broken
    if packed.shape != (BUCKETS, DIMENSION // 2) or packed.dtype != np.uint8:
        raise TableDamaged(f"{TableDamaged.__doc__} (shape {packed.shape})")
    if scales.shape != (BUCKETS,) or table_digest(packed, scales) != digest:
        raise TableDamaged(f"{TableDamaged.__doc__} (checksum differs)")
    return packed, scales, digest


def _portions(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Spans of texts whose grams fit in memory at once; a longer text gets a span of its own."""
    spans, start = [], 0
    while start < len(offsets) - 1:
        reach = np.searchsorted(offsets, offsets[start] + GRAMS_AT_ONCE, side="right") - 1
        end = max(start + 1, int(reach))
        spans.append((start, end))
        start = end
    return spans
