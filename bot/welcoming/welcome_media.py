"""Files of welcomes are at WeCom before a customer comes: twenty seconds leave no time for it."""

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.database import Sessions
from bank.models import Staff
from bot.models import ContactWay, WelcomeChoice
from content import library
from content.files import FileMissing
from content.models import Material
from outbound import media
from outbound.attachments import Attached, Stock, prepare
from wecom.client import WeComClient
from wecom.errors import WeComError

log = structlog.get_logger("bot")


async def warm(sessions: Sessions, wecom: WeComClient, stock: Stock, now: datetime) -> int:
    """Upload the files of every material that may welcome somebody; returns how many are ready."""
    async with sessions() as session:
        chosen = await _chosen(session)
    ready = 0
    for material_id in chosen:
        try:
            async with sessions.begin() as session:
                attached = await _attached(session, stock, material_id, now)
                ids = await media.ready(session, stock.files, wecom, attached, now, pictures=True)
            ready += len(ids)
        except (WeComError, FileMissing, media.NotAsApproved) as error:
            log.warning("welcome_not_warm", material=str(material_id), error=type(error).__name__)
    return ready


async def _chosen(session: AsyncSession) -> list[UUID]:
    of_channels = select(col(ContactWay.welcome_material_id)).where(
        col(ContactWay.welcome_material_id).is_not(None)
    )
    of_people = select(col(WelcomeChoice.material_id))
    found = (await session.execute(of_people.union(of_channels))).scalars()
    return sorted(one for one in found if one is not None)


async def _attached(
    session: AsyncSession, stock: Stock, material_id: UUID, now: datetime
) -> tuple[Attached, ...]:
    version = await library.live_version_of(session, material_id, now)
    if version is None:
        return ()
    material = await session.get_one(Material, material_id)
    owner = await session.get_one(Staff, material.owner_id)
    prepared = await prepare(session, stock, [version.id], owner, now)
    return prepared if isinstance(prepared, tuple) else ()
