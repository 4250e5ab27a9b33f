"""Events that wait behind another one and only ask to look at what that one looks at anyway.

Effects ask for the present (docs/decisions/0013). What was stored before the platform is asked is
therefore in its answer, and such events end with the one that asked, in its transaction. Which
they are is settled by their place in the table, found before anybody is asked: no clock decides.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bank.sealing import Seal, SealBroken
from bot.inbound.arrivals import CONTEXT
from wecom.events import Event, UnreadableEvent, parse

log = structlog.get_logger("bot")

ALREADY_SEEN: Final = "already seen: the answer to an earlier event held it"
# More than these of one customer or group end with the next of its events.
AT_ONCE = 200
# Events that belong to nobody: whatever they say, one look at the whole answers all of them.
LOOKED_AT_WHOLE: Final = {
    "msgaudit_notify": "archive",
    "change_external_tag.create": "tags",
    "change_external_tag.update": "tags",
    "change_external_tag.delete": "tags",
    "change_external_tag.shuffle": "tags",
}

OF_THE_SAME = text("""
SELECT head.id AS head, later.id, later.kind, later.received_at, later.sealed
FROM inbound_event head CROSS JOIN LATERAL (
    SELECT id, kind, received_at, sealed FROM inbound_event
    WHERE state = 'new' AND order_key = head.order_key AND id > head.id
    ORDER BY order_key, id LIMIT :most) later
WHERE head.id = ANY(:heads) AND head.order_key <> ''
ORDER BY later.id
""")
OF_NOBODY = text("""
SELECT id, kind, received_at, sealed FROM inbound_event
WHERE state = 'new' AND order_key = '' AND kind = ANY(:kinds) AND id >= :first
ORDER BY order_key, id LIMIT :most
""")
# One that another process has in its hands is left to it.
SETTLE = text("""
UPDATE inbound_event SET state = 'done', outcome = :outcome, handled_at = :now, lease_until = NULL
WHERE id IN (SELECT id FROM inbound_event WHERE id = ANY(:ids) AND state = 'new'
             ORDER BY id FOR UPDATE SKIP LOCKED)
""")


@dataclass(frozen=True)
class Head:
    """A claimed event: its number, what it is about, and WeCom's word for it."""

    id: int
    order_key: str
    kind: str


@dataclass(frozen=True)
class Waiting:
    """An event that was stored before its head is handled, and waits behind it."""

    id: int
    kind: str
    received_at: datetime
    sealed: bytes
    seal: Seal

    def read(self) -> Event | None:
        """What it says; None if that cannot be read, which is its own handling's business."""
        try:
            return parse(self.seal.open(self.sealed, CONTEXT))
        except (SealBroken, UnreadableEvent, ValueError):
            return None


Behind = dict[int, list[Waiting]]


async def waiting_behind(session: AsyncSession, heads: Sequence[Head], seal: Seal) -> Behind:
    """What waits behind each of these now, oldest first."""
    behind: Behind = defaultdict(list)
    keyed = [head.id for head in heads if head.order_key]
    if keyed:
        rows = await session.execute(OF_THE_SAME, {"heads": keyed, "most": AT_ONCE})
        for head, number, kind, received_at, sealed in rows:
            behind[head].append(Waiting(number, kind, received_at, sealed, seal))
    whole = [head for head in heads if not head.order_key and head.kind in LOOKED_AT_WHOLE]
    if whole:
        waiting = await _of_nobody(session, whole, seal)
        for head in whole:
            behind[head.id] = [each for each in waiting if _is_answered_with(head, each)]
    return behind


async def _of_nobody(session: AsyncSession, heads: Sequence[Head], seal: Seal) -> list[Waiting]:
    facts = {"kinds": list(LOOKED_AT_WHOLE), "first": heads[0].id, "most": 10 * AT_ONCE}
    rows = await session.execute(OF_NOBODY, facts)
    return [
        Waiting(number, kind, received_at, sealed, seal)
        for number, kind, received_at, sealed in rows
    ]


def _is_answered_with(head: Head, waiting: Waiting) -> bool:
    same = LOOKED_AT_WHOLE[head.kind] == LOOKED_AT_WHOLE[waiting.kind]
    return same and waiting.id != head.id


async def settle(session: AsyncSession, seen: Iterable[Waiting], now: datetime) -> int:
    """End these as seen, with this transaction; how many there were."""
    ids = [waiting.id for waiting in seen]
    if ids:
        await session.execute(SETTLE, {"ids": ids, "now": now, "outcome": ALREADY_SEEN})
        log.info("events_already_seen", events=len(ids))
    return len(ids)


def run_of(kind: str, waiting: Iterable[Waiting]) -> Iterator[Waiting]:
    """Those of that kind at its head; whatever comes behind another one keeps its turn."""
    for each in waiting:
        if each.kind != kind:
            return
        yield each
