"""The library of approved material: what other packages ask, and whether a version is live."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local_day
from bank.database import ring
from compliance.suitability import REGIMES
from content import particulars, products
from content.models import (
    Kind,
    LibraryChange,
    Material,
    MaterialProduct,
    Passage,
    Product,
    SaleStatus,
    State,
    Use,
    Version,
)
from wecom.channels import Channel

BELL = "library"
# Documents read in one go: whoever else this process serves comes to their turn in between.
AT_ONCE = 200
# Private offerings never reach an unspecified public (代销办法, C-08).
PUBLIC_CHANNELS = frozenset({Channel.GROUP, Channel.MOMENTS})


@dataclass(frozen=True)
class PassageText:
    """A passage and where it stands in the uploaded file."""

    position: int
    text: str
    place: str


@dataclass(frozen=True)
class LibraryDocument:
    """A version with all an index or a writer needs; `risk` 0 without products."""

    version_id: UUID
    material_id: UUID
    material_code: str
    number: int
    title: str
    kind: Kind
    use: Use
    passages: tuple[PassageText, ...]
    questions: tuple[str, ...]
    valid_from: datetime | None
    valid_until: datetime | None
    channels: tuple[str, ...]
    branch_ids: tuple[UUID, ...] | None
    risk: int
    sha256: str
    products: tuple[Product, ...]

    @property
    def product_codes(self) -> tuple[str, ...]:
        """The codes of the products it speaks of."""
        return tuple(product.code for product in self.products)

    @property
    def product_names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(product.name for product in self.products)


async def only_live(
    session: AsyncSession,
    version_ids: Collection[UUID],
    *,
    now: datetime,
    channel: str,
    branch_id: UUID | None,
    risk_ceiling: int,
) -> set[UUID]:
    """Which of these may be used now, here, for a customer of this risk level (0–5).

    Asked when a text is shown and again when it is sent: approved, not suspended, in date, for
    this channel and branch, product ratings of today within the ceiling, every product on sale,
    on head office's list of today and under known suitability rules, and no private offering
    where a group or Moments would read it.
    """
    if not version_ids:
        return set()
    allowed = select(Version.id).where(
        col(Version.id).in_(set(version_ids)), *_fits(now, channel, branch_id, risk_ceiling)
    )
    return set((await session.execute(allowed)).scalars())


def is_live(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Conditions on `Version`: approved, not suspended and within its validity."""
    return (
        col(Version.state) == State.APPROVED,
        col(Version.suspended_at).is_(None),
        col(Version.valid_from) <= now,
        col(Version.valid_until) > now,
    )


def _fits(
    now: datetime, channel: str, branch_id: UUID | None, risk_ceiling: int
) -> tuple[ColumnElement[bool], ...]:
    return (
        *is_live(now),
        col(Version.channels).contains([channel]),
        for_branch(branch_id),
        col(Version.risk) <= risk_ceiling,
        ~_forbidding_product(local_day(now), channel, risk_ceiling).exists(),
    )


def for_branch(branch_id: UUID | None) -> ColumnElement[bool]:
    """For all branches, or for this one."""
    everywhere = col(Version.branch_ids).is_(None)
    if branch_id is None:
        return everywhere
    return or_(everywhere, col(Version.branch_ids).contains([branch_id]))


def _forbidding_product(today: date, channel: str, risk_ceiling: int) -> Select[Any]:
    """A product of the material that stands against its use today."""
    against = [
        col(Product.sale_status) != SaleStatus.ON_SALE,
        ~products.listed_on(today),
        col(Product.regime).not_in(REGIMES),
        func.greatest(Product.issuer_rating, Product.bank_rating) > risk_ceiling,
    ]
    if channel in PUBLIC_CHANNELS:
        against.append(col(Product.offering) == "private")
    return (
        select(Product.id)
        .join(MaterialProduct, col(MaterialProduct.product_id) == Product.id)
        .where(col(MaterialProduct.material_id) == Version.material_id, or_(*against))
        .correlate(Version)
    )


async def changes_since(session: AsyncSession, seq: int, limit: int = 500) -> list[LibraryChange]:
    """What went live or ended after `seq`, in order; the last one's `seq` is the next cursor."""
    later = select(LibraryChange).where(col(LibraryChange.seq) > seq)
    rows = await session.execute(later.order_by(col(LibraryChange.seq)).limit(limit))
    return list(rows.scalars())


async def newest_seq(session: AsyncSession) -> int:
    """The number of the newest change, 0 in an empty library."""
    return (await session.execute(select(func.max(LibraryChange.seq)))).scalar_one() or 0


async def tell(session: AsyncSession, version_id: UUID, *, live: bool, now: datetime) -> None:
    """One more line for the projections, and the bell that wakes them when this commits."""
    # Numbers are given before commit; one writer at a time keeps a cursor from skipping any.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("library_change"))))
    session.add(LibraryChange(version_id=version_id, live=live, at=now))
    await session.flush()
    await ring(session, BELL)


