"""系统 · 对账与补偿: which rounds ran, what they mended, and what the platform warns of."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.models import Role, Staff
from bot.inbound import repair
from bot.inbound.effects import ALARMS
from bot.inbound.repair import Kind
from bot.models import InboundEvent, Repair, RepairMark
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

SHOWN = 50
A_WEEK = timedelta(days=7)
# A round that is not over after this long lost its process.
LOST = timedelta(hours=1)

MENDED = {
    "relation_began": "新建立的关系",
    "relation_ended": "已结束的关系",
    "group_created": "新客户群",
    "group_changed": "客户群变更",
    "group_dismissed": "已解散的群",
    "tag": "企业标签",
    "details": "备注、渠道或标签",
}
FAULTS = {
    "NotPermitted": "无权限（成员不在应用可见范围）",
    "RelationGone": "成员已不在企业微信中",
}


@dataclass(frozen=True)
class Comparison:
    """One kind of round: its rhythm, when it last ran, and what it mended in a week."""

    kind: Kind
    last: datetime | None
    mended: int
    failing: bool  # the last round ended with a failure


@dataclass(frozen=True)
class Line:
    """A round in words."""

    round: Repair
    kind: str
    seconds: float | None  # None: still running, or lost with its process
    lost: bool
    mended: str
    failure: str


@dataclass(frozen=True)
class Standing:
    """What the platform warns of and has not taken back."""

    words: str
    at: datetime


@dataclass(frozen=True)
class RepairPage:
    """`/system/repairs`: the rounds, newest first."""

    comparisons: list[Comparison]
    lines: list[Line]
    warnings: list[Standing]
    oldest: datetime | None  # when the RM compared longest ago had their turn
    never: int  # RMs who have not had a turn yet
    may_run: bool


@routes.get("/system/repairs")
@allow(Role.ADMIN, Role.AUDITOR)
async def repairs(request: web.Request) -> web.Response:
    """What was compared with WeCom, and what was mended."""
    session, now = session_of(request), now_of(request)
    newest = select(Repair).order_by(col(Repair.id).desc()).limit(SHOWN)
    rounds = (await session.execute(newest)).scalars()
    oldest, never = await _turns(session)
    context = RepairPage(
        comparisons=[await _comparison(session, kind, now) for kind in Kind],
        lines=[_line(one, now) for one in rounds],
        warnings=await _warnings(session),
        oldest=oldest,
        never=never,
        may_run=signed(request).may(Role.ADMIN),
    )
    return page(request, "bot/repairs.html", context)


@routes.post("/system/repairs/{kind}/run")
@allow(Role.ADMIN)
async def run_now(request: web.Request) -> web.Response:
    """Have a worker compare now."""
    kind = request.match_info["kind"]
    if kind not in list(Kind):
        raise web.HTTPNotFound
    session, who = session_of(request), signed(request)
    await repair.ask_for(session, Kind(kind), who.userid, now_of(request))
    return see_other("/system/repairs?done=已通知后台进程立即对账，稍后刷新查看结果")


async def _comparison(session: AsyncSession, kind: Kind, now: datetime) -> Comparison:
    query = select(Repair).where(
        col(Repair.kind) == kind.value, col(Repair.started_at) >= now - A_WEEK
    )
    newest = query.order_by(col(Repair.started_at).desc())
    rounds = list((await session.execute(newest)).scalars())
    mended = sum(sum(one.mended.values()) for one in rounds)
    last = rounds[0] if rounds else None
    return Comparison(kind, last.started_at if last else None, mended, bool(last and last.failure))


def _line(one: Repair, now: datetime) -> Line:
    kind = Kind(one.kind).label if one.kind in list(Kind) else one.kind
    seconds = (one.finished_at - one.started_at).total_seconds() if one.finished_at else None
    mended = "，".join(f"{MENDED.get(what, what)} {n}" for what, n in one.mended.items())
    lost = one.finished_at is None and now - one.started_at > LOST
    return Line(one, kind, seconds, lost, mended, _failure_words(one.failure))


def _failure_words(failure: str) -> str:
    """`NotPermitted × 3` in words; a fault of the whole round stays as it was noted."""
    name, times, number = failure.partition(" × ")
    return f"{FAULTS[name]}：{number} 人" if times and name in FAULTS else failure


async def _turns(session: AsyncSession) -> tuple[datetime | None, int]:
    """When the RM compared longest ago had their turn, and how many never had one."""
    rms = (col(Staff.enabled), col(Staff.roles).contains([Role.RM.value]))
    query = (
        select(
            func.min(col(RepairMark.compared_at)),
            func.count(),
            func.count(col(RepairMark.staff_id)),
        )
        .select_from(Staff)
        .outerjoin(RepairMark, col(RepairMark.staff_id) == col(Staff.id))
        .where(*rms)
    )
    oldest, everybody, compared = (await session.execute(query)).one()
    return oldest, everybody - compared


async def _warnings(session: AsyncSession) -> list[Standing]:
    """The newest event of each subject, where it is a warning; a later all-clear silences it."""
    kinds = {kind for alarm in ALARMS.values() for kind in alarm.cleared_by} | ALARMS.keys()
    query = (
        select(col(InboundEvent.kind), func.max(col(InboundEvent.received_at)))
        .where(col(InboundEvent.kind).in_(kinds))
        .group_by(col(InboundEvent.kind))
    )
    last = dict((await session.execute(query)).all())
    standing = [
        Standing(alarm.words, last[kind])
        for kind, alarm in ALARMS.items()
        if kind in last and all(last.get(one, last[kind]) <= last[kind] for one in alarm.cleared_by)
    ]
    return sorted(standing, key=lambda one: one.at, reverse=True)
