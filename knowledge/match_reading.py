"""Reading matches: of a customer, of an RM's day; only what holds at that moment."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
from sqlalchemy import ColumnElement, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local_day
from content import library, products
from customers.models import Customer
from knowledge import matches
from knowledge.blocks import Crowd, Materials
from knowledge.fitting import Piece, against
from knowledge.match_reasons import Reason, Why, calls_now, words
from knowledge.match_shelf import CHANNEL, Stocked, Stockroom, barred, pieces_of
from knowledge.models import CustomerMatch, Suggestion
from knowledge.needs import Profile, was_seen
from knowledge.profiles import profiles_of


@dataclass(frozen=True)
class Told:
    """A reason in words, and whether it says why today."""

    kind: str
    text: str
    now: bool


@dataclass(frozen=True)
class Shown:
    """A match that holds now."""

    customer_id: UUID
    place: int
    piece: Piece
    document: library.LibraryDocument
    score: float
    urgency: int
    reasons: tuple[Told, ...]
    made_at: datetime

    @property
    def now(self) -> list[Told]:
        """Why today."""
        return [one for one in self.reasons if one.now]

    @property
    def him(self) -> list[Told]:
        """Why this customer."""
        return [one for one in self.reasons if not one.now]


async def of_customer(
    session: AsyncSession,
    customer: Customer,
    stockroom: Stockroom,
    now: datetime,
    steps: Collection[UUID] = (),
) -> list[Shown]:
    """The customer's matches; made on the spot where none that was stored holds any more.

    Here as below `steps` are the materials that touch sequences send.
    """
    query = select(CustomerMatch).where(CustomerMatch.customer_id == customer.id)
    rows = list((await session.execute(query.order_by(col(CustomerMatch.place)))).scalars())
    if rows and (held := await holding(session, rows, now, steps)):
        return held
    stocked = await stockroom.stocked(session, now, steps)
    made = await made_now(session, customer, stocked, now, stockroom)
    return await holding(session, made, now, steps)


async def made_now(
    session: AsyncSession, customer: Customer, stocked: Stocked, now: datetime, room: Stockroom
) -> list[CustomerMatch]:
    """What suits this customer at this moment, by the same road as a run."""
    crowd = Crowd(np.zeros(len(stocked.shelf), dtype=np.int64))
    materials = Materials(stocked.vectors)
    return await matches.matched(session, [customer], stocked, materials, crowd, room.encoder, now)


async def renew(
    session: AsyncSession,
    customer: Customer,
    stockroom: Stockroom,
    now: datetime,
    steps: Collection[UUID] = (),
) -> None:
    """Match this customer again and keep the result, without waiting for the night."""
    of_run = await matches.newest_run(session, now)
    stocked = await stockroom.stocked(session, now, steps)
    made = await made_now(session, customer, stocked, now, stockroom)
    await matches.store(session, [customer], made, of_run)


async def holding(
    session: AsyncSession,
    rows: Sequence[CustomerMatch],
    now: datetime,
    steps: Collection[UUID] = (),
) -> list[Shown]:
    """Those of these matches that may be shown now, with their reasons in words."""
    ids = {row.customer_id for row in rows}
    query = select(Customer).where(col(Customer.id).in_(ids))
    customers = list((await session.execute(query)).scalars())
    profiles = {p.customer_id: p for p in await profiles_of(session, customers, now)}
    found = await library.documents(session, {row.version_id for row in rows})
    documents = {d.version_id: d for d in found if not barred(d, local_day(now), steps)}
    pieces = {p.version_id: p for p in await pieces_of(session, list(documents.values()))}
    live = await _live(session, rows, profiles, now)
    names = await _names(session, rows)
    return [
        _shown(row, pieces[row.version_id], documents[row.version_id], names, now)
        for row in rows
        if (row.customer_id, row.version_id) in live
        and row.version_id in pieces
        and _may_be_told(row, profiles[row.customer_id])
        and _fits(profiles[row.customer_id], pieces[row.version_id], now)
    ]


def _may_be_told(row: CustomerMatch, profile: Profile) -> bool:
    """What was made of a customer is told no more once they take their consent back (C-25)."""
    return profile.profiled or Why(row.reasons[0][0]) is Why.UNPROFILED


def _fits(profile: Profile, piece: Piece, now: datetime) -> bool:
    seen = was_seen(profile, piece.material_id, local_day(now))
    return not seen and not against(profile.standing, piece)


async def _live(
    session: AsyncSession,
    rows: Sequence[CustomerMatch],
    profiles: Mapping[UUID, Profile],
    now: datetime,
) -> set[tuple[UUID, UUID]]:
    """The pairs whose version the library itself lets this customer have now."""
    grouped: defaultdict[tuple[UUID | None, int], list[CustomerMatch]] = defaultdict(list)
    for row in rows:
        standing = profiles[row.customer_id].standing
        grouped[standing.branch_id, standing.ceiling].append(row)
    found = set()
    for (branch_id, ceiling), group in grouped.items():
        live = await library.only_live(
            session, {row.version_id for row in group}, now=now, channel=CHANNEL,
            branch_id=branch_id, risk_ceiling=ceiling,
        )  # fmt: skip
        found |= {(r.customer_id, r.version_id) for r in group if r.version_id in live}
    return found


async def _names(session: AsyncSession, rows: Sequence[CustomerMatch]) -> dict[str, str]:
    """What reasons are about, in words: questions by suggestion, products by code."""
    told = [Reason.read(kept) for row in rows for kept in row.reasons]
    asked = {UUID(one.about) for one in told if one.why is Why.ASKED}
    codes = {one.about for one in told if one.why in (Why.HOLDS, Why.MATURES)}
    query = select(col(Suggestion.id), col(Suggestion.question)).where(
        col(Suggestion.id).in_(asked)
    )
    questions = {str(key): _short(text) for key, text in await session.execute(query)}
    return questions | {one.code: one.name for one in await products.by_codes(session, codes)}


def _short(text: str, most: int = 30) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _shown(
    row: CustomerMatch,
    piece: Piece,
    document: library.LibraryDocument,
    names: Mapping[str, str],
    now: datetime,
) -> Shown:
    today = local_day(now)
    reasons = [Reason.read(kept) for kept in row.reasons]
    told = [Told(r.why.label, words(r, names, today), calls_now(r, today)) for r in reasons]
    return Shown(
        customer_id=row.customer_id,
        place=row.place,
        piece=piece,
        document=document,
        score=row.score,
        urgency=row.urgency,
        reasons=tuple(told),
        made_at=row.made_at,
    )


# Of each customer so many may be looked at: the first may have been sent meanwhile.
OF_EACH = 3


async def urgent(
    session: AsyncSession,
    mine: ColumnElement[bool],
    now: datetime,
    limit: int,
    steps: Collection[UUID] = (),
) -> list[tuple[Customer, Shown]]:
    """The matches of these customers that call for a contact today, most urgent first."""
    order = (col(CustomerMatch.urgency).desc(), col(CustomerMatch.score).desc())
    customer_id = col(CustomerMatch.customer_id)
    within = func.row_number().over(partition_by=customer_id, order_by=order)
    ranked = (
        select(customer_id, col(CustomerMatch.place), within.label("nth"))
        .join(Customer, col(Customer.id) == customer_id)
        .where(mine, CustomerMatch.urgency > 0)
        .subquery()
    )
    query = (
        select(CustomerMatch, Customer)
        .join(Customer, col(Customer.id) == customer_id)
        .join(
            ranked,
            (ranked.c.customer_id == customer_id) & (ranked.c.place == col(CustomerMatch.place)),
        )
        .where(ranked.c.nth <= OF_EACH)
        .order_by(*order, customer_id)
        .limit(limit)
    )
    rows = (await session.execute(query)).all()
    customers = {customer.id: customer for _, customer in rows}
    held = await holding(session, [row for row, _ in rows], now, steps)
    return [(customers[one.customer_id], one) for one in held if one.now]
