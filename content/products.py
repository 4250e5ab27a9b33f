"""The products 产品 the bank offers: ratings, net asset values, the facts a reply may state."""

from calendar import monthrange
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from bank.calendar import local_day
from content.models import MaterialProduct, Nav, Product, ProductKind, SaleStatus


@dataclass(frozen=True)
class ProductFacts:
    """What the bank's own data says about a product: numbers a reply may state."""

    code: str
    name: str
    kind: ProductKind
    issuer: str
    rating: int
    issuer_rating: int
    bank_rating: int
    regime: str
    offering: str
    agency: bool
    term_days: int | None
    open_rule: str
    min_amount_cents: int
    fees: str
    benchmark: str | None
    benchmark_basis: str | None
    redemption: str
    description: str
    sale_status: SaleStatus
    inception: date
    listed: bool
    nav: Decimal | None  # null in the first month of a product (C-16), as `nav_on`
    nav_on: date | None


async def find(
    session: AsyncSession,
    *,
    text: str = "",
    kind: str = "",
    rating: int | None = None,
    status: str = "",
    listed: tuple[bool, date] | None = None,
) -> list[Product]:
    """Products by code; never ordered by benchmark or past performance (代销办法, C-15).

    `listed` asks for those on head office's list of that day, or for those off it.
    """
    rows = select(Product).order_by(col(Product.code))
    if text:
        like = f"%{escaped(text)}%"
        rows = rows.where(or_(col(Product.name).ilike(like), col(Product.code).ilike(like)))
    if kind in list(ProductKind):
        rows = rows.where(Product.kind == ProductKind(kind))
    if status in list(SaleStatus):
        rows = rows.where(Product.sale_status == SaleStatus(status))
    if listed is not None:
        wanted, day = listed
        rows = rows.where(listed_on(day) if wanted else ~listed_on(day))
    found = (await session.execute(rows)).scalars()
    return [product for product in found if rating is None or product.rating == rating]


def listed_on(day: date) -> ColumnElement[bool]:
    """On head office's list of that day (C-09), as a condition on `product`."""
    since, until = col(Product.listed_from), col(Product.listed_until)
    # Written so that it is never null: what has no date is not on the list.
    return and_(func.coalesce(since <= day, False), func.coalesce(until > day, True))


def escaped(text: str) -> str:
    """Typed text as a literal inside a LIKE pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def by_code(session: AsyncSession, code: str) -> Product | None:
    """The product with this code."""
    return (await session.execute(select(Product).where(Product.code == code))).scalar_one_or_none()


async def by_codes(session: AsyncSession, codes: Collection[str]) -> list[Product]:
    """The products that exist among these codes, by code."""
    if not codes:
        return []
    rows = select(Product).where(col(Product.code).in_(set(codes))).order_by(col(Product.code))
    return list((await session.execute(rows)).scalars())


async def of_material(session: AsyncSession, material_id: UUID) -> list[Product]:
    """The products a material speaks of, by code."""
    return (await of_materials(session, [material_id])).get(material_id, [])


async def of_materials(
    session: AsyncSession, material_ids: Collection[UUID]
) -> dict[UUID, list[Product]]:
    """The products of each of these materials, by code."""
    found: dict[UUID, list[Product]] = {}
    if not material_ids:
        return found
    rows = (
        select(MaterialProduct.material_id, Product)
        .join(Product, col(Product.id) == MaterialProduct.product_id)
        .where(col(MaterialProduct.material_id).in_(set(material_ids)))
        .order_by(col(Product.code))
    )
    for material_id, product in await session.execute(rows):
        found.setdefault(material_id, []).append(product)
    return found


async def named_in(session: AsyncSession, text: str) -> list[Product]:
    """The products whose name or code stands in this text."""
    stands = or_(func.strpos(text, col(Product.name)) > 0, func.strpos(text, col(Product.code)) > 0)
    rows = select(Product).where(stands).order_by(col(Product.code))
    return list((await session.execute(rows)).scalars())


def highest_rating(about: Sequence[Product]) -> int:
    """The highest effective rating among them, 0 without any."""
    return max((product.rating for product in about), default=0)


async def nav_series(
    session: AsyncSession, product_id: UUID, since: date | None = None
) -> list[tuple[date, Decimal]]:
    """Net asset values in the order of days."""
    rows = (
        select(col(Nav.on), col(Nav.value))
        .where(Nav.product_id == product_id)
        .order_by(col(Nav.on))
    )
    if since is not None:
        rows = rows.where(col(Nav.on) >= since)
    return [(on, value) for on, value in await session.execute(rows)]


async def facts_of(
    session: AsyncSession, codes: Collection[str], now: datetime
) -> dict[str, ProductFacts]:
    """Facts by product code as of now, each with its newest net asset value where one may show."""
    about, today = await by_codes(session, codes), local_day(now)
    shown = [product.id for product in about if shows_performance(product, today)]
    newest = await _newest_nav(session, shown)
    return {product.code: _facts(product, newest.get(product.id), today) for product in about}


def shows_performance(product: Product, today: date) -> bool:
    """Whether past performance may be shown: not before a product is a month old (C-16)."""
    return product.inception <= a_month_before(today)


def a_month_before(day: date) -> date:
    """The same day of the month before; the last one where that month is shorter."""
    last = day.replace(day=1) - timedelta(days=1)
    return last.replace(day=min(day.day, monthrange(last.year, last.month)[1]))


async def _newest_nav(
    session: AsyncSession, ids: Collection[UUID]
) -> dict[UUID, tuple[date, Decimal]]:
    last = aliased(Nav)
    newest = select(func.max(last.on)).where(last.product_id == col(Nav.product_id))
    rows = select(col(Nav.product_id), col(Nav.on), col(Nav.value)).where(
        col(Nav.product_id).in_(ids), col(Nav.on) == newest.scalar_subquery()
    )
    return {id_: (on, value) for id_, on, value in await session.execute(rows)}


def _facts(product: Product, newest: tuple[date, Decimal] | None, today: date) -> ProductFacts:
    return ProductFacts(
        code=product.code,
        name=product.name,
        kind=product.kind,
        issuer=product.issuer,
        rating=product.rating,
        issuer_rating=product.issuer_rating,
        bank_rating=product.bank_rating,
        regime=product.regime,
        offering=product.offering,
        agency=product.agency,
        term_days=product.term_days,
        open_rule=product.open_rule,
        min_amount_cents=product.min_amount_cents,
        fees=product.fees,
        benchmark=product.benchmark,
        benchmark_basis=product.benchmark_basis,
        redemption=product.redemption,
        description=product.description,
        sale_status=product.sale_status,
        inception=product.inception,
        listed=product.is_listed(today),
        nav=newest[1] if newest else None,
        nav_on=newest[0] if newest else None,
    )
