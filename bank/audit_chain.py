"""The chain of the audit book: every line is linked to the one before it, in the order of linking.

    content = SHA-256 of the line as canonical JSON
    chain   = SHA-256 of (chain of the link before · position · number of the line · content)

Lines are written by anybody, in the transaction they tell of, and nobody waits for anybody. One
process at a time links what has been committed, within about a second. Numbers are drawn before
commits, so a line with a smaller number may come later: its position is where it was linked.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import AuditLink, AuditWaiting

HASH_BYTES = 32
GENESIS = hashlib.sha256(b"siyu audit book").digest()
AT_ONCE = 2000
WORK = "bank.audit_chain"


@dataclass(frozen=True, slots=True)
class Place:
    """How far the chain has come: the position of its last link, and that link's hash."""

    position: int
    chain: bytes


BEGINNING = Place(0, GENESIS)


def content_of(
    at: datetime | None,
    actor: str,
    action: str,
    subject: str,
    subject_id: str,
    detail: Mapping[str, Any],
) -> bytes:
    """The hash of what a line says; the same from any machine and any driver."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds") if at else None
    return hashlib.sha256(canonical([moment, actor, action, subject, subject_id, detail])).digest()


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces; control characters are escaped."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def chained(before: bytes, position: int, entry_id: int, content: bytes) -> bytes:
    """The hash of a link, which stands for everything up to it."""
    numbers = position.to_bytes(8, "big") + entry_id.to_bytes(8, "big", signed=True)
    return hashlib.sha256(before + numbers + content).digest()


async def alone(session: AsyncSession) -> bool:
    """Whether no other process links; it stays ours until the transaction ends."""
    ours = select(func.pg_try_advisory_xact_lock(func.hashtextextended(WORK, 0)))
    return bool((await session.execute(ours)).scalar_one())


async def end_of_chain(session: AsyncSession) -> Place:
    """Where the chain ends now."""
    newest = select(AuditLink).order_by(col(AuditLink.position).desc()).limit(1)
    link = (await session.execute(newest)).scalar_one_or_none()
    return Place(link.position, link.chain) if link else BEGINNING


async def waiting(session: AsyncSession) -> int:
    """How many lines are not linked yet."""
    return (await session.execute(select(func.count(col(AuditWaiting.entry_id))))).scalar_one()


# A line that vanished before it was linked stays in the queue: the check tells of it.
_WAITING = text("""
SELECT e.id, e.at, e.actor, e.action, e.subject, e.subject_id, e.detail
FROM audit_waiting w JOIN audit_entry e ON e.id = w.entry_id
ORDER BY e.id LIMIT :at_once
""")
_LINK = text("""
INSERT INTO audit_link (position, entry_id, content, chain, linked_at)
SELECT position, entry_id, content, chain, CAST(:now AS timestamptz)
FROM unnest(CAST(:positions AS bigint[]), CAST(:ids AS bigint[]), CAST(:contents AS bytea[]),
            CAST(:chains AS bytea[])) AS made (position, entry_id, content, chain)
""")
_LINKED = text("DELETE FROM audit_waiting WHERE entry_id = ANY(CAST(:ids AS bigint[]))")


async def link_some(session: AsyncSession, now: datetime) -> tuple[int, Place]:
    """Link the lines that wait, `AT_ONCE` at most; how many, and where the chain ends then.

    The caller is alone at it; were it not, position and line would each be taken already.
    """
    lines = (await session.execute(_WAITING, {"at_once": AT_ONCE})).all()
    place = await end_of_chain(session)
    positions, ids, contents, chains = [], [], [], []
    for entry_id, *said in lines:
        content, position = content_of(*said), place.position + 1
        place = Place(position, chained(place.chain, position, entry_id, content))
        positions.append(position)
        ids.append(entry_id)
        contents.append(content)
        chains.append(place.chain)
    if ids:
        made = {"positions": positions, "ids": ids, "contents": contents, "chains": chains}
        await session.execute(_LINK, {**made, "now": now})
        await session.execute(_LINKED, {"ids": ids})
    return len(ids), place
