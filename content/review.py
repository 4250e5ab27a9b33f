"""Review of material: the only module that writes a version's state.

draft → submitted → approved → superseded | withdrawn | expired, or submitted → rejected.
Every transition locks the material, writes the audit line and, where the library changes, the
LibraryChange rows and the bell `library`, all in the caller's transaction. The table keeps the
rest: `ck_version_four_eyes`, `ck_version_approved_is_complete`, `uq_version_live`.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.database import ring
from bank.models import Branch, Role
from content import checks, flags, materials, products
from content.files import FileMissing, FileStore
from content.materials import FEWEST_QUESTIONS, MOST_QUESTIONS, Person
from content.models import Kind, LibraryChange, Material, Product, SaleStatus, State, Version
from wecom.channels import Channel

BELL = "library"
REVIEWERS = frozenset({Role.APPROVER, Role.COMPLIANCE})


class Reason(enum.StrEnum):
    """Why a step of the review is refused."""

    NOT_FOUND = "没有找到这个版本，请返回列表刷新。"
    NOT_DRAFT = "只有草稿可以提交审批，请刷新页面查看最新状态。"
    NOT_SUBMITTED = "这个版本不在待审状态，可能已由他人处理，请刷新页面。"
    NOT_LIVE = "这个版本没有上线，无需下线。"
    NOT_AUTHOR = "只有作者本人可以提交，请由作者提交或先修订。"
    OWN_WORK = "不能审批自己提交的素材，请由另一位审批人处理。"
    NOT_REVIEWER = "您没有审批权限，请由内容审批或合规岗处理。"
    REVIEWER_SELLS = "客户经理不得兼任审批人，请由未参与销售的审批人处理。"
    TOO_FEW_QUESTIONS = "请填写 3–5 条常见问法，系统靠它匹配客户的提问。"
    NO_PRODUCT = "产品说明必须关联产品，请新建素材并选择产品。"
    NO_RATING = "关联产品缺少 R1–R5 风险评级，请先在产品库补齐。"
    PRODUCT_CLOSED = "关联产品已结束销售，不能提交或上线。"
    EDUCATION_SELLS = "投资者教育不得出现或关联具体产品，请驳回修改。"
    RATING_CHANGED = "关联产品的风险评级在提交后有变化，请驳回后由作者重新提交。"
    BLOCKED_WORDING = "存在不可上线的合规问题，请驳回修改后重新提交。"
    FLAGS_UNSEEN = "内容含有隐藏文字或类似系统指令的文字，请先逐条查看并确认。"
    BYTES_CHANGED = "内容与提交时的指纹不一致，已停止审批，请联系系统管理员。"
    NO_CHANNEL = "请至少选择一个适用渠道。"
    PRIVATE_IN_PUBLIC = "私募产品不得用于客户群和朋友圈，请调整适用渠道。"
    NO_BRANCH = "请选择适用支行，或选择全部支行。"
    UNKNOWN_BRANCH = "所选支行不存在，请刷新页面重新选择。"
    ENDS_BEFORE_START = "失效日期必须晚于生效日期。"
    ENDS_IN_PAST = "失效日期已过，请选择今天以后的日期。"
    TOO_LONG = "有效期最长 12 个月，请提前失效日期。"
    LATER_THAN_LIVE = "当前版本仍在线，新版本须立即生效，不能选择以后的日期。"
    NEWER_IS_LIVE = "已有更新的版本上线，请驳回这个旧版本。"
    NO_REASON = "请填写原因，作者和审计会看到。"


@dataclass(frozen=True)
class Refused:
    """The step did not happen; every reason that stands against it."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Moved:
    """The step happened; the version as it stands now."""

    version: Version


@dataclass(frozen=True)
class Submitted(Moved):
    """Waiting for a reviewer."""


@dataclass(frozen=True)
class Approved(Moved):
    """Live; with the version it took the place of."""

    superseded: Version | None


@dataclass(frozen=True)
class Rejected(Moved):
    """Back to the author, who revises."""


@dataclass(frozen=True)
class Withdrawn(Moved):
    """Out of the library."""


