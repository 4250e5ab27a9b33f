"""What matching may know of customers 画像: gathered for many in a fixed number of queries."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from attribution import openings
from attribution.models import Touchpoint, TouchpointKind
from attribution.openings import Read
from bank.calendar import local_day
from compliance.suitability import customer_ceiling, expires_at
from content import products
from content.models import Product, Version
from customers import book, care
from customers.models import (
    Consent,
    Customer,
    CustomerTag,
    Follow,
    FollowState,
    Holding,
    Purpose,
)
from knowledge.fitting import Standing, age_of, personas_of
from knowledge.models import Suggestion, SuggestionState
from knowledge.needs import LATELY_DAYS, LOOK_BACK_DAYS, MATURES_WITHIN, SOON, Profile, Sign, Signal
from knowledge.picking import PICKED
from knowledge.readings import signals_of, topics_of

QUESTIONS, TAGS = 5, 8
# An answer within so long after a material shows that it was read.
ANSWERED_WITHIN = timedelta(hours=48)
TIRED_DAYS = 30
FAMILIAR_DAYS, CLOSE_DAYS, FAMILIAR_WROTE, CLOSE_WROTE = 30, 180, 2, 6
SEVERAL, MANY, HIGH_RATING = 2, 5, 4


@dataclass(frozen=True)
class _Asked:
    id: UUID
    question: str
    created_at: datetime


@dataclass
class _Known:
    """What the tables say of one customer, as they are read."""

    purposes: set[Purpose] = field(default_factory=set)
    complains: bool = False
    holdings: list[Holding] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    questions: list[_Asked] = field(default_factory=list)  # newest first
    turned_down: set[UUID] = field(default_factory=set)
    read: list[Read] = field(default_factory=list)  # what was read last at the end
    touched: list[Touchpoint] = field(default_factory=list)  # oldest first
    added_at: datetime | None = None


async def profiles_of(
    session: AsyncSession, customers: Sequence[Customer], now: datetime
) -> list[Profile]:
    """The profiles of these customers at that moment, in their order."""
    ids = [customer.id for customer in customers]
    known: defaultdict[UUID, _Known] = defaultdict(_Known)
    for gather in (_consents, _holdings, _tags, _said, _touched, _opened, _follows):
        await gather(session, ids, known, now)
    for customer_id in await care.complaining(session, customers):
        known[customer_id].complains = True
    codes = {one.product_code for each in known.values() for one in each.holdings}
    about = {one.code: one for one in await products.by_codes(session, codes)}
    titles = await _titles(session, known)
    topics = await topics_of(session, _read_versions(known))
    return [_profile(one, known[one.id], about, titles, topics, now) for one in customers]


Gathered = defaultdict[UUID, _Known]


async def _consents(
    session: AsyncSession, ids: Sequence[UUID], known: Gathered, now: datetime
) -> None:
    query = select(Consent).where(
        col(Consent.customer_id).in_(ids),
        col(Consent.granted_at) <= now,
        col(Consent.withdrawn_at).is_(None) | (col(Consent.withdrawn_at) > now),
    )
    for consent in (await session.execute(query)).scalars():
        known[consent.customer_id].purposes.add(consent.purpose)


async def _holdings(
    session: AsyncSession, ids: Sequence[UUID], known: Gathered, now: datetime
) -> None:
    query = select(Holding).where(
        col(Holding.customer_id).in_(ids), col(Holding.ended_on).is_(None)
    )
    for holding in (await session.execute(query.order_by(col(Holding.id)))).scalars():
        known[holding.customer_id].holdings.append(holding)


async def _tags(session: AsyncSession, ids: Sequence[UUID], known: Gathered, now: datetime) -> None:
    query = select(CustomerTag).where(col(CustomerTag.customer_id).in_(ids))
    for tag in (await session.execute(query.order_by(col(CustomerTag.name)))).scalars():
        known[tag.customer_id].tags.append(tag.name)


async def _said(session: AsyncSession, ids: Sequence[UUID], known: Gathered, now: datetime) -> None:
    """Masked questions of customers, and what RMs found unfit for them."""
    # The rest of a suggestion is large, and there are many.
    query = select(
        col(Suggestion.id), col(Suggestion.customer_id), col(Suggestion.version_id),
        col(Suggestion.question), col(Suggestion.created_at), col(Suggestion.state),
        col(Suggestion.variant), col(Suggestion.tier),
    ).where(
        col(Suggestion.customer_id).in_(ids),
        col(Suggestion.created_at) > now - timedelta(days=LOOK_BACK_DAYS),
        col(Suggestion.created_at) <= now,
    )  # fmt: skip
    newest = query.order_by(col(Suggestion.created_at).desc(), col(Suggestion.id))
    for one in await session.execute(newest):
        of = known[one.customer_id]
        if one.state == SuggestionState.REJECTED and one.version_id:
            of.turned_down.add(one.version_id)
        if one.variant == 0 and one.tier != PICKED and one.question:
            of.questions.append(_Asked(one.id, one.question, one.created_at))


async def _touched(
    session: AsyncSession, ids: Sequence[UUID], known: Gathered, now: datetime
) -> None:
    query = select(Touchpoint).where(
        col(Touchpoint.customer_id).in_(ids),
        col(Touchpoint.at) > now - timedelta(days=LOOK_BACK_DAYS),
        col(Touchpoint.at) <= now,
    )
    oldest = query.order_by(col(Touchpoint.at), col(Touchpoint.id))
    for point in (await session.execute(oldest)).scalars():
        known[point.customer_id].touched.append(point)


async def _opened(
    session: AsyncSession, ids: Sequence[UUID], known: Gathered, now: datetime
) -> None:
    since, lately = now - timedelta(days=LOOK_BACK_DAYS), now - timedelta(days=LATELY_DAYS)
    for customer_id, read in await openings.read_since(session, ids, since, lately, now):
        known[customer_id].read.append(read)


async def _follows(
    session: AsyncSession, ids: Sequence[UUID], known: Gathered, now: datetime
) -> None:
    query = (
        select(col(Follow.customer_id), func.min(Follow.added_at))
        .where(col(Follow.customer_id).in_(ids), col(Follow.state) == FollowState.ACTIVE)
        .group_by(col(Follow.customer_id))
    )
    for customer_id, added_at in await session.execute(query):
        known[customer_id].added_at = added_at


async def _titles(session: AsyncSession, known: Gathered) -> dict[UUID, str]:
    ids = {p.version_id for each in known.values() for p in each.touched if p.version_id}
    ids |= _read_versions(known)
    rows = select(col(Version.id), col(Version.title)).where(col(Version.id).in_(ids))
    return dict((await session.execute(rows)).all())


def _read_versions(known: Gathered) -> set[UUID]:
    return {one.version_id for each in known.values() for one in each.read}


def _profile(
    customer: Customer,
    known: _Known,
    about: dict[str, Product],
    titles: dict[UUID, str],
    topics: dict[UUID, str],
    now: datetime,
) -> Profile:
    profiled, today = Purpose.PROFILING in known.purposes, local_day(now)
    standing = _standing(customer, known, profiled, now)
    seen = {p.material_id: local_day(p.at) for p in known.touched if p.material_id}
    if not profiled:
        return Profile(customer.id, standing, customer.stage, seen=seen)
    # What they have read themselves is nothing new to them, whenever it was sent.
    for one in known.read:
        day = local_day(one.at)
        seen[one.material_id] = max(day, seen.get(one.material_id, day))
    made = customer.risk_assessed_at if customer.risk_level else None
    matures = _matures(known.holdings, today)
    return Profile(
        customer_id=customer.id,
        standing=standing,
        stage=customer.stage,
        profiled=True,
        signals=tuple(_signals(known, about, titles, topics, matures)),
        held=frozenset(one.product_code for one in known.holdings),
        matures=matures,
        trust=_trust(known, now),
        expertise=_expertise(known.holdings, about),
        marketing_lately=_marketing_lately(known, now),
        seen=seen,
        turned_down=frozenset(known.turned_down),
        added_on=local_day(known.added_at) if known.added_at else None,
        last_contact=_last_contact(known, today),
        assessed_until=local_day(expires_at(made)) if made else None,
    )


def _standing(customer: Customer, known: _Known, profiled: bool, now: datetime) -> Standing:
    years = book.age_on(customer, now)
    days = (now - known.added_at).days if known.added_at else None
    personas = personas_of(years, customer.tier, customer.occupation, days) if profiled else ()
    return Standing(
        branch_id=customer.branch_id,
        ceiling=customer_ceiling(customer.risk_level, customer.risk_assessed_at, now),
        age=age_of(years),
        consents=Purpose.MARKETING in known.purposes,
        personas=frozenset(personas),
        complains=known.complains,
    )


def _matures(holdings: Sequence[Holding], today: date) -> dict[str, date]:
    """Products of which something matures soon, with the first day."""
    found: dict[str, date] = {}
    for one in holdings:
        if one.matures_on and 0 <= (one.matures_on - today).days <= MATURES_WITHIN:
            earlier = found.get(one.product_code, one.matures_on)
            found[one.product_code] = min(one.matures_on, earlier)
    return found


def _signals(
    known: _Known,
    about: dict[str, Product],
    titles: dict[UUID, str],
    topics: dict[UUID, str],
    matures: dict[str, date],
) -> list[Signal]:
    asked = [
        Signal(Sign.ASKED, one.question, str(one.id), local_day(one.created_at))
        for one in known.questions[:QUESTIONS]
    ]
    held = sorted({one.product_code for one in known.holdings} & about.keys())
    holds = [
        Signal(Sign.HOLDS, f"{about[code].name} {about[code].description}", code) for code in held
    ]
    soon = [Signal(Sign.MATURES, SOON, code, on) for code, on in sorted(matures.items())]
    tagged = [Signal(Sign.TAGGED, tag, tag) for tag in known.tags[:TAGS]]
    opened = signals_of(known.read, titles, topics)[-QUESTIONS:]
    return [*asked, *opened, *_read(known, titles), *holds, *soon, *tagged]


def _read(known: _Known, titles: dict[UUID, str]) -> list[Signal]:
    """Materials after which the customer wrote: they were read."""
    wrote = [p.at for p in known.touched if p.kind is TouchpointKind.CUSTOMER_WROTE]
    found = {}
    for point in known.touched:
        if point.version_id and any(point.at < at <= point.at + ANSWERED_WITHIN for at in wrote):
            title = titles[point.version_id]
            found[title] = Signal(Sign.READ, title, title, local_day(point.at))
    return list(found.values())[-QUESTIONS:]


def _trust(known: _Known, now: datetime) -> int:
    """初识, 熟悉, 深度信任: how long the relation is, and how much the customer says."""
    days = (now - known.added_at).days if known.added_at else 0
    wrote = sum(p.kind is TouchpointKind.CUSTOMER_WROTE for p in known.touched)
    if days >= CLOSE_DAYS and wrote >= CLOSE_WROTE:
        return 3
    return 2 if days >= FAMILIAR_DAYS or wrote >= FAMILIAR_WROTE else 1


def _expertise(holdings: Sequence[Holding], about: dict[str, Product]) -> int:
    """入门, 进阶, 专业: how many products, and how demanding they are."""
    held = {one.product_code for one in holdings}
    highest = max((about[code].rating for code in held if code in about), default=0)
    if len(held) >= MANY or highest >= HIGH_RATING:
        return 3
    return 2 if len(held) >= SEVERAL else 1


def _marketing_lately(known: _Known, now: datetime) -> int:
    since = now - timedelta(days=TIRED_DAYS)
    return sum(p.kind is TouchpointKind.TOUCH_DELIVERED and p.at > since for p in known.touched)


def _last_contact(known: _Known, today: date) -> date | None:
    """The last touchpoint or question; without any, when they met, or as far as we look back."""
    moments = [point.at for point in known.touched] + [one.created_at for one in known.questions]
    if moments:
        return local_day(max(moments))
    oldest = today - timedelta(days=LOOK_BACK_DAYS)
    return max(oldest, local_day(known.added_at)) if known.added_at else None
