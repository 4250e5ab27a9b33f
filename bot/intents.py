"""What we asked WeCom to create, written down before the call and settled after it.

A crash in between leaves an intent, a lost answer an unknown one. `look_up` asks WeCom which of
them exist; what WeCom cannot list stays unknown until a person decides.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import structlog
from sqlalchemy import CursorResult, delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from bank.database import Sessions
from bot.models import IntentState, PlatformIntent
from wecom import intents
from wecom.client import WeComClient
from wecom.errors import ContactWayRefused, UnreadableAnswer, WeComError

log = structlog.get_logger("wecom")

# The longest call with all its waits is over by then.
SETTLED_BY = timedelta(minutes=1)
# What WeCom does not list after this time was not created.
SURELY_LISTED = timedelta(minutes=10)
BEFORE = timedelta(minutes=5)
AFTER = timedelta(days=1)
AT_ONCE = 50
MOST_ATTEMPTS = 50
# How long the book keeps what was created; the rest of it waits for a person.
KEPT = timedelta(days=30)
FORGOTTEN_AT_ONCE = 10_000

CONTACT_WAY = "externalcontact/add_contact_way"
MOMENT = "externalcontact/add_moment_task"
LINK = "externalcontact/customer_acquisition/create_link"
TAG = "externalcontact/add_corp_tag"
RULE = "externalcontact/add_intercept_rule"

NOT_LISTED = "企业微信没有列出它的接口，请人工核对"
SEVERAL = "企业微信中有多个相同的，请人工核对"
NOT_THERE = "企业微信中没有"


class WrittenIntents:
    """The `Intents` of the product, in table `platform_intent`; `now` is the aware present."""

    def __init__(self, sessions: Sessions, now: Callable[[], datetime]) -> None:
        self._sessions, self._now = sessions, now

    async def open(self, call: str, facts: Mapping[str, object]) -> str:
        """Write down what is about to be created, and commit."""
        row = PlatformIntent(call=call, facts=dict(facts), created_at=self._now())
        async with self._sessions.begin() as session:
            session.add(row)
        return str(row.id)

    async def settle(self, key: str, state: intents.IntentState, result: str) -> None:
        """Write down what came of it, and commit; a clear outcome outweighs any look-up."""
        change = update(PlatformIntent).where(col(PlatformIntent.id) == UUID(key))
        if state is intents.IntentState.UNKNOWN:
            change = change.where(col(PlatformIntent.state) == IntentState.INTENT)
        settled = change.values(
            state=IntentState(state.value), result=result, settled_at=self._now()
        )
        async with self._sessions.begin() as session:
            await session.execute(settled)


@dataclass
class LookedUp:
    """What became of the intents of one round."""

    done: int = 0
    abandoned: int = 0
    unknown: int = 0
    waiting: int = 0


async def look_up(sessions: Sessions, client: WeComClient, now: datetime) -> LookedUp:
    """Ask WeCom about every intent without an outcome that is older than a minute.

    Found once: done. Not there after ten minutes: abandoned, and it may be created anew. Several,
    or of a kind WeCom does not list: unknown. May run in several processes at once.
    """
    looked = LookedUp()
    async with sessions() as session:
        rows = list((await session.execute(_open_ones(now))).scalars())
        query = select(PlatformIntent.result).where(
            col(PlatformIntent.state) == IntentState.DONE,
            col(PlatformIntent.call).in_(list(LOOKS)),
        )
        taken = set((await session.execute(query)).scalars())
    for row in rows:
        state, result = await _verdict(client, row, taken, now)
        await _write(sessions, row, state, result, now)
        if state is IntentState.DONE:
            taken.add(result)
        _count(looked, state)
        log.info("intent_looked_up", intent=str(row.id), call=row.call, state=state.value)
    return looked


async def forget_done(session: AsyncSession, now: datetime) -> int:
    """Remove what was created more than 30 days ago; returns how many, ten thousand at most.

    While an intent of the same call is being looked up they stay: they tell what others made.
    """
    still_open = aliased(PlatformIntent)
    looked_up = (
        select(still_open.id)
        .where(
            col(still_open.call) == col(PlatformIntent.call),
            col(still_open.call).in_(list(LOOKS)),
            col(still_open.state).in_([IntentState.INTENT, IntentState.UNKNOWN]),
            col(still_open.attempts) < MOST_ATTEMPTS,
        )
        .exists()
    )
    old = (
        select(PlatformIntent.id)
        .where(
            col(PlatformIntent.state) == IntentState.DONE,
            col(PlatformIntent.settled_at) < now - KEPT,
            ~looked_up,
        )
        .limit(FORGOTTEN_AT_ONCE)
    )
    removed = await session.execute(delete(PlatformIntent).where(col(PlatformIntent.id).in_(old)))
    return cast(CursorResult[Any], removed).rowcount


def _open_ones(now: datetime) -> SelectOfScalar[PlatformIntent]:
    lookable = col(PlatformIntent.call).in_(list(LOOKS))
    again = (col(PlatformIntent.state) == IntentState.UNKNOWN) & lookable
    return (
        select(PlatformIntent)
        .where(
            (col(PlatformIntent.state) == IntentState.INTENT) | again,
            col(PlatformIntent.created_at) <= now - SETTLED_BY,
            col(PlatformIntent.attempts) < MOST_ATTEMPTS,
        )
        .order_by(col(PlatformIntent.created_at))
        .limit(AT_ONCE)
    )


async def _verdict(
    client: WeComClient, row: PlatformIntent, taken: Collection[str], now: datetime
) -> tuple[IntentState, str]:
    look = LOOKS.get(row.call)
    if look is None:
        return IntentState.UNKNOWN, NOT_LISTED
    try:
        found = await look(client, row, now)
    except WeComError as error:
        log.warning("intent_not_looked_up", intent=str(row.id), error=repr(error))
        return IntentState.INTENT, repr(error)
    if row.call != TAG:  # A group gets tags many times; anything else is created once.
        found = [one for one in found if one not in taken]
    if len(found) == 1:
        return IntentState.DONE, found[0]
    if found:
        return IntentState.UNKNOWN, SEVERAL
    if now - row.created_at >= SURELY_LISTED:
        return IntentState.ABANDONED, NOT_THERE
    return IntentState.INTENT, ""


async def _write(
    sessions: Sessions, row: PlatformIntent, state: IntentState, result: str, now: datetime
) -> None:
    values: dict[str, object] = {"attempts": row.attempts + 1}
    if state is not IntentState.INTENT:
        values |= {"state": state, "result": result, "settled_at": now}
    # Whoever made the call may have settled it meanwhile, and knows better.
    change = update(PlatformIntent).where(
        col(PlatformIntent.id) == row.id, col(PlatformIntent.state) == row.state
    )
    async with sessions.begin() as session:
        await session.execute(change.values(**values))


def _count(looked: LookedUp, state: IntentState) -> None:
    name = "waiting" if state is IntentState.INTENT else state.value
    setattr(looked, name, getattr(looked, name) + 1)


def _period(row: PlatformIntent, now: datetime) -> tuple[datetime, datetime]:
    return row.created_at - BEFORE, min(now, row.created_at + AFTER) + BEFORE


async def _contact_ways(client: WeComClient, row: PlatformIntent, now: datetime) -> list[str]:
    found = []
    for config_id in await client.contact_ways.listed(*_period(row, now)):
        try:
            kept = await client.contact_ways.get(config_id)
        except (ContactWayRefused, UnreadableAnswer):
            continue  # Deleted meanwhile, or made by hand in a way we do not make them.
        if kept.way.state == row.facts["state"]:
            found.append(config_id)
    return found


async def _moments(client: WeComClient, row: PlatformIntent, now: datetime) -> list[str]:
    listed = await client.moments.listed(*_period(row, now))
    return [one.moment_id for one in listed if not one.by_member and one.text == row.facts["text"]]


async def _links(client: WeComClient, row: PlatformIntent, now: datetime) -> list[str]:
    start, _ = _period(row, now)
    links = [await client.links.get(link_id) for link_id in await client.links.all()]
    return [
        link.link_id
        for link in links
        if link.name == row.facts["name"] and (link.created_at is None or link.created_at >= start)
    ]


async def _tags(client: WeComClient, row: PlatformIntent, now: datetime) -> list[str]:
    wanted = set(row.facts["names"])
    return [
        group.id
        for group in await client.tags.all()
        if (group.id == row.facts["group_id"] or group.name == row.facts["group_name"])
        and wanted <= {tag.name for tag in group.tags}
    ]


async def _rules(client: WeComClient, row: PlatformIntent, now: datetime) -> list[str]:
    start, _ = _period(row, now)
    return [
        rule.rule_id
        for rule in await client.rules.all()
        if rule.name == row.facts["name"] and (rule.created_at is None or rule.created_at >= start)
    ]


Look = Callable[[WeComClient, PlatformIntent, datetime], Awaitable[list[str]]]
LOOKS: dict[str, Look] = {
    CONTACT_WAY: _contact_ways,
    MOMENT: _moments,
    LINK: _links,
    TAG: _tags,
    RULE: _rules,
}
