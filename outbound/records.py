"""What was said to customers and what was kept from them: the only writer of these rows.

check ──▶ cleared ──▶ sent          the customer has it
   │         └──────▶ unsent        something else was said instead, or it never arrived
   └─────▶ refused                  with its reasons; some of them are alerts
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.models import Staff
from content.models import Version
from customers.models import Consent, Customer
from outbound import alerts
from outbound.models import ConductAlert, OutboundMessage, OutboundState

OPEN = (OutboundState.CLEARED, OutboundState.SENT)


def hash_of(text: str) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


async def keep_refused(session: AsyncSession, row: OutboundMessage, now: datetime) -> None:
    """Keep an attempt that was refused; misconduct and leaks are told to compliance (C-33)."""
    session.add(row)
    await session.flush()
    await alerts.raise_for(session, row, now)


async def clear(
    session: AsyncSession, row: OutboundMessage, now: datetime
) -> OutboundMessage | None:
    """Keep words that may go out; the same words again are the same row.

    Other words take the place of what was let through before and not sent; None where the
    customer has those already.
    """
    before = await _open(session, row.source, row.source_id)
    if before is not None and _same(before, row):
        return before
    if before is not None and before.state is OutboundState.SENT:
        return None
    if before is not None:
        before.state, before.settled_at = OutboundState.UNSENT, now
        await session.flush()
    session.add(row)
    await session.flush()
    return row


def _same(before: OutboundMessage, row: OutboundMessage) -> bool:
    """Whether it is the same text with the same files and cards."""
    return before.text_hash == row.text_hash and before.attachments == row.attachments


async def _open(session: AsyncSession, source: str, source_id: str) -> OutboundMessage | None:
    query = select(OutboundMessage).where(
        col(OutboundMessage.source) == source,
        col(OutboundMessage.source_id) == source_id,
        col(OutboundMessage.state).in_(OPEN),
    )
    return (await session.execute(query.with_for_update())).scalar_one_or_none()


async def of_source(session: AsyncSession, source: str, source_id: object) -> list[OutboundMessage]:
    """Everything that was tried for one thing, let through or refused, oldest first."""
    query = select(OutboundMessage).where(
        col(OutboundMessage.source) == source, col(OutboundMessage.source_id) == str(source_id)
    )
    return list((await session.execute(query.order_by(col(OutboundMessage.at)))).scalars())


async def cleared(session: AsyncSession, source: str, source_id: object) -> OutboundMessage | None:
    """What was let through for this and may be on its way, locked."""
    return await _open(session, source, str(source_id))


async def sent(
    session: AsyncSession, source: str, source_id: object, at: datetime
) -> OutboundMessage | None:
    """The customer has it, whatever we wanted meanwhile; None where nothing was let through."""
    query = (
        select(OutboundMessage)
        .where(
            col(OutboundMessage.source) == source,
            col(OutboundMessage.source_id) == str(source_id),
            col(OutboundMessage.state) != OutboundState.REFUSED,
        )
        .order_by((col(OutboundMessage.state).in_(OPEN)).desc(), col(OutboundMessage.at).desc())
        .limit(1)
        .with_for_update()
    )
    row = (await session.execute(query)).scalar_one_or_none()
    if row is not None and row.state is not OutboundState.SENT:
        row.state, row.settled_at = OutboundState.SENT, at
    return row


async def unsent(
    session: AsyncSession, source: str, source_ids: Collection[object], now: datetime
) -> int:
    """What was let through for these did not reach the customer; how many there were."""
    ended = (
        update(OutboundMessage)
        .where(
            col(OutboundMessage.source) == source,
            col(OutboundMessage.source_id).in_([str(one) for one in source_ids]),
            col(OutboundMessage.state) == OutboundState.CLEARED,
        )
        .values(state=OutboundState.UNSENT, settled_at=now)
    )
    result = await session.execute(ended)
    return result.rowcount if isinstance(result, CursorResult) else 0


async def did_not_arrive(
    session: AsyncSession, source: str, source_id: object, now: datetime
) -> None:
    """The platform says afterwards that the customer has not got it."""
    row = await _open(session, source, str(source_id))
    if row is not None:
        row.state, row.settled_at = OutboundState.UNSENT, now


def whose() -> ColumnElement[bool]:
    """The customer of a message: known then, or known since under the same WeCom id."""
    since = and_(
        col(OutboundMessage.customer_id).is_(None),
        col(Customer.external_userid) == col(OutboundMessage.contact),
    )
    return or_(col(Customer.id) == col(OutboundMessage.customer_id), since)


@dataclass(frozen=True)
class Why:
    """Why something was said: the row and the people, consent, alert it points to."""

    message: OutboundMessage
    rm: Staff | None
    customer: Customer | None
    consent: Consent | None
    alert: ConductAlert | None


async def why(session: AsyncSession, message_id: UUID) -> Why | None:
    """Everything that decided about one message, in one query (C-38)."""
    query = (
        select(OutboundMessage, Staff, Customer, Consent, ConductAlert)
        .outerjoin(Staff, col(Staff.id) == col(OutboundMessage.staff_id))
        .outerjoin(Customer, whose())
        .outerjoin(Consent, col(Consent.id) == col(OutboundMessage.consent_id))
        .outerjoin(ConductAlert, col(ConductAlert.message_id) == col(OutboundMessage.id))
        .where(col(OutboundMessage.id) == message_id)
    )
    found = (await session.execute(query)).one_or_none()
    return Why(*found) if found else None


async def states_of(session: AsyncSession, version_ids: Collection[UUID]) -> dict[UUID, Version]:
    """The versions as they stand today, to be held beside what was kept."""
    query = select(Version).where(col(Version.id).in_(set(version_ids)))
    return {version.id: version for version in (await session.execute(query)).scalars()}
