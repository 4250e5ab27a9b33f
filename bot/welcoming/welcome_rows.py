"""The rows of welcomes: made before the call, leased while it lasts, settled after it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, CursorResult, String, cast, func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import touchpoints
from attribution.models import Touchpoint, TouchpointKind
from bank.models import Staff
from bank.sealing import Seal
from bot.inbound.inbox import text_of
from bot.models import ContactWay, InboundEvent, InboundState, Welcome, WelcomeState
from bot.welcoming.welcome_outcomes import Ended
from customers.models import Customer, Follow
from wecom.channels import Channel
from wecom.events import ContactChange, ContactChanged, parse

SOURCE = "welcome"
WITH_CODE = (ContactChange.ADDED, ContactChange.HALF_ADDED, ContactChange.ARCHIVE_AGREED)
SEEN_SPAN = timedelta(days=3)
SEEN_AT_ONCE = 200

# An event still new may be locked by the ordinary path for as long as a slow read takes.
CLEAR = text("""
UPDATE inbound_event SET urgent = false
WHERE urgent AND state <> 'new' AND (id = ANY(:looked_at) OR EXISTS (
    SELECT 1 FROM welcome WHERE welcome.event_id = inbound_event.id))
""")


@dataclass(frozen=True)
class Arrived:
    """A customer came, and this code welcomes them."""

    event_id: int
    change: ContactChange
    userid: str
    external_userid: str
    channel_key: str
    code: str = field(repr=False)
    created_at: datetime
    received_at: datetime

    @property
    def digest(self) -> bytes:
        """What is kept of the code."""
        return sha256(self.code.encode()).digest()


async def fresh(session: AsyncSession, after: int, limit: int) -> list[InboundEvent]:
    """Events behind `after` with a code for which there is no welcome yet, oldest first."""
    taken = select(Welcome.id).where(Welcome.event_id == InboundEvent.id).exists()
    query = (
        select(InboundEvent)
        .where(
            InboundEvent.urgent,
            col(InboundEvent.id) > after,
            col(InboundEvent.state).in_([InboundState.NEW, InboundState.DONE]),
            ~taken,
        )
        .order_by(col(InboundEvent.id))
        .limit(limit)
    )
    return list((await session.execute(query)).scalars())


async def clear_urgent(session: AsyncSession, looked_at: Sequence[int]) -> None:
    """Events that were looked at are urgent no more once the ordinary path is done with them."""
    await session.execute(CLEAR, {"looked_at": list(looked_at)})


def arrived(event: InboundEvent, seal: Seal) -> Arrived | None:
    """What a stored event says; None where it welcomes nobody."""
    said = parse(text_of(event, seal))
    if not isinstance(said, ContactChanged) or said.change not in WITH_CODE:
        return None
    if not said.welcome_code or event.id is None:
        return None
    return Arrived(
        event_id=event.id,
        change=said.change,
        userid=said.userid,
        external_userid=said.external_userid,
        channel_key=said.state,
        code=said.welcome_code,
        created_at=said.created_at,
        received_at=event.received_at,
    )


async def channel_key_of(session: AsyncSession, it: Arrived) -> str:
    """The channel the event names; where it names none, the one the customer is known to use."""
    if it.channel_key:
        return it.channel_key
    waiting = select(Welcome.channel_key).where(*_waiting_for_consent(it))
    known = (
        select(Follow.source)
        .join(Staff, col(Staff.id) == col(Follow.staff_id))
        .join(Customer, col(Customer.id) == col(Follow.customer_id))
        .where(
            func.lower(col(Staff.userid)) == it.userid.lower(),
            Customer.external_userid == it.external_userid,
        )
    )
    for query in (waiting, known):
        if found := (await session.execute(query)).scalars().first():
            return found
    return ""


def _waiting_for_consent(it: Arrived) -> tuple[ColumnElement[bool], ...]:
    return (
        func.lower(col(Welcome.userid)) == it.userid.lower(),
        col(Welcome.external_userid) == it.external_userid,
        col(Welcome.state) == WelcomeState.AWAITING_CONSENT,
    )


async def write(session: AsyncSession, it: Arrived, **facts: Any) -> UUID | None:
    """The welcome of this code, written now; None if it was written before.

    The fresh code that comes with a customer's consent continues the welcome that waited for it.
    """
    way = select(ContactWay.id).where(ContactWay.key == it.channel_key)
    facts |= {
        "channel_key": it.channel_key,
        "contact_way_id": (await session.execute(way)).scalar_one_or_none(),
        "event_id": it.event_id,
        "created_at": it.created_at,
        "received_at": it.received_at,
    }
    if it.change is ContactChange.ARCHIVE_AGREED:
        waiting = select(Welcome.id).where(*_waiting_for_consent(it))
        newest = waiting.order_by(col(Welcome.created_at).desc()).limit(1).with_for_update()
        found = (await session.execute(newest)).scalar_one_or_none()
        if found is not None:
            # The first code stays its name: the event that brought it may be looked at again.
            again = update(Welcome).where(col(Welcome.id) == found)
            await session.execute(again.values(**{"settled_at": None, **facts}))
            return found
        taken = select(Welcome.id).where(Welcome.event_id == it.event_id)
        if (await session.execute(taken)).first():
            return None
    facts |= {"userid": it.userid, "external_userid": it.external_userid}
    row = insert(Welcome).values(id=uuid4(), code_digest=it.digest, **facts)
    once = row.on_conflict_do_nothing(index_elements=["code_digest"]).returning(col(Welcome.id))
    return (await session.execute(once)).scalar_one_or_none()


async def left_behind(session: AsyncSession, now: datetime, limit: int) -> list[Welcome]:
    """Welcomes that a process began and did not settle, locked; oldest first."""
    query = (
        select(Welcome)
        .where(Welcome.state == WelcomeState.SENDING, col(Welcome.lease_until) <= now)
        .order_by(col(Welcome.lease_until))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list((await session.execute(query)).scalars())


async def extend(session: AsyncSession, welcome_id: UUID, until: datetime) -> bool:
    """It is called for once more; whether it is still open."""
    row = update(Welcome).where(
        col(Welcome.id) == welcome_id, col(Welcome.state) == WelcomeState.SENDING
    )
    more = row.values(attempts=col(Welcome.attempts) + 1, lease_until=until)
    return _changed(await session.execute(more)) == 1


async def settle(session: AsyncSession, welcome_id: UUID, ended: Ended, now: datetime) -> bool:
    """Write down what became of it, once; a sent one wins over whatever another process found."""
    row = update(Welcome).where(col(Welcome.id) == welcome_id)
    if ended.state is not WelcomeState.SENT:
        row = row.where(col(Welcome.state) == WelcomeState.SENDING)
    said = {"state": ended.state, "reason": ended.reason, "settled_at": now, "lease_until": None}
    return _changed(await session.execute(row.values(**said))) == 1


def _changed(result: Any) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0


async def note_seen(session: AsyncSession, now: datetime) -> int:
    """A touchpoint for each welcome a customer saw, once the customer is known; returns how many.

    The welcome is faster than the adoption of its customer, so this looks back over three days.
    """
    noted = select(Touchpoint.id).where(
        Touchpoint.source == SOURCE, col(Touchpoint.source_id) == cast(col(Welcome.id), String)
    )
    query = (
        select(Welcome, col(Customer.id), col(Staff.id))
        .join(Customer, col(Customer.external_userid) == col(Welcome.external_userid))
        .join(Staff, func.lower(col(Staff.userid)) == func.lower(col(Welcome.userid)))
        .where(
            col(Welcome.state) == WelcomeState.SENT,
            col(Welcome.received_at) > now - SEEN_SPAN,
            ~noted.exists(),
        )
        .limit(SEEN_AT_ONCE)
    )
    found = (await session.execute(query)).all()
    for welcome, customer_id, staff_id in found:
        seen = touchpoints.Seen(
            customer_id=customer_id,
            staff_id=staff_id,
            kind=TouchpointKind.TOUCH_DELIVERED,
            channel=Channel.SINGLE_CHAT,
            at=welcome.settled_at or now,
            source=SOURCE,
            source_id=str(welcome.id),
            version_id=welcome.version_id,
        )
        await touchpoints.record(session, seen)
    return len(found)
