"""转化: the conversions behind a total, one conversion with its divisions, matching a held one."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from aiohttp import web
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from attribution import conversions
from attribution.chosen import (
    PAGE,
    SEES_ROWS,
    SETTLES,
    Chosen,
    chosen_of,
    page_of,
    scope_of,
)
from attribution.models import (
    Conversion,
    ConversionState,
    Credit,
    CreditRun,
    Dimension,
    Touchpoint,
)
from attribution.touchpoints import leading_to
from bank import staff as people
from content import products
from content.models import Material, Product
from customers.book import visible
from customers.models import Customer
from desk.ids import given_id
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

STATES = [("", "全部状态")] + [(state.value, state.label) for state in ConversionState]


@dataclass(frozen=True)
class Unmatched:
    """A refused attempt to match: which conversion, what was typed, why not."""

    conversion_id: UUID
    customer_no: str
    reason: str


@dataclass(frozen=True)
class ConversionList:
    """`/attribution/conversions`: the conversions behind a total."""

    chosen: Chosen
    state: str
    states: list[tuple[str, str]]
    query: str  # everything but the page, for the pager
    rows: list[tuple[Conversion, str | None, str | None]]  # with names of customer and product
    total: int
    cents: int  # of all, not only of this page
    number: int
    pages: int
    matches: bool  # may give a held conversion its customer
    unmatched: Unmatched | None


@dataclass(frozen=True)
class Share:
    """What one content or RM gets of a conversion, all its touchpoints together."""

    subject: str
    cents: int


@dataclass(frozen=True)
class Division:
    """How one model divides a conversion over content or RMs; the shares add up to `cents`."""

    title: str
    shares: list[Share]
    cents: int


@dataclass(frozen=True)
class ConversionPage:
    """`/attribution/conversions/{id}`: the touchpoints that led to it, and every division."""

    conversion: Conversion
    customer: str
    product: str  # its name; empty for a code that is not in the library of products
    path: list[tuple[Touchpoint, str, str]]  # touchpoint, RM, content title
    window_days: int  # of the run that credited it
    divisions: list[Division]


@routes.get("/attribution/conversions")
@allow(*SEES_ROWS)
async def conversion_list(request: web.Request) -> web.Response:
    """The conversions behind a total."""
    return page(request, "attribution/conversions.html", await _listed(request))


async def _listed(request: web.Request, unmatched: Unmatched | None = None) -> ConversionList:
    session, chosen = session_of(request), chosen_of(request)
    state = request.query.get("state", "")
    conditions = _conditions(request, chosen, state)
    total, cents = await _sums(session, conditions)
    number, pages = page_of(request, total)
    query = (
        select(Conversion, col(Customer.name), col(Product.name))
        .outerjoin(Customer, col(Customer.id) == col(Conversion.customer_id))
        .outerjoin(Product, col(Product.code) == col(Conversion.product_code))
        .where(*conditions)
        .order_by(col(Conversion.at).desc(), col(Conversion.id))
        .limit(PAGE)
        .offset((number - 1) * PAGE)
    )
    found = await session.execute(query)
    return ConversionList(
        chosen=chosen,
        state=state,
        states=STATES,
        query=f"{chosen.query}&state={state if state in list(ConversionState) else ''}",
        rows=[(conversion, name, product) for conversion, name, product in found],
        total=total,
        cents=cents,
        number=number,
        pages=pages,
        matches=signed(request).may(*SETTLES),
        unmatched=unmatched,
    )


def _conditions(
    request: web.Request, chosen: Chosen, state: str
) -> tuple[ColumnElement[bool], ...]:
    within = (
        col(Conversion.at) >= chosen.period.start,
        col(Conversion.at) < chosen.period.end,
        scope_of(request),
    )
    if state in list(ConversionState):
        return (*within, col(Conversion.state) == ConversionState(state))
    return within


async def _sums(
    session: AsyncSession, conditions: tuple[ColumnElement[bool], ...]
) -> tuple[int, int]:
    query = (
        select(func.count(), func.coalesce(func.sum(Conversion.amount_cents), 0))
        .select_from(Conversion)
        .outerjoin(Customer, col(Customer.id) == col(Conversion.customer_id))
        .where(*conditions)
    )
    total, cents = (await session.execute(query)).one()
    return total, int(cents)


@routes.post("/attribution/conversions/{id}/match")
@allow(*SETTLES)
async def match(request: web.Request) -> web.Response:
    """Give a held conversion its customer; it is credited at once."""
    session, who = session_of(request), signed(request)
    conversion = await session.get(Conversion, given_id(request.match_info["id"]))
    if conversion is None:
        raise web.HTTPNotFound
    typed = str((await request.post()).get("customer_no", "")).strip()
    customer = await _by_number(session, typed)
    if customer is None:
        reason = f"没有客户号为“{typed}”的客户" if typed else "请填写客户号"
    else:
        days = request.app[SETTINGS].attribution_window_days
        reason = (
            await conversions.match(
                session, conversion, customer, by=who.userid, now=now_of(request), window_days=days
            )
            or ""
        )
    if reason:
        context = await _listed(request, Unmatched(conversion.id, typed, reason))
        return page(request, "attribution/conversions.html", context, status=422)
    return see_other(f"/attribution/conversions/{conversion.id}?done=已匹配客户")


async def _by_number(session: AsyncSession, bank_no: str) -> Customer | None:
    if not bank_no or not bank_no.isprintable():
        return None
    query = select(Customer).where(col(Customer.bank_no) == bank_no)
    return (await session.execute(query)).scalar_one_or_none()


@routes.get("/attribution/conversions/{id}")
@allow(*SEES_ROWS)
async def conversion_page(request: web.Request) -> web.Response:
    """One conversion: its path and how every model divides it."""
    session, wanted = session_of(request), given_id(request.match_info["id"])
    query = (
        select(Conversion, col(Customer.name))
        .join(Customer, col(Customer.id) == col(Conversion.customer_id))
        .where(col(Conversion.id) == wanted, visible(signed(request)))
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise web.HTTPNotFound
    return page(request, "attribution/conversion.html", await _opened(request, *found))


async def _opened(request: web.Request, conversion: Conversion, customer: str) -> ConversionPage:
    session = session_of(request)
    assert conversion.customer_id is not None  # the page joins the customer
    credits_, days = await _credits(session, conversion.id)
    days = days or request.app[SETTINGS].attribution_window_days
    path = await leading_to(session, conversion.customer_id, conversion.at, timedelta(days=days))
    rms = await people.names(session, [point.staff_id for point in path])
    titles = await _titles(session, path)
    product = await products.by_code(session, conversion.product_code)
    return ConversionPage(
        conversion=conversion,
        customer=customer,
        product=product.name if product else "",
        path=[
            (p, rms.get(p.staff_id, "—"), titles[p.material_id] if p.material_id else "—")
            for p in path
        ],
        window_days=days,
        divisions=_divisions(credits_, rms | titles),
    )


async def _credits(session: AsyncSession, conversion_id: UUID) -> tuple[list[Credit], int]:
    """The lines of a conversion and the window of the run that wrote them; 0 without lines."""
    query = (
        select(Credit, col(CreditRun.window_days))
        .join(CreditRun, col(CreditRun.id) == col(Credit.run_id))
        .where(col(Credit.conversion_id) == conversion_id)
        .order_by(col(Credit.id))
    )
    found = (await session.execute(query)).all()
    return [line for line, _ in found], found[0][1] if found else 0


async def _titles(session: AsyncSession, path: list[Touchpoint]) -> dict[UUID, str]:
    wanted = {point.material_id for point in path if point.material_id is not None}
    query = select(col(Material.id), col(Material.title)).where(col(Material.id).in_(wanted))
    return dict((await session.execute(query)).all())


def _divisions(lines: list[Credit], names: dict[UUID, str]) -> list[Division]:
    parts: dict[str, dict[UUID, int]] = {}
    for line in lines:
        over = "内容" if line.dimension == Dimension.CONTENT else "客户经理"
        of_subject = parts.setdefault(f"{line.model.label} · 按{over}", {})
        of_subject[line.subject_id] = of_subject.get(line.subject_id, 0) + line.cents
    return [
        Division(
            title,
            [Share(names.get(subject, "—"), cents) for subject, cents in of_subject.items()],
            sum(of_subject.values()),
        )
        for title, of_subject in parts.items()
    ]
