"""客户: the list of one's customers, and the portrait of one."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import staff as people
from bank.calendar import local_day
from bank.models import Branch, Role, Staff
from compliance.suitability import expires_at
from customers import book, consent, scan, stages
from customers.addressed import customer_of
from customers.models import (
    Consent,
    Customer,
    CustomerTag,
    Follow,
    FollowState,
    Holding,
    Purpose,
    Stage,
)
from customers.scan import Found, Wanted
from customers.tags import tags_of
from desk.ids import id_of
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import Signed, now_of, session_of, signed

routes = web.RouteTableDef()

SEES = (Role.RM, Role.BRANCH_MANAGER, Role.HQ, Role.COMPLIANCE, Role.AUDITOR)
WITHDRAWS = (Role.RM, Role.COMPLIANCE)
SEES_SEVERAL_RMS = (Role.BRANCH_MANAGER, *book.SEES_ALL)
LONGEST_TEXT = 40
SOON_DAYS = 30

Options = list[tuple[str, str]]
# WeCom's numbers for how a customer and a member met.
ADD_WAYS: dict[int | None, str] = {
    1: "扫描二维码",
    2: "搜索手机号",
    3: "名片分享",
    4: "群聊",
    5: "手机通讯录",
    6: "微信联系人",
    8: "第三方客服",
    9: "搜索邮箱",
    10: "视频号",
    11: "日程参与人",
    12: "会议参与人",
    13: "微信好友对应的企业微信",
    14: "智慧硬件专属客服",
    15: "上门服务客服",
    16: "获客链接",
    17: "定制开发",
    18: "需求回复",
    24: "第三方应用",
    201: "内部成员共享",
    202: "管理员分配",
}


@dataclass(frozen=True)
class Sort:
    """A column heading that sorts: its address, and how it sorts now."""

    href: str
    direction: str  # ascending, descending, or none


@dataclass(frozen=True)
class ListPage:
    """`/customers`: the customers one may see."""

    wanted: Wanted  # the filter as typed
    found: Found
    query: str  # the filter and sort, for the pager
    filtered: bool
    sorts: dict[str, Sort]
    contacts: str  # address of the fragment that fills 最近联系
    risks: Options
    tiers: Options
    stages: Options
    consents: Options
    rms: Options  # empty for an RM, who sees only own customers
    branches: Options  # empty for all but those who see the whole bank


@dataclass(frozen=True)
class Held:
    """A holding with how near its maturity is."""

    holding: Holding
    days_left: int | None  # until maturity; negative when past
    tone: str  # of the tag beside the date; empty without one


@dataclass(frozen=True)
class Portrait:
    """`/customers/{id}`: who this is."""

    customer: Customer
    mobile: str
    facts: book.CustomerFacts
    branch: str
    risk_until: datetime | None  # last moment the assessment counts; none without one
    risk_expired: bool
    consents: list[Consent]  # for marketing, newest first
    profiling: Consent | None  # the consent to personal recommendations in force
    tags: list[CustomerTag]
    follows: list[tuple[Follow, str]]  # with the RM's name, newest first
    held: list[Held]
    held_cents: int
    kind: str  # of the timeline, from the address
    stages: Options
    may_stage: bool
    may_withdraw: bool
    may_stop_profiling: bool
    sees_holds: bool
    stage: str  # as chosen in the form
    note: str = ""  # as typed
    errors: dict[str, str] = field(default_factory=dict)  # field → what is wrong
    ways: dict[int | None, str] = field(default_factory=lambda: ADD_WAYS)  # how they met


@routes.get("/customers")
@allow(*SEES)
async def customer_list(request: web.Request) -> web.Response:
    """The list with its filters."""
    session, who, now = session_of(request), signed(request), now_of(request)
    wanted, visible = wanted_of(request), book.visible(who)
    found = await scan.scan(session, visible, wanted, now)
    filters = _filters(wanted)
    kept = filters | ({"sort": _sort_word(wanted)} if "sort" in request.query else {})
    ids = [("customer", str(line.customer.id)) for line in found.lines]
    context = ListPage(
        wanted=wanted,
        found=found,
        query=urlencode(kept),
        filtered=bool(filters),
        sorts={name: _sort(name, wanted, filters) for name in scan.SORTS},
        contacts=f"/attribution/last-contacts?{urlencode(ids)}" if ids else "",
        risks=[("", "全部等级"), *scan.RISKS],
        tiers=[("", "全部层级"), *((t, t) for t in await scan.tiers(session, visible))],
        stages=[("", "全部阶段"), *((stage.value, stage.label) for stage in Stage)],
        consents=[("", "全部"), *scan.CONSENTS],
        rms=await _rm_options(session, who),
        branches=await _branch_options(session, who),
    )
    return page(request, "customers/list.html", context)


def wanted_of(request: web.Request) -> Wanted:
    """The filter of the address; what makes no sense filters nothing."""
    query = request.query
    sort, number = query.get("sort", "-held"), query.get("page", "1")
    return Wanted(
        text=query.get("q", "").replace("\0", "").strip()[:LONGEST_TEXT],
        risk=query.get("risk", ""),
        tier=query.get("tier", "").replace("\0", "")[:LONGEST_TEXT],
        stage=query.get("stage", ""),
        rm=id_of(query.get("rm", "")),
        branch=id_of(query.get("branch", "")),
        consent=query.get("consent", ""),
        sort=sort.lstrip("-") if sort.lstrip("-") in scan.SORTS else "held",
        descending=sort.startswith("-"),
        page=int(number[:9]) if number.isascii() and number.isdigit() else 1,
    )


def _filters(wanted: Wanted) -> dict[str, str]:
    typed = {
        "q": wanted.text,
        "risk": wanted.risk,
        "tier": wanted.tier,
        "stage": wanted.stage,
        "rm": str(wanted.rm or ""),
        "branch": str(wanted.branch or ""),
        "consent": wanted.consent,
    }
    return {name: value for name, value in typed.items() if value}


def _sort_word(wanted: Wanted) -> str:
    return f"{'-' if wanted.descending else ''}{wanted.sort}"


def _sort(name: str, wanted: Wanted, filters: dict[str, str]) -> Sort:
    """Largest first; the same heading again turns it round."""
    chosen = wanted.sort == name
    turned = name if chosen and wanted.descending else f"-{name}"
    now = ("descending" if wanted.descending else "ascending") if chosen else "none"
    return Sort(f"/customers?{urlencode(filters | {'sort': turned})}", now)


async def _rm_options(session: AsyncSession, who: Signed) -> Options:
    if not who.may(*SEES_SEVERAL_RMS):
        return []
    branch = None if who.may(*book.SEES_ALL) else who.branch_id
    rms = await people.relationship_managers(session, branch)
    return [("", "全部客户经理"), *((str(rm.id), rm.name) for rm in rms)]


async def _branch_options(session: AsyncSession, who: Signed) -> Options:
    if not who.may(*book.SEES_ALL):
        return []
    return [("", "全部支行"), *((str(b.id), b.name) for b in await people.branches(session))]


@routes.get("/customers/{id}")
@allow(*SEES)
async def portrait(request: web.Request) -> web.Response:
    """Who this is."""
    customer = await customer_of(request)
    context = await _portrait(request, customer, stage=customer.stage.value)
    return page(request, "customers/portrait.html", context)


async def _portrait(
    request: web.Request,
    customer: Customer,
    *,
    stage: str,
    note: str = "",
    errors: dict[str, str] | None = None,
) -> Portrait:
    session, who, now = session_of(request), signed(request), now_of(request)
    facts = await book.facts_of(session, customer, now)
    holdings = await book.holdings_of(session, customer.id)
    follows = await _follows(session, customer.id)
    made = customer.risk_assessed_at if customer.risk_level else None
    profiling = await _profiling(session, customer.id, now)
    return Portrait(
        customer=customer,
        mobile=masked(customer.mobile),
        facts=facts,
        branch=await _branch(session, customer),
        risk_until=expires_at(made) if made else None,
        risk_expired=scan.is_expired(customer, now),
        consents=await _consents(session, customer.id),
        profiling=profiling,
        tags=await tags_of(session, customer.id),
        follows=follows,
        held=[_held(holding, local_day(now)) for holding in holdings],
        held_cents=sum(holding.amount_cents for holding in holdings),
        kind=request.query.get("kind", ""),
        stages=[(each.value, each.label) for each in Stage],
        may_stage=_follows_now(who, [follow for follow, _ in follows]),
        may_withdraw=facts.consents_to_marketing and who.may(*WITHDRAWS),
        may_stop_profiling=profiling is not None and who.may(*WITHDRAWS),
        sees_holds=who.may(Role.COMPLIANCE, Role.AUDITOR),
        stage=stage,
        note=note,
        errors=errors or {},
    )


def masked(mobile: str) -> str:
    """138****1234, whatever the bank's system sent us."""
    return re.sub(r"(?<!\d)(\d{3})\d{4}(\d{4})(?!\d)", r"\1****\2", mobile)


