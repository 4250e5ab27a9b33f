"""Material that a change of its product has overtaken: out of use until a reviewer resumes it.

The only writer of `suspended_at`. A version stays approved; it is not live while suspended.
"""

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.models import Role
from content import benchmarks, checks, library, product_history, products, review
from content.files import FileStore
from content.materials import Person
from content.models import Material, MaterialProduct, Product, State, Version


class Reason(enum.StrEnum):
    """Why a suspended version stays out of use."""

    NOT_FOUND = "没有找到这个版本，请返回列表刷新。"
    NOT_SUSPENDED = "这个版本没有暂停，可能已由他人恢复，请刷新页面。"
    OVER = "这个版本已下线、过期或被替代，请修订为新版本后送审。"
    NOT_REVIEWER = "您没有审批权限，请由内容审批或合规岗恢复。"
    REVIEWER_SELLS = "客户经理不得兼任审批人，请由未参与销售的审批人处理。"
    OWN_WORK = "不能恢复自己编写的素材，请由另一位审批人处理。"
    OLD_BENCHMARK = "正文仍写着旧的业绩比较基准，请作者修订为新版本后送审。"
    OLD_RATING = "正文仍写着旧的风险等级，请作者修订为新版本后送审。"
    BLOCKED_WORDING = "按现在的规则存在不可上线的合规问题，请作者修订后送审。"
    BYTES_CHANGED = "内容与审批时的指纹不一致，不能恢复，请联系系统管理员。"


@dataclass(frozen=True)
class Refused:
    """It stays suspended; every reason that stands against it."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Resumed:
    """In use again, as it was approved."""

    version: Version


@dataclass(frozen=True)
class Overtaken:
    """A product whose rating or benchmark has just changed, and what they were."""

    product: Product
    rating: int
    benchmark: str

    @property
    def rating_changed(self) -> bool:
        """Whether another effective rating counts now."""
        return self.product.rating != self.rating

    @property
    def benchmark_changed(self) -> bool:
        """Whether a benchmark that could have been told is no longer right."""
        return bool(self.benchmark) and self.product.benchmark != self.benchmark


async def suspend(
    session: AsyncSession, overtaken: Sequence[Overtaken], *, by: str, now: datetime
) -> list[Version]:
    """Take out of use, in this very transaction, what these changes made wrong (C-03, C-14).

    A rating: what was approved below it, or states the old one. A benchmark: everything linked to
    the product, files and pictures included, and what states the old value about it unlinked.
    """
    changed = [each for each in overtaken if each.rating_changed or each.benchmark_changed]
    if not changed:
        return []
    linked = await _linked(session, [each.product.id for each in changed])
    suspects = {material for materials in linked.values() for material in materials}
    suspects |= await _stating(session, changed)
    hit = []
    for version in await _locked(session, suspects):
        reasons = [r for each in changed for r in _against(version, each, linked)]
        if reasons:
            hit.append(version)
            _suspend(session, version, reasons, by, now)
    for version in hit:
        await library.tell(session, version.id, live=False, now=now)
    return hit


async def _linked(session: AsyncSession, product_ids: Collection[UUID]) -> dict[UUID, set[UUID]]:
    rows = select(MaterialProduct.product_id, MaterialProduct.material_id).where(
        col(MaterialProduct.product_id).in_(product_ids)
    )
    found: dict[UUID, set[UUID]] = {id_: set() for id_ in product_ids}
    for product_id, material_id in await session.execute(rows):
        found[product_id].add(material_id)
    return found


async def _stating(session: AsyncSession, changed: Sequence[Overtaken]) -> set[UUID]:
    """Materials not linked to the product that state its old benchmark.

    Two products may share a value: it is this one's where the text names it, or is linked to none.
    """
    moved = [each for each in changed if each.benchmark_changed]
    if not moved:
        return set()
    linked_at_all = select(MaterialProduct.material_id)
    names = [word for each in moved for word in (each.product.name, each.product.code)]
    rows = select(Version.material_id, Version.title, Version.body).where(
        Version.state == State.APPROVED,
        or_(
            col(Version.material_id).not_in(linked_at_all),
            *(col(Version.body).contains(name, autoescape=True) for name in names),
            *(col(Version.title).contains(name, autoescape=True) for name in names),
        ),
    )
    return {
        material_id
        for material_id, title, body in await session.execute(rows)
        if any(benchmarks.holds(f"{title}\n{body}", each.benchmark) for each in moved)
    }


async def _locked(session: AsyncSession, material_ids: Collection[UUID]) -> list[Version]:
    """The approved versions of these materials, locked material first as the review does.

    An approval under way ends before this goes on; a later one reads the product as it is now.
    """
    fresh = {"populate_existing": True}
    threads = select(Material.id).where(col(Material.id).in_(material_ids))
    await session.execute(threads.order_by(col(Material.id)).with_for_update())
    rows = (
        select(Version)
        .where(col(Version.material_id).in_(material_ids), Version.state == State.APPROVED)
        .order_by(col(Version.id))
        .with_for_update()
    )
    return list((await session.execute(rows, execution_options=fresh)).scalars())


def _against(version: Version, each: Overtaken, linked: dict[UUID, set[UUID]]) -> list[str]:
    """Why this version is no longer right about this product, in words."""
    product, text = each.product, f"{version.title}\n{version.body}"
    is_linked = version.material_id in linked[product.id]
    reasons = []
    below = version.risk < product.rating
    if each.rating_changed and is_linked and (below or benchmarks.says_rating(text, each.rating)):
        reasons.append(f"“{product.name}”风险等级由 R{each.rating} 调整为 R{product.rating}")
    stated = is_linked or benchmarks.holds(text, each.benchmark)
    if each.benchmark_changed and stated:
        now_is = f"变更为“{product.benchmark}”" if product.benchmark else "取消"
        reasons.append(f"“{product.name}”业绩比较基准“{each.benchmark}”{now_is}")
    return reasons


def _suspend(
    session: AsyncSession, version: Version, reasons: Sequence[str], by: str, now: datetime
) -> None:
    """Noted once; a second change adds its reason to the first."""
    told = [version.suspended_reason, *reasons] if version.suspended_reason else reasons
    version.suspended_reason = "；".join(dict.fromkeys(told))
    version.suspended_at = version.suspended_at or now
    audit.record(
        session, "content:version:suspend", version.id, by=by, now=now,
        material_id=str(version.material_id), number=version.number,
        reason="；".join(reasons),
    )  # fmt: skip


async def resume(
    session: AsyncSession, files: FileStore, version_id: UUID, *, by: Person, now: datetime
) -> Resumed | Refused:
    """A reviewer who is not the author has looked: right as it stands, under today's ratings."""
    material_id = (
        await session.execute(select(Version.material_id).where(Version.id == version_id))
    ).scalar_one_or_none()
    if material_id is None:
        return Refused((Reason.NOT_FOUND,))
    found = {version.id: version for version in await _locked(session, [material_id])}
    version = found.get(version_id)
    if version is None or version.valid_until is None or version.valid_until <= now:
        return Refused((Reason.OVER,))
    reasons = [*_against_resuming(version, by), *await still_wrong(session, version)]
    if not await review.unchanged(session, files, version):
        reasons.append(Reason.BYTES_CHANGED)
    if reasons:
        return Refused(tuple(reasons))
    about = await products.of_material(session, material_id)
    before, version.risk = version.risk, products.highest_rating(about)
    version.suspended_at, version.suspended_reason = None, ""
    audit.record(
        session, "content:version:resume", version.id, by=by.userid, now=now,
        material_id=str(material_id), number=version.number, before=before, after=version.risk,
    )  # fmt: skip
    await library.tell(session, version.id, live=True, now=now)
    return Resumed(version)


