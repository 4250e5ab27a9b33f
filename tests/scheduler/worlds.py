"""Small worlds for SOP tests: people on both sides, a SOP, an enrolment, the ticks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution.models import Touchpoint
from bank.database import Sessions
from bank.models import Role, Staff
from bank.settings import Settings
from compliance.verdict import Refused
from content import review
from content.files import LocalFileStore
from content.models import Version
from customers.models import Customer
from desk.signed import Signed
from scheduler import enrolment, reconciling, results, sending
from scheduler.models import (
    Arm,
    Enrolment,
    LatePolicy,
    SendTask,
    Sop,
    SopState,
    Step,
    Touch,
    TouchState,
    Trigger,
)
from tests.builders import a_customer, a_follow, a_staff, an_approved_material
from tests.conftest import Clock
from wecom.client import WeComClient
from wecom.simulator import Contact, FollowRelation, Member, World

TEN = time(10)
Row = TypeVar("Row")
TEXT = "您好，我是您的客户经理{客户经理}，资金安排有疑问可以随时留言。"


class Platform:
    """The simulator as a test's hands and eyes."""

    def __init__(self, http: aiohttp.ClientSession, base: str, world: World) -> None:
        self.http, self.base, self.world = http, base, world

    async def control(self, verb: str, **wish: Any) -> dict[str, Any]:
        """Make people act or things fail."""
        async with self.http.post(f"{self.base}/control/{verb}", json=wish) as response:
            answer = dict(await response.json())
            assert response.status < 400, answer
            return answer

    async def fault(self, path: str, answer: str | int, times: int = 1) -> None:
        """The next calls of this path go wrong."""
        wish = [{"path": f"externalcontact/{path}", "times": times, "answer": answer}]
        await self.control("faults", api=wish)

    async def press_send(self) -> int:
        """Every member confirms every task that waits for him; returns how many."""
        waiting = [
            (task.msgid, userid)
            for task in self.world.tasks.values()
            for userid in task.members
            if userid not in task.confirmed and task.cancelled_at is None
        ]
        for msgid, userid in waiting:
            await self.control("confirm_task", msgid=msgid, userid=userid)
        return len(waiting)

    async def seen(self) -> list[tuple[str, str, datetime]]:
        """What customers saw: who, text, when."""
        async with self.http.get(f"{self.base}/control/ledger") as response:
            rows = (await response.json())["ledger"]
        return [
            (row["external_userid"], row["text"], datetime.fromisoformat(row["at"])) for row in rows
        ]

    @property
    def tasks(self) -> list[tuple[str, ...]]:
        """The customers of every task ever created."""
        return [
            tuple(target.external_userid for target in task.targets)
            for task in self.world.tasks.values()
        ]