async def _branch(session: AsyncSession, customer: Customer) -> str:
    branch = await session.get(Branch, customer.branch_id) if customer.branch_id else None
    return branch.name if branch else ""


async def _consents(session: AsyncSession, customer_id: UUID) -> list[Consent]:
    query = select(Consent).where(
        col(Consent.customer_id) == customer_id, col(Consent.purpose) == Purpose.MARKETING
    )
    newest = query.order_by(col(Consent.granted_at).desc())
    return list((await session.execute(newest)).scalars())


async def _profiling(session: AsyncSession, customer_id: UUID, now: datetime) -> Consent | None:
    query = select(Consent).where(
        col(Consent.customer_id) == customer_id,
        col(Consent.purpose) == Purpose.PROFILING,
        col(Consent.granted_at) <= now,
        col(Consent.withdrawn_at).is_(None) | (col(Consent.withdrawn_at) > now),
    )
    newest = query.order_by(col(Consent.granted_at).desc()).limit(1)
    return (await session.execute(newest)).scalar_one_or_none()


async def _follows(session: AsyncSession, customer_id: UUID) -> list[tuple[Follow, str]]:
    query = (
        select(Follow, col(Staff.name))
        .join(Staff, col(Staff.id) == col(Follow.staff_id))
        .where(col(Follow.customer_id) == customer_id)
        .order_by(col(Follow.added_at).desc())
    )
    return list(await session.execute(query))


