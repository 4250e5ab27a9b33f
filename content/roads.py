"""Roads 审批流程: how much there is to look at in a material, and the steps it must pass for that.

Head office and compliance edit the roads on a page; what they have not set is as `USUAL` says. A
version keeps the steps it was handed in with, whatever is edited afterwards.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from content.checks import Finding
from content.models import Kind, Product
from content.people import Person
from content.review_models import ReviewDesk, ReviewRisk, ReviewRoad

MOST_STEPS, MOST_CHECKS, LONGEST_CHECK = 5, 8, 60
FEWEST_HOURS, MOST_HOURS = 1, 240
HIGH_RATING = 4
# A figure beside one of these words shows what a product earned or aims at (C-13, C-16).
PERFORMANCE = re.compile(r"业绩|收益率|年化|回报率|净值增长|涨幅")
FIGURE = re.compile(r"\d\s*[%％]")
PERFORMANCE_RULES = frozenset({"past_performance", "benchmark_misuse"})


@dataclass(frozen=True)
class PlannedStep:
    """A step as the road has it: who decides, within how many hours, what to look at."""

    desk: ReviewDesk
    hours: int
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Road:
    """The steps of a kind and risk; `kind` empty: of every kind without a road of its own."""

    kind: str
    risk: ReviewRisk
    steps: tuple[PlannedStep, ...]
    usual: bool  # nobody has edited it


BUSINESS = PlannedStep(
    ReviewDesk.BUSINESS,
    24,
    (
        "产品要素、费率和规则与说明书一致",
        "表述客观完整，没有诱导、承诺或片面宣传",
        "渠道、支行和有效期与内容相符",
    ),
)
COMPLIANCE = PlannedStep(
    ReviewDesk.COMPLIANCE,
    24,
    (
        "风险提示和必备声明齐全，位置醒目",
        "适用客户与产品风险等级相匹配",
        "引用的数据、案例和来源可以核实",
    ),
)
HEAD_OFFICE = PlannedStep(
    ReviewDesk.HEAD_OFFICE,
    48,
    (
        "业绩与基准展示符合信息披露要求",
        "私募和 R4 以上产品不面向不特定对象",
        "前面环节提出的问题均已处理",
    ),
)
USUAL = {
    ReviewRisk.LOW: (BUSINESS,),
    ReviewRisk.ORDINARY: (BUSINESS, COMPLIANCE),
    ReviewRisk.HIGH: (BUSINESS, COMPLIANCE, HEAD_OFFICE),
}
FEWEST = {ReviewRisk.LOW: 1, ReviewRisk.ORDINARY: 1, ReviewRisk.HIGH: 2}
OF_COMPLIANCE = frozenset({ReviewDesk.COMPLIANCE, ReviewDesk.HEAD_OFFICE})


def risk_of(about: Iterable[Product], findings: Sequence[Finding], text: str) -> ReviewRisk:
    """High: R4 and above, private, or showing performance; low: no product and nothing found."""
    products = list(about)
    if any(p.rating >= HIGH_RATING or p.offering == "private" for p in products):
        return ReviewRisk.HIGH
    shown = PERFORMANCE.search(text) and FIGURE.search(text)
    if shown or any(finding.category in PERFORMANCE_RULES for finding in findings):
        return ReviewRisk.HIGH
    return ReviewRisk.ORDINARY if products or findings else ReviewRisk.LOW


async def road_of(session: AsyncSession, kind: str, risk: ReviewRisk) -> Road:
    """The road of this kind, else that of every kind, else the usual one."""
    rows = select(ReviewRoad).where(ReviewRoad.risk == risk, col(ReviewRoad.kind).in_([kind, ""]))
    found = {road.kind: road for road in (await session.execute(rows)).scalars()}
    own = found.get(kind) or found.get("")
    return _read(own) if own else Road("", risk, USUAL[risk], usual=True)


async def roads(session: AsyncSession) -> list[Road]:
    """The roads of every kind by risk, then those of single kinds."""
    found = {
        (r.kind, r.risk): _read(r) for r in (await session.execute(select(ReviewRoad))).scalars()
    }
    general = [
        found.pop(("", risk), Road("", risk, USUAL[risk], usual=True)) for risk in ReviewRisk
    ]
    order = list(ReviewRisk)
    single = sorted(found.values(), key=lambda road: (road.kind, order.index(road.risk)))
    return [*general, *single]


def _read(row: ReviewRoad) -> Road:
    steps = tuple(
        PlannedStep(ReviewDesk(step["desk"]), step["hours"], tuple(step["checks"]))
        for step in row.steps
    )
    return Road(row.kind, row.risk, steps, usual=False)


def wrong_with(kind: str, risk: str, steps: Sequence[PlannedStep]) -> list[str]:
    """Why this road may not be set, in words; nothing where it may."""
    if (kind and kind not in list(Kind)) or risk not in list(ReviewRisk):
        return ["没有这种类型或风险级别，请刷新页面后重新选择。"]
    wrong = []
    fewest = FEWEST[ReviewRisk(risk)]
    if not fewest <= len(steps) <= MOST_STEPS:
        label = ReviewRisk(risk).label
        wrong.append(f"{label}素材的审批环节须为 {fewest}–{MOST_STEPS} 个，请增减环节。")
    if risk != ReviewRisk.LOW and not any(step.desk in OF_COMPLIANCE for step in steps):
        wrong.append("除低风险外，至少要有一个合规环节，请加上“合规终审”或“总行合规”。")
    if any(not FEWEST_HOURS <= step.hours <= MOST_HOURS for step in steps):
        wrong.append(f"每个环节的时限须为 {FEWEST_HOURS}–{MOST_HOURS} 小时的整数。")
    if any(not 1 <= len(step.checks) <= MOST_CHECKS for step in steps):
        wrong.append(f"每个环节请写 1–{MOST_CHECKS} 条核对项，一行一条。")
    if any(len(check) > LONGEST_CHECK for step in steps for check in step.checks):
        wrong.append(f"每条核对项不超过 {LONGEST_CHECK} 个字。")
    return wrong


async def set_road(
    session: AsyncSession,
    kind: str,
    risk: ReviewRisk,
    steps: Sequence[PlannedStep],
    by: Person,
    now: datetime,
) -> None:
    """From now on what is handed in takes this road; the caller has asked `wrong_with`."""
    before = (await road_of(session, kind, risk)).steps
    row = await session.get(ReviewRoad, (kind, risk), with_for_update=True)
    stored = [_stored(step) for step in steps]
    if row is None:
        row = ReviewRoad(kind=kind, risk=risk, steps=stored, changed_by=by.id, changed_at=now)
        session.add(row)
    row.steps, row.changed_by, row.changed_at = stored, by.id, now
    audit.record(
        session, "content:review_road:set", f"{kind or 'all'}:{risk.value}", by=by.userid, now=now,
        was=[_stored(step) for step in before], road=stored, said=in_words(steps),
    )  # fmt: skip
    await session.flush()


async def forget_road(
    session: AsyncSession, kind: str, risk: ReviewRisk, by: Person, now: datetime
) -> bool:
    """Back to the general road, or to the usual one; False where nothing was set."""
    row = await session.get(ReviewRoad, (kind, risk), with_for_update=True)
    if row is None:
        return False
    await session.delete(row)
    audit.record(
        session, "content:review_road:reset", f"{kind or 'all'}:{risk.value}",
        by=by.userid, now=now, was=row.steps,
    )  # fmt: skip
    await session.flush()
    return True


def in_words(steps: Iterable[PlannedStep]) -> str:
    """The road in one line."""
    return " → ".join(f"{step.desk.label} {step.hours} 小时" for step in steps)


def _stored(step: PlannedStep) -> dict[str, Any]:
    return asdict(step) | {"desk": step.desk.value, "checks": list(step.checks)}