def _against_resuming(version: Version, by: Person) -> list[Reason]:
    reasons = []
    if version.suspended_at is None:
        reasons.append(Reason.NOT_SUSPENDED)
    if not review.REVIEWERS & set(by.roles):
        reasons.append(Reason.NOT_REVIEWER)
    if Role.RM in by.roles:
        reasons.append(Reason.REVIEWER_SELLS)
    if version.author_id == by.id:
        reasons.append(Reason.OWN_WORK)
    return reasons


async def still_wrong(session: AsyncSession, version: Version) -> list[Reason]:
    """The text checked again by today's rules and facts: what an author has to mend first."""
    about = await products.of_material(session, version.material_id)
    text, was = f"{version.title}\n{version.body}", await product_history.former(session, about)
    reasons = []
    if any(benchmarks.holds(text, value) for value in was.benchmarks):
        reasons.append(Reason.OLD_BENCHMARK)
    stated = {rating for rating in range(1, 6) if benchmarks.says_rating(text, rating)}
    # A text may name issuer's and bank's rating both, but never without the one that counts.
    if was.rated_otherwise and stated and not {product.rating for product in about} <= stated:
        reasons.append(Reason.OLD_RATING)
    if checks.blocking(checks.findings_of(version.title, version.body, about)):
        reasons.append(Reason.BLOCKED_WORDING)
    return reasons


async def about_product(session: AsyncSession, product_id: UUID) -> list[Version]:
    """What is linked to this product and suspended, longest out of use first."""
    rows = (
        select(Version)
        .join(MaterialProduct, col(MaterialProduct.material_id) == Version.material_id)
        .where(
            MaterialProduct.product_id == product_id,
            Version.state == State.APPROVED,
            col(Version.suspended_at).is_not(None),
        )
        .order_by(col(Version.suspended_at), col(Version.title))
    )
    return list((await session.execute(rows)).scalars())
