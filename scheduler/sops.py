"""SOPs: written, started, stopped; the only writer of a SOP's state.

A SOP that has run is not rewritten, for its touches point at its steps: it is copied.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from uuid import UUID, uuid4

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit
from content import library
from content.models import Material
from desk.signed import Signed
from scheduler import enrolment
from scheduler.models import LatePolicy, Sop, SopState, Step, Trigger
from wecom.channels import Channel

KINDS = ("新客", "客户转化", "客户陪伴", "活动节日", "周期营销", "服务提醒")
LONGEST_NAME, LONGEST_GOAL = 40, 300
MOST_STEPS = 20
EARLIEST_DAY, LATEST_DAY = -180, 365
MOST_CONTROL = 50


@dataclass(frozen=True)
class DraftStep:
    """A step as typed."""

    day: str
    at: str
    material_id: str
    late: str = LatePolicy.SEND.value


@dataclass(frozen=True)
class DraftSop:
    """A SOP as typed."""

    name: str = ""
    kind: str = KINDS[0]
    goal: str = ""
    trigger: str = Trigger.MANUAL.value
    control_percent: str = "10"
    marketing: bool = True
    steps: tuple[DraftStep, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class NotSaved:
    """Why the form was refused, by field; `steps` holds the numbers of wrong rows in words."""

    errors: Mapping[str, str]


@dataclass(frozen=True)
class NotStarted:
    """Why a SOP cannot run, in words."""

    reasons: tuple[str, ...]


async def find(session: AsyncSession, sop_id: UUID) -> Sop | None:
    """The SOP with this id."""
    return await session.get(Sop, sop_id)


async def steps_of(session: AsyncSession, sop_id: UUID) -> list[Step]:
    """Its steps in order."""
    query = select(Step).where(col(Step.sop_id) == sop_id).order_by(col(Step.position))
    return list((await session.execute(query)).scalars())


async def materials_in_steps(session: AsyncSession) -> frozenset[UUID]:
    """The materials that are sent by a SOP, whatever its state."""
    rows = await session.execute(select(col(Step.material_id)).distinct())
    return frozenset(rows.scalars())


async def create(
    session: AsyncSession, draft: DraftSop, by: Signed, now: datetime
) -> Sop | NotSaved:
    """A new SOP in draft."""
    errors = await wrong_with(session, draft)
    if errors:
        return NotSaved(errors)
    sop = Sop(
        code=f"SOP-{uuid4().hex[:6].upper()}",
        name=draft.name,
        kind=draft.kind,
        goal=draft.goal,
        trigger=Trigger(draft.trigger),
        control_percent=int(draft.control_percent),
        marketing=draft.marketing,
        owner_id=by.id,
        created_at=now,
    )
    session.add(sop)
    await session.flush()
    await _write_steps(session, sop, draft)
    audit.record(session, "scheduler:sop:create", sop.id, by=by.userid, now=now, name=sop.name)
    return sop


async def revise(
    session: AsyncSession, sop: Sop, draft: DraftSop, by: Signed, now: datetime
) -> Sop | NotSaved:
    """Write a draft anew."""
    if sop.state != SopState.DRAFT:
        return NotSaved({"form": "已发布的 SOP 不能修改，请复制为新草稿后再改。"})
    errors = await wrong_with(session, draft)
    if errors:
        return NotSaved(errors)
    sop.name, sop.kind, sop.goal = draft.name, draft.kind, draft.goal
    sop.trigger, sop.marketing = Trigger(draft.trigger), draft.marketing
    sop.control_percent = int(draft.control_percent)
    await session.execute(delete(Step).where(col(Step.sop_id) == sop.id))
    await _write_steps(session, sop, draft)
    audit.record(session, "scheduler:sop:revise", sop.id, by=by.userid, now=now)
    return sop


async def _write_steps(session: AsyncSession, sop: Sop, draft: DraftSop) -> None:
    ordered = sorted(draft.steps, key=lambda step: (int(step.day), clock_of(step.at) or time()))
    session.add_all(
        Step(
            sop_id=sop.id,
            position=position,
            day=int(step.day),
            at=clock_of(step.at) or time(),
            material_id=UUID(step.material_id),
            late=LatePolicy(step.late),
        )
        for position, step in enumerate(ordered, start=1)
    )
    await session.flush()


async def wrong_with(session: AsyncSession, draft: DraftSop) -> dict[str, str]:
    """What to correct, by field; nothing is a form that may be saved."""
    errors: dict[str, str] = {}
    if not 1 <= len(draft.name) <= LONGEST_NAME:
        errors["name"] = f"请填写名称，不超过 {LONGEST_NAME} 个字。"
    if draft.kind not in KINDS:
        errors["kind"] = "请选择类型。"
    if not 1 <= len(draft.goal) <= LONGEST_GOAL:
        errors["goal"] = f"请写明目标和衡量指标，不超过 {LONGEST_GOAL} 个字。"
    if draft.trigger not in list(Trigger):
        errors["trigger"] = "请选择触发方式。"
    if not re.fullmatch("[0-9]{1,2}", draft.control_percent) or (
        int(draft.control_percent) > MOST_CONTROL
    ):
        errors["control_percent"] = f"请填写 0–{MOST_CONTROL} 的整数。"
    if not draft.steps:
        errors["steps"] = "请至少添加一个步骤，并选择素材。"
    elif len(draft.steps) > MOST_STEPS:
        errors["steps"] = f"步骤不超过 {MOST_STEPS} 个。"
    else:
        wrong = [n for n, step in enumerate(draft.steps, 1) if not await _right(session, step)]
        if wrong:
            rows = "、".join(str(number) for number in wrong)
            errors["steps"] = (
                f"第 {rows} 行不完整：天数为 {EARLIEST_DAY} 至 {LATEST_DAY} 的整数，"
                "时间形如 10:30，素材从列表中选择。"
            )
    return errors


async def _right(session: AsyncSession, step: DraftStep) -> bool:
    if not re.fullmatch("-?[0-9]{1,3}", step.day) or clock_of(step.at) is None:
        return False
    if not EARLIEST_DAY <= int(step.day) <= LATEST_DAY or step.late not in list(LatePolicy):
        return False
    try:
        material_id = UUID(step.material_id)
    except ValueError:
        return False
    return await session.get(Material, material_id) is not None


def clock_of(typed: str) -> time | None:
    """The time of day, if it was typed as one."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?", typed)
    return time(int(found[1]), int(found[2])) if found else None


