"""A bank with one RM, one customer and one approved material; words to be judged."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import Role, Staff
from content.models import Version
from customers.models import Customer
from outbound.check import Cleared, Refused, check_and_record
from outbound.facts import Policy, Saying
from outbound.models import ConductAlert, Door, OutboundMessage
from tests.builders import MONDAY, a_branch, a_customer, a_follow, a_staff, an_approved_material

POLICY = Policy("云州银行", ("yzbank.cn",), ai_label=True)


@dataclass
class World:
    """What a test says, and what came of it."""

    session: AsyncSession
    rm: Staff
    customer: Customer
    version: Version
    now: datetime = MONDAY
    policy: Policy = POLICY

    def saying(self, text: str = "", **facts: Any) -> Saying:
        """The RM sends the material, edited where a text is given."""
        given = Saying(
            door=Door.SIDEBAR,
            text=text or self.version.body,
            version_ids=frozenset({self.version.id}),
            staff_id=self.rm.id,
            customer_id=self.customer.id,
            contact=self.customer.external_userid or "",
            suggested=self.version.body,
            writer="quoting",
        )
        return replace(given, **facts)

    async def says(self, text: str = "", source: str = "s1", **facts: Any) -> Cleared | Refused:
        """Judge and record."""
        saying = self.saying(text, **facts)
        return await check_and_record(self.session, saying, source, self.policy, self.now)

    async def refused(self, text: str = "", **facts: Any) -> Refused:
        """Judge words that must not pass; they must leave a refused row."""
        answer = await self.says(text, **facts)
        assert isinstance(answer, Refused), answer
        assert answer.reasons
        return answer

    async def cleared(self, text: str = "", **facts: Any) -> Cleared:
        """Judge words that must pass."""
        answer = await self.says(text, **facts)
        assert isinstance(answer, Cleared), answer
        return answer

    async def rows(self) -> list[OutboundMessage]:
        """What was written down."""
        return list((await self.session.execute(select(OutboundMessage))).scalars())

    async def row(self) -> OutboundMessage:
        """The only line."""
        [row] = await self.rows()
        return row

    async def alerts(self) -> list[ConductAlert]:
        """What compliance must know."""
        return list((await self.session.execute(select(ConductAlert))).scalars())


async def a_world(session: AsyncSession, **material: Any) -> World:
    """The bank, everything in order."""
    branch = await a_branch(session)
    rm = await a_staff(session, Role.RM, branch=branch)
    customer = await a_customer(session, branch=branch)
    await a_follow(session, rm, customer)
    return World(session, rm, customer, await an_approved_material(session, **material))
