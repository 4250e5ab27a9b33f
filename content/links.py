"""Links 素材链接 to a live version for customers: public, not to be guessed, gone with the version.

A link never holds the material itself; whether it may be shown is asked of the database every time
it is opened, so a withdrawal, an end of validity or a product taken off sale ends it at once.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from compliance import disclosures
from content import library, products
from content.models import StoredFile, Version
from content.people import Person
from content.review_models import MaterialLink
from wecom.channels import Channel

# 192 random bits: nobody finds a link by trying.
TOKEN_BYTES = 24
NOT_LIVE = "只有已上线的版本可以生成链接，请先提交审批。"
PRIVATE = "私募产品的素材不得以公开链接发送，请在单聊中由客户经理发送。"
ANY_RISK = 5


@dataclass(frozen=True)
class Refused:
    """No link was made, and why."""

    reason: str


@dataclass(frozen=True)
class Shown:
    """What a link leads to."""

    version: Version
    text: str  # with the reminders its products need
    file: StoredFile | None


async def make(
    session: AsyncSession, version_id: UUID, by: Person, now: datetime
) -> MaterialLink | Refused:
    """A new public link to a live version; never for a private offering (C-08)."""
    version = await session.get(Version, version_id)
    if version is None or not await _may_be_shown(session, version, now):
        return Refused(NOT_LIVE)
    about = await products.of_material(session, version.material_id)
    if any(product.offering == "private" for product in about):
        return Refused(PRIVATE)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link = MaterialLink(token=token, version_id=version.id, made_by=by.id, made_at=now)
    session.add(link)
    audit.record(
        session, "content:version:link", version.id, by=by.userid, now=now, number=version.number
    )
    await session.flush()
    return link


async def for_sending(
    session: AsyncSession, version_id: UUID, by: Person, now: datetime
) -> MaterialLink | Refused:
    """A link that is sent with a material: the one there is, or a new one."""
    made = select(MaterialLink).where(MaterialLink.version_id == version_id)
    oldest = made.order_by(col(MaterialLink.made_at), col(MaterialLink.token)).limit(1)
    found = (await session.execute(oldest)).scalar_one_or_none()
    return found or await make(session, version_id, by, now)


async def follow(session: AsyncSession, token: str, now: datetime) -> Shown | Refused | None:
    """What the link shows now; Refused once it may not be shown, None where there is no link."""
    link = await session.get(MaterialLink, token)
    if link is None:
        return None
    return await shown_of(session, link.version_id, now)


async def shown_of(session: AsyncSession, version_id: UUID, now: datetime) -> Shown | Refused:
    """What a link to this version shows now; Refused once it may not be shown."""
    version = await session.get_one(Version, version_id)
    if not await _may_be_shown(session, version, now):
        return Refused(version.state.label)
    file = await session.get(StoredFile, version.file_id) if version.file_id else None
    about = await products.of_material(session, version.material_id)
    return Shown(version, disclosures.append(version.body, about), file)


async def _may_be_shown(session: AsyncSession, version: Version, now: datetime) -> bool:
    """Live in a channel and a branch of its own, with every product on sale."""
    branch_id = version.branch_ids[0] if version.branch_ids else None
    for channel in version.channels or [Channel.SINGLE_CHAT.value]:
        live = await library.only_live(
            session, [version.id], now=now, channel=channel,
            branch_id=branch_id, risk_ceiling=ANY_RISK,
        )  # fmt: skip
        if live:
            return True
    return False


async def made_for(session: AsyncSession, token: str, version_id: UUID) -> bool:
    """Whether this is a link to that version."""
    link = await session.get(MaterialLink, token)
    return link is not None and link.version_id == version_id
