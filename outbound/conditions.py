"""What else stands against words, besides the five questions: a stop, a minor, a group.

A customer group is many people at once, some of them nobody knows: what goes there must be fit for
every one of them (C-08), so its rules are the strictest.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from compliance.masking import LABELS, mask
from compliance.suitability import ADULT_AGE
from outbound import reasons as say
from outbound import stops
from outbound.facts import Facts, Policy, Saying, Seat
from outbound.models import Door

SHORTEST_NAME = 2


async def against(
    session: AsyncSession, saying: Saying, facts: Facts, policy: Policy
) -> tuple[str, ...]:
    """Every further reason why these words may not go out; none lets them pass."""
    found: list[str] = []
    if saying.by_model and await stops.current(session) is not None:
        found.append(say.MODEL_STOPPED)
    age = facts.customer.age if facts.customer else None
    if saying.marketing and age is not None and age < ADULT_AGE:
        found.append(say.MINOR)
    if saying.door is Door.GROUP:
        found += in_a_group(saying, facts, policy)
    return tuple(found)


def in_a_group(saying: Saying, facts: Facts, policy: Policy) -> Iterator[str]:
    """What stands against these words before everybody in a customer group."""
    if not saying.recipients:
        yield say.GROUP_EMPTY
    for product in (*facts.about, *facts.named):
        if product.offering == "private":
            yield say.PRIVATE_IN_GROUP.format(name=product.name)
    if facts.product_level > policy.group_level:
        yield _above(facts.product_level, policy.group_level)
    if without := sum(not seat.consents for seat in saying.recipients if saying.marketing):
        yield say.NO_GROUP_CONSENT.format(count=without)
    yield from _personal(saying)


def _above(level: int, most: int) -> str:
    return say.ABOVE_GROUP.format(level=level, most=most) if most else say.NO_PRODUCT_IN_GROUP


def _personal(saying: Saying) -> Iterator[str]:
    kinds = mask(saying.text).counts
    if kinds:
        words = "、".join(LABELS.get(kind, kind) for kind in kinds)
        yield say.PERSONAL_IN_GROUP.format(what=words)
    for seat in saying.recipients:
        if len(seat.name) >= SHORTEST_NAME and seat.name in saying.text:
            yield say.NAMES_IN_GROUP.format(name=seat.name)


def seat(one: Seat) -> dict[str, Any]:
    """A recipient as the row keeps it: ids alone."""
    return {
        "member_id": one.member_id,
        "customer_id": str(one.customer_id) if one.customer_id else "",
    }
