"""Fragments for the customer's pages: one line of everything that happened, last contacts."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiohttp import web
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from attribution import openings
from attribution.chosen import SEES_ROWS
from attribution.models import Conversion, ConversionState, Touchpoint, TouchpointKind
from attribution.openings import Visit
from attribution.touchpoints import last_contacts
from bank.models import Staff
from content import products
from content.models import Material
from customers import book
from customers.addressed import customer_of
from customers.models import Customer
from customers.timeline import Event, Side, events_of
from desk.ids import id_of
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import fragment, yuan
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

EXCHANGE = "exchange"  # what went to and fro, whoever began
KINDS = (
    ("", "全部"),
    (Side.CUSTOMER.value, "客户动态"),
    (Side.STAFF.value, "员工动态"),
    (Side.FOLLOW.value, "跟进动态"),
    (EXCHANGE, "互动动态"),
    (Side.CONVERSION.value, "转化"),
)
STEP = 30
MOST = 300
MOST_CUSTOMERS = 100


@dataclass(frozen=True)
class Timeline:
    """`/attribution/customer/{id}`: the customer's timeline, newest first."""

    customer_id: UUID
    kind: str
    tabs: list[tuple[str, str, bool]]  # kind, words, chosen
    events: list[Event]
    more: int  # how many to ask for to see older ones; 0 where there are none


@dataclass(frozen=True)
class LastContacts:
    """`/attribution/last-contacts`: for the cells of a list of customers."""

    cells: list[tuple[UUID, datetime | None]]


@routes.get("/attribution/customer/{id}")
@allow(*SEES_ROWS)
async def timeline(request: web.Request) -> web.Response:
    """Touchpoints, conversions, relations, consents and assessments on one line."""
    session, now = session_of(request), now_of(request)
    customer = await customer_of(request)
    wanted, limit = request.query.get("kind", ""), _limit(request)
    kind = wanted if wanted in dict(KINDS) else ""
    events = await happened(session, customer, kind, request.app[SETTINGS].radar, limit + 1, now)
    context = Timeline(
        customer_id=customer.id,
        kind=kind,
        tabs=[(value, words, value == kind) for value, words in KINDS],
        events=events[:limit],
        more=min(limit + STEP, MOST) if len(events) > limit and limit < MOST else 0,
    )
    return fragment(request, "attribution/_timeline.html", context)


def _limit(request: web.Request) -> int:
    wanted = request.query.get("limit", "")
    if not (wanted.isascii() and wanted.isdigit()):
        return STEP
    return max(STEP, min(int(wanted[:9]), MOST))


async def happened(
    session: AsyncSession, customer: Customer, kind: str, mode: str, limit: int, now: datetime
) -> list[Event]:
    """The newest of one of `KINDS` that happened with the customer, or of all, newest first.

    `mode` is whose openings of links are logged by name (`SIYU_RADAR`).
    """
    exchanged = await _touchpoints(session, customer.id, kind, limit)
    if kind == EXCHANGE:
        return exchanged
    visits = await openings.of_customer(session, customer.id, mode, now, limit)
    events = [
        *exchanged,
        *[_opened(visit) for visit in visits],
        *await _conversions(session, customer.id, limit),
        *await events_of(session, customer, now),
    ]
    wanted = [event for event in events if kind in ("", event.side)]
    return sorted(wanted, key=lambda event: event.at, reverse=True)[:limit]


async def _touchpoints(
    session: AsyncSession, customer_id: UUID, kind: str, limit: int
) -> list[Event]:
    query = (
        select(Touchpoint, col(Staff.name), col(Material.title))
        .join(Staff, col(Staff.id) == col(Touchpoint.staff_id))
        .outerjoin(Material, col(Material.id) == col(Touchpoint.material_id))
        .where(col(Touchpoint.customer_id) == customer_id)
        .order_by(col(Touchpoint.at).desc(), col(Touchpoint.id).desc())
        .limit(limit)
    )
    if kind == Side.CUSTOMER:
        query = query.where(col(Touchpoint.kind) == TouchpointKind.CUSTOMER_WROTE)
    elif kind == Side.STAFF:
        query = query.where(col(Touchpoint.kind) != TouchpointKind.CUSTOMER_WROTE)
    rows = await session.execute(query)
    return [_touched(point, rm, title) for point, rm, title in rows]


def _touched(point: Touchpoint, rm: str, title: str | None) -> Event:
    if point.kind == TouchpointKind.CUSTOMER_WROTE:
        return Event(point.at, Side.CUSTOMER, "客户来信", f"发给{rm}", "green")
    words = "触达送达" if point.kind == TouchpointKind.TOUCH_DELIVERED else "回复了客户"
    shown = f"《{title}》" if title else ""
    href = f"/content/{point.material_id}" if title else ""
    return Event(point.at, Side.STAFF, f"{rm} · {words}", shown, "blue", href)


def _opened(visit: Visit) -> Event:
    tone = "orange" if visit.doubt else "green"
    href = f"/content/{visit.material_id}"
    return Event(visit.at, Side.CUSTOMER, visit.words, visit.more, tone, href)


async def _conversions(session: AsyncSession, customer_id: UUID, limit: int) -> list[Event]:
    query = (
        select(Conversion)
        .where(col(Conversion.customer_id) == customer_id)
        .order_by(col(Conversion.at).desc())
        .limit(limit)
    )
    found = list((await session.execute(query)).scalars())
    sold = await products.by_codes(session, {one.product_code for one in found})
    names = {product.code: product.name for product in sold}
    return [_converted(one, names.get(one.product_code, one.product_code)) for one in found]


def _converted(conversion: Conversion, product: str) -> Event:
    reversal = conversion.amount_cents < 0
    title = f"{'冲正' if reversal else '成交'} {yuan(conversion.amount_cents)}"
    tone = "green" if conversion.state == ConversionState.CREDITED else "yellow"
    text = f"{product} · {conversion.state.label}"
    href = f"/attribution/conversions/{conversion.id}"
    return Event(conversion.at, Side.CONVERSION, title, text, "red" if reversal else tone, href)


@routes.get("/attribution/last-contacts")
@allow(*SEES_ROWS)
async def contacts(request: web.Request) -> web.Response:
    """When each of the customers asked for, as far as one may see them, was last in contact."""
    session = session_of(request)
    asked = [id_of(text) for text in request.query.getall("customer", [])[:MOST_CUSTOMERS]]
    query = select(col(Customer.id)).where(
        col(Customer.id).in_([id_ for id_ in asked if id_]), book.visible(signed(request))
    )
    mine = list((await session.execute(query)).scalars())
    found = await last_contacts(session, mine)
    cells = LastContacts([(id_, found.get(id_)) for id_ in mine])
    return fragment(request, "attribution/_last_contacts.html", cells)
