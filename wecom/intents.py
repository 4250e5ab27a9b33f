"""What is about to be created at WeCom, written down before it is asked for.

    key = open("externalcontact/add_contact_way", {"state": "hz-01"})    committed
    the call                                                              a crash leaves an intent
    settle(key, DONE, "config-1")                                         committed

Creating has no idempotency key. Whoever finds an open intent looks at WeCom and never calls again.
"""

import enum
from collections.abc import Mapping
from typing import Protocol


class IntentState(enum.StrEnum):
    """How far a creation has come."""

    INTENT = "intent"
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"


class Intents(Protocol):
    """Where intents are written; each call is durable when it returns."""

    async def open(self, call: str, facts: Mapping[str, object]) -> str:
        """Write down what is about to be created and return the key to settle it by."""
        ...

    async def settle(self, key: str, state: IntentState, result: str) -> None:
        """Write down what came of it: WeCom's id, or why there is none."""
        ...
