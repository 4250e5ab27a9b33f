"""Tracked links 追踪链接: an address for each sending, the same whenever it is tried again."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from attribution.models import TrackedLink

# 192 random bits: nobody finds a link by trying.
CODE_BYTES = 24
PATH = "/r/"


@dataclass(frozen=True)
class Sending:
    """What a version is sent with, and to whom; without customer and contact to several at once."""

    source: str
    source_id: str
    channel: str
    staff_id: UUID | None = None
    customer_id: UUID | None = None
    contact: str = ""
    chat_id: str = ""


async def code_of(session: AsyncSession, version_id: UUID, sending: Sending, now: datetime) -> str:
    """The code of this version in this sending: the one there is, or a new one.

    The key `uq_tracked_link_source_source_id_version_id` keeps it one, whoever tries again.
    """
    row = insert(TrackedLink).values(
        code=secrets.token_urlsafe(CODE_BYTES),
        source=sending.source,
        source_id=sending.source_id,
        version_id=version_id,
        customer_id=sending.customer_id,
        contact=sending.contact,
        chat_id=sending.chat_id,
        staff_id=sending.staff_id,
        channel=sending.channel,
        made_at=now,
    )
    await session.execute(row.on_conflict_do_nothing())
    query = select(TrackedLink.code).where(
        TrackedLink.source == sending.source,
        TrackedLink.source_id == sending.source_id,
        TrackedLink.version_id == version_id,
    )
    return (await session.execute(query)).scalar_one()
