"""What the lists of material and of review show: rows found and counted in the database."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_
from sqlalchemy import select as rows_of
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from bank.models import Staff
from content import products
from content.library import for_branch, is_live
from content.models import (
    Kind,
    Material,
    MaterialProduct,
    Product,
    State,
    StoredFile,
    Version,
)

ENDING_SOON = timedelta(days=30)
PAGE_SIZE = 20

TONES = {
    State.DRAFT: "grey",
    State.SUBMITTED: "orange",
    State.APPROVED: "green",
    State.REJECTED: "red",
    State.RETURNED: "orange",
    State.SUPERSEDED: "dark",
    State.WITHDRAWN: "dark",
    State.EXPIRED: "dark",
}
STATES = (
    ("draft", "草稿"),
    ("submitted", "待审"),
    ("rejected", "已驳回"),
    ("returned", "退回修改"),
    ("approved", "已上线"),
    ("expiring", "即将到期"),
    ("suspended", "已暂停"),
    ("ended", "已过期或下线"),
)


@dataclass(frozen=True)
class Standing:
    """Where a version stands, as a coloured tag."""

    label: str
    tone: str


def standing(version: Version, now: datetime) -> Standing:
    """The tag of a version at this moment; the end of validity counts before any tidying up."""
    if version.state != State.APPROVED:
        return Standing(version.state.label, TONES[version.state])
    if version.suspended_at is not None:
        return Standing("已暂停", "red")
    if version.valid_until is not None and version.valid_until <= now:
        return Standing("已过期", "dark")
    if version.valid_from is not None and version.valid_from > now:
        return Standing("待生效", "blue")
    if version.valid_until is not None and version.valid_until - now <= ENDING_SOON:
        return Standing("即将到期", "yellow")
    return Standing("已上线", "green")


@dataclass(frozen=True)
class Wanted:
    """The filter of the list, as typed."""

    kind: str = ""
    state: str = ""
    product: str = ""
    text: str = ""
    page: int = 1


@dataclass(frozen=True)
class Row:
    """A material in the list: its newest version, and the live one where they differ."""

    material: Material
    version: Version
    standing: Standing
    live: Version | None
    products: list[Product]
    author: str


@dataclass(frozen=True)
class Shelf:
    """One page of the list."""

    rows: list[Row]
    total: int
    pages: int


@dataclass(frozen=True)
class Reader:
    """Whose list it is: RMs see only what is live, and only for their branch."""

    only_live: bool
    branch_id: UUID | None


Newest = aliased(Version, name="newest")
Live = aliased(Version, name="live")


async def shelf(session: AsyncSession, wanted: Wanted, reader: Reader, now: datetime) -> Shelf:
    """The materials of this filter, last touched first."""
    matching = _matching(wanted, reader, now)
    counted = select(func.count()).select_from(matching.subquery())
    total = (await session.execute(counted)).scalar_one()
    pages = max(1, -(-total // PAGE_SIZE))
    page = min(max(1, wanted.page), pages)
    rows = matching.order_by(col(Newest.created_at).desc(), col(Material.code))
    rows = rows.offset((page - 1) * PAGE_SIZE).limit(PAGE_SIZE)
    found = (await session.execute(rows)).all()
    about = await products.of_materials(session, [material.id for material, *_ in found])
    shown = [
        _row(material, live if reader.only_live else newest, live, author, about, now)
        for material, newest, live, author in found
    ]
    return Shelf(shown, total, pages)


def _row(
    material: Material,
    version: Version,
    live: Version | None,
    author: str,
    about: dict[UUID, list[Product]],
    now: datetime,
) -> Row:
    other = live if live is not None and live.id != version.id else None
    return Row(material, version, standing(version, now), other, about.get(material.id, []), author)


def _matching(
    wanted: Wanted, reader: Reader, now: datetime
) -> "Select[Material, Version, Version, str]":
    last = rows_of(func.max(Version.number)).where(col(Version.material_id) == Material.id)
    rows = (
        rows_of(Material, Newest, Live, col(Staff.name))
        .select_from(Material)
        .join(
            Newest,
            and_(
                col(Newest.material_id) == Material.id,
                col(Newest.number) == last.correlate(Material).scalar_subquery(),
            ),
        )
        .outerjoin(Live, and_(col(Live.material_id) == Material.id, *_live(now)))
        .join(Staff, col(Staff.id) == Newest.author_id)
    )
    if reader.only_live:
        mine: ColumnElement[bool] = col(Live.branch_ids).is_(None)
        if reader.branch_id is not None:
            mine = or_(mine, col(Live.branch_ids).contains([reader.branch_id]))
        rows = rows.where(col(Live.id).is_not(None), mine)
    # Who sees only what is live also searches only there: a draft must not answer by being found.
    return rows.where(*_filters(wanted, Live if reader.only_live else Newest, now))


def _live(now: datetime) -> list[ColumnElement[bool]]:
    return [
        col(Live.state) == State.APPROVED,
        col(Live.suspended_at).is_(None),
        col(Live.valid_from) <= now,
        col(Live.valid_until) > now,
    ]


def _filters(wanted: Wanted, shown: type[Version], now: datetime) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if wanted.kind in list(Kind):
        filters.append(col(Material.kind) == Kind(wanted.kind))
    if wanted.state:
        filters.append(_in_state(wanted.state, shown, now))
    if wanted.product:
        speaking = (
            select(MaterialProduct.material_id)
            .join(Product, col(Product.id) == MaterialProduct.product_id)
            .where(Product.code == wanted.product)
        )
        filters.append(col(Material.id).in_(speaking))
    if wanted.text:
        like = f"%{products.escaped(wanted.text)}%"
        filters.append(
            or_(
                col(Material.code).ilike(like),
                col(shown.title).ilike(like),
                col(shown.body).ilike(like),
                func.array_to_string(col(shown.questions), "\n").ilike(like),
            )
        )
    return filters


def _in_state(state: str, shown: type[Version], now: datetime) -> ColumnElement[bool]:
    newest = col(shown.state)
    if state == "approved":
        return col(Live.id).is_not(None)
    if state == "expiring":
        return col(Live.valid_until) <= now + ENDING_SOON
    if state == "suspended":
        return and_(newest == State.APPROVED, col(shown.suspended_at).is_not(None))
    if state == "ended":
        over = newest.in_([State.WITHDRAWN, State.EXPIRED])
        return or_(over, and_(newest == State.APPROVED, col(shown.valid_until) <= now))
    if state in ("draft", "submitted", "rejected", "returned"):
        return newest == State(state)
    return col(Material.id).is_not(None)


async def about_product(
    session: AsyncSession, product_id: UUID, reader: Reader, now: datetime
) -> list[Row]:
    """Materials that speak of this product, as the reader may see them."""
    speaking = select(MaterialProduct.material_id).where(MaterialProduct.product_id == product_id)
    rows = _matching(Wanted(), reader, now).where(col(Material.id).in_(speaking))
    found = (await session.execute(rows.order_by(col(Material.code)))).all()
    return [
        _row(material, live if reader.only_live else newest, live, author, {}, now)
        for material, newest, live, author in found
    ]


async def visible_versions(
    session: AsyncSession, material_id: UUID, reader: Reader, now: datetime
) -> list[Version]:
    """The versions of a material the reader may see, newest first."""
    rows = select(Version).where(Version.material_id == material_id)
    if reader.only_live:
        rows = rows.where(
            *is_live(now),
            for_branch(reader.branch_id),
        )
    return list((await session.execute(rows.order_by(col(Version.number).desc()))).scalars())


async def may_read_file(session: AsyncSession, stored: StoredFile, staff_id: UUID) -> bool:
    """An author reads files of materials, and what is not used yet only as its uploader."""
    if stored.uploaded_by == staff_id:
        return True
    used = select(Version.id).where(Version.file_id == stored.id).limit(1)
    return (await session.execute(used)).scalar_one_or_none() is not None


async def names_by_userid(session: AsyncSession, userids: Collection[str]) -> dict[str, str]:
    """Names to show in the history; the system is named too."""
    rows = select(Staff.userid, Staff.name).where(col(Staff.userid).in_(set(userids)))
    return {"system": "系统", **dict((await session.execute(rows)).all())}
