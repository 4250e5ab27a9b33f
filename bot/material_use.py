"""What became of a material, and where it is used: asked of every book that knows of it.

The library itself knows none of its users, so the answer is put together here.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import openings, reports, touchpoints
from attribution.models import Dimension, Model, Touchpoint, TouchpointKind
from attribution.reports import Behind, Period
from bank.calendar import at_local, local_day
from bank.settings import Settings
from bot import recipients
from bot.models import ContactWay, WayState, WelcomeChoice
from content.library import is_live
from content.models import Version
from content.review_models import MaterialLink
from customers.book import visible
from customers.models import Customer
from desk.signed import Signed
from knowledge import quality
from knowledge.models import Suggestion, SuggestionState
from knowledge.pages import SEES_SUGGESTIONS
from scheduler.models import Sop, SopState, Step

SINCE = datetime.fromisoformat("2000-01-01T00:00:00+08:00")


@dataclass(frozen=True)
class Use:
    """How often a material was suggested, sent, edited, turned down, and what it brought."""

    suggested: int
    sent: int
    edited: int
    rejected: int
    delivered: int  # touches
    reached: int  # different customers
    readers: int  # different customers who opened a link to it
    times: int  # it was sent
    conversions: int
    cents: int

    @property
    def taken(self) -> float | None:
        """Share of the suggestions that were sent, as they were or edited."""
        return (self.sent + self.edited) / self.suggested if self.suggested else None


@dataclass(frozen=True)
class Place:
    """One place that uses a material."""

    what: str  # SOP, 欢迎语, …
    name: str
    href: str
    tone: str  # of its tag: red where something stops when the material ends
    running: bool  # customers get it from here today


async def use_of(
    session: AsyncSession, material_id: UUID, who: Signed, settings: Settings, now: datetime
) -> Use:
    """Counted over one's own customers; who sees no customers is told the sums of the bank."""
    scope = scope_of(who)
    counts = await _suggestions(session, material_id, scope)
    tomorrow = at_local(local_day(now) + timedelta(days=1), time())
    period = Period(SINCE, tomorrow)
    model = Model(settings.attribution_model)
    behind = Behind(Dimension.CONTENT, model, period, scope, material_id)
    _, cents = await reports.sum_behind(session, behind)
    read = await openings.readership(session, [material_id], scope, settings.radar, now)
    sent = await touchpoints.times_sent(session, [material_id])
    return Use(
        suggested=sum(counts.values()),
        sent=counts.get(SuggestionState.SENT, 0),
        edited=counts.get(SuggestionState.EDITED, 0),
        rejected=counts.get(SuggestionState.REJECTED, 0),
        delivered=await _delivered(session, material_id, scope),
        reached=await recipients.reached(session, material_id, scope),
        readers=read[material_id].everyone if material_id in read else 0,
        times=sent.get(material_id, 0),
        conversions=await reports.conversions_behind(session, behind),
        cents=cents,
    )


def scope_of(who: Signed) -> ColumnElement[bool]:
    """Whose customers the numbers are about: those whose rows one may open, else all."""
    return visible(who) if who.may(*SEES_SUGGESTIONS) else true()


async def _suggestions(
    session: AsyncSession, material_id: UUID, scope: ColumnElement[bool]
) -> dict[SuggestionState, int]:
    versions = select(Version.id).where(Version.material_id == material_id)
    rows = (
        select(Suggestion.state, func.count())
        .join(Customer, col(Customer.id) == col(Suggestion.customer_id))
        .where(*quality.made(), col(Suggestion.version_id).in_(versions), scope)
        .group_by(col(Suggestion.state))
    )
    return {SuggestionState(state): number for state, number in await session.execute(rows)}


async def _delivered(session: AsyncSession, material_id: UUID, scope: ColumnElement[bool]) -> int:
    rows = (
        select(func.count())
        .select_from(Touchpoint)
        .join(Customer, col(Customer.id) == col(Touchpoint.customer_id))
        .where(
            Touchpoint.material_id == material_id,
            Touchpoint.kind == TouchpointKind.TOUCH_DELIVERED,
            scope,
        )
    )
    return (await session.execute(rows)).scalar_one()


async def places_of(
    session: AsyncSession, material_ids: Collection[UUID], now: datetime
) -> dict[UUID, list[Place]]:
    """Where these materials are used; what runs today first."""
    found: dict[UUID, list[Place]] = defaultdict(list)
    for material_id, place in (
        *await _steps(session, material_ids),
        *await _welcomes(session, material_ids),
        *await _channels(session, material_ids),
        *await _links(session, material_ids, now),
    ):
        found[material_id].append(place)
    return {
        key: sorted(places, key=lambda place: not place.running) for key, places in found.items()
    }


Placed = list[tuple[UUID, Place]]


async def _steps(session: AsyncSession, material_ids: Collection[UUID]) -> Placed:
    """Steps of sequences that are not over."""
    rows = (
        select(Step, Sop)
        .join(Sop, col(Sop.id) == Step.sop_id)
        .where(col(Step.material_id).in_(material_ids), col(Sop.state) != SopState.STOPPED)
        .order_by(col(Sop.name), col(Step.position))
    )
    return [
        (step.material_id, _step(step, sop)) for step, sop in (await session.execute(rows)).all()
    ]


def _step(step: Step, sop: Sop) -> Place:
    running = sop.state is SopState.RUNNING
    name = f"{sop.name} 第 {step.position} 步（{sop.state.label}）"
    return Place("SOP 步骤", name, f"/sops/{sop.id}", "red" if running else "grey", running)


async def _welcomes(session: AsyncSession, material_ids: Collection[UUID]) -> Placed:
    bank = func.count().filter(col(WelcomeChoice.staff_id).is_(None))
    rows = (
        select(WelcomeChoice.material_id, func.count(), bank)
        .where(col(WelcomeChoice.material_id).in_(material_ids))
        .group_by(col(WelcomeChoice.material_id))
    )
    placed: Placed = []
    for material_id, all_of_them, of_bank in await session.execute(rows):
        if of_bank:
            placed.append((material_id, _welcome("全行默认欢迎语")))
        if all_of_them > of_bank:
            placed.append((material_id, _welcome(f"{all_of_them - of_bank} 位客户经理的欢迎语")))
    return placed


def _welcome(name: str) -> Place:
    return Place("欢迎语", name, "/welcomes", "red", running=True)


async def _channels(session: AsyncSession, material_ids: Collection[UUID]) -> Placed:
    rows = (
        select(ContactWay.welcome_material_id, ContactWay.channel, func.count())
        .where(
            col(ContactWay.welcome_material_id).in_(material_ids),
            col(ContactWay.state) != WayState.RETIRED,
        )
        .group_by(col(ContactWay.welcome_material_id), col(ContactWay.channel))
        .order_by(col(ContactWay.channel))
    )
    return [
        (
            material_id,
            Place("渠道欢迎语", f"{channel}（{n} 个活码）", "/channels", "red", running=True),
        )
        for material_id, channel, n in await session.execute(rows)
        if material_id is not None
    ]


async def _links(session: AsyncSession, material_ids: Collection[UUID], now: datetime) -> Placed:
    """Public links to what is live: they end with the version."""
    rows = (
        select(Version.material_id, func.count())
        .join(MaterialLink, col(MaterialLink.version_id) == Version.id)
        .where(col(Version.material_id).in_(material_ids), *is_live(now))
        .group_by(col(Version.material_id))
    )
    return [
        (
            material_id,
            Place("客户链接", f"{n} 个有效链接", f"/content/{material_id}", "yellow", running=True),
        )
        for material_id, n in await session.execute(rows)
    ]
