"""What stands against a step of the review: every reason, and the checks that find it."""

import enum
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Branch, Role
from content import checks, comments, flags, materials, particulars, products, sizes
from content.files import FileMissing, FileStore
from content.materials import FEWEST_QUESTIONS, MOST_QUESTIONS
from content.models import Kind, Material, Product, SaleStatus, State, StoredFile, Version
from content.people import Person
from content.review_models import ReviewDesk, ReviewStep
from content.steps import REVIEWERS, Way, all_hold, desks_of
from wecom.channels import Channel


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
    WRONG_DESK = "当前环节由其他岗位审批，请由对应岗位的审批人处理。"
    ALREADY_DECIDED = "您已审批过这个版本的另一环节，请由其他审批人处理。"
    CLAIMED = "这个环节已由其他审批人领取，请等待其处理、释放，或请其转交给您。"
    NOT_CLAIMED_BY_YOU = "这个环节不在您名下，请先领取。"
    NOBODY_THERE = "请选择要转交的审批人：须在职、有这一环节的权限，且未审批过这个版本。"
    CHECKS_OPEN = "请逐项核对，全部通过后才能通过；有一项不通过请要求修改或驳回。"
    STEPS_LEFT = "后面还有审批环节，这一环节只能转入下一环节。"
    LAST_STEP = "这是最后一个环节，通过前请填写有效期和适用范围。"
    NOT_BULK = "只有低风险素材可以批量通过，请逐份打开审批。"
    COMMENTS_OPEN = "还有未处理的批注，请逐条处理后再提交。"
    NOT_RECHECK = "这个版本没有等待复审，请刷新页面。"
    OVER_LIMIT = "卡片标题、描述或文件超过企业微信的上限，客户收不到：请修订缩短后重新提交。"
    TOO_FEW_QUESTIONS = "请填写 3–5 条常见问法，系统靠它匹配客户的提问。"
    NO_PRODUCT = "产品说明必须关联产品，请新建素材并选择产品。"
    NO_RATING = "关联产品缺少 R1–R5 风险评级，请先在产品库补齐。"
    PRODUCT_CLOSED = "关联产品已结束销售，不能提交或上线。"
    EDUCATION_SELLS = "投资者教育不得出现或关联具体产品，请驳回修改。"
    RATING_CHANGED = "关联产品的风险评级在提交后有变化，请驳回后由作者重新提交。"
    FLAGS_UNSEEN = "内容含有隐藏文字或类似系统指令的文字，请先逐条查看并确认。"
    BLOCKED_WORDING = "存在不可上线的合规问题，请驳回修改后重新提交。"
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


async def against_submitting(
    session: AsyncSession,
    material: Material,
    version: Version,
    about: Sequence[Product],
    by: Person,
) -> list[Reason]:
    """Why a draft may not be handed in."""
    if version.state != State.DRAFT:
        return [Reason.NOT_DRAFT]
    reasons = [] if version.author_id == by.id else [Reason.NOT_AUTHOR]
    if not FEWEST_QUESTIONS <= len(version.questions) <= MOST_QUESTIONS:
        reasons.append(Reason.TOO_FEW_QUESTIONS)
    if await comments.any_open(session, version.id):
        reasons.append(Reason.COMMENTS_OPEN)
    reasons += await _against_size(session, material, version)
    return reasons + against_products(material, about)


def against_reviewer(version: Version, way: Way, by: Person, now: datetime) -> list[Reason]:
    """Why this person may not decide the open step."""
    step = way.open
    waits = version.state == State.SUBMITTED and step is not None
    reasons = [] if waits else [Reason.NOT_SUBMITTED]
    return reasons + _against_person(version, way, step, by, now)


def against_rechecker(version: Version, way: Way, by: Person, now: datetime) -> list[Reason]:
    """Why this person may not decide the re-review."""
    step = way.open
    waits = version.state == State.APPROVED and step and step.desk is ReviewDesk.RECHECK
    reasons = [] if waits else [Reason.NOT_RECHECK]
    return reasons + _against_person(version, way, step, by, now)


def _against_person(
    version: Version, way: Way, step: ReviewStep | None, by: Person, now: datetime
) -> list[Reason]:
    reasons = [Reason.OWN_WORK] if version.author_id == by.id else []
    reasons += against_role(by)
    if step is None or reasons:
        return reasons
    if step.desk not in desks_of(by.roles, by.branch_id):
        reasons.append(Reason.WRONG_DESK)
    if way.decided_by(by.id):
        reasons.append(Reason.ALREADY_DECIDED)
    if claimed_by_another(step, by.id, now):
        reasons.append(Reason.CLAIMED)
    return reasons


def claimed_by_another(step: ReviewStep, staff_id: UUID, now: datetime) -> bool:
    """Whether somebody else has it in hand at this moment."""
    held = step.claimed_until is not None and step.claimed_until > now
    return held and step.claimed_by != staff_id


def against_role(by: Person) -> list[Reason]:
    """Why this person may not review at all."""
    if not REVIEWERS & set(by.roles):
        return [Reason.NOT_REVIEWER]
    return [Reason.REVIEWER_SELLS] if Role.RM in by.roles else []


def against_checks(way: Way, checked: Sequence[bool]) -> list[Reason]:
    """Whether a point of the open step was left or found not to hold."""
    step = way.open
    return [] if step is None or all_hold(step, checked) else [Reason.CHECKS_OPEN]


def against_products(material: Material, about: Sequence[Product]) -> list[Reason]:
    """What the products of a material stand against."""
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


async def _against_size(
    session: AsyncSession, material: Material, version: Version
) -> list[Reason]:
    """Whether WeCom would take its card and its file, as stored: a mark may have enlarged it."""
    file = await session.get(StoredFile, version.file_id) if version.file_id else None
    card = particulars.of_version(material, version).card
    over = sizes.over(material.kind, version.title, card, file.size if file else 0)
    return [Reason.OVER_LIMIT] if over else []


async def against_content(
    session: AsyncSession,
    files: FileStore,
    material: Material,
    version: Version,
    about: Sequence[Product],
) -> list[Reason]:
    """Checked again at approval: bytes, products and rules may have changed since submission."""
    reasons = against_products(material, about)
    reasons += await _against_size(session, material, version)
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


def against_validity(
    valid_from: datetime, valid_until: datetime, now: datetime, live: Version | None
) -> list[Reason]:
    """Whether the time is in order: to come, and twelve months at most (C-36)."""
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


async def against_audience(
    session: AsyncSession,
    channels: Sequence[str],
    branch_ids: Sequence[UUID] | None,
    about: Sequence[Product],
) -> list[Reason]:
    """Whether the channels and branches are there and fit the products."""
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
