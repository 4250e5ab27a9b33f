"""What the lists of material and of review show: rows found and counted in the database."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_
from sqlalchemy import select as rows_of
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from bank.models import Staff
from content import products, shelf_filters
from content.covers import COVERED
from content.library import for_branch, is_live
from content.models import Material, MaterialProduct, Product, State, StoredFile, Version
from content.shelf_filters import ENDING_SOON, Live, Newest, live_now
from content.shelf_filters import Wanted as Wanted

Owner = aliased(Staff, name="owner")

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
class Row:
    """A material in the list: its newest version, and the live one where they differ."""

    material: Material
    version: Version
    standing: Standing
    live: Version | None
    products: list[Product]
    author: str
    owner: str
    cover: UUID | None  # the version whose file can be shown small; none: a cover of words

    @property
    def ends(self) -> datetime | None:
        """When what is live stops being so; of what never was, nothing."""
        return (self.live or self.version).valid_until


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


async def shelf(session: AsyncSession, wanted: Wanted, reader: Reader, now: datetime) -> Shelf:
    """One page of the materials of this filter, in the order asked for."""
    matching = _matching(wanted, reader, now)
    counted = select(func.count()).select_from(matching.subquery())
    total = (await session.execute(counted)).scalar_one()
    pages = max(1, -(-total // wanted.size))
    page = min(max(1, wanted.page), pages)
    rows = matching.order_by(*shelf_filters.order(wanted.sort, reader.only_live))
    rows = rows.offset((page - 1) * wanted.size).limit(wanted.size)
    found = [_Found(*row) for row in await session.execute(rows)]
    about = await products.of_materials(session, [each.material.id for each in found])
    return Shelf([_row(each, reader, about, now) for each in found], total, pages)


class _Found(NamedTuple):
    """A line as the database gives it."""

    material: Material
    newest: Version
    live: Version | None
    author: str
    owner: str
    media_type: str | None  # of the file of the version shown


def _row(found: _Found, reader: Reader, about: dict[UUID, list[Product]], now: datetime) -> Row:
    live = found.live
    version = live if reader.only_live and live is not None else found.newest
    return Row(
        material=found.material,
        version=version,
        standing=standing(version, now),
        live=live if live is not None and live.id != version.id else None,
        products=about.get(found.material.id, []),
        author=found.author,
        owner=found.owner,
        cover=version.id if found.media_type in COVERED else None,
    )


def _matching(
    wanted: Wanted, reader: Reader, now: datetime
) -> "Select[Material, Version, Version, str, str, str]":
    last = rows_of(func.max(Version.number)).where(col(Version.material_id) == Material.id)
    shown = Live if reader.only_live else Newest
    rows = (
        rows_of(
            Material, Newest, Live, col(Staff.name), col(Owner.name), col(StoredFile.media_type)
        )
        .select_from(Material)
        .join(
            Newest,
            and_(
                col(Newest.material_id) == Material.id,
                col(Newest.number) == last.correlate(Material).scalar_subquery(),
            ),
        )
        .outerjoin(Live, and_(col(Live.material_id) == Material.id, *live_now(now)))
        .join(Staff, col(Staff.id) == Newest.author_id)
        .join(Owner, col(Owner.id) == Material.owner_id)
        .outerjoin(StoredFile, col(StoredFile.id) == shown.file_id)
    )
    if reader.only_live:
        mine: ColumnElement[bool] = col(Live.branch_ids).is_(None)
        if reader.branch_id is not None:
            mine = or_(mine, col(Live.branch_ids).contains([reader.branch_id]))
        rows = rows.where(col(Live.id).is_not(None), mine)
    # Who sees only what is live also searches only there: a draft must not answer by being found.
    return rows.where(*shelf_filters.filters(wanted, shown, now))


async def about_product(
    session: AsyncSession, product_id: UUID, reader: Reader, now: datetime
) -> list[Row]:
    """Materials that speak of this product, as the reader may see them."""
    speaking = select(MaterialProduct.material_id).where(MaterialProduct.product_id == product_id)
    rows = _matching(Wanted(), reader, now).where(col(Material.id).in_(speaking))
    found = await session.execute(rows.order_by(col(Material.code)))
    return [_row(_Found(*row), reader, {}, now) for row in found]


async def row_of(
    session: AsyncSession, material_id: UUID, reader: Reader, now: datetime
) -> Row | None:
    """One material as its line in the list; None where the reader has no such line."""
    rows = _matching(Wanted(), reader, now).where(col(Material.id) == material_id)
    found = (await session.execute(rows)).one_or_none()
    return _row(_Found(*found), reader, {}, now) if found is not None else None


async def owners(session: AsyncSession) -> list[tuple[str, str]]:
    """Who looks after material, as (userid, name)."""
    rows = (
        select(Staff.userid, Staff.name)
        .where(col(Staff.id).in_(select(Material.owner_id)))
        .order_by(Staff.name, Staff.userid)
    )
    return [(userid, name) for userid, name in await session.execute(rows)]


async def categories(session: AsyncSession, reader: Reader, now: datetime) -> list[str]:
    """First levels of the tree of scripts that the reader's list has something in."""
    shown = Live if reader.only_live else Newest
    first = col(shown.particulars)[("category", "0")].as_string()
    rows = _matching(Wanted(), reader, now).with_only_columns(first).where(first.is_not(None))
    return sorted(set((await session.execute(rows)).scalars()))


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