@dataclass
class Bank:
    """The bank of a test."""

    sessions: Sessions
    platform: Platform
    wecom: WeComClient
    settings: Settings
    clock: Clock

    async def rm(self, **options: Any) -> Staff:
        """An RM, known to the platform too."""
        async with self.sessions.begin() as session:
            staff = await a_staff(session, Role.RM, **options)
        self.platform.world.seed([Member(staff.userid, staff.name)], [], [])
        return staff

    async def customer(self, rm: Staff, **options: Any) -> Customer:
        """A customer of that RM, friends on the platform."""
        async with self.sessions.begin() as session:
            customer = await a_customer(session, **options)
            await a_follow(session, rm, customer)
        contact = customer.external_userid or ""
        self.platform.world.seed(
            [],
            [Contact(contact, customer.name)],
            [FollowRelation(rm.userid, contact, self.clock() - timedelta(days=90))],
        )
        return customer

    async def material(self, **options: Any) -> Version:
        """An approved material."""
        async with self.sessions.begin() as session:
            return await an_approved_material(session, **{"body": TEXT, **options})

    async def sop(
        self,
        *materials: Version,
        days: Sequence[int] = (0,),
        at: time = TEN,
        trigger: Trigger = Trigger.MANUAL,
        control: int = 0,
        marketing: bool = True,
        late: LatePolicy = LatePolicy.SEND,
        state: SopState = SopState.RUNNING,
    ) -> Sop:
        """A running SOP; one material serves all days unless each has its own."""
        used = list(materials) or [await self.material()]
        async with self.sessions.begin() as session:
            owner = await a_staff(session, Role.HQ, name="总行运营")
            sop = Sop(
                code=f"S-{owner.userid}",
                name="新客陪伴",
                kind="新客",
                goal="30 天内完成测评的客户占比",
                trigger=trigger,
                control_percent=control,
                marketing=marketing,
                state=state,
                owner_id=owner.id,
                created_at=self.clock(),
            )
            session.add(sop)
            await session.flush()
            session.add_all(
                Step(
                    sop_id=sop.id,
                    position=number + 1,
                    day=day,
                    at=at,
                    material_id=used[number % len(used)].material_id,
                    late=late,
                )
                for number, day in enumerate(days)
            )
        return sop

    async def enrol(
        self, sop: Sop, customer: Customer, rm: Staff, **options: Any
    ) -> Enrolment | Refused[enrolment.NotEnrolled]:
        """Enter the customer now."""
        now = self.clock()
        async with self.sessions.begin() as session:
            return await enrolment.enrol(session, sop, customer.id, rm.id, now, now, **options)

    async def enrolled(self, **options: Any) -> tuple[Staff, Customer, Sop]:
        """An RM with one customer, entered into a SOP with these options."""
        rm = await self.rm()
        customer = await self.customer(rm)
        sop = await self.sop(**options)
        assert isinstance(await self.enrol(sop, customer, rm), Enrolment)
        return rm, customer, sop

    async def enrolled_with(self, version: Version, **options: Any) -> tuple[Staff, Customer, Sop]:
        """As `enrolled`, with this material in every step."""
        rm = await self.rm()
        customer = await self.customer(rm)
        sop = await self.sop(version, **options)
        assert isinstance(await self.enrol(sop, customer, rm), Enrolment)
        return rm, customer, sop

    @property
    def files(self) -> LocalFileStore:
        """Where uploaded files lie."""
        return LocalFileStore(self.settings.home / "files")

    async def withdraw(self, version: Version) -> None:
        """Take the material off the shelf through its real door."""
        async with self.sessions.begin() as session:
            staff = await a_staff(session, Role.COMPLIANCE, name="周岚")
            by = self.compliance(staff)
            outcome = await review.withdraw(
                session, version.id, by=by, reason="内容有误", now=self.clock()
            )
            assert not isinstance(outcome, review.Refused)

    def compliance(self, staff: Staff) -> Signed:
        """That person, signed in with the role of compliance."""
        return Signed(
            staff.id, staff.userid, staff.name, frozenset({Role.COMPLIANCE}), None, "token"
        )

    async def send(self, wecom: Any = None, sessions: Any = None) -> sending.Sent:
        """One tick of the sender."""
        return await sending.send_due(
            sessions or self.sessions, wecom or self.wecom, self.settings, self.clock()
        )

    async def collect(self) -> results.Collected:
        """One tick of the result poller."""
        return await results.collect(self.sessions, self.wecom, self.clock())

    async def reconcile(self) -> reconciling.Reconciled:
        """One tick of the reconciler."""
        return await reconciling.reconcile(self.sessions, self.wecom, self.clock())

    async def change(self, row: Any, **fields: Any) -> None:
        """The world outside changes a row."""
        async with self.sessions.begin() as session:
            fresh = await session.get_one(type(row), row.id)
            for name, value in fields.items():
                setattr(fresh, name, value)

    async def rows(self, table: type[Row]) -> list[Row]:
        """All rows of a table."""
        async with self.sessions() as session:
            return list((await session.execute(select(table))).scalars())

    async def touches(self) -> list[Touch]:
        """All touches by due time as first intended."""
        async with self.sessions() as session:
            query = select(Touch).order_by(col(Touch.planned_for), col(Touch.id))
            return list((await session.execute(query)).scalars())

    async def touch(self) -> Touch:
        """The only touch."""
        [touch] = await self.touches()
        return touch

    async def states(self) -> Counter[TouchState]:
        """How many touches stand where."""
        return Counter(touch.state for touch in await self.touches())

    async def task(self) -> SendTask:
        """The newest task."""
        tasks = await self.rows(SendTask)
        return max(tasks, key=lambda task: task.intent_at)

    async def touchpoints(self) -> list[Touchpoint]:
        """What the ledger of attribution holds."""
        return await self.rows(Touchpoint)


async def arms(session: AsyncSession, sop_id: UUID) -> dict[Arm, set[UUID]]:
    """The customers of each arm."""
    query = select(Enrolment.arm, Enrolment.customer_id).where(Enrolment.sop_id == sop_id)
    found: dict[Arm, set[UUID]] = {Arm.TREATED: set(), Arm.CONTROL: set()}
    for arm, customer_id in await session.execute(query):
        found[arm].add(customer_id)
    return found
