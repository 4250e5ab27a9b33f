"""渠道活码: one code for one RM in one channel, so that a customer's source is known at once.

make      rows with an unguessable key, committed with whoever asked for them
WayMaker  asks WeCom for each, once; a lost answer is looked up by the key, never asked again
retire    the row is over at once, the code at WeCom right after
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.database import ring
from bank.models import Branch, Staff
from bot.models import ContactWay, WayState
from content.models import Material

BELL = "contact_way"
# WeCom's ceiling for one company, codes of customer groups included (41045).
QUOTA = 500_000
# 16 characters of the 30 that WeCom allows; nobody can guess another channel's.
KEY_BYTES = 12
LONGEST_CHANNEL = 30


@dataclass(frozen=True)
class NotMade:
    """Why no code was made, by field of the form."""

    errors: dict[str, str]


async def with_key(session: AsyncSession, key: str) -> ContactWay | None:
    """The code with this key, retired or not."""
    if not key:
        return None
    query = select(ContactWay).where(ContactWay.key == key)
    return (await session.execute(query)).scalar_one_or_none()


async def channel_of(session: AsyncSession, key: str) -> str | None:
    """The channel a customer with this source came by; None for a source of another kind."""
    return (await channels_of(session, [key])).get(key)


async def channels_of(session: AsyncSession, keys: Collection[str]) -> dict[str, str]:
    """The channels behind these keys; keys that are not ours are left out."""
    if not keys:
        return {}
    query = select(ContactWay.key, ContactWay.channel).where(col(ContactWay.key).in_(set(keys)))
    return dict((await session.execute(query)).all())


async def make(
    session: AsyncSession,
    rms: Sequence[Staff],
    channel: str,
    material_id: UUID | None,
    *,
    skip_verify: bool,
    by: str,
    now: datetime,
) -> int | NotMade:
    """A code for each of these RMs in this channel; returns how many are new.

    Who has one for the channel keeps it. The codes exist at WeCom a moment after the commit.
    """
    channel = channel.replace("\0", "").strip()
    errors = _wrong(rms, channel)
    if errors:
        return NotMade(errors)
    made = 0
    for rm in rms:
        row = insert(ContactWay).values(
            staff_id=rm.id,
            channel=channel,
            key=secrets.token_urlsafe(KEY_BYTES),
            state=WayState.MAKING,
            qr_code="",
            welcome_material_id=material_id,
            skip_verify=skip_verify,
            failure="",
            made_by=by,
            made_at=now,
        )
        once = row.on_conflict_do_nothing(
            index_elements=["staff_id", "channel"], index_where=text("state <> 'retired'")
        ).returning(col(ContactWay.id))
        way_id = (await session.execute(once)).scalar_one_or_none()
        if way_id is not None:
            audit.record(
                session, "bot:contact_way:make", way_id, by=by, now=now, name=channel, rm=rm.name
            )
            made += 1
    await ring(session, BELL)
    return made


def _wrong(rms: Sequence[Staff], channel: str) -> dict[str, str]:
    errors = {}
    if not channel:
        errors["channel"] = "请填写渠道名称，例如“大堂易拉宝”。"
    elif len(channel) > LONGEST_CHANNEL:
        errors["channel"] = f"渠道名称不能超过 {LONGEST_CHANNEL} 个字。"
    if not rms:
        errors["rms"] = "请至少选择一位客户经理。"
    return errors


async def retry(session: AsyncSession, way: ContactWay, *, by: str, now: datetime) -> bool:
    """Ask for a failed code again, under the same key; False where it has not failed."""
    if way.state is not WayState.FAILED:
        return False
    way.state, way.failure = WayState.MAKING, ""
    audit.record(session, "bot:contact_way:retry", way.id, by=by, now=now, name=way.channel)
    await ring(session, BELL)
    return True


async def retire(session: AsyncSession, way: ContactWay, *, by: str, now: datetime) -> bool:
    """The code is over; False while it is being made, or where it is over already."""
    if way.state not in (WayState.LIVE, WayState.FAILED):
        return False
    way.state, way.retired_at, way.failure = WayState.RETIRED, now, ""
    audit.record(session, "bot:contact_way:retire", way.id, by=by, now=now, name=way.channel)
    await ring(session, BELL)
    return True


async def change_welcome(
    session: AsyncSession, way: ContactWay, material_id: UUID | None, *, by: str, now: datetime
) -> None:
    """From now on this material welcomes who comes by this code; None: as the RM's others."""
    way.welcome_material_id = material_id
    material = await session.get(Material, material_id) if material_id else None
    name = material.title if material else "跟随客户经理的欢迎语"
    audit.record(session, "bot:contact_way:welcome", way.id, by=by, now=now, name=name)


async def used(session: AsyncSession) -> int:
    """How many of WeCom's places our codes take."""
    taken = select(func.count()).where(
        col(ContactWay.config_id).is_not(None), col(ContactWay.qr_code) != ""
    )
    return (await session.execute(taken)).scalar_one()


async def branches_with_rms(session: AsyncSession) -> list[Branch]:
    """Branches with at least one RM, by code."""
    query = (
        select(Branch)
        .where(
            select(Staff.id)
            .where(Staff.branch_id == Branch.id, col(Staff.roles).contains(["rm"]))
            .exists()
        )
        .order_by(col(Branch.code))
    )
    return list((await session.execute(query)).scalars())
