"""今日适合联系: whom an RM may well write to today, why them, why now, with what."""

from collections import Counter
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import touchpoints
from bank.calendar import day_bounds, local_day
from bank.models import Staff
from bank.settings import Settings
from customers.models import Customer, Follow, FollowState
from desk.signed import Signed
from knowledge import match_reading
from knowledge.match_reading import Shown
from outbound.facts import Facts
from scheduler import sops, touch_reading

# Looked at for a list of eight: some have been written to today, some have no quota left.
LOOKED_AT = 80
# No material floods one RM's day.
MOST_OF_ONE = 2


async def of_rm(
    session: AsyncSession, who: Signed, settings: Settings, now: datetime, most: int
) -> list[tuple[Customer, Shown]]:
    """One match a customer, most urgent first; nobody heard from us today, quotas are kept."""
    if not Facts(staff=await session.get_one(Staff, who.id)).certified(now):
        return []
    steps = await sops.materials_in_steps(session)
    found = await match_reading.urgent(session, _mine(who), now, LOOKED_AT, steps)
    since, _ = day_bounds(local_day(now))
    ids = {customer.id for customer, _ in found}
    heard = await touchpoints.heard_since(session, ids, since)
    chosen: list[tuple[Customer, Shown]] = []
    of_material: Counter[object] = Counter()
    for customer, match in found:
        if customer.id in heard or of_material[match.piece.material_id] >= MOST_OF_ONE:
            continue
        if await _has_quota(session, customer, match, settings, now):
            chosen.append((customer, match))
            heard.add(customer.id)
            of_material[match.piece.material_id] += 1
        if len(chosen) == most:
            break
    return chosen


def _mine(who: Signed) -> ColumnElement[bool]:
    followed = select(Follow.customer_id).where(
        Follow.staff_id == who.id, Follow.state == FollowState.ACTIVE
    )
    return col(Customer.id).in_(followed)


async def _has_quota(
    session: AsyncSession, customer: Customer, match: Shown, settings: Settings, now: datetime
) -> bool:
    """What is no marketing needs no quota."""
    if not match.piece.marketing:
        return True
    return await touch_reading.marketing_left(session, customer.id, settings, now) > 0
