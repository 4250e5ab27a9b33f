"""The store of vectors that a setting names."""

from typing import Literal

from knowledge.index import FaissStore, VectorStore
from knowledge.pgvector import PgvectorStore, prepare

Kind = Literal["faiss", "pgvector"]


def open_store(kind: Kind, database_url: str) -> VectorStore:
    """That store, ready; PgvectorUnusable says what to do where the database lacks pgvector."""
    if kind == "faiss":
        return FaissStore()
    prepare(database_url)
    return PgvectorStore(database_url)