def _held(holding: Holding, today: date) -> Held:
    if holding.matures_on is None:
        return Held(holding, None, "")
    days = (holding.matures_on - today).days
    return Held(holding, days, "grey" if days < 0 else "orange" if days <= SOON_DAYS else "")


def _follows_now(who: Signed, follows: list[Follow]) -> bool:
    return who.may(Role.RM) and any(
        follow.staff_id == who.id and follow.state == FollowState.ACTIVE for follow in follows
    )


@routes.post("/customers/{id}/stage")
@allow(Role.RM)
async def change_stage(request: web.Request) -> web.Response:
    """The customer's own RM says where the relation stands, and why."""
    session, who, customer = session_of(request), signed(request), await customer_of(request)
    if await book.active_follow(session, who.id, customer.id) is None:
        raise web.HTTPForbidden(text="不能修改阶段：只有正在跟进这位客户的客户经理可以修改。")
    sent = await request.post()
    chosen, note = str(sent.get("stage", "")), str(sent.get("note", "")).strip()
    stage = Stage(chosen) if chosen in list(Stage) else None
    errors = stages.change(session, customer, stage, note, by=who.userid, now=now_of(request))
    if errors:
        context = await _portrait(request, customer, stage=chosen, note=note, errors=errors)
        return page(request, "customers/portrait.html", context, status=422)
    return see_other(f"/customers/{customer.id}?done=阶段已更新")


@routes.post("/customers/{id}/consent/withdraw")
@allow(*WITHDRAWS)
async def withdraw_consent(request: web.Request) -> web.Response:
    """The customer asked us to stop: no marketing from this moment on."""
    customer = await customer_of(request)
    ended = await consent.withdraw(
        session_of(request), customer, by=signed(request).userid, now=now_of(request)
    )
    done = "已停止营销，立即生效" if ended else "客户没有有效的营销授权"
    return see_other(f"/customers/{customer.id}?done={done}")


@routes.post("/customers/{id}/profiling/withdraw")
@allow(*WITHDRAWS)
async def withdraw_profiling(request: web.Request) -> web.Response:
    """The customer wants no personal recommendations: nothing they read is logged by name."""
    customer, by = await customer_of(request), signed(request).userid
    ended = await consent.withdraw(
        session_of(request), customer, by=by, now=now_of(request), purpose=Purpose.PROFILING
    )
    done = "已关闭个性化推荐，立即生效" if ended else "客户没有开启个性化推荐"
    return see_other(f"/customers/{customer.id}?done={done}")