async def live_version_of(
    session: AsyncSession, material_id: UUID, now: datetime
) -> Version | None:
    """The version of this material that is live now."""
    rows = select(Version).where(Version.material_id == material_id, *is_live(now))
    return (await session.execute(rows)).scalar_one_or_none()


async def live_documents(
    session: AsyncSession,
    now: datetime,
    *,
    channel: str | None = None,
    branch_id: UUID | None = None,
    risk_ceiling: int = 5,
    kinds: Collection[Kind] | None = None,
    materials: Collection[UUID] | None = None,
    limit: int | None = None,
) -> list[LibraryDocument]:
    """Documents live now, by material code; with a channel, those `only_live` lets pass there.

    `kinds` and `materials` ask for some alone, `limit` for the first so many.
    """
    live = is_live(now) if channel is None else _fits(now, channel, branch_id, risk_ceiling)
    of_kind = () if kinds is None else (col(Material.kind).in_(kinds),)
    of_those = () if materials is None else (col(Material.id).in_(materials),)
    rows = (
        select(Version.id)
        .join(Material, col(Material.id) == Version.material_id)
        .where(*live, *of_kind, *of_those)
        .order_by(col(Material.code), col(Version.number))
        .limit(limit)
    )
    ids = list((await session.execute(rows)).scalars())
    slices = [ids[first : first + AT_ONCE] for first in range(0, len(ids), AT_ONCE)]
    return [found for some in slices for found in await documents(session, some)]


async def live_kinds(
    session: AsyncSession,
    now: datetime,
    *,
    channel: str,
    branch_id: UUID | None,
    risk_ceiling: int,
) -> set[Kind]:
    """Of which kinds there is something that `only_live` lets pass."""
    fitting = select(Version.id).where(
        Version.material_id == col(Material.id), *_fits(now, channel, branch_id, risk_ceiling)
    )
    rows = select(col(Material.kind)).where(fitting.exists()).distinct()
    return set((await session.execute(rows)).scalars())


async def search_titles(
    session: AsyncSession,
    text: str,
    now: datetime,
    *,
    channel: str,
    branch_id: UUID | None,
    risk_ceiling: int = 5,
    limit: int = 20,
) -> list[LibraryDocument]:
    """Usable documents whose title or example questions contain the text, by title."""
    like = f"%{products.escaped(text)}%"
    rows = (
        select(Version.id)
        .where(
            *_fits(now, channel, branch_id, risk_ceiling),
            or_(
                col(Version.title).ilike(like),
                func.array_to_string(col(Version.questions), "\n").ilike(like),
            ),
        )
        .order_by(col(Version.title))
        .limit(limit)
    )
    return await documents(session, list((await session.execute(rows)).scalars()))


async def usable(
    session: AsyncSession,
    version_ids: Collection[UUID],
    *,
    now: datetime,
    channel: str,
    branch_id: UUID | None,
    risk_ceiling: int,
) -> list[LibraryDocument]:
    """Those of these versions that `only_live` lets pass, whole, in the order of material codes."""
    return await _documents(session, version_ids, *_fits(now, channel, branch_id, risk_ceiling))


async def documents(session: AsyncSession, version_ids: Collection[UUID]) -> list[LibraryDocument]:
    """These versions, whatever their state, in the order of material codes."""
    return await _documents(session, version_ids)


async def _documents(
    session: AsyncSession, version_ids: Collection[UUID], *conditions: ColumnElement[bool]
) -> list[LibraryDocument]:
    if not version_ids:
        return []
    rows = (
        select(Version, Material)
        .join(Material, col(Material.id) == Version.material_id)
        .where(col(Version.id).in_(set(version_ids)), *conditions)
        .order_by(col(Material.code), col(Version.number))
    )
    found = (await session.execute(rows)).all()
    if not found:
        return []
    about = await products.of_materials(session, {material.id for _, material in found})
    cut = await _passages(session, [version.id for version, _ in found])
    return [
        _document(version, material, cut[version.id], about.get(material.id, []))
        for version, material in found
    ]


async def _passages(
    session: AsyncSession, version_ids: Collection[UUID]
) -> dict[UUID, list[PassageText]]:
    rows = (
        select(Passage.version_id, Passage.position, Passage.text, Passage.place)
        .where(col(Passage.version_id).in_(version_ids))
        .order_by(col(Passage.position))
    )
    cut: dict[UUID, list[PassageText]] = defaultdict(list)
    for version_id, position, text, place in await session.execute(rows):
        cut[version_id].append(PassageText(position, text, place))
    return cut


def _document(
    version: Version, material: Material, cut: list[PassageText], about: list[Product]
) -> LibraryDocument:
    return LibraryDocument(
        version_id=version.id,
        material_id=material.id,
        material_code=material.code,
        number=version.number,
        title=version.title,
        kind=material.kind,
        use=particulars.use_of(material, version),
        passages=tuple(cut),
        questions=tuple(version.questions),
        valid_from=version.valid_from,
        valid_until=version.valid_until,
        channels=tuple(version.channels),
        branch_ids=None if version.branch_ids is None else tuple(version.branch_ids),
        risk=max(version.risk, products.highest_rating(about)),
        sha256=version.sha256,
        products=tuple(about),
    )