async def copy(session: AsyncSession, sop: Sop, by: Signed, now: datetime) -> Sop | NotSaved:
    """The same SOP once more, as a draft."""
    draft = await draft_of(session, sop)
    name = f"{draft.name}（副本）"[:LONGEST_NAME]
    return await create(session, DraftSop(**{**vars(draft), "name": name}), by, now)


async def draft_of(session: AsyncSession, sop: Sop) -> DraftSop:
    """The SOP as it would be typed."""
    return DraftSop(
        name=sop.name,
        kind=sop.kind,
        goal=sop.goal,
        trigger=sop.trigger.value,
        control_percent=str(sop.control_percent),
        marketing=sop.marketing,
        steps=tuple(
            DraftStep(str(s.day), s.at.strftime("%H:%M"), str(s.material_id), s.late.value)
            for s in await steps_of(session, sop.id)
        ),
    )


async def start(session: AsyncSession, sop: Sop, by: Signed, now: datetime) -> Sop | NotStarted:
    """Let it run; every step must have material that may be sent in a chat today."""
    if sop.state == SopState.RUNNING:
        return sop
    reasons = await _not_ready(session, await steps_of(session, sop.id), now)
    if reasons:
        return NotStarted(tuple(reasons))
    sop.state = SopState.RUNNING
    audit.record(session, "scheduler:sop:start", sop.id, by=by.userid, now=now)
    return sop


async def _not_ready(session: AsyncSession, steps: Sequence[Step], now: datetime) -> list[str]:
    if not steps:
        return ["还没有步骤。"]
    reasons: list[str] = []
    for step in steps:
        version = await library.live_version_of(session, step.material_id, now)
        if version is None:
            reasons.append(f"第 {step.position} 步的素材未上线或已过期。")
        elif Channel.SINGLE_CHAT not in version.channels:
            reasons.append(f"第 {step.position} 步的素材不能用于单聊。")
    return reasons


async def stop(session: AsyncSession, sop: Sop, reason: str, by: Signed, now: datetime) -> int:
    """Stop it at once: everybody leaves, nothing planned goes out; returns how many left."""
    if sop.state != SopState.RUNNING:
        return 0
    sop.state = SopState.STOPPED
    left = await enrolment.leave_sop(session, sop.id, f"SOP 已停止：{reason}", now)
    audit.record(
        session, "scheduler:sop:stop", sop.id, by=by.userid, now=now, reason=reason, left=left
    )
    return left
