"""A small bank under faults: a branch, an RM, colleagues, approved words, a SOP for newcomers."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Branch, Role, Staff
from bot.models import WelcomeChoice
from content.models import Kind, LibraryChange, Material, Passage, State, Use, Version
from scheduler.models import LatePolicy, Sop, SopState, Step, Trigger

WELCOME = "您好，我是您的客户经理，账户和产品方面的问题可以随时留言，我会尽快回复您。"
REDEMPTION = "您好，赎回申请确认后，资金一般在下一个工作日到账，具体以产品说明书为准。"
CARE = "您好，我是您的客户经理{客户经理}，资金安排有疑问可以随时留言（第{step}次回访）。"
CERTIFIED_UNTIL = date(2099, 12, 31)
VALID = timedelta(days=175)


@dataclass(frozen=True)
class People:
    """Who works there, and the SOP every new customer enters."""

    rm: Staff
    colleague: Staff
    former: Staff
    hq: Staff
    sop: Sop
    welcome_material_id: UUID

    @property
    def members(self) -> list[Staff]:
        """Those who talk to customers."""
        return [self.rm, self.colleague, self.former]


async def settle(session: AsyncSession, now: datetime, days: tuple[int, ...] = (0, 2, 5)) -> People:
    """Write the bank down; nobody has customers yet. The SOP is a service, not marketing."""
    branch = Branch(code="B001", name="城东支行")
    session.add(branch)
    await session.flush()
    rm = await _member(session, "rm_busy", "王敏", branch, Role.RM)
    colleague = await _member(session, "rm_colleague", "赵磊", branch, Role.RM)
    former = await _member(session, "rm_former", "孙洁", branch, Role.RM)
    hq = await _member(session, "hq_owner", "总行运营", branch, Role.HQ)
    welcome = await approved(session, "新客欢迎", WELCOME, hq, colleague, now)
    await approved(session, "赎回多久到账", REDEMPTION, hq, colleague, now)
    # Each step has words of its own, so that what a customer saw names the step.
    care = [
        await approved(
            session, f"新客陪伴{step}", CARE.replace("{step}", str(step)), hq, colleague, now
        )
        for step in range(1, len(days) + 1)
    ]
    sop = await _sop(session, hq, care, days, now)
    session.add(
        WelcomeChoice(material_id=welcome, chosen_by=hq.userid, chosen_at=now, staff_id=None)
    )
    return People(rm, colleague, former, hq, sop, welcome)


async def _member(
    session: AsyncSession, userid: str, name: str, branch: Branch, *roles: Role
) -> Staff:
    staff = Staff(
        userid=userid,
        name=name,
        roles=[role.value for role in roles],
        branch_id=branch.id,
        certified_until=CERTIFIED_UNTIL,
    )
    session.add(staff)
    await session.flush()
    return staff


async def approved(
    session: AsyncSession, title: str, body: str, author: Staff, approver: Staff, now: datetime
) -> UUID:
    """A text that is live; the id of its material."""
    material = Material(
        code=f"T-{title}",
        kind=Kind.SCRIPT,
        title=title,
        use=Use.ACCOMPANY,
        owner_id=author.id,
        created_at=now - timedelta(days=2),
    )
    session.add(material)
    await session.flush()
    version = Version(
        material_id=material.id,
        number=1,
        title=title,
        body=body,
        questions=["赎回几天到账", "卖出以后钱什么时候到"],
        sha256=hashlib.sha256(body.encode()).hexdigest(),
        risk=0,
        state=State.APPROVED,
        author_id=author.id,
        created_at=now - timedelta(days=2),
        approved_by=approver.id,
        approved_at=now - timedelta(days=1),
        valid_from=now - timedelta(days=1),
        valid_until=now + VALID,
        channels=["single_chat", "group"],
        branch_ids=None,
    )
    session.add(version)
    await session.flush()
    session.add(Passage(version_id=version.id, position=0, text=body))
    session.add(LibraryChange(version_id=version.id, live=True, at=now - timedelta(days=1)))
    await session.flush()
    return material.id


async def _sop(
    session: AsyncSession, owner: Staff, care: list[UUID], days: tuple[int, ...], now: datetime
) -> Sop:
    sop = Sop(
        code="S-NEW",
        name="新客陪伴",
        kind="新客",
        goal="30 天内完成测评的客户占比",
        trigger=Trigger.FOLLOW_ADDED,
        control_percent=0,
        marketing=False,
        state=SopState.RUNNING,
        owner_id=owner.id,
        created_at=now,
    )
    session.add(sop)
    await session.flush()
    session.add_all(
        Step(
            sop_id=sop.id,
            position=number,
            day=day,
            at=time(10),
            material_id=care[number - 1],
            late=LatePolicy.SEND,
        )
        for number, day in enumerate(days, start=1)
    )
    return sop
