"""Who acts on material: what the review needs to know of a person."""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID


class Person(Protocol):
    """Who acts: a member of staff, or the one signed in."""

    @property
    def id(self) -> UUID: ...
    @property
    def userid(self) -> str: ...
    @property
    def roles(self) -> Collection[str]: ...
    @property
    def branch_id(self) -> UUID | None: ...