async def submit(
    session: AsyncSession, version_id: UUID, *, by: Person, now: datetime
) -> Submitted | Refused:
    """Hand a draft to the reviewers, with the findings of the wording check beside it."""
    found = await _locked(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    material, version = found
    about = await products.of_material(session, material.id)
    reasons = _against_submitting(material, version, about, by)
    if reasons:
        return Refused(tuple(reasons))
    version.risk = products.highest_rating(about)
    findings = checks.findings_of(version.title, version.body, about)
    version.findings = [finding.stored() for finding in findings]
    version.submitted_at = now
    _move(session, version, State.SUBMITTED, "submit", by.userid, now, sha256=version.sha256)
    await session.flush()
    return Submitted(version)


def _against_submitting(
    material: Material, version: Version, about: Sequence[Product], by: Person
) -> list[Reason]:
    reasons = []
    if version.state != State.DRAFT:
        return [Reason.NOT_DRAFT]
    if version.author_id != by.id:
        reasons.append(Reason.NOT_AUTHOR)
    if not FEWEST_QUESTIONS <= len(version.questions) <= MOST_QUESTIONS:
        reasons.append(Reason.TOO_FEW_QUESTIONS)
    return reasons + _against_products(material, about)


def _against_products(material: Material, about: Sequence[Product]) -> list[Reason]:
    reasons = []
    if material.kind == Kind.PRODUCT_NOTE and not about:
        reasons.append(Reason.NO_PRODUCT)
    if any(not 1 <= product.rating <= 5 for product in about):
        reasons.append(Reason.NO_RATING)
    if any(product.sale_status == SaleStatus.CLOSED for product in about):
        reasons.append(Reason.PRODUCT_CLOSED)
    if material.kind == Kind.EDUCATION and about:
        reasons.append(Reason.EDUCATION_SELLS)
    return reasons


async def approve(
    session: AsyncSession,
    files: FileStore,
    version_id: UUID,
    *,
    by: Person,
    valid_from: datetime,
    valid_until: datetime,
    channels: Sequence[str],
    branch_ids: Sequence[UUID] | None,
    now: datetime,
) -> Approved | Refused:
    """Put exactly these bytes live for this time and audience, in place of what was live.

    The only function that makes a version live. `branch_ids` None: all branches.
    """
    found = await _locked(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    material, version = found
    about = await products.of_material(session, material.id)
    live = await _live(session, material.id)
    reasons = [
        *_against_reviewer(version, by),
        *await _against_content(session, files, material, version, about),
        *_against_validity(valid_from, valid_until, now, live),
        *await _against_audience(session, channels, branch_ids, about),
    ]
    if live is not None and live.number > version.number:
        reasons.append(Reason.NEWER_IS_LIVE)
    if reasons:
        return Refused(tuple(dict.fromkeys(reasons)))
    if live is not None:
        await _end(session, live, State.SUPERSEDED, "supersede", by.userid, now, by_version=version)
    version.approved_by, version.approved_at = by.id, now
    version.valid_from, version.valid_until = valid_from, valid_until
    version.channels = [Channel(channel).value for channel in channels]
    version.branch_ids = None if branch_ids is None else list(branch_ids)
    _move(
        session, version, State.APPROVED, "approve", by.userid, now,
        sha256=version.sha256, valid_from=valid_from.isoformat(),
        valid_until=valid_until.isoformat(), channels=version.channels,
        branches="all" if branch_ids is None else [str(id_) for id_ in branch_ids],
    )  # fmt: skip
    await _tell(session, version, live=True, now=now)
    return Approved(version, live)


def _against_reviewer(version: Version, by: Person) -> list[Reason]:
    reasons = []
    if version.state != State.SUBMITTED:
        reasons.append(Reason.NOT_SUBMITTED)
    if version.author_id == by.id:
        reasons.append(Reason.OWN_WORK)
    return reasons + _against_role(by)


def _against_role(by: Person) -> list[Reason]:
    if not REVIEWERS & set(by.roles):
        return [Reason.NOT_REVIEWER]
    return [Reason.REVIEWER_SELLS] if Role.RM in by.roles else []


async def _against_content(
    session: AsyncSession,
    files: FileStore,
    material: Material,
    version: Version,
    about: Sequence[Product],
) -> list[Reason]:
    """Checked again at approval: bytes, products and rules may have changed since submission."""
    reasons = _against_products(material, about)
    if flags.stands_against(version.flags, version.flags_seen_by):
        reasons.append(Reason.FLAGS_UNSEEN)
    if not await unchanged(session, files, version):
        reasons.append(Reason.BYTES_CHANGED)
    if products.highest_rating(about) != version.risk:
        reasons.append(Reason.RATING_CHANGED)
    found = checks.findings_of(version.title, version.body, about)
    if checks.blocking([*map(checks.Finding.read, version.findings), *found]):
        reasons.append(Reason.BLOCKED_WORDING)
    if material.kind == Kind.EDUCATION:
        named = await products.named_in(session, f"{version.title}\n{version.body}")
        reasons += [Reason.EDUCATION_SELLS] if named else []
    return reasons


async def unchanged(session: AsyncSession, files: FileStore, version: Version) -> bool:
    """Whether what is stored now, passages included, is what the author handed in."""
    try:
        now_stored = await materials.fingerprint_of(session, files, version)
    except FileMissing:
        return False
    return now_stored == version.sha256 and await materials.passages_fit(session, version)


def _against_validity(
    valid_from: datetime, valid_until: datetime, now: datetime, live: Version | None
) -> list[Reason]:
    reasons = []
    if valid_until <= valid_from:
        reasons.append(Reason.ENDS_BEFORE_START)
    if valid_until <= now:
        reasons.append(Reason.ENDS_IN_PAST)
    if valid_until > a_year_after(max(valid_from, now)):
        reasons.append(Reason.TOO_LONG)
    if live is not None and valid_from > now:
        reasons.append(Reason.LATER_THAN_LIVE)
    return reasons


def a_year_after(moment: datetime) -> datetime:
    """Twelve months later; from 29 February to 28 February."""
    day = 28 if (moment.month, moment.day) == (2, 29) else moment.day
    return moment.replace(year=moment.year + 1, day=day)


async def _against_audience(
    session: AsyncSession,
    channels: Sequence[str],
    branch_ids: Sequence[UUID] | None,
    about: Sequence[Product],
) -> list[Reason]:
    reasons = []
    if not channels or not set(channels) <= set(Channel):
        reasons.append(Reason.NO_CHANNEL)
    private = any(product.offering == "private" for product in about)
    if private and {Channel.GROUP, Channel.MOMENTS} & set(channels):
        reasons.append(Reason.PRIVATE_IN_PUBLIC)
    if branch_ids is not None and not branch_ids:
        reasons.append(Reason.NO_BRANCH)
    if branch_ids:
        known = select(func.count()).where(col(Branch.id).in_(set(branch_ids)))
        if (await session.execute(known)).scalar_one() < len(set(branch_ids)):
            reasons.append(Reason.UNKNOWN_BRANCH)
    return reasons


async def reject(
    session: AsyncSession, version_id: UUID, *, by: Person, reason: str, now: datetime
) -> Rejected | Refused:
    """Send a submitted version back to its author, who reads the reason."""
    found = await _locked(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    _, version = found
    reasons = _against_reviewer(version, by)
    if not reason.strip():
        reasons.append(Reason.NO_REASON)
    if reasons:
        return Refused(tuple(reasons))
    version.reason, version.ended_at = reason.strip(), now
    _move(session, version, State.REJECTED, "reject", by.userid, now, reason=version.reason)
    await session.flush()
    return Rejected(version)


async def withdraw(
    session: AsyncSession, version_id: UUID, *, by: Person, reason: str, now: datetime
) -> Withdrawn | Refused:
    """Take a live version out of the library at once."""
    found = await _locked(session, version_id)
    if found is None:
        return Refused((Reason.NOT_FOUND,))
    _, version = found
    reasons = [] if version.state == State.APPROVED else [Reason.NOT_LIVE]
    reasons += _against_role(by)
    if not reason.strip():
        reasons.append(Reason.NO_REASON)
    if reasons:
        return Refused(tuple(reasons))
    version.reason = reason.strip()
    await _end(session, version, State.WITHDRAWN, "withdraw", by.userid, now)
    return Withdrawn(version)


async def expire_due(session: AsyncSession, now: datetime) -> list[UUID]:
    """End every live version whose validity is over; returns their ids.

    Only tidies up: `library.only_live` refuses them from the very moment they end.
    """
    due = select(Version).where(Version.state == State.APPROVED, col(Version.valid_until) <= now)
    rows = await session.execute(due.with_for_update(skip_locked=True))
    versions = list(rows.scalars())
    for version in versions:
        await _end(session, version, State.EXPIRED, "expire", audit.SYSTEM, now)
    return [version.id for version in versions]


async def _locked(session: AsyncSession, version_id: UUID) -> tuple[Material, Version] | None:
    """Material first, then version: two reviewers of one material wait for each other."""
    hanging = select(Version.material_id).where(Version.id == version_id)
    material_id = (await session.execute(hanging)).scalar_one_or_none()
    if material_id is None:
        return None
    fresh = {"populate_existing": True}
    thread = select(Material).where(Material.id == material_id).with_for_update()
    material = (await session.execute(thread, execution_options=fresh)).scalar_one()
    one = select(Version).where(Version.id == version_id).with_for_update()
    return material, (await session.execute(one, execution_options=fresh)).scalar_one()


async def _live(session: AsyncSession, material_id: UUID) -> Version | None:
    live = select(Version).where(
        Version.material_id == material_id, Version.state == State.APPROVED
    )
    rows = await session.execute(
        live.with_for_update(), execution_options={"populate_existing": True}
    )
    return rows.scalar_one_or_none()


def _move(
    session: AsyncSession,
    version: Version,
    state: State,
    verb: str,
    by: str,
    now: datetime,
    **detail: object,
) -> None:
    version.state = state
    audit.record(
        session, f"content:version:{verb}", version.id, by=by, now=now,
        material_id=str(version.material_id), number=version.number, **detail,
    )  # fmt: skip


async def _end(
    session: AsyncSession,
    version: Version,
    state: State,
    verb: str,
    by: str,
    now: datetime,
    by_version: Version | None = None,
) -> None:
    version.ended_at = now
    detail: dict[str, object] = {"reason": version.reason} if version.reason else {}
    if by_version is not None:
        detail["by_number"] = by_version.number
    _move(session, version, state, verb, by, now, **detail)
    await _tell(session, version, live=False, now=now)


async def _tell(session: AsyncSession, version: Version, *, live: bool, now: datetime) -> None:
    """One more line for the projections, and the bell that wakes them when this commits."""
    # Numbers are given before commit; one writer at a time keeps a cursor from skipping any.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("library_change"))))
    session.add(LibraryChange(version_id=version.id, live=live, at=now))
    await session.flush()
    await ring(session, BELL)
