"""A callback on its way from the door to the table: as rows of one statement, or as a record."""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from bank.sealing import Seal, SealBroken

BELL = "inbound"
# What is sealed for one place opens in no other.
CONTEXT = b"inbound_event"
SPOOL_CONTEXT = b"spool"
# Longer words are nobody's ids or event names; the index on the order key could not hold them.
LONGEST_WORD = 128

# Rows and bell in one statement: one way to the server and back is the whole transaction.
STORE = """
WITH stored AS (
    INSERT INTO inbound_event (digest, sealed, kind, urgent, order_key, received_at, sent_at,
                               state, attempts, outcome)
    SELECT digest, sealed, kind, urgent, order_key, received_at, sent_at,
           CASE WHEN sent_at IS NULL THEN 'new' ELSE 'held' END, 0, ''
    FROM unnest(%b::bytea[], %b::bytea[], %b::text[], %b::bool[], %b::text[],
                %b::timestamptz[], %b::timestamptz[])
         AS arrived (digest, sealed, kind, urgent, order_key, received_at, sent_at)
    ON CONFLICT (digest) DO NOTHING
    RETURNING digest, sent_at)
SELECT array_agg(digest) FILTER (WHERE sent_at IS NOT NULL), pg_notify(%b, '') FROM stored
"""


@dataclass(slots=True, eq=False)
class Arrival:
    """One decrypted callback and whoever waits for it to be safe."""

    digest: bytes
    sealed: bytes
    kind: str
    urgent: bool
    order_key: str
    received_at: datetime
    sent_at: datetime | None
    safe: "asyncio.Future[bool]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def kept(self, newly_held: frozenset[bytes] | None) -> None:
        """Tell who waits: it is durable; False for a held one that was known already."""
        if not self.safe.done():
            known = self.sent_at is not None and newly_held is not None
            self.safe.set_result(not known or self.digest in (newly_held or ()))


async def store(
    connection: psycopg.AsyncConnection[Any], batch: Sequence[Arrival]
) -> frozenset[bytes]:
    """Return when all of them are on disk; on a connection that commits every statement.

    Returned are the digests of those that are held and were not known before.
    """
    columns = (
        [a.digest for a in batch],
        [a.sealed for a in batch],
        [_word(a.kind) for a in batch],
        [a.urgent for a in batch],
        [_word(a.order_key) for a in batch],
        [a.received_at for a in batch],
        [a.sent_at for a in batch],
    )
    found = await connection.execute(STORE, (*columns, BELL), binary=True)
    row = await found.fetchone()
    return frozenset(row[0] or ()) if row else frozenset()


def _word(text: str) -> str:
    """What the table can hold of it in any case."""
    return text[:LONGEST_WORD].replace("\0", "\ufffd")


def packed(arrival: Arrival, seal: Seal) -> bytes:
    """The arrival as a sealed record of the spool."""
    facts = {
        "digest": arrival.digest.hex(),
        "sealed": base64.b64encode(arrival.sealed).decode(),
        "kind": arrival.kind,
        "urgent": arrival.urgent,
        "order_key": arrival.order_key,
        "received_at": arrival.received_at.timestamp(),
        "sent_at": arrival.sent_at.timestamp() if arrival.sent_at else None,
    }
    return seal.close(json.dumps(facts).encode(), SPOOL_CONTEXT)


def unpacked(record: bytes, seal: Seal) -> Arrival:
    """The arrival again, with nobody waiting for it; SealBroken if it is not one of ours."""
    try:
        facts = json.loads(seal.open(record, SPOOL_CONTEXT))
        sent_at = facts["sent_at"]
        return Arrival(
            digest=bytes.fromhex(facts["digest"]),
            sealed=base64.b64decode(facts["sealed"]),
            kind=facts["kind"],
            urgent=facts["urgent"],
            order_key=facts["order_key"],
            received_at=datetime.fromtimestamp(facts["received_at"], UTC),
            sent_at=None if sent_at is None else datetime.fromtimestamp(sent_at, UTC),
        )
    except (ValueError, KeyError, TypeError) as changed:
        raise SealBroken("not a record of the spool") from changed
